"""The published cryptograms, through the suite and through a card that holds the published key."""

import json
from typing import Any

import pytest

from cardcore.crypto import SUITES, cryptograms
from cardcore.crypto.pboc_3des import encrypt_ecb, expand, pad
from cardcore.keys import Algorithm
from cardcore.records.kinds import TransactionType
from tests.cardcore.chip.reference_terminal import des3, mac, tac
from tests.cardcore.transit_cards import LOAD_KEY, PURCHASE_KEY, a_card, a_terminal, counting_random
from tests.support.shared import VECTORS, needs_shared

SUITE = SUITES[Algorithm.PBOC_3DES]


def vector(start: str) -> dict[str, Any]:
    read = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = read["published"] + read["derived_not_published"]
    return next(each for each in found if each["name"].startswith(start))


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


@needs_shared
def test_the_published_purchase_comes_out_of_the_formulas() -> None:
    v = vector("EP purchase")
    session_input = cryptograms.purchase_session_input(
        raw(v["rand"]), 0, int(v["terminal_seq"], 16)
    )
    assert session_input == raw(v["session_input"])
    session_key = SUITE.session_key(raw(v["key"]), session_input)
    assert session_key == raw(v["session_key"])
    terms = (int(v["amount"], 16), int(v["type"], 16), raw(v["terminal"]), raw(v["datetime"]))
    assert cryptograms.purchase_mac1_message(*terms) == raw(v["mac1_input"])
    assert SUITE.session_mac(session_key, raw(v["mac1_input"])) == raw(v["mac1"])
    assert cryptograms.purchase_mac2_message(terms[0]) == raw(v["mac2_input"])
    assert SUITE.session_mac(session_key, raw(v["mac2_input"])) == raw(v["mac2"])


@needs_shared
def test_the_published_load_comes_out_of_the_formulas() -> None:
    v = vector("ED/EP load")
    session_input = cryptograms.load_session_input(raw(v["rand"]), 0)
    assert session_input == raw(v["session_input"])
    session_key = SUITE.session_key(raw(v["key"]), session_input)
    assert session_key == raw(v["session_key"])
    amount, kind, terminal = int(v["amount"], 16), int(v["type"], 16), raw(v["terminal"])
    assert cryptograms.load_mac1_message(0, amount, kind, terminal) == raw(v["mac1_input"])
    assert SUITE.session_mac(session_key, raw(v["mac1_input"])) == raw(v["mac1"])
    message = cryptograms.load_mac2_message(amount, kind, terminal, raw(v["datetime"]))
    assert message == raw(v["mac2_input"])
    assert SUITE.session_mac(session_key, message) == raw(v["mac2"])


@needs_shared
def test_the_published_load_tac_differs_from_the_standard_only_by_its_iv() -> None:
    v = vector("load TAC")
    message = raw(v["input"])
    built = cryptograms.load_tac_message(
        int(v["input"][:8], 16), int(v["input"][8:12], 16), int(v["input"][12:20], 16),
        TransactionType.LOAD, message[11:17], message[17:],
    )  # fmt: skip
    assert built == message
    # The key is published folded; with a right half of zeros folding gives it back.
    assert SUITE.tac(raw(v["tac_key_xored"]) + bytes(8), message).hex() == (
        v["same_input_iv_zero_derived_here"][:8].lower()
    )
    shifted = bytes(a ^ b for a, b in zip(message, b"\x11" * 8, strict=False)) + message[8:]
    assert SUITE.tac(raw(v["tac_key_xored"]) + bytes(8), shifted) == raw(v["tac"])


