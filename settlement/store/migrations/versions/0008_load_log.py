"""The load host's log: its files, and every load it allowed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _required(name: str, kind: Any) -> "sa.Column[Any]":  # noqa: ANN401 - a type of SQLAlchemy
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    op.create_table(
        "load_logs",
        _required("content_hash", sa.String(64)),
        _required("issuer", sa.String(16)),
        _required("first_number", sa.BigInteger()),
        _required("entry_count", sa.Integer()),
        _required("key_version", sa.BigInteger()),
        _required("previous", sa.String(64)),
        _required("digest", sa.String(64)),
        _required("created_at", sa.DateTime()),
        _required("received_at", sa.DateTime()),
        _required("size_bytes", sa.BigInteger()),
        _required("amount_fen", sa.BigInteger()),
        _required("answer", sa.Integer()),
        _required("missing", sa.Text()),
        _required("row_hash", sa.String(64)),
        sa.CheckConstraint("first_number >= 1", name="ck_load_logs_first_number_from_one"),
        sa.PrimaryKeyConstraint("content_hash", name="pk_load_logs"),
        sa.UniqueConstraint("issuer", "first_number", name="uq_load_logs_issuer_first_number"),
    )
    op.create_table(
        "allowed_loads",
        _required("issuer", sa.String(16)),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        _required("content_hash", sa.String(64)),
        _required("application", sa.Integer()),
        _required("card_number", sa.String(20)),
        _required("key_version", sa.Integer()),
        _required("random", sa.String(8)),
        _required("online_counter", sa.Integer()),
        _required("balance_before_fen", sa.BigInteger()),
        _required("amount_fen", sa.BigInteger()),
        _required("terminal", sa.String(12)),
        _required("time", sa.DateTime()),
        _required("mac1", sa.String(8)),
        _required("mac2", sa.String(8)),
        _required("funding", sa.Integer()),
        _required("debit_terminal", sa.String(12)),
        _required("debit_serial", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["load_logs.content_hash"], name="fk_allowed_loads_content_hash"
        ),
        sa.PrimaryKeyConstraint("issuer", "number", name="pk_allowed_loads"),
    )
    op.create_index("ix_allowed_loads_card_number", "allowed_loads", ["card_number"])
    if op.get_bind().dialect.name == "sqlite":
        for table in ("load_logs", "allowed_loads"):
            for action in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_refuse_{action.lower()} BEFORE {action} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
