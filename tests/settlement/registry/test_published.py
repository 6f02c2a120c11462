"""R10: from when on anybody could know that a card is listed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from settlement.people.actions import Action, Actor
from settlement.registry.book import (
    Book,
    Change,
    Dated,
    NewChange,
    RegistryEnd,
    chain_changes,
    told,
)
from settlement.registry.documents import decode_registry, encode_registry, read_by_runs
from settlement.registry.rows import HotlistRow

CARD = "0310" + "0" * 15 + "1"
FIRST = date(2018, 9, 1)
SPANS = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
#: (first and last day, list version; None: not listed then).
SAID = st.tuples(SPANS, st.none() | st.integers(1, 3))


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def changes_of(said: list[tuple[list[int], int | None]]) -> list[Change]:
    """One change a day, the first on the first day."""
    made: list[Change] = []
    for number, ((first, last), version) in enumerate(said):
        row = None if version is None else HotlistRow(CARD, version)
        action = Action(Actor("李雷"), datetime.combine(day(number), datetime.min.time(), UTC))
        end = RegistryEnd(len(made), made[-1].hash) if made else RegistryEnd()
        new = NewChange("hotlist", CARD, row, day(first), day(last))
        made += chain_changes([new], action, end)
    return made


@given(st.lists(SAID, max_size=6))
def test_every_day_of_a_card_is_told_when_it_was_first_said_and_not_taken_back(
    said: list[tuple[list[int], int | None]],
) -> None:
    changes = changes_of(said)
    expected: dict[date, tuple[int, date]] = {}
    for number, ((first, last), version) in enumerate(said):
        for each in map(day, range(first, last + 1)):
            if version is None:
                expected.pop(each, None)
            else:
                expected[each] = (version, expected[each][1] if each in expected else day(number))
    rows = told(changes)
    found = {
        each: (row.row.version, date.fromisoformat(row.row.published or ""))
        for row in rows
        for each in (row.valid_from + timedelta(days=n) for n in range(10))
        if each <= row.valid_to
    }
    assert found == expected
    # It says of every day what the registry says.
    assert list(Book(each.what for each in changes).all("hotlist")) == _without_moments(rows)
    # A run reads it back as it was written.
    registry = read_by_runs(changes)
    assert decode_registry(encode_registry(registry)) == registry


def _without_moments(rows: tuple[Dated[HotlistRow], ...]) -> list[Dated[HotlistRow]]:
    """Neighbours that read the same are one row."""
    joined: list[Dated[HotlistRow]] = []
    for dated in rows:
        each = replace(dated, row=HotlistRow(dated.row.card_number, dated.row.version))
        last = joined[-1] if joined else None
        is_next = last is not None and last.valid_to + timedelta(days=1) == each.valid_from
        if last is not None and is_next and last.row == each.row:
            joined[-1] = Dated(each.row, last.valid_from, each.valid_to)
        else:
            joined.append(each)
    return joined
