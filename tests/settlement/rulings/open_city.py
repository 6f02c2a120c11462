"""A city with something open of every state, two days closed, and people to rule on it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cardcore.records.batch import DeviceRegister
from cardcore.records.record import decode_record, encode_record
from settlement.people.actions import Action
from settlement.registry.book import since_ever
from settlement.registry.rows import HotlistRow
from settlement.rulings.kinds import RulingKind
from settlement.service.receive import receive_file
from settlement.store.files import load_file_lines
from settlement.store.registry import register
from tests.settlement.device_files import (
    BUS_TERMINAL,
    CLERK,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.rulings.crew import CAI, DAN, EVE, FAY
from tests.settlement.rulings.desk import Desk
from tests.settlement.service.test_service import close, receive

STRANGE_TERMINAL = "0000000000ff"


def make_open_city(folder: Path) -> None:
    """Make it in a folder, which must not exist."""
    with make_office(folder, bucket_count=2) as city:
        desk = Desk(city)
        desk.found()
        desk.enrol(CAI, DAN, EVE, FAY)
        street = Street()
        stolen, plain, gappy = street.card(1), street.card(2), street.card(3)
        row = since_ever(HotlistRow(stolen.number, 1))
        register(city.database, row, Action(CLERK, NOW - timedelta(days=40), "stolen"))
        first = [stolen.load(5000), *(stolen.bus() for _ in range(3))]
        # A terminal that nobody registered; a torn tap; one that no key proves; balances that lie.
        first += [plain.load(5000), plain.bus(terminal=STRANGE_TERMINAL)]
        torn = decode_record(plain.bus())
        first.append(encode_record(replace(torn, tac=bytes(4))))
        forged = decode_record(plain.bus())
        first.append(encode_record(replace(forged, tac=b"\x12\x34\x56\x78")))
        lying = plain.bus(balance_before_fen=1)
        first.append(lying)
        # A ride that never comes between two loads: an exact gap, and a hole in serials.
        first.append(gappy.load(2000))
        gappy.bus()
        first.append(gappy.load(3000))
        # Money that came onto a card without a load: what cannot be.
        gappy.balance_fen += 700
        first.append(gappy.load(100))
        wrong = [DeviceRegister(BUS_TERMINAL, 1, 1, 9, 160, 0, 0, 0)]
        receive(city, street.file(first, registers=wrong))
        assert not receive_file(city, b"nothing", key_service(), NOW).answer.is_kept
        close(city)
        (line,) = load_file_lines(city.database)
        prefix = line.file.content_hash[:16]
        desk.rule(RulingKind.RECORDS_RETURN, f"record/{prefix}/1", by=CAI, second=DAN)
        street.now = NOW.replace(tzinfo=None)
        receive(city, street.file([plain.bus()], OTHER_SENDER))
        close(city)
