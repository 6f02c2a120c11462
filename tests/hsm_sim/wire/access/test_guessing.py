"""`prove_tacs` as an oracle: a card's TAC is not found by asking until one holds."""

import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from cardcore.crypto import SUITES
from cardcore.errors import CryptogramError, KeyRightError, KeyServiceUnavailableError
from cardcore.keys import Algorithm, KeyRef, KeyUsage, ProofReason, TacColumn
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from hsm_sim.wire.access import budgets as guesses
from hsm_sim.wire.access.budgets import GUESSES_A_CARD, Budgets
from hsm_sim.wire.access.rights import Allowance
from hsm_sim.wire.access.rights_file import read_rights
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.events import EventKind
from tests.hsm_sim.token.softhsm import needs_softhsm, softhsm
from tests.hsm_sim.wire.key_server import (
    FACTOR,
    LABEL,
    KeyServer,
    a_column,
    a_key_server,
    a_mac_column,
    a_vault,
)

OTHER = bytes.fromhex("0487123456789013")
MESSAGE = bytes(range(22))
TAC = KeyRef(KeyUsage.TAC, LABEL, 1)
PROVES = f"""
[[right]]
who = "user:{os.geteuid()}"
duties = ["proving"]
labels = ["{LABEL}"]
"""


def true_tac(factor: bytes) -> bytes:
    suite = SUITES[Algorithm.PBOC_3DES]
    return suite.tac(suite.diversify(published_key(TAC), factor), MESSAGE)


def asked(factor: bytes, tacs: list[bytes], version: int = 1) -> TacColumn:
    rows = len(tacs)
    heads = bytes((Algorithm.PBOC_3DES,)) * rows, bytes((version,)) * rows
    return TacColumn(*heads, factor * rows, MESSAGE * rows, len(MESSAGE), b"".join(tacs))


def guessed(count: int, factor: bytes = FACTOR) -> list[bytes]:
    """So many that do not hold."""
    right = true_tac(factor)
    return [each for each in (n.to_bytes(4, "big") for n in range(count + 1)) if each != right][
        :count
    ]


@pytest.fixture(params=["memory", pytest.param("token", marks=needs_softhsm)])
def served(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeyServer]:
    rights = read_rights(PROVES)
    if request.param == "memory":
        with a_key_server(tmp_path, a_vault(), rights=rights) as server:
            yield server
        return
    with softhsm(tmp_path_factory.mktemp("softhsm")) as tokens, tokens.empty_token() as held:
        held.install(TAC, published_key(TAC))
        service = KeyOperations(held)
        with a_key_server(tmp_path, KeyVault({}), service=service, rights=rights) as server:
            yield server


@pytest.fixture
def keys(served: KeyServer) -> Iterator[RemoteKeyService]:
    service = served.service()
    yield service
    service.close()


@pytest.fixture
def few_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card's day ends after a thousand answers that do not hold."""
    monkeypatch.setattr(guesses, "GUESSES_A_CARD_A_DAY", GUESSES_A_CARD)


