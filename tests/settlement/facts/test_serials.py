"""A file's serials: a record is found in exactly the files that hold it."""

from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.record import FIELD, RECORD_BYTES
from settlement.facts.serials import rows_of, serial_runs
from settlement.intake.answers import SerialRun

NUMBERS = st.tuples(
    st.sampled_from(("0000000000b1", "0000000000b2", "ffffffffffff")),
    st.integers(0, 12) | st.sampled_from((0xFFFFFFFE, 0xFFFFFFFF)),
)


def record(terminal: str, serial: int) -> bytes:
    """Nothing but a terminal and a serial: a damaged record can be asked for, too."""
    data = bytearray(RECORD_BYTES)
    for name, value in (("terminal", bytes.fromhex(terminal)), ("terminal_serial", serial)):
        field = FIELD[name]
        cells = value if isinstance(value, bytes) else value.to_bytes(field.length, "big")
        data[field.offset : field.offset + field.length] = cells
    return bytes(data)


def test_runs_are_unbroken() -> None:
    numbers = [("0000000000b1", each) for each in (7, 3, 4, 4, 9)] + [("0000000000a1", 5)]
    assert serial_runs(b"".join(record(*each) for each in numbers)) == (
        SerialRun("0000000000a1", 5, 5),
        SerialRun("0000000000b1", 3, 4),
        SerialRun("0000000000b1", 7, 7),
        SerialRun("0000000000b1", 9, 9),
    )
    assert serial_runs(b"") == ()


@given(st.lists(NUMBERS, max_size=30))
def test_the_runs_hold_exactly_the_serials_there_are(numbers: list[tuple[str, int]]) -> None:
    records = b"".join(record(*each) for each in numbers)
    runs = serial_runs(records)
    held = [
        (run.terminal, serial)
        for run in runs
        for serial in range(run.first_serial, run.last_serial + 1)
    ]
    assert sorted(held) == sorted(set(numbers))
    assert len(runs) <= len(numbers)
    for key in {*numbers, ("0000000000b3", 1)}:
        assert rows_of(records, *key) == tuple(
            row for row, each in enumerate(numbers) if each == key
        )
