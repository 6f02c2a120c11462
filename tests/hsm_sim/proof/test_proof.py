"""A column of TACs: every row gets the reason that is true of it, whichever way it is computed."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.crypto import SUITES, cryptograms
from cardcore.errors import UnknownKeyError, UnknownKeyVersionError
from cardcore.keys import (
    Algorithm,
    InsecureKeyServiceWarning,
    KeyRef,
    KeyUsage,
    ProofReason,
    TacColumn,
)
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import issuer_key_refs, published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from hsm_sim.proof import column as proof
from hsm_sim.proof import shares
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.lanes import LANES
from hsm_sim.proof.reasons import ProofKey

LABEL = "shenzhen"
#: The suite of each version. Two versions of one suite, and one of each other.
ALGORITHMS = {
    1: Algorithm.PBOC_3DES,
    2: Algorithm.PBOC_3DES,
    7: Algorithm.SM4,
    200: Algorithm.AES,
}
MASTERS = {version: published_key(KeyRef(KeyUsage.TAC, LABEL, version)) for version in ALGORITHMS}
MESSAGE_BYTES = 22


def tac_keys(versions: Iterable[int]) -> dict[int, ProofKey]:
    return {
        version: ProofKey(
            ALGORITHMS[version],
            partial(card_key_column, ALGORITHMS[version], MASTERS[version]),
        )
        for version in versions
    }


def prove_column(versions: Iterable[int], rows: TacColumn) -> bytes:
    return proof.prove_column(tac_keys(versions), rows)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a column."""

    factor: bytes
    message: bytes
    tac: bytes
    version: int = 1
    algorithm: int = Algorithm.PBOC_3DES


def column(rows: list[Row], message_bytes: int = MESSAGE_BYTES) -> TacColumn:
    return TacColumn(
        algorithms=bytes(row.algorithm for row in rows),
        key_versions=bytes(row.version for row in rows),
        factors=b"".join(row.factor for row in rows),
        messages=b"".join(row.message for row in rows),
        message_bytes=message_bytes,
        tacs=b"".join(row.tac for row in rows),
    )


def tac(version: int, factor: bytes, message: bytes) -> bytes:
    suite = SUITES[ALGORITHMS[version]]
    return suite.tac(suite.diversify(MASTERS[version], factor), message)


def row_by_row(versions: set[int], rows: list[Row]) -> list[ProofReason]:
    """The definition of the reasons, one row at a time and without a thought for speed."""
    reasons = []
    for row in rows:
        proving = {each for each in versions if tac(each, row.factor, row.message) == row.tac}
        is_known = row.algorithm in {Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES}
        if row.version in proving and row.algorithm == ALGORITHMS[row.version]:
            reasons.append(ProofReason.PROVEN)
        elif proving:
            reasons.append(ProofReason.WRONG_VERSION)
        elif not is_known:
            reasons.append(ProofReason.UNKNOWN_ALGORITHM)
        elif row.version not in versions:
            reasons.append(ProofReason.UNKNOWN_VERSION)
        else:
            reasons.append(ProofReason.WRONG)
    return reasons


@st.composite
def drawn_rows(draw: st.DrawFn) -> Row:
    factor = draw(st.sampled_from([bytes(8), b"\xff" * 8, bytes(range(8)), b"\x80" + bytes(7)]))
    message = draw(st.binary(min_size=MESSAGE_BYTES, max_size=MESSAGE_BYTES))
    made_under = draw(st.sampled_from(sorted(MASTERS)))
    honest = tac(made_under, factor, message)
    return Row(
        factor,
        message,
        draw(st.sampled_from([honest, honest, honest, bytes(4), honest[::-1]])),
        draw(st.sampled_from([made_under, made_under, 1, 2, 7, 9])),
        draw(st.sampled_from([ALGORITHMS[made_under]] * 6 + [0, *ALGORITHMS.values(), 255])),
    )


@given(
    rows=st.lists(drawn_rows(), max_size=40),
    held=st.sets(st.sampled_from(sorted(MASTERS))),
    bulk=st.booleans(),
    share_rows=st.integers(1, 50),
)
def test_mixed_columns_get_the_reasons_that_one_row_at_a_time_gives(
    rows: list[Row], held: set[int], *, bulk: bool, share_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "BULK_ROWS_MIN", dict.fromkeys(SUITES, 1 if bulk else 10**9))
        patch.setattr(proof, "SHARE_ROWS_MAX", share_rows)
        answer = prove_column(held, column(rows))
    assert list(answer) == row_by_row(held, rows)


