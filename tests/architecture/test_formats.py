import re
import sqlite3
import struct
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from cardcore import digits
from cardcore.crypto import signatures
from cardcore.records import batch, load_log
from cardcore.records.payloads import PAYLOADS
from cardcore.records.record import FIELDS, PAYLOAD_AT, PAYLOAD_BYTES_MAX, RECORD_BYTES, VERSION
from cardcore.schemes.catalogue import SCHEMES
from settlement.engine.local import LocalEngine
from settlement.facts.columns import write_facts
from settlement.registry.placing import RunRegistry
from settlement.service.computation import ComputationTask, reconcile_run
from settlement.store.tables import METADATA
from tests.support.tree import document, section, table_rows

FORMATS = "docs/formats.md"


def documented(heading: str) -> list[list[str]]:
    return list(table_rows(section(document(FORMATS), heading)))


def documented_columns(heading: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in documented(heading)}


def documented_coding(name: str) -> str:
    """A coding called after its enumeration stands as what its values are."""
    if name[0].islower():
        return name
    return "bits" if name == "RecordFlag" else "number"


def test_the_record_table_is_the_code() -> None:
    rows = documented("## The record 交易记录")
    count = len(FIELDS)
    fields = [(int(row[0]), int(row[1]), row[2].strip("`"), row[3]) for row in rows[1 : count + 1]]
    assert rows[0][:3] == ["0", "1", "`version`"]
    assert int(rows[0][4].split(";")[0]) == VERSION
    assert fields == [
        (
            field.offset,
            field.length,
            field.name,
            documented_coding(field.coding.name),
        )
        for field in FIELDS
    ]
    assert [row[:2] for row in rows[count + 1 : count + 3]] == [
        [str(PAYLOAD_AT), "1"],
        [str(PAYLOAD_AT + 1), f"0–{PAYLOAD_BYTES_MAX}"],
    ]


def test_the_payloads_are_the_code() -> None:
    rows = documented("### Payloads 行业数据")
    assert [(row[0], int(row[1]), row[2]) for row in rows] == [
        (
            kind.name.lower(),
            layout.SIZE,
            ", ".join(f"`{field.name}` {field.length}" for field in layout.FIELDS),
        )
        for kind, layout in PAYLOADS.items()
    ]


CREATED = datetime(2018, 9, 2, 1, 2, 3)  # noqa: DTZ001 - wall clock of the city
HEADER = batch.BatchHeader(0x01020304, 0x05060708, date(2018, 9, 1), 9, CREATED, 0, 1)
REGISTER = batch.DeviceRegister("0a0b0c0d0e0f", 1, 2, 3, 4, 5, 6, 7)


def header_values() -> dict[str, bytes]:
    return {
        "magic": b"OCB1",
        "version": b"\x02",
        "signature_algorithm": b"\x01",
        "record_bytes": struct.pack(">H", RECORD_BYTES),
        "sender": struct.pack(">I", HEADER.sender),
        "sequence": struct.pack(">I", HEADER.sequence),
        "business_day": digits.encode_date(HEADER.business_day),
        "record_count": struct.pack(">I", 0),
        "register_count": struct.pack(">I", 1),
        "key_version": struct.pack(">I", HEADER.key_version),
        "created_at": digits.encode_time(CREATED),
    }


def register_values() -> dict[str, bytes]:
    lengths = {"lifetime_debit_fen": 8, "lifetime_load_fen": 8, "unresolved_fen": 8}
    names = [name for name in batch.DeviceRegister.__slots__ if name != "terminal"]
    values = {
        name: int(getattr(REGISTER, name)).to_bytes(lengths.get(name, 4), "big") for name in names
    }
    return {"terminal": bytes.fromhex(REGISTER.terminal), **values}


@pytest.mark.parametrize(
    ("heading", "start", "values"),
    [
        ("### Header 文件头", 0, header_values()),
        ("### Device register 终端累计", batch.HEADER.size, register_values()),
    ],
)
def test_a_batch_file_read_by_the_document_gives_what_was_written(
    heading: str, start: int, values: dict[str, bytes]
) -> None:
    data = batch.encode_batch(HEADER, [], [REGISTER], lambda _: bytes(64))
    position = 0
    for first, length, name, coding, *_ in table_rows(
        section(document("docs/formats.md"), heading)
    ):
        assert int(first) == position, name
        piece = data[start + position :][: int(length)]
        expected = bytes(int(length)) if coding == "zeros" else values.pop(name.strip("`"))
        assert piece == expected, name
        position += int(length)
    assert values == {}
    assert position == {0: batch.HEADER.size}.get(start, batch.REGISTER.size)


def test_the_trailer_table_is_the_code() -> None:
    rows = documented("### Trailer 文件尾")
    assert [int(row[1]) for row in rows] == [
        *(struct.calcsize(">" + code) for code in re.findall(r"\d*[a-zA-Z]", batch.TRAILER.format)),
        signatures.SIGNATURE_BYTES,
    ]
    assert [row[2].strip("`") for row in rows[1:5]] == list(batch.BatchTotals.__slots__)


def test_the_faults_of_a_batch_file_are_listed_in_the_order_of_the_code() -> None:
    faults = re.findall(r"`(\w+)`", document(FORMATS).split("is the answer:")[1])
    docstring = " ".join((batch.decode_batch.__doc__ or "").split())
    assert faults[:8] == re.findall(r"\w+", docstring.split("precedence:")[1])[:8]


def test_the_table_of_the_load_log_is_the_code() -> None:
    rows = [row[:3] for row in documented("## The load host's log 圈存授权日志")]
    assert rows == [
        [str(each.offset), str(each.length), f"`{each.name}`"]
        for each in load_log.AllowedLoad.FIELDS
    ]
    sizes = (load_log.AllowedLoad.SIZE, load_log.HEADER.size, load_log.TRAILER.size)
    assert sizes == (62, 72, 48)


def test_the_tables_of_the_journal_are_the_schema() -> None:
    with sqlite3.connect(":memory:") as database:
        database.executescript(document("terminals/journal/schema.sql"))
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master "
                 "WHERE type = 'table'")]  # fmt: skip
        columns = {
            name: [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
            for name in names
        }
    database.close()
    assert documented_columns("## The journal 终端流水") == columns


def test_the_control_tables_are_the_schema() -> None:
    columns = {name: list(table.columns.keys()) for name, table in METADATA.tables.items()}
    assert documented_columns("### Control tables 控制数据") == columns


def test_the_columns_of_a_run_are_those_of_its_files(tmp_path: Path) -> None:
    request = ComputationTask(
        date(2018, 9, 1), SCHEMES["shenzhen"], 1, (), (), RunRegistry(), None, ()
    )
    outcome = reconcile_run(request, tmp_path, LocalEngine(1), lambda _, __: None)
    columns = {
        name.replace("buckets/0000", "buckets/<bucket>"): parquet_columns(tmp_path / name)
        for name, _ in outcome.outputs
        if name.endswith(".parquet")
    }
    assert documented_columns("### Runs 清分批次") == {**columns, "results.json": []}


def parquet_columns(path: Path) -> list[str]:
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
        return [name for name, *_ in described.fetchall()]


def test_the_columns_of_facts_are_those_of_a_fact_file(tmp_path: Path) -> None:
    (fact,) = write_facts(bytes(RECORD_BYTES), b"\0", "hash", 1, tmp_path)
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(fact.path)])
        columns = [(name, kind) for name, kind, *_ in described.fetchall()]
    assert [(row[0].strip("`"), row[1]) for row in documented("### Facts 事实")] == columns
