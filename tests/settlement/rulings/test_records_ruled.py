"""What two people rule of suspended records, from the proposal to the sealed day and its proof."""

from datetime import timedelta
from pathlib import Path

import pytest

from settlement.dispositions import Reason
from settlement.people.actions import Action
from settlement.registry.book import since_ever
from settlement.registry.rows import HotlistRow
from settlement.reports.history import explain
from settlement.rulings.kinds import RulingKind
from settlement.service.healing.rebuilding import rebuild
from settlement.store.days import load_balances
from settlement.store.files import load_file_lines
from settlement.store.registry import register
from tests.settlement.device_files import BUS_TERMINAL, CLERK, NOW, Street
from tests.settlement.rulings.crew import CAI, DAN
from tests.settlement.rulings.desk import Desk
from tests.settlement.service.test_service import ENGINE, KEYS, close, receive
from tests.settlement.verification.test_verify import check

RELEASE, RETURN = RulingKind.RECORDS_RELEASE, RulingKind.RECORDS_RETURN


@pytest.fixture
def listed(desk: Desk) -> tuple[Desk, str]:
    """A day closed with one ride of a stolen card suspended, and the item that names the ride."""
    street = Street()
    card = street.card(1)
    row = since_ever(HotlistRow(card.number, 1))
    register(desk.city.database, row, Action(CLERK, NOW - timedelta(days=40), "stolen"))
    receive(desk.city, street.file([card.load(5000), card.bus()]))
    close(desk.city)
    (line,) = load_file_lines(desk.city.database)
    return desk, f"record/{line.file.content_hash[:16]}/1"


def reasons(desk: Desk, terminal: str = BUS_TERMINAL) -> list[Reason]:
    """Every decision on the ride, in order."""
    (copy,) = explain(desk.city, f"{terminal}-1").copies
    steps = [step for step in copy.steps if step.name == "decision"]
    return [Reason[str(step.data["reason"])] for step in steps]


def balances(desk: Desk) -> dict[str, int]:
    return {name: fen for name, fen in load_balances(desk.city.database).items() if fen}


@pytest.mark.parametrize(
    ("kind", "reason", "account"),
    [(RELEASE, Reason.RELEASED, "operator/101"), (RETURN, Reason.RETURNED, "holder_due")],
)
def test_two_people_move_suspended_money_at_the_next_close(
    listed: tuple[Desk, str], tmp_path: Path, kind: RulingKind, reason: Reason, account: str
) -> None:
    desk, item = listed
    before = balances(desk)
    assert before["suspense/101"] == -160
    number = desk.proposed(kind, item, by=CAI)
    assert desk.book.proposals[number].sum_fen == 160
    desk.approve(number, DAN)
    assert balances(desk) == before  # nothing moves before a day is closed
    day = close(desk.city)
    after = balances(desk)
    assert "suspense/101" not in after
    assert after[account] == before.get(account, 0) - 160
    assert reasons(desk) == [Reason.HOTLISTED, reason]
    (copy,) = explain(desk.city, f"{BUS_TERMINAL}-1").copies
    (ruled,) = [step for step in copy.steps if step.name == "ruling"]
    assert "asked for by cai, approved by dan" in ruled.text.en
    assert "cai 提请，dan" in ruled.text.zh
    found = check(tmp_path / "city")
    assert found.is_sound, found.findings
    # Everything of that day is made again from raw files and the audit log.
    for path in (*desk.city.folder.glob("inputs/*.parquet"), *desk.city.folder.glob("seals/*")):
        path.unlink()
    made = rebuild(desk.city, KEYS, ENGINE, NOW, CLERK)
    assert made.lost == []
    assert check(tmp_path / "city").is_sound
    assert day.number == 2
