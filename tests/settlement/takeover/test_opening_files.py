"""What the office answers to a file of opening balances; a refused one changes nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.records.kinds import Sector
from cardcore.records.openings import (
    HEADER,
    ROW_BYTES,
    decode_header,
    decode_openings,
    encode_row,
    row_offset,
)
from cardcore.schemes import ParticipantKind
from settlement.city import City
from settlement.engine.local import LocalEngine
from settlement.intake.answers import FileAnswer
from settlement.registry.book import since_ever
from settlement.registry.rows import ParticipantRow, SenderRow
from settlement.service.receive import receive_file
from settlement.store.registry import register
from settlement.store.takeover import load_openings
from settlement.verification.verify import verify
from tests.settlement.device_files import ACTION, BUS, NOW, key_service, make_office
from tests.settlement.intake.test_intake import disk
from tests.settlement.takeover.old_centre import (
    CENTRE,
    CENTRE_SENDER,
    EVE,
    ISSUER,
    PUBLIC_KEY,
    a_balance,
    opening_file,
    register_centre,
    signed_rows,
)

KEYS = key_service()
CARDS = [a_balance(1, 5_000), a_balance(2, 0, 0), a_balance(3, 20_000, 65_535, debit_counter=7,
         debit_counter_known=1)]  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        register_centre(city)
        yield city


def kept(city: City) -> object:
    return disk(city), load_openings(city.database)


def test_a_row_and_a_file_read_back_as_they_were_written() -> None:
    data = opening_file(CARDS)
    assert len(data) == row_offset(4) + 36 + 64
    header = decode_header(data)
    assert (header.sender, header.centre, header.row_count) == (CENTRE_SENDER, CENTRE, 3)
    assert (header.total_fen, header.as_of) == (25_000, EVE)
    file = decode_openings(data, bytes.fromhex(PUBLIC_KEY))
    assert list(file.balances()) == CARDS


def test_an_old_centre_hands_its_cards_over_once_and_hears_the_first_answer_again(
    office: City,
) -> None:
    data = opening_file(CARDS)
    answer = receive_file(office, data, KEYS, NOW)
    assert (answer.answer, answer.sender) == (FileAnswer.ACCEPTED, CENTRE_SENDER)
    assert (answer.record_count, answer.load_fen) == (3, 25_000)
    path = office.openings_path(answer.content_hash)
    assert path.read_bytes() == data
    ((stored, row_hash),) = load_openings(office.database)
    assert (stored.scopes, stored.row_hash) == (((ISSUER.upper(), 0),), row_hash)
    before = kept(office)
    again = receive_file(office, data, KEYS, NOW + timedelta(days=3))
    assert (again.answer, again.received_at) == (FileAnswer.ALREADY_RECEIVED, answer.received_at)
    assert kept(office) == before
    path.write_bytes(data[:-1] + b"\0")
    assert "whole again" in str(receive_file(office, data, KEYS, NOW).detail)
    assert path.read_bytes() == data


def _altered_row(row: int) -> bytes:
    data = opening_file(CARDS)
    rows = [data[row_offset(n) : row_offset(n + 1)] for n in range(1, 4)]
    rows[row - 1] = rows[row - 1][:19] + b"\0\0\0\1" + rows[row - 1][23:]
    return signed_rows(decode_header(data), rows)


#: file | answer | what the detail says
REFUSED = {
    "another sum": (
        opening_file(CARDS, total_fen=25_001), FileAnswer.TOTALS_WRONG, "25000"
    ),
    "a row that is not the digest's": (
        _altered_row(2), FileAnswer.ROW_WRONG, f"row 2, byte {row_offset(2)}"
    ),
    "rows in another order": (
        signed_rows(
            decode_header(opening_file(CARDS)),
            [encode_row(each, CENTRE, row) for row, each in zip((2, 1, 3), CARDS, strict=True)],
        ),
        FileAnswer.ROW_WRONG, "row 1",
    ),
    "a row of another centre": (
        signed_rows(
            decode_header(opening_file(CARDS)),
            [encode_row(each, CENTRE + 1, row) for row, each in enumerate(CARDS, 1)],
        ),
        FileAnswer.ROW_WRONG, "row 1",
    ),
    "one card twice, under another prefix": (
        opening_file([*CARDS, a_balance(1, 1, issuer="00" * 8)]),
        FileAnswer.ROW_WRONG, f"row 4, byte {row_offset(4) + 8}: the same card as row 1",
    ),
    "more than a card may hold": (
        opening_file([a_balance(1, 500_001)]), FileAnswer.ROW_WRONG, "5,000.01"
    ),
    "a number of nobody": (
        opening_file([a_balance(1, 1, issuer="00" * 8)]), FileAnswer.ROW_WRONG, "no number of ours"
    ),
    "a moment later than the file's": (
        opening_file([a_balance(1, 1, as_of=EVE + timedelta(minutes=1))]),
        FileAnswer.ROW_WRONG, "later than the header's",
    ),
    "a moment before there was a scheme": (
        opening_file([a_balance(1, 1, as_of=EVE.replace(year=1999))]),
        FileAnswer.ROW_WRONG, "outside the life",
    ),
    "a moment that has not come": (
        opening_file([a_balance(1, 1)], as_of=EVE + timedelta(days=30)),
        FileAnswer.BEYOND_BOUNDS, "after it was received",
    ),
    "a counter that contradicts its flag": (
        opening_file([a_balance(1, 1, debit_counter=7)]), FileAnswer.ROW_WRONG, "debit counter"
    ),
    "another signature": (
        opening_file(CARDS, bytes(32)), FileAnswer.SIGNATURE_WRONG, "not signed"
    ),
    "a sender that nobody registered": (
        opening_file(CARDS, sender=81), FileAnswer.SENDER_UNKNOWN, "sender 81"
    ),
    "a centre that the sender is not for": (
        opening_file(CARDS, centre=CENTRE + 1), FileAnswer.SENDER_UNKNOWN, "registry add sender"
    ),
    "no row": (opening_file([]), FileAnswer.TOO_LARGE, "1 to"),
    "cut short": (opening_file(CARDS)[:-1], FileAnswer.TRUNCATED, "bytes"),
    "only a head": (b"OCO1", FileAnswer.TRUNCATED, "header"),
    "a byte too many": (opening_file(CARDS) + b"\0", FileAnswer.TOO_LONG, "1 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_by_line_and_byte_and_changes_nothing(
    office: City, what: str
) -> None:
    data, expected, said = REFUSED[what]
    before = kept(office)
    answer = receive_file(office, data, KEYS, NOW)
    assert (answer.answer, said in str(answer.detail)) == (expected, True), answer.detail
    assert kept(office) == before


def test_a_card_is_handed_over_once_whoever_does_it(office: City) -> None:
    first = receive_file(office, opening_file(CARDS), KEYS, NOW)
    again = receive_file(office, opening_file([a_balance(9, 1), a_balance(3, 1)]), KEYS, NOW)
    assert (again.answer, again.answer.is_alarm) == (FileAnswer.CARD_HANDED_OVER, True)
    assert f"row 2, byte {row_offset(2) + 8}: file {first.content_hash}" in str(again.detail)
    # What cannot be held against a damaged file waits until that is whole.
    path = office.openings_path(first.content_hash)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    other = opening_file([a_balance(9, 1)])
    assert receive_file(office, other, KEYS, NOW).answer is FileAnswer.CARD_HANDED_OVER
    assert receive_file(office, whole, KEYS, NOW).answer is FileAnswer.ALREADY_RECEIVED
    assert receive_file(office, other, KEYS, NOW).answer is FileAnswer.ACCEPTED


def test_cards_of_an_issuer_and_application_come_from_one_old_centre(office: City) -> None:
    assert receive_file(office, opening_file(CARDS), KEYS, NOW).answer is FileAnswer.ACCEPTED
    rows = since_ever(
        ParticipantRow(801, "另一中心", ParticipantKind.CENTRE, Sector.CARD_SERVICE),
        SenderRow(81, 1, 801, PUBLIC_KEY),
    )
    register(office.database, rows, ACTION)
    answer = receive_file(office, opening_file([a_balance(9, 1)], sender=81, centre=801), KEYS, NOW)
    assert (answer.answer, "800" in str(answer.detail)) == (FileAnswer.CARD_HANDED_OVER, True)


def test_an_operator_hands_no_cards_over(office: City) -> None:
    register(office.database, since_ever(SenderRow(85, 1, BUS, PUBLIC_KEY)), ACTION)
    data = opening_file(CARDS, sender=85, centre=BUS)
    assert receive_file(office, data, KEYS, NOW).answer is FileAnswer.SENDER_UNKNOWN


def test_verify_finds_a_file_of_opening_balances_that_was_damaged_or_has_no_row(
    office: City,
) -> None:
    answer = receive_file(office, opening_file(CARDS), KEYS, NOW)
    assert verify(office, KEYS, LocalEngine()).findings == ()
    path = office.openings_path(answer.content_hash)
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[HEADER.size + ROW_BYTES + 20] ^= 1
    path.write_bytes(changed)
    (one, two) = verify(office, KEYS, LocalEngine()).findings
    assert all(path.name in str(each.where) for each in (one, two))
    path.write_bytes(whole)
    stray = path.with_name("0" * 64 + ".oco")
    stray.write_bytes(whole)
    assert stray.name in str(verify(office, KEYS, LocalEngine()).findings[0].where)
