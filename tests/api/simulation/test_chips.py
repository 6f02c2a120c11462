"""Cards at rest: what lies in the drawer is the card, whatever was written and however often."""

from pathlib import Path

import pytest

from api.composition import CityKeys, open_city_keys
from api.settings import Settings
from api.simulation.chips import (
    CHANGES_KEPT,
    CardAtRest,
    ChipDrawer,
    ImageSeal,
    NewCard,
)
from cardcore.chip.card import Card
from cardcore.chip.memory import Memory
from cardcore.errors import CryptogramError
from cardcore.keys import KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from tests.cardcore.chip.full_chips import AID, EVERYTHING, PIN

SCHEME = SCHEMES["demo"]
FIRST, SECOND = "card/1", "card/2"


@pytest.fixture(scope="module")
def keys() -> CityKeys:
    return open_city_keys(Settings(), SCHEME)


def a_drawer(folder: Path, keys: CityKeys) -> ChipDrawer:
    silicon = keys.key_to_make(KeyUsage.DATA_ENCRYPTION, SCHEME.name)
    return ChipDrawer(folder / "chips.sqlite", ImageSeal(keys.service, silicon.ref))


def cells() -> dict[int, bytes]:
    return Memory.from_image(EVERYTHING).cells()


def in_field(drawer: ChipDrawer, chip_id: str) -> tuple[CardAtRest, Card]:
    card = drawer.card(chip_id)
    return CardAtRest(drawer, chip_id, card), card


def wrong_pin(connection: CardAtRest) -> None:
    """A command that changes the card: a try is spent."""
    connection.transmit(bytes((0, 0xA4, 4, 0, len(AID))) + AID)
    assert connection.transmit(bytes.fromhex("0020000003000000"))[:1] == b"\x63"


def right_pin(connection: CardAtRest) -> None:
    connection.transmit(bytes((0, 0xA4, 4, 0, len(AID))) + AID)
    answer = connection.transmit(bytes((0, 0x20, 0, 0, len(PIN))) + PIN)
    assert answer == b"\x90\x00"


def test_a_card_lies_as_what_it_has_of_its_own_and_comes_back_whole(
    tmp_path: Path, keys: CityKeys
) -> None:
    drawer = a_drawer(tmp_path, keys)
    other = {**cells(), 0x0501: b"other", 0x7777: b"more"}
    del other[max(cells())]
    drawer.add_cards([NewCard(FIRST, "citizen", cells()), NewCard(SECOND, "citizen", other)])
    drawer.close()
    again = a_drawer(tmp_path, keys)
    assert again.memory(FIRST).cells() == cells()
    assert again.memory(SECOND).cells() == other
    assert again.image(SECOND) == Memory(other).image()
    assert again.ids("card/") == {FIRST, SECOND}
    assert again.image("card/3") is None


def test_a_card_that_exists_stays_as_it_is(tmp_path: Path, keys: CityKeys) -> None:
    drawer = a_drawer(tmp_path, keys)
    drawer.add_cards([NewCard(FIRST, "citizen", cells())])
    wrong_pin(in_field(drawer, FIRST)[0])
    used = drawer.memory(FIRST).cells()
    drawer.add_cards([NewCard(FIRST, "citizen", cells())])
    assert drawer.memory(FIRST).cells() == used != cells()


def test_every_change_is_there_before_the_answer_and_after_any_number_of_them(
    tmp_path: Path, keys: CityKeys
) -> None:
    drawer = a_drawer(tmp_path, keys)
    drawer.add_cards([NewCard(FIRST, "citizen", cells()), NewCard(SECOND, "citizen", cells())])
    for number in range(2 * CHANGES_KEPT):
        connection, card = in_field(drawer, FIRST)
        wrong_pin(connection)
        assert a_drawer(tmp_path, keys).memory(FIRST).cells() == card.memory.cells()
        right_pin(connection)
        assert a_drawer(tmp_path, keys).memory(FIRST).cells() == card.memory.cells()
        assert card.generation > number
    assert drawer.memory(SECOND).cells() == cells()
    kept = drawer._connection.execute("SELECT count(*) FROM change").fetchone()[0]
    assert kept <= CHANGES_KEPT + 2


def test_neither_a_card_nor_a_change_can_change_places(tmp_path: Path, keys: CityKeys) -> None:
    drawer = a_drawer(tmp_path, keys)
    drawer.add_cards([NewCard(FIRST, "citizen", cells()), NewCard(SECOND, "citizen", cells())])
    connection, _ = in_field(drawer, FIRST)
    wrong_pin(connection)
    right_pin(connection)
    raw = drawer._connection
    first, second = raw.execute("SELECT number FROM change ORDER BY number").fetchall()
    raw.execute("UPDATE change SET number = 900 WHERE number = ?", second)
    raw.execute("UPDATE change SET number = ? WHERE number = ?", (*second, *first))
    with pytest.raises(CryptogramError):
        drawer.memory(FIRST)
    raw.execute("DELETE FROM change")
    raw.execute("UPDATE chip SET image = (SELECT image FROM chip WHERE id = ?)", (SECOND,))
    with pytest.raises(CryptogramError):
        drawer.memory(FIRST)


def test_no_random_number_comes_again_after_a_loss_of_power(tmp_path: Path, keys: CityKeys) -> None:
    drawer = a_drawer(tmp_path, keys)
    drawer.add_cards([NewCard(FIRST, "citizen", cells())])
    challenge, initialise = bytes.fromhex("0084000008"), bytes.fromhex("805001020B")
    seen: list[bytes] = []
    for _ in range(8):
        connection, card = in_field(drawer, FIRST)  # out of the same image every time
        for _ in range(4):
            connection.reset()
            seen.append(connection.transmit(challenge)[:8])
            connection.transmit(bytes((0, 0xA4, 4, 0, len(AID))) + AID)
            shown = connection.transmit(initialise + b"\x01" + bytes(10) + b"\x0f")
            seen.append(shown[-6:-2])
        assert card.generation == drawer.card(FIRST).generation
    assert len(set(seen)) == len(seen) == 64
