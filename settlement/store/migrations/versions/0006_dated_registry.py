"""The registry as a chain of changes, each with its days and who made it.

Rows of before hold from the beginning, without an end. Their bytes are written out here: a later
version may give rows more columns, and this step must chain the same ones.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from settlement.seal import GENESIS, canonical_json, link

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HASH = sa.String(64)
BY, WHY = "system:onecard", "held before rows had days"
#: What was registered: table, kind of row, its columns, and how many of them name its subject.
OLD = (
    ("participants", "participant", ("code", "name", "kind", "sector"), 1),
    ("senders", "sender", ("sender", "key_version", "participant", "public_key"), 2),
    ("terminals", "terminal", ("terminal", "participant", "role"), 1),
    ("names", "name", ("kind", "code", "text"), 2),
    ("hotlist", "hotlist", ("card_number", "version"), 1),
    ("tac_keys", "tac_key", ("label", "version", "algorithm", "check_value"), 2),
)
#: Columns that rows have had since, and that were empty before.
NEW_COLUMNS = {"terminal": {"collector": None, "sector": None}}


def _make_table() -> sa.Table:
    return op.create_table(
        "registry_changes",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("changed_by", sa.String(80), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.Column("previous_hash", HASH, nullable=False),
        sa.Column("hash", HASH, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_registry_changes"),
        sa.UniqueConstraint("hash", name="uq_registry_changes_hash"),
    )


def _carry_over(changes: sa.Table) -> None:
    connection, now = op.get_bind(), datetime.now(UTC)
    number, previous = 0, GENESIS
    for table, kind, columns, subject in OLD:
        for values in connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1, 2")):  # noqa: S608 - the tables named above
            number += 1
            content = dict(zip(columns, values, strict=True)) | NEW_COLUMNS.get(kind, {})
            change: dict[str, Any] = {
                "number": number,
                "kind": kind,
                "subject": "/".join(str(each) for each in values[:subject]),
                "content": content,
                "valid_from": None,
                "valid_to": None,
                "by": BY,
                "at": now,
                "why": WHY,
            }
            hash_ = link(previous, change)
            row = change | {
                "content": canonical_json(content).decode(),
                "changed_by": BY,
                "changed_at": now.replace(tzinfo=None),
                "previous_hash": previous,
                "hash": hash_,
            }
            connection.execute(
                changes.insert(),
                {name: row[name] for name in changes.columns.keys()},  # noqa: SIM118 - a collection of columns
            )
            previous = hash_


def upgrade() -> None:
    op.add_column("days", sa.Column("registry_changes", sa.BigInteger(), nullable=True))
    changes = _make_table()
    op.create_index("ix_registry_changes_kind_subject", "registry_changes", ["kind", "subject"])
    _carry_over(changes)
    for table, *_ in reversed(OLD):
        op.drop_table(table)
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER registry_changes_refuse_{action.lower()} BEFORE {action} ON "
                "registry_changes BEGIN SELECT RAISE(ABORT, 'registry_changes is append-only'); END"
            )
