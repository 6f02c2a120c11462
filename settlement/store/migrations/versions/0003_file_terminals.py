"""Where a record is: which file holds which serials of a terminal."""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: The batch file as it was when this revision was written: its length of a record stands in the
#: header, and both numbers stand at one place in records of either length.
_HEADER_BYTES, _RECORD_BYTES_AT = 64, slice(6, 8)
_TERMINAL, _SERIAL = slice(39, 45), slice(72, 76)


def upgrade() -> None:
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
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    database = connection.engine.url.database
    if database is not None:
        _read_kept_files(connection, Path(database).parent / "raw")
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER file_terminals_refuse_{action.lower()} BEFORE {action} "
            "ON file_terminals "
            "BEGIN SELECT RAISE(ABORT, 'file_terminals is append-only'); END"
        )


def _read_kept_files(connection: sa.Connection, raw: Path) -> None:
    """The runs of the files a city holds already. One that is damaged is left to `verify`."""
    insert = sa.text("INSERT INTO file_terminals VALUES (:terminal, :last, :first, :content_hash)")
    files = sa.text("SELECT content_hash, record_count FROM files WHERE record_count > 0")
    for content_hash, record_count in connection.execute(files).all():
        try:
            data = (raw / content_hash[:2] / f"{content_hash}.ocb").read_bytes()
        except OSError:
            continue
        rows = [
            {"terminal": terminal, "first": first, "last": last, "content_hash": content_hash}
            for terminal, first, last in _runs(data, record_count)
        ]
        if rows:
            connection.execute(insert, rows)


def _runs(data: bytes, record_count: int) -> Iterator[tuple[str, int, int]]:
    size = int.from_bytes(data[_RECORD_BYTES_AT], "big")
    end = _HEADER_BYTES + record_count * size
    if not size or len(data) < end:
        return
    records = (data[start : start + size] for start in range(_HEADER_BYTES, end, size))
    run: tuple[str, int, int] | None = None
    for key, number in sorted(
        (record[_TERMINAL].hex(), int.from_bytes(record[_SERIAL], "big")) for record in records
    ):
        if run is not None and run[0] == key and number <= run[2] + 1:
            run = (key, run[1], number)
            continue
        if run is not None:
            yield run
        run = (key, number, number)
    if run is not None:
        yield run
