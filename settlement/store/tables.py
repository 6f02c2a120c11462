"""The schema of the control database: registry, files, people, runs, closed days,
ledger, audit.

Decides names, types and constraints only. Amounts are signed fen in 64 bits, moments UTC,
hashes 64 hexadecimal characters. The same tables suit SQLite and PostgreSQL.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Moment(TypeDecorator[datetime]):
    """A moment with its zone in Python, UTC without one in the database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401, ARG002 - the base class says so
        """Refuses a moment without a zone: the office would not know what it means."""
        if value is None:
            return None
        assert value.tzinfo is not None, value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401, ARG002 - the base class says so
        """Gives the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
HASH = String(64)

#: The chain of changes that makes the registry: what holds on a day is what the latest change about
#: that day says.
REGISTRY_CHANGES = Table(
    "registry_changes",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(80), nullable=False),  # what the row is about, within its kind
    Column("content", Text),  # canonical JSON by column; null where it is registered no more
    Column("valid_from", Date),  # null: from the beginning
    Column("valid_to", Date),  # null: without an end
    Column("changed_by", String(80), nullable=False),
    Column("why", Text, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("previous_hash", HASH, nullable=False),
    Column("hash", HASH, nullable=False, unique=True),
    Index("ix_registry_changes_kind_subject", "kind", "subject"),
)

FILES = Table(
    "files",
    METADATA,
    Column("content_hash", HASH, primary_key=True),
    Column("sender", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("created_at", DateTime, nullable=False),  # the sender's wall clock
    Column("received_at", Moment, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("record_count", Integer, nullable=False),
    Column("register_count", Integer, nullable=False),
    Column("debit_fen", BigInteger, nullable=False),
    Column("load_fen", BigInteger, nullable=False),
    Column("hash_total", String(16), nullable=False),  # 64 bits unsigned, hexadecimal
    Column("version", Integer, nullable=False),  # of the file and its records
    Column("answer", Integer, nullable=False),  # the answer first given
    Column("missing", Text, nullable=False),  # holes named in that answer, as JSON
    Column("row_hash", HASH, nullable=False),  # over every column above
    # Null until a day is closed over the file; the day's seal lists its files.
    Column("settlement_day", ForeignKey("days.settlement_day"), index=True),
    UniqueConstraint("sender", "sequence"),
    CheckConstraint("sequence >= 1", name="sequence_from_one"),
)

FACTS = Table(
    "facts",
    METADATA,
    Column("content_hash", ForeignKey("files.content_hash"), primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("row_count", Integer, nullable=False),
    Column("sha256", HASH, nullable=False),
    # Rows whose TAC could not be judged when the file came in: they are proven again.
    Column("unjudged_count", Integer, nullable=False),
)

# Where a record is: unbroken runs of a terminal's serials, and the file that holds them. The key
# begins with what is asked for, and the newest records are found first.
FILE_TERMINALS = Table(
    "file_terminals",
    METADATA,
    Column("terminal", String(12), primary_key=True),
    Column("last_serial", BigInteger, primary_key=True, autoincrement=False),
    Column("first_serial", BigInteger, primary_key=True, autoincrement=False),
    Column("content_hash", ForeignKey("files.content_hash"), primary_key=True),
    sqlite_with_rowid=False,
)

#: Files of the load host's log. Numbers of entries count from 1 and no two files share one.
LOAD_LOGS = Table(
    "load_logs",
    METADATA,
    Column("content_hash", HASH, primary_key=True),
    Column("issuer", String(16), nullable=False),
    Column("first_number", BigInteger, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("previous", HASH, nullable=False),  # digest of the log before the first entry
    Column("digest", HASH, nullable=False),  # digest of the log up to the last one
    Column("created_at", DateTime, nullable=False),  # the host's wall clock
    Column("received_at", Moment, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("answer", Integer, nullable=False),  # the answer first given
    Column("missing", Text, nullable=False),  # holes named in that answer, as JSON
    Column("row_hash", HASH, nullable=False),  # over every column above
    UniqueConstraint("issuer", "first_number"),
    CheckConstraint("first_number >= 1", name="first_number_from_one"),
)

#: What stands in them: one load that was allowed, and what the card said in MAC1.
ALLOWED_LOADS = Table(
    "allowed_loads",
    METADATA,
    Column("issuer", String(16), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("content_hash", ForeignKey("load_logs.content_hash"), nullable=False),
    Column("application", Integer, nullable=False),
    Column("card_number", String(20), nullable=False, index=True),
    Column("key_version", Integer, nullable=False),
    Column("random", String(8), nullable=False),
    Column("online_counter", Integer, nullable=False),
    Column("balance_before_fen", BigInteger, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("terminal", String(12), nullable=False),
    Column("time", DateTime, nullable=False),  # the kiosk's clock
    Column("mac1", String(8), nullable=False),  # of the card, as the host verified it
    Column("mac2", String(8), nullable=False),
    Column("funding", Integer, nullable=False),
    Column("debit_terminal", String(12), nullable=False),
    Column("debit_serial", BigInteger, nullable=False),
)

REFUSALS = Table(
    "refusals",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("content_hash", HASH, nullable=False),
    Column("sender_claim", BigInteger),
    Column("sequence_claim", BigInteger),
    Column("answer", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("is_alarm", Integer, nullable=False),
    Column("received_at", Moment, nullable=False),
)

#: Every act of a person, signed, each behind the one before. Who is a person, what was proposed and
#: what was ruled is what this table says, and stands nowhere else.
AUDIT_LOG = Table(
    "audit_log",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("act", String(16), nullable=False),
    Column("proposal", ForeignKey("audit_log.number"), unique=True),  # that is answered, once
    Column("by", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("content", Text, nullable=False),  # canonical JSON
    Column("signature", String(128), nullable=False),
    Column("previous_hash", HASH, nullable=False, unique=True),  # a chain never forks
    Column("hash", HASH, nullable=False),
)

#: Secrets that were wrong, and how many entries the audit log had then.
WRONG_SECRETS = Table(
    "wrong_secrets",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("person", String(64), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("log_count", BigInteger, nullable=False),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", HASH, primary_key=True),
    Column("settlement_day", Date, nullable=False, index=True),
    Column("registry_sha256", HASH, nullable=False),  # the registry as the run saw it
    Column("review_sha256", HASH),  # what it judged that could not be judged before; usually null
    Column("outputs", Text, nullable=False),  # canonical JSON: [path in the run's folder, sha256]
    Column("totals", Text, nullable=False),  # canonical JSON
    Column("output_hash", HASH, nullable=False),
    # Up to where it read the logs of load hosts, as canonical JSON; null where there was none.
    Column("load_logs", Text),
    # The rulings that it applies, as canonical JSON; null where there are none.
    Column("rulings", Text),
)

DAYS = Table(
    "days",
    METADATA,
    Column("settlement_day", Date, primary_key=True),
    Column("run_id", ForeignKey("runs.run_id"), nullable=False, unique=True),
    Column("output_hash", HASH, nullable=False),
    Column("ledger_root", HASH, nullable=False),  # last link of the ledger's chain
    Column("previous_seal", HASH, nullable=False, unique=True),  # a chain never forks
    Column("seal", HASH, nullable=False, unique=True),
    Column("closed_at", Moment, nullable=False),
    # Null for days that were closed before anybody was asked.
    Column("closed_by", String(80)),
    Column("confirmed_by", String(80)),  # null where one closed the day alone
    Column("registry_changes", BigInteger),  # so many changes the registry's chain had then
    Column("set_aside", Text),  # files the day went on without, as JSON; null where there were none
    Column("number", BigInteger, index=True, unique=True),  # the city's first day is 1
    Column("key_version", Integer),  # of the key that signed the seal
    Column("signature", String(128)),
    Column("audit_entries", BigInteger),  # so many entries the audit log had then
    Column("refused_files", BigInteger),  # so many files had been refused by then
)

ENTRIES = Table(
    "entries",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("settlement_day", ForeignKey("days.settlement_day"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("bucket", Integer),  # of a collect entry
    Column("participant", BigInteger),  # of a distribute entry
    Column("ruling", BigInteger),  # of an entry that follows a ruling
    Column("previous_hash", HASH, nullable=False),
    Column("hash", HASH, nullable=False),
)

POSTINGS = Table(
    "postings",
    METADATA,
    Column("entry", ForeignKey("entries.number"), primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("account", String(64), nullable=False, index=True),
    Column("amount_fen", BigInteger, nullable=False),  # debit positive
    Column("previous_hash", HASH, nullable=False),
    Column("hash", HASH, nullable=False),
)

POSITIONS = Table(
    "positions",
    METADATA,
    Column("settlement_day", ForeignKey("days.settlement_day"), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("gross_debit_fen", BigInteger, nullable=False),
    Column("gross_credit_fen", BigInteger, nullable=False),
    Column("net_fen", BigInteger, nullable=False),
)

GAPS = Table(
    "gaps",
    METADATA,
    Column("settlement_day", ForeignKey("days.settlement_day"), primary_key=True),
    Column("issuer", String(16), primary_key=True),
    Column("card_number", String(20), primary_key=True),
    Column("application", Integer, primary_key=True, autoincrement=False),
    Column("gap", Integer, primary_key=True, autoincrement=False),
    Column("opened_day", Date, nullable=False),
    Column("counter_kind", Integer, nullable=False),
    Column("first_counter", BigInteger, nullable=False),
    Column("last_counter", BigInteger, nullable=False),
    Column("price_fen", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
)

DISCOUNTS = Table(
    "discounts",
    METADATA,
    Column("settlement_day", ForeignKey("days.settlement_day"), primary_key=True),
    Column("operator", BigInteger, primary_key=True, autoincrement=False),
    Column("fare_class", String(32), primary_key=True),
    Column("record_count", BigInteger, nullable=False),
    Column("tariff_fen", BigInteger, nullable=False),
    Column("charged_fen", BigInteger, nullable=False),
    Column("known_discount_fen", BigInteger, nullable=False),
)