def test_the_order_of_precedence_is_the_one_the_port_documents() -> None:
    factor, message = bytes(8), bytes(MESSAGE_BYTES)
    good = {version: tac(version, factor, message) for version in MASTERS}
    forged = bytes(4)
    rows = [
        Row(factor, message, good[1]),
        Row(factor, message, forged),
        Row(factor, message, good[2]),
        Row(factor, message, good[1], version=9),
        Row(factor, message, forged, version=9),
        Row(factor, message, good[1], algorithm=Algorithm.SM4),
        Row(factor, message, good[7], algorithm=Algorithm.SM4),
        Row(factor, message, good[7], version=7, algorithm=Algorithm.SM4),
        Row(factor, message, good[1], algorithm=Algorithm.SM2),
        Row(factor, message, forged, algorithm=Algorithm.SM2),
        Row(factor, message, good[7], version=9, algorithm=0),
        Row(factor, message, forged, version=9, algorithm=0),
    ]
    assert [ProofReason(reason).name for reason in prove_column(MASTERS, column(rows))] == [
        "PROVEN",
        "WRONG",
        "WRONG_VERSION",
        "WRONG_VERSION",
        "UNKNOWN_VERSION",
        "WRONG_VERSION",
        "WRONG_VERSION",
        "PROVEN",
        "WRONG_VERSION",
        "UNKNOWN_ALGORITHM",
        "WRONG_VERSION",
        "UNKNOWN_ALGORITHM",
    ]