@needs_shared
def test_the_derived_vectors_hold() -> None:
    v = vector("purchase TAC")
    assert SUITE.tac(raw(v["tac_key"]), raw(v["input"])) == raw(v["tac"])
    v = vector("composite purchase")
    assert SUITE.diversify(raw(v["master"]), raw(v["factor"])) == raw(v["diversified"])
    session_key = SUITE.session_key(raw(v["diversified"]), raw(v["session_input"]))
    assert session_key == raw(v["session_key"])
    assert SUITE.session_mac(session_key, raw(v["mac1_input"])) == raw(v["mac1"])
    assert SUITE.session_mac(session_key, raw(v["mac2_input"])) == raw(v["mac2"])
    v = vector("secure-messaging")
    got = SUITE.message_mac(raw(v["key"]), raw(v["challenge4"]), raw(v["mac_input"]))
    assert got == raw(v["mac4"])


@needs_shared
def test_the_published_purchase_runs_on_a_card_with_the_published_key() -> None:
    v = vector("EP purchase")
    fresh = counting_random()
    card = a_card(random=lambda length: raw(v["rand"]) if length == 4 else fresh(length))
    terminal = a_terminal(card)
    terminal.load(4_096)
    shown = card.transmit(raw(v["init_apdu"]))
    page = raw(v["init_resp"])
    # The page's card shows balance 0 and algorithm 00; ours has money and says 01 for 3DES.
    assert shown[:4] == raw("00001000")
    assert shown[4:10] == page[4:10]
    assert (shown[10], page[10]) == (Algorithm.PBOC_3DES, 0)
    assert shown[11:] == page[11:] + b"\x90\x00"
    debit = "805401000F" + v["terminal_seq"] + v["datetime"] + v["mac1"] + "08"
    expected_tac = vector("purchase TAC")["tac"]
    assert card.transmit(raw(debit)).hex().upper() == expected_tac + v["mac2"] + "9000"
    proof = card.transmit(raw("805A000602000008"))
    assert proof.hex().upper() == v["mac2"] + expected_tac + "9000"
    assert terminal.balance() == 0


def test_load_and_purchase_keep_their_own_counters() -> None:
    card = a_card()
    terminal = a_terminal(card)
    loads = [terminal.load(100).counter for _ in range(3)]
    purchases = [terminal.purchase(1).counter, terminal.purchase(1, records=[]).counter]
    assert (loads, purchases, terminal.load(1).counter) == ([0, 1, 2], [0, 1], 3)


def test_the_proof_of_a_load_outlives_a_purchase_and_the_other_way() -> None:
    card = a_card()
    terminal = a_terminal(card)
    load, purchase = terminal.load(100), terminal.purchase(10)
    assert terminal.prove(2, load.counter)[0] == load.mac2 + load.tac
    assert terminal.prove(6, purchase.counter)[0] == purchase.mac2 + purchase.tac
    later = terminal.purchase(20)
    assert terminal.prove(6, purchase.counter)[1] == b"\x94\x06"
    assert terminal.prove(6, later.counter)[0] == later.mac2 + later.tac


def test_only_the_low_half_of_the_terminal_sequence_opens_the_session() -> None:
    terminal = a_terminal(a_card())
    terminal.load(100)
    assert terminal.purchase(1, 0xABCD0007).sw == b"\x90\x00"


def test_the_suite_and_an_independent_implementation_agree() -> None:
    for length in range(30):
        message = bytes(range(length))
        session_key = SUITE.session_key(PURCHASE_KEY, bytes(8))
        assert session_key == des3(PURCHASE_KEY, bytes(8))
        assert SUITE.session_mac(session_key, message) == mac(session_key, message)
        assert SUITE.tac(LOAD_KEY, message) == tac(LOAD_KEY, message)
        assert len(pad(message)) % 8 == 0
        assert len(pad(message)) > length


@pytest.mark.parametrize("length", [0, 7, 9, 15, 24])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="8 or 16 bytes"):
        expand(bytes(length))


def test_the_two_halves_of_a_derived_key_differ() -> None:
    derived = SUITE.diversify(PURCHASE_KEY, bytes(8))
    assert derived[:8] == encrypt_ecb(PURCHASE_KEY, bytes(8))
    assert derived[8:] == encrypt_ecb(PURCHASE_KEY, b"\xff" * 8)
