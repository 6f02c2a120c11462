"""Keys the city knows by check value; records that can be judged later than they came."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tac_keys",
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("check_value", sa.String(6), nullable=False),
        sa.PrimaryKeyConstraint("label", "version", name="pk_tac_keys"),
    )
    unjudged = sa.Column("unjudged_count", sa.Integer(), nullable=False, server_default="0")
    op.add_column("facts", unjudged)
    op.add_column("runs", sa.Column("review_sha256", sa.String(64), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        # A version once registered never gets another check value.
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER tac_keys_refuse_{action.lower()} BEFORE {action} ON tac_keys "
                "BEGIN SELECT RAISE(ABORT, 'tac_keys is append-only'); END"
            )