@pytest.mark.usefixtures("few_a_day")
@pytest.mark.parametrize("version", [1, 99])
def test_who_guesses_a_cards_tac_is_told_nothing_more_and_stands_in_the_log(
    served: KeyServer, keys: RemoteKeyService, version: int
) -> None:
    """A version that is not held answers, too: it is tried under those that are."""
    right = [true_tac(FACTOR)]
    holds = ProofReason.PROVEN if version == 1 else ProofReason.WRONG_VERSION
    for _ in range(5):
        answers = keys.prove_tacs(LABEL, asked(FACTOR, guessed(GUESSES_A_CARD // 5), version))
        assert not {ProofReason.PROVEN, ProofReason.WRONG_VERSION} & set(answers)
    assert keys.prove_tacs(LABEL, asked(FACTOR, right, version)) == bytes((holds,))
    assert not served.said(EventKind.ALARM)
    # One more, and neither a wrong nor a right one is told apart from the other.
    for tacs in (guessed(1), right, [*guessed(3), *right]):
        answers = keys.prove_tacs(LABEL, asked(FACTOR, tacs, version))
        assert set(answers) == {ProofReason.UNKNOWN_VERSION}
    (alarm,) = served.said(EventKind.ALARM)
    assert f"more than 1000 answers about card {FACTOR.hex().upper()} of demo" in alarm.why.en
    assert f"user:{os.geteuid()}" in alarm.why.en
    # Nobody else pays for it.
    assert keys.prove_tacs(LABEL, asked(OTHER, [true_tac(OTHER)])) == bytes((0,))


def test_what_stands_behind_a_thousand_guesses_in_a_column_is_not_answered(
    served: KeyServer, keys: RemoteKeyService
) -> None:
    right, wrong = true_tac(FACTOR), guessed(GUESSES_A_CARD + 1)
    column = asked(FACTOR, [right, *wrong, right])
    told = keys.prove_tacs(LABEL, column)
    assert told == bytes((0, *[1] * GUESSES_A_CARD, 3, 3))
    assert len(served.said(EventKind.ALARM)) == 1


def test_a_collectors_forged_records_keep_no_true_record_of_a_card_unjudged() -> None:
    """1,001 of them a day, every day, and a card's debit was never judged: settlement is one client
    for all collectors.
    """
    day = date(2026, 9, 1)
    budgets = Budgets(lambda: day)
    for number in range(5):
        day = date(2026, 9, 1 + number)
        forged = budgets.judge("settlement", "tacs", FACTOR * 1_002, b"\1" * 1_001 + b"\0").reasons
        assert forged == b"\1" * 1_000 + b"\3\3"
        # The true one behind them is asked about again, with what is left of the forged ones.
        again = budgets.judge("settlement", "tacs", FACTOR * 2, b"\1\0").reasons
        assert again == b"\1\0"
        assert budgets.judge("settlement", "tacs", FACTOR, b"\0").reasons == b"\0"


def test_forged_records_of_another_card_hide_nothing_in_the_same_call() -> None:
    budgets, other = Budgets(lambda: date(2026, 9, 1)), OTHER
    column = (FACTOR + other) * 1_500
    told = budgets.judge("settlement", "tacs", column, b"\1\0" * 1_500)
    assert told.reasons == b"\1\0" * 1_000 + b"\3\0" * 500
    assert told.alarming == (FACTOR,)


def test_a_call_with_many_forged_records_costs_a_card_no_more_than_what_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guesses, "GUESSES_A_CARD_A_DAY", 3 * GUESSES_A_CARD)
    budgets = Budgets(lambda: date(2026, 9, 1))
    for _ in range(3):
        budgets.judge("settlement", "tacs", FACTOR * 50_000, b"\1" * 50_000)
        assert budgets.judge("settlement", "tacs", FACTOR, b"\0").reasons == b"\0"
    assert budgets.judge("settlement", "tacs", FACTOR, b"\1").reasons == b"\3"
    assert budgets.judge("settlement", "tacs", FACTOR, b"\0").reasons == b"\3"
    assert budgets.judge("settlement", "tacs", OTHER, b"\0").reasons == b"\0"


def test_a_mac_that_is_verified_by_itself_is_a_guess_about_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of a session key tried 14,501 wrong MACs of one card in four seconds."""
    monkeypatch.setattr(guesses, "GUESSES_A_CARD", 20)
    text = PROVES.replace('["proving"]', '["load"]') + 'terminals = ["*"]'
    ref, amount = KeyRef(KeyUsage.LOAD, LABEL, 1), bytes(15)
    suite = SUITES[Algorithm.PBOC_3DES]

    def right(factor: bytes) -> bytes:
        key = suite.diversify(published_key(ref), factor)
        return suite.session_mac(suite.session_key(key, bytes(8)), amount)

    with a_key_server(tmp_path, a_vault(), rights=read_rights(text)) as server:
        keys = server.service()

        def verify(mac: bytes, factor: bytes = FACTOR) -> None:
            keys.verify_session_mac(ref, factor, bytes(8), amount, mac)

        wrong = bytes(byte ^ 1 for byte in right(FACTOR))
        for _ in range(21):
            assert not server.said(EventKind.ALARM)
            verify(right(FACTOR))
            with pytest.raises(CryptogramError):
                verify(wrong)
        for mac in (wrong, right(FACTOR)):
            with pytest.raises(
                KeyRightError, match=r"21 answers about card \d+ did not hold today"
            ):
                verify(mac)
        assert f"about card {FACTOR.hex().upper()}" in server.wait_for(EventKind.ALARM).why.en
        for _ in range(30):
            verify(right(OTHER), OTHER)  # nobody else pays for it
        assert len(server.said(EventKind.ALARM)) == 1
        keys.close()


def test_a_client_over_its_budget_is_answered_calls_that_hold_and_nothing_else(
    keys: RemoteKeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """101 million junk records stopped every later proof; a guess is told nothing all the same."""
    monkeypatch.setattr(guesses, "GUESSES_A_CLIENT", 50)
    monkeypatch.setattr(guesses, "CALLS_OVER_BUDGET", 10)
    for number in range(51):
        factor = number.to_bytes(8, "big")
        keys.prove_tacs(LABEL, asked(factor, guessed(1, factor)))
    right = true_tac(FACTOR)
    for _ in range(9):
        assert keys.prove_tacs(LABEL, asked(FACTOR, [right, right])) == bytes((0, 0))
        assert keys.prove_tacs(LABEL, asked(FACTOR, [right, *guessed(1)])) == bytes((3, 3))
    for tacs in (guessed(1), [right]):
        with pytest.raises(KeyRightError, match=r"user:\d+: 61 answers did not hold today"):
            keys.prove_tacs(LABEL, asked(FACTOR, tacs))


def test_who_tries_a_little_of_each_card_is_seen_and_then_refused(
    served: KeyServer, keys: RemoteKeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand wrong TACs of each of 100,000 cards a day made no alarm, and found one in 43."""
    monkeypatch.setattr(guesses, "CLIENT_ALARMS", (10, 20))
    monkeypatch.setattr(guesses, "GUESSES_A_CLIENT", 30)
    monkeypatch.setattr(guesses, "CALLS_OVER_BUDGET", 5)
    for number in range(35):
        factor = number.to_bytes(8, "big")
        answers = keys.prove_tacs(LABEL, asked(factor, guessed(1, factor)))
        assert answers == bytes((1 if number <= 30 else 3,))
    with pytest.raises(KeyRightError, match="36 answers did not hold today"):
        keys.prove_tacs(LABEL, asked(OTHER, guessed(1, OTHER)))
    alarms = [each.why.en for each in served.said(EventKind.ALARM)]
    assert [f": {count} answers did not hold today, over all cards" in alarm
            for alarm, count in zip(alarms, (11, 21, 31), strict=True)] == [True] * 3  # fmt: skip
    assert all(f"user:{os.geteuid()}" in each for each in alarms)


def test_macs_of_many_cards_verified_one_by_one_are_seen_as_well() -> None:
    budgets = Budgets(lambda: date(2026, 9, 1))
    told = [budgets.count_wrong("desk", "macs", number.to_bytes(8)) for number in range(100_005)]
    assert [each.alarming_guesses for each in told if each.alarming_guesses] == [100_001]
    assert not any(each.alarming for each in told)


def test_columns_full_of_junk_stop_no_proof_that_holds() -> None:
    """A million rows a call used up what was left for calls over the budget, too."""
    budgets = Budgets(lambda: date(2026, 9, 1))
    cards = np.arange(1_000_000, dtype=">u8").tobytes()
    for _ in range(40):
        budgets.judge("settlement", "tacs", cards, b"\1" * 1_000_000)
    budgets.check_guesses("settlement")
    assert budgets.judge("settlement", "tacs", FACTOR, b"\0").reasons == b"\0"


def test_alarms_over_all_cards_come_once_and_go_on_after_a_restart(tmp_path: Path) -> None:
    cards = np.arange(60_000, dtype=">u8").tobytes()
    for counted, alarm in ((60_000, 0), (120_000, 120_000), (180_000, 0)):
        budgets = Budgets(lambda: date(2026, 9, 1), tmp_path)
        assert budgets.judge("one", "tacs", cards, b"\1" * 60_000).alarming_guesses == alarm
        assert int(budgets._of("one").head[1]) == counted


def test_a_run_of_true_records_never_notices(served: KeyServer, keys: RemoteKeyService) -> None:
    column = asked(FACTOR, [true_tac(FACTOR)] * (3 * GUESSES_A_CARD))
    for _ in range(3):
        assert not any(keys.prove_tacs(LABEL, column))
    assert not served.said(EventKind.ALARM)


@pytest.mark.usefixtures("few_a_day")
def test_answers_of_psams_and_cards_are_counted_as_tacs_are(tmp_path: Path) -> None:
    with a_key_server(tmp_path, a_vault(), rights=read_rights(PROVES)) as server:
        keys = server.service()
        column = a_mac_column(7_000)  # of 50 PSAMs, and of every fifth PSAM all are forged
        for _ in range(8):
            last = keys.prove_record_macs(LABEL, column)
        assert set(last[::5]) == {ProofReason.UNKNOWN_VERSION}
        assert set(last[1::5]) == {ProofReason.PROVEN, ProofReason.WRONG_VERSION}
        assert "about card 0000000000000000 of demo" in server.said(EventKind.ALARM)[0].why.en
        keys.close()


@pytest.mark.usefixtures("few_a_day")
def test_another_day_and_another_client_begin_anew() -> None:
    day = date(2026, 9, 1)
    budgets = Budgets(lambda: day)
    wrong, right = bytes((1,)) * 1_001, bytes((0,))
    for _ in range(2):
        budgets.judge("one", "tacs", FACTOR * 1_001, wrong)
    assert budgets.judge("one", "tacs", FACTOR, right).reasons == bytes((3,))
    assert budgets.judge("two", "tacs", FACTOR, right).reasons == right
    day = date(2026, 9, 2)
    assert budgets.judge("one", "tacs", FACTOR, right).reasons == right


@pytest.mark.usefixtures("few_a_day")
def test_a_day_goes_on_where_the_service_was_started_again(tmp_path: Path) -> None:
    day = date(2026, 9, 1)
    wrong, right = bytes((1,)) * 1_001, bytes((0,))
    before = Budgets(lambda: day, tmp_path / "budgets")
    for _ in range(2):
        before.judge("one", "tacs", FACTOR * 1_001, wrong)
    five = (Allowance("key-release: demo", 5),)
    before.spend_keys("one", [five] * 5)
    after = Budgets(lambda: day, tmp_path / "budgets")
    assert after.judge("one", "tacs", FACTOR, right).reasons == bytes((3,))
    assert after.judge("two", "tacs", FACTOR, right).reasons == right
    with pytest.raises(KeyRightError, match="5 keys have left"):
        after.spend_keys("one", [five])
    day = date(2026, 9, 2)
    after.spend_keys("one", [five] * 5)
    assert [each.name for each in (tmp_path / "budgets").iterdir()] == ["2026-09-02"]


def test_a_clock_a_day_ahead_and_back_refills_no_budget(tmp_path: Path) -> None:
    """Each turn of the server's clock gave the keys of the same day again."""
    day = date(2026, 9, 1)
    five = (Allowance("key-release: demo", 5),)
    budgets = Budgets(lambda: day, tmp_path / "budgets")
    budgets.spend_keys("one", [five] * 5)
    day = date(2026, 9, 2)
    budgets.spend_keys("one", [five] * 4)
    day = date(2026, 9, 1)
    budgets.spend_keys("one", [five])  # the newest day's last one
    for again in (budgets, Budgets(lambda: day, tmp_path / "budgets")):
        with pytest.raises(KeyRightError, match="5 keys have left"):
            again.spend_keys("one", [five])
    day = date(2026, 9, 2)
    with pytest.raises(KeyRightError, match="5 keys have left"):
        budgets.spend_keys("one", [five])
    day = date(2026, 9, 3)
    budgets.spend_keys("one", [five] * 5)


def test_a_budget_that_cannot_be_written_is_no_service(tmp_path: Path) -> None:
    (tmp_path / "budgets").write_text("no folder")
    budgets = Budgets(lambda: date(2026, 9, 1), tmp_path / "budgets")
    with pytest.raises(KeyServiceUnavailableError, match="no budget, no service"):
        budgets.check_guesses("one")
    with pytest.raises(KeyServiceUnavailableError, match="no budget, no service"):
        budgets.spend_keys("one", [(Allowance("key-release: demo", 5),)])


def test_counting_costs_a_proof_next_to_nothing() -> None:
    """A million rows, a hundred of them forged: some milliseconds beside half a second."""
    rows = 1_000_000
    factors = np.random.default_rng(1).bytes(8 * rows)
    reasons = bytearray(rows)
    reasons[::10_000] = bytes((1,)) * 100
    budgets, spent = Budgets(lambda: date(2026, 9, 1)), []
    for _ in range(3):
        started = time.process_time()
        assert budgets.judge("one", "tacs", factors, bytes(reasons)).reasons == bytes(reasons)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.05


def test_forged_rows_of_the_usual_kind_are_answered_as_before(keys: RemoteKeyService) -> None:
    column = a_column(20)
    assert keys.prove_tacs(LABEL, column) == keys.prove_tacs(LABEL, column)
