"""The audit log of what people did, wrong secrets, and where the log stood under a day's seal."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("proposal", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["proposal"], ["audit_log.number"], name="fk_audit_log_proposal"),
        sa.PrimaryKeyConstraint("number", name="pk_audit_log"),
        # A chain never forks, and a proposal is answered once.
        sa.UniqueConstraint("previous_hash", name="uq_audit_log_previous_hash"),
        sa.UniqueConstraint("proposal", name="uq_audit_log_proposal"),
    )
    op.create_table(
        "wrong_secrets",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("log_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_wrong_secrets"),
    )
    op.create_index("ix_wrong_secrets_person", "wrong_secrets", ["person"])
    # Null for no day of a city that this version opens: older ones are refused by their format.
    op.add_column("days", sa.Column("audit_entries", sa.BigInteger(), nullable=True))
    op.add_column("days", sa.Column("refused_files", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("rulings", sa.Text(), nullable=True))
    op.add_column("entries", sa.Column("ruling", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        for table in ("audit_log", "wrong_secrets"):
            for action in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_refuse_{action.lower()} BEFORE {action} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
