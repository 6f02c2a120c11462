"""First schema: registry, files, runs, closed days, ledger, audit."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

HASH = sa.String(64)
#: Rows of these tables are never changed or deleted; the database refuses it too.
APPEND_ONLY = ("days", "discounts", "entries", "facts", "gaps", "positions", "postings", "refusals")


def _required(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _code(name: str, kind: sa.types.TypeEngine[Any] | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.BigInteger(), nullable=False, autoincrement=False)


def _references(table: str, column: str, other: str, other_column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.{other_column}"], name=f"fk_{table}_{column}"
    )


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _registry() -> None:
    op.create_table(
        "participants",
        _code("code"),
        _required("name", sa.Text()),
        _required("role", sa.Integer()),
        _required("sector", sa.Integer()),
        _key("participants", "code"),
    )
    op.create_table(
        "senders",
        _code("sender"),
        _code("key_version", sa.Integer()),
        _required("participant", sa.BigInteger()),
        _required("public_key", sa.String(64)),
        _references("senders", "participant", "participants", "code"),
        _key("senders", "sender", "key_version"),
    )
    op.create_table(
        "terminals",
        _required("terminal", sa.String(12)),
        _required("participant", sa.BigInteger()),
        _required("role", sa.Text()),
        _references("terminals", "participant", "participants", "code"),
        _key("terminals", "terminal"),
    )
    op.create_table(
        "names",
        _required("kind", sa.String(16)),
        _code("code"),
        _required("text", sa.Text()),
        _key("names", "kind", "code"),
    )
    op.create_table(
        "hotlist",
        _required("card_number", sa.String(20)),
        _required("version", sa.BigInteger()),
        _key("hotlist", "card_number"),
    )


def _runs_and_days() -> None:
    op.create_table(
        "runs",
        _required("run_id", HASH),
        _required("settlement_day", sa.Date()),
        _required("registry_sha256", HASH),
        _required("outputs", sa.Text()),
        _required("totals", sa.Text()),
        _required("output_hash", HASH),
        _key("runs", "run_id"),
    )
    op.create_index("ix_runs_settlement_day", "runs", ["settlement_day"])
    op.create_table(
        "days",
        _required("settlement_day", sa.Date()),
        _required("run_id", HASH),
        _required("output_hash", HASH),
        _required("ledger_root", HASH),
        _required("previous_seal", HASH),
        _required("seal", HASH),
        _required("closed_at", sa.DateTime()),
        _references("days", "run_id", "runs", "run_id"),
        _key("days", "settlement_day"),
        sa.UniqueConstraint("run_id", name="uq_days_run_id"),
        sa.UniqueConstraint("previous_seal", name="uq_days_previous_seal"),
        sa.UniqueConstraint("seal", name="uq_days_seal"),
    )


def _files() -> None:
    op.create_table(
        "files",
        _required("content_hash", HASH),
        _required("sender", sa.BigInteger()),
        _required("sequence", sa.BigInteger()),
        _required("key_version", sa.Integer()),
        _required("business_day", sa.Date()),
        _required("created_at", sa.DateTime()),
        _required("received_at", sa.DateTime()),
        _required("size_bytes", sa.BigInteger()),
        _required("record_count", sa.Integer()),
        _required("register_count", sa.Integer()),
        _required("debit_fen", sa.BigInteger()),
        _required("load_fen", sa.BigInteger()),
        _required("hash_total", sa.String(16)),
        _required("answer", sa.Integer()),
        _required("missing", sa.Text()),
        _required("row_hash", HASH),
        sa.Column("settlement_day", sa.Date()),
        _references("files", "settlement_day", "days", "settlement_day"),
        _key("files", "content_hash"),
        sa.UniqueConstraint("sender", "sequence", name="uq_files_sender_sequence"),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_files_sequence_from_one")),
    )
    op.create_index("ix_files_settlement_day", "files", ["settlement_day"])
    op.create_table(
        "facts",
        _required("content_hash", HASH),
        _code("bucket", sa.Integer()),
        _required("row_count", sa.Integer()),
        _required("sha256", HASH),
        _references("facts", "content_hash", "files", "content_hash"),
        _key("facts", "content_hash", "bucket"),
    )
    op.create_table(
        "refusals",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _required("content_hash", HASH),
        sa.Column("sender_claim", sa.BigInteger()),
        sa.Column("sequence_claim", sa.BigInteger()),
        _required("answer", sa.Integer()),
        _required("detail", sa.Text()),
        _required("is_alarm", sa.Integer()),
        _required("received_at", sa.DateTime()),
        _key("refusals", "number"),
    )


def _ledger() -> None:
    op.create_table(
        "entries",
        _code("number"),
        _required("settlement_day", sa.Date()),
        _required("kind", sa.String(16)),
        sa.Column("bucket", sa.Integer()),
        sa.Column("participant", sa.BigInteger()),
        _required("previous_hash", HASH),
        _required("hash", HASH),
        _references("entries", "settlement_day", "days", "settlement_day"),
        _key("entries", "number"),
    )
    op.create_index("ix_entries_settlement_day", "entries", ["settlement_day"])
    op.create_table(
        "postings",
        _code("entry"),
        _code("line", sa.Integer()),
        _required("account", sa.String(64)),
        _required("amount_fen", sa.BigInteger()),
        _required("previous_hash", HASH),
        _required("hash", HASH),
        _references("postings", "entry", "entries", "number"),
        _key("postings", "entry", "line"),
    )
    op.create_index("ix_postings_account", "postings", ["account"])


def _day_tables() -> None:
    op.create_table(
        "positions",
        _required("settlement_day", sa.Date()),
        _required("account", sa.String(64)),
        _required("gross_debit_fen", sa.BigInteger()),
        _required("gross_credit_fen", sa.BigInteger()),
        _required("net_fen", sa.BigInteger()),
        _references("positions", "settlement_day", "days", "settlement_day"),
        _key("positions", "settlement_day", "account"),
    )
    op.create_table(
        "gaps",
        _required("settlement_day", sa.Date()),
        _required("card_number", sa.String(20)),
        _code("gap", sa.Integer()),
        _required("opened_day", sa.Date()),
        _required("counter_kind", sa.Integer()),
        _required("first_counter", sa.BigInteger()),
        _required("last_counter", sa.BigInteger()),
        _required("price_fen", sa.BigInteger()),
        _required("state", sa.Integer()),
        _references("gaps", "settlement_day", "days", "settlement_day"),
        _key("gaps", "settlement_day", "card_number", "gap"),
    )
    op.create_table(
        "discounts",
        _required("settlement_day", sa.Date()),
        _code("operator"),
        _required("fare_class", sa.String(32)),
        _required("record_count", sa.BigInteger()),
        _required("tariff_fen", sa.BigInteger()),
        _required("charged_fen", sa.BigInteger()),
        _references("discounts", "settlement_day", "days", "settlement_day"),
        _key("discounts", "settlement_day", "operator", "fare_class"),
    )


def _refuse_changes() -> None:
    for table in APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    op.execute(
        "CREATE TRIGGER files_refuse_delete BEFORE DELETE ON files "
        "BEGIN SELECT RAISE(ABORT, 'files is append-only'); END"
    )
    # The one change a file's row ever sees: the day that settled it, once.
    op.execute(
        "CREATE TRIGGER files_refuse_update BEFORE UPDATE ON files "
        "WHEN OLD.settlement_day IS NOT NULL OR NEW.row_hash <> OLD.row_hash "
        "BEGIN SELECT RAISE(ABORT, 'files is append-only'); END"
    )


def upgrade() -> None:
    _registry()
    _runs_and_days()
    _files()
    _ledger()
    _day_tables()
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes()
