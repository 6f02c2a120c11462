import pytest

from cardcore.applets.transit import personalise
from cardcore.errors import KeyUsageError
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.layouts.transit import CardProperties
from tests.cardcore.transit_cards import KEYS, PROFILE, TAC_KEY, a_card, a_terminal, an_image


def personalise_with(keys: dict[KeyUsage, Key]) -> bytes:
    return personalise(PROFILE, keys, key_version=1, algorithm=Algorithm.PBOC_3DES, key_index=1)


@pytest.mark.parametrize("usage", list(KEYS))
def test_a_card_without_one_of_its_keys_is_not_made(usage: KeyUsage) -> None:
    with pytest.raises(KeyUsageError, match=usage):
        personalise_with({each: key for each, key in KEYS.items() if each is not usage})


def test_a_key_for_another_use_is_not_put_into_a_card() -> None:
    with pytest.raises(KeyUsageError, match="purchase"):
        personalise_with({**KEYS, KeyUsage.PURCHASE: Key(KeyUsage.TAC, TAC_KEY)})


def test_a_short_key_is_not_put_into_a_card() -> None:
    with pytest.raises(KeyUsageError, match="16 bytes"):
        personalise_with({**KEYS, KeyUsage.LOAD: Key(KeyUsage.LOAD, bytes(8))})


def test_the_terminal_is_shown_version_and_algorithm_of_the_key() -> None:
    image = personalise(PROFILE, KEYS, key_version=3, algorithm=Algorithm.PBOC_3DES, key_index=0x41)
    terminal = a_terminal(a_card(image))
    terminal.key_index = 0x41
    assert terminal.load(100).sw == b"\x90\x00"
    assert terminal.send("80500102", terminal.request(1), "0F")[0][9:11] == b"\x03\x01"
    assert terminal.purchase(1).sw == b"\x90\x00"
    terminal.key_index = 1
    assert terminal.purchase(1).sw == b"\x94\x03"


def test_a_profile_that_does_not_fit_the_files_is_named() -> None:
    with pytest.raises(ValueError, match="city"):
        an_image(properties=CardProperties(city="584"))


def test_a_fresh_card_is_empty_and_has_never_changed() -> None:
    card = a_card()
    terminal = a_terminal(card)
    assert (terminal.balance(), card.generation) == (0, 0)
    assert terminal.record(0x18, 1)[1] == b"\x6a\x83"
    assert terminal.prove(6, 0)[1] == b"\x94\x06"
    terminal.load(5)
    assert card.generation == 1


def test_no_key_shows_in_a_repr() -> None:
    card = a_card()
    terminal = a_terminal(card)
    terminal.load(10)
    terminal.send("80500102", terminal.request(1), "0F")
    shown = repr(card._session)
    assert "hidden" in shown
    assert repr(terminal.purchase_key) not in shown
