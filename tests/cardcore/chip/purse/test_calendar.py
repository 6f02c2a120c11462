"""Days that no calendar has, or that lie far ahead, under a right MAC: the limit of a day holds."""

from collections.abc import Callable

import pytest

from cardcore.applets import purse
from cardcore.applets.purse import KEYS
from cardcore.chip.purse.offline import PurseState
from tests.cardcore.applets.citizen_chips import PURSE, chip, secrets
from tests.cardcore.applets.citizen_chips import Reader as CitizenReader
from tests.cardcore.applets.test_applets import payment_terminal
from tests.cardcore.chip.purse.test_deposit import Host, a_reader

DAY_MAX = 2_000
NO_MOMENTS = (
    "99999999120000",
    "99991301120000",
    "20230229120000",
    "20180900120000",
    "00000000000000",
    "2018090A120000",
    "20180901240000",
    "20180901126000",
    "20180901120060",
    "201809011200FF",
    "FFFFFFFFFFFFFF",
)
STEPS: dict[str, tuple[int, Callable[[Host, str], str]]] = {
    "load": (2, lambda host, time: host.load(100, time=time)),
    "purchase": (2, lambda host, time: host.purchase(100, time=time)),
    "composite": (2, lambda host, time: host.offline(3, 100, 9, time=time)),
    "deposit purchase": (1, lambda host, time: host.purchase(100, time=time)),
    "cash": (1, lambda host, time: host.cash(100, time=time)),
    "unload": (1, lambda host, time: host.unload(100, time=time)),
    "overdraft": (1, lambda host, time: host.overdraft(100, time=time)),
}


@pytest.mark.parametrize("time", NO_MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_no_command_takes_a_moment_that_no_calendar_has(step: str, time: str) -> None:
    p2, take = STEPS[step]
    reader = a_reader(PurseState(1_000, 100_000, day_max_fen=DAY_MAX))
    reader.verify()
    before, host = reader.card.image(), Host(reader, p2)
    assert take(host, time) == "6A80"
    assert reader.card.image() == before
    assert reader.send("80540100", bytes(15)) == "6985"  # the transaction is over
    assert take(host, "20180901235959") == "9000"


@pytest.mark.parametrize("ahead", ["99999999", "99991231", "20341232", "20350101"])
def test_one_debit_of_a_day_far_ahead_does_not_jam_the_limit_of_the_day(ahead: str) -> None:
    reader = CitizenReader(chip(purse.package(PURSE, secrets(KEYS))))
    terminal = payment_terminal(reader, purse.NAME)
    terminal.time = bytes.fromhex("20240101120000")
    assert terminal.load(100_000).sw == b"\x90\x00"
    terminal.time = bytes.fromhex(ahead + "120000")
    before = reader.card.image()
    assert terminal.purchase(1).sw == b"\x6a\x80"
    assert reader.card.image() == before
    for day in ("20240102", "20240103"):
        terminal.time = bytes.fromhex(day + "120000")
        for _ in range(2):
            assert terminal.purchase(5_000).sw == b"\x90\x00"
        assert terminal.purchase(5_000).sw == b"\x94\x02"


def test_the_last_day_of_the_card_is_one_of_its_days() -> None:
    reader = CitizenReader(chip(purse.package(PURSE, secrets(KEYS))))
    terminal = payment_terminal(reader, purse.NAME)
    assert terminal.load(100).sw == b"\x90\x00"
    terminal.time = bytes.fromhex(PURSE.public.valid_to.isoformat().replace("-", "") + "235959")
    assert terminal.purchase(1).sw == b"\x90\x00"
