"""The city of the operator's morning in `docs/clearing.md`: six things went wrong in the night.

Decides what went wrong; which commands clear it up stands on that page.
"""

from datetime import timedelta
from pathlib import Path

from cardcore.records.batch import DeviceRegister
from settlement.people.actions import Action
from settlement.people.person import NewPerson
from settlement.people.roles import Role
from settlement.registry.book import since_ever
from settlement.registry.rows import HotlistRow
from settlement.rulings.kinds import RulingKind
from settlement.service.receive import receive_file
from settlement.store.registry import register
from tests.api.cli.test_command_line import run
from tests.settlement.device_files import (
    BUS_TERMINAL,
    CLERK,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.rulings.crew import ADA, BO, enrolled
from tests.settlement.rulings.desk import Desk
from tests.settlement.service.test_service import receive

#: Who is on duty: one asks, the other answers.
DUTY = {"李雷": Role.OPERATOR, "韩梅": Role.SUPERVISOR}
NEW_TERMINAL = "0000000000b2"


def make_morning(folder: Path) -> dict[str, Path]:
    """Make the city in `folder/city`; the files that are sent in the morning, by their names."""
    mail = folder / "mail"
    mail.mkdir(parents=True)
    with make_office(folder / "city", bucket_count=1) as city:
        desk = Desk(city)
        desk.found()
        for name, role in DUTY.items():
            details = NewPerson(name, role, enrolled(name)[1]).content()
            item = f"person/{name}"
            desk.rule(RulingKind.PEOPLE_ADD, item, by=ADA, second=BO, details=details)
        street = Street()
        stolen, honest, third = street.card(1), street.card(2), street.card(3)
        row = since_ever(HotlistRow(stolen.number, 1))
        register(city.database, row, Action(CLERK, NOW - timedelta(days=40), "stolen"))
        # Yesterday: a stolen card, a bus that nobody registered, a device that counts otherwise.
        wrong = [DeviceRegister(BUS_TERMINAL, 1, 1, 3, 480, 0, 0, 0)]
        taps = [each.load(5000) for each in (honest, third, stolen)]
        taps += [honest.bus(), stolen.bus()]
        taps.append(third.bus(terminal=NEW_TERMINAL))
        receive(city, street.file(taps, registers=wrong))
        run("close", "--by", "李雷", "--data", city.folder)
        # In the night: a file that never came, one that was cut on its way, one whose bytes are
        # damaged here.
        street.now = NOW.replace(tzinfo=None)
        street.file([honest.bus()])
        receive(city, street.file([honest.bus()]))
        cut = street.file([honest.bus()], OTHER_SENDER)
        assert not receive_file(city, cut[:-1], key_service(), NOW).answer.is_kept
        damaged = street.file([third.bus()], OTHER_SENDER, sequence=2)
        receive(city, damaged)
        raw = next(
            path
            for path in (city.folder / "raw").rglob("*")
            if path.is_file() and path.read_bytes() == damaged
        )
        raw.write_bytes(damaged[:-1] + bytes((damaged[-1] ^ 1,)))
    files = {"again-1.ocb": cut, "again-2.ocb": damaged}
    for name, data in files.items():
        (mail / name).write_bytes(data)
    return {name: mail / name for name in files}
