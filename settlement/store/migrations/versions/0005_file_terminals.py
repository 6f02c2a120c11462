"""Where a record is: which file holds which serials of a terminal."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Cities that took files in before purses had names are not opened by this version: there is no
    # file whose rows would be missing.
    op.create_table(
        "file_terminals",
        sa.Column("terminal", sa.String(12), nullable=False),
        sa.Column("last_serial", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("first_serial", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["files.content_hash"], name="fk_file_terminals_content_hash"
        ),
        sa.PrimaryKeyConstraint(
            "terminal", "last_serial", "first_serial", "content_hash", name="pk_file_terminals"
        ),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER file_terminals_refuse_{action.lower()} BEFORE {action} "
                "ON file_terminals "
                "BEGIN SELECT RAISE(ABORT, 'file_terminals is append-only'); END"
            )