def large_column(rows: int, cards: int, message_bytes: int, version: int = 1) -> TacColumn:
    """Honest rows under one version; TACs by the bulk way, some of them checked one at a time."""
    random = np.random.default_rng(rows + message_bytes)
    factors = random.integers(0, 2**64, cards, np.uint64)[random.integers(0, cards, rows)]
    messages = random.integers(0, 256, (rows, message_bytes), np.uint8)
    algorithm = ALGORITHMS[version]
    tacs = LANES[algorithm](card_key_column(algorithm, MASTERS[version], factors), messages)
    for row in range(0, rows, rows // 50):
        factor = int(factors[row]).to_bytes(8, "big")
        expected = tac(version, factor, messages[row].tobytes())
        assert int(tacs[row]).to_bytes(4, "big") == expected
    return TacColumn(
        bytes((algorithm,)) * rows,
        bytes((version,)) * rows,
        factors.astype(">u8").tobytes(),
        messages.tobytes(),
        message_bytes,
        tacs.astype(">u4").tobytes(),
    )


# 22 and 24 bytes are the messages of a debit and of a load; 24 is padded by a whole block.
@pytest.mark.parametrize("version", [1, 7, 200])
@pytest.mark.parametrize("message_bytes", [22, 24])
def test_one_altered_bit_anywhere_in_a_long_column_is_found_and_harms_no_other_row(
    message_bytes: int, version: int
) -> None:
    honest = large_column(3_000, 700, message_bytes, version)
    assert prove_column(MASTERS, honest) == bytes(3_000)
    for name in ("factors", "messages", "tacs"):
        altered = bytearray(getattr(honest, name))
        row = 1_234
        altered[row * len(altered) // 3_000] ^= 0x10
        parts = {
            each: getattr(honest, each)
            for each in ("algorithms", "key_versions", "factors", "messages", "tacs")
        }
        forged = TacColumn(**{**parts, name: bytes(altered)}, message_bytes=message_bytes)
        reasons = prove_column(MASTERS, forged)
        assert [at for at, reason in enumerate(reasons) if reason] == [row], name
        assert reasons[row] == ProofReason.WRONG


def test_each_cards_key_is_derived_once_and_every_share_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest, derived, shared = large_column(3_000, 700, 22), [], []
    cards = len(np.unique(np.frombuffer(honest.factors, ">u8")))

    def counting(factors: Words) -> Words:
        derived.extend(factors.tolist())
        return card_key_column(ALGORITHMS[1], MASTERS[1], factors)

    def check(given_shares: Iterable[shares.Share]) -> Iterator[shares.Mask]:
        for share in given_shares:
            shared.append(len(share))
            yield share.wrong()

    assert proof.prove_column({1: ProofKey(ALGORITHMS[1], counting)}, honest) == bytes(3_000)
    assert len(derived) == len(set(derived)) == cards
    derived.clear()
    monkeypatch.setattr(proof, "SHARE_ROWS_MAX", 190)
    assert proof.prove_column({1: ProofKey(ALGORITHMS[1], counting)}, honest, check) == bytes(3_000)
    assert max(shared) <= 190
    # A card whose rows lie on both sides of a cut is derived for both.
    assert set(derived) == set(np.frombuffer(honest.factors, ">u8").tolist())
    assert len(derived) <= cards + len(shared)


def test_a_long_column_of_every_suite_and_version_gets_the_reasons_of_its_rows() -> None:
    random = np.random.default_rng(5)
    rows = []
    for number in range(10_000):
        version = int(random.choice(sorted(MASTERS)))
        factor, message = bytes([*bytes(7), number % 90]), random.bytes(MESSAGE_BYTES)
        honest = tac(version, factor, message)
        rows.append(
            Row(
                factor,
                message,
                bytes(4) if number % 100 == 7 else honest,
                int(random.choice(sorted(MASTERS))) if number % 100 == 8 else version,
                ALGORITHMS[version],
            )
        )
    answer = list(prove_column(MASTERS, column(rows)))
    assert answer == row_by_row(set(MASTERS), rows)
    assert set(answer) >= {ProofReason.PROVEN, ProofReason.WRONG, ProofReason.WRONG_VERSION}


def test_a_whole_column_that_names_another_version_is_wrong_version_not_forged() -> None:
    honest = large_column(2_500, 500, 22)
    renamed = TacColumn(
        honest.algorithms, bytes((2,)) * 2_500, honest.factors, honest.messages, 22, honest.tacs
    )
    assert set(prove_column(MASTERS, renamed)) == {ProofReason.WRONG_VERSION}
    # Loading only the version it names leaves nothing that could tell it from a forgery.
    assert set(prove_column([2], renamed)) == {ProofReason.WRONG}
    # A version that nobody holds is tried under what is held.
    assert set(prove_column([1], renamed)) == {ProofReason.WRONG_VERSION}
    assert set(prove_column([7], renamed)) == {ProofReason.UNKNOWN_VERSION}


@pytest.mark.parametrize("version", [1, 7, 200])
@pytest.mark.parametrize("message_bytes", [0, 1, 7, 8, 15, 16, 22, 24, 32])
def test_messages_of_every_length_are_padded_as_the_suite_pads_them(
    message_bytes: int, version: int
) -> None:
    message = bytes(range(message_bytes))
    made = tac(version, bytes(8), message)
    row = Row(bytes(8), message, made, version, ALGORITHMS[version])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "BULK_ROWS_MIN", dict.fromkeys(SUITES, 1))
        assert prove_column(MASTERS, column([row, row], message_bytes)) == bytes(2)


def service(vault: KeyVault) -> InProcessKeyService:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return InProcessKeyService(vault)


def test_no_other_key_of_the_issuer_proves_a_tac() -> None:
    message = cryptograms.purchase_tac_message(100, 6, bytes(6), 1, bytes(7))
    vault = published_vault(issuer_key_refs(LABEL, 1))
    for ref in issuer_key_refs(LABEL, 1):
        suite = SUITES[Algorithm.PBOC_3DES]
        made = suite.tac(suite.diversify(vault.key(ref).value, bytes(8)), message)
        [reason] = service(vault).prove_tacs(LABEL, column([Row(bytes(8), message, made)]))
        expected = ProofReason.PROVEN if ref.usage is KeyUsage.TAC else ProofReason.WRONG
        assert reason == expected, ref


def test_a_label_without_tac_key_is_an_error_and_never_a_verdict_on_its_records() -> None:
    vault = published_vault(ref for ref in issuer_key_refs(LABEL, 1) if ref.usage != KeyUsage.TAC)
    with pytest.raises(UnknownKeyError, match="tac/shenzhen") as caught:
        service(vault).prove_tacs(LABEL, column([Row(bytes(8), bytes(22), bytes(4))]))
    assert not isinstance(caught.value, UnknownKeyVersionError)


def test_records_of_a_version_not_loaded_prove_once_it_is_loaded() -> None:
    vault = published_vault([KeyRef(KeyUsage.TAC, LABEL, 1)])
    honest = Row(bytes(8), bytes(22), tac(2, bytes(8), bytes(22)), version=2)
    assert list(service(vault).prove_tacs(LABEL, column([honest]))) == [ProofReason.UNKNOWN_VERSION]
    vault.install(KeyRef(KeyUsage.TAC, LABEL, 2), MASTERS[2])
    assert list(service(vault).prove_tacs(LABEL, column([honest]))) == [ProofReason.PROVEN]


def test_an_empty_column_has_an_empty_answer() -> None:
    assert prove_column(MASTERS, column([])) == b""
