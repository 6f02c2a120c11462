"""Files of opening balances, and which of them a run has read."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _required(name: str, kind: Any) -> "sa.Column[Any]":  # noqa: ANN401 - a type of SQLAlchemy
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    op.create_table(
        "opening_files",
        _required("content_hash", sa.String(64)),
        _required("sender", sa.BigInteger()),
        _required("key_version", sa.BigInteger()),
        _required("centre", sa.BigInteger()),
        _required("row_count", sa.Integer()),
        _required("amount_fen", sa.BigInteger()),
        _required("as_of", sa.DateTime()),
        _required("created_at", sa.DateTime()),
        _required("received_at", sa.DateTime()),
        _required("size_bytes", sa.BigInteger()),
        _required("scopes", sa.Text()),
        _required("row_hash", sa.String(64)),
        sa.PrimaryKeyConstraint("content_hash", name="pk_opening_files"),
    )
    op.add_column("runs", sa.Column("openings", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER opening_files_refuse_{action.lower()} BEFORE {action} "
                "ON opening_files "
                "BEGIN SELECT RAISE(ABORT, 'opening_files is append-only'); END"
            )
