"""Record MACs and answers of cards in bulk: what the suites say one at a time, and no forgery."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, AuthenticationColumn, ProofReason, RecordMacColumn
from cardcore.records.kinds import MacProfile
from hsm_sim.proof.bundles import prove_authentications, prove_record_macs
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.reasons import ProofKey
from tests.hsm_sim.proof.making import make_authentications, make_record_macs

ALGORITHMS = {1: Algorithm.PBOC_3DES, 4: Algorithm.SM4, 5: Algorithm.AES}
MASTERS = {version: bytes((version,)) * 8 + bytes(range(8)) for version in ALGORITHMS}
KEYS = {
    version: ProofKey(algorithm, partial(card_key_column, algorithm, MASTERS[version]))
    for version, algorithm in ALGORITHMS.items()
}
PSAMS = [number.to_bytes(8, "big") for number in (0x040900010001, 0x040900010002, 2**64 - 1)]
FIXED, PBOC = MacProfile.FIXED, MacProfile.PBOC


def mac_of(version: int, profile: MacProfile, factor: bytes, digest: bytes) -> bytes:
    """What a PSAM of that profile makes, by the suite, as it stands in the record."""
    suite = SUITES[ALGORITHMS[version]]
    key = suite.diversify(MASTERS[version], factor)
    made = suite.record_mac(key, digest)
    if profile is PBOC:
        made = suite.message_mac(key, bytes(8), digest)
    return made.ljust(16, b"\x00")


def mac_column(rows: list[tuple[int, MacProfile, bytes, bytes]]) -> RecordMacColumn:
    """True MACs of version, profile, factor and digest a row."""
    return RecordMacColumn(
        bytes(ALGORITHMS[version] for version, *_ in rows),
        bytes(version for version, *_ in rows),
        bytes(profile for _, profile, *_ in rows),
        b"".join(factor for _, _, factor, _ in rows),
        b"".join(digest for *_, digest in rows),
        b"".join(mac_of(*row) for row in rows),
    )


def proven(column: RecordMacColumn, keys: Mapping[int, ProofKey] = KEYS) -> list[ProofReason]:
    return [ProofReason(each) for each in prove_record_macs(keys, column)]


rows = st.tuples(
    st.sampled_from(sorted(ALGORITHMS)),
    st.sampled_from([FIXED, PBOC]),
    st.sampled_from(PSAMS),
    st.binary(min_size=16, max_size=16),
)
true_row = pytest.mark.parametrize("profile", [FIXED, PBOC], ids=lambda each: each.name)
each_version = pytest.mark.parametrize("version", ALGORITHMS)


@given(st.lists(rows, max_size=20))
def test_true_macs_of_every_suite_and_profile_are_proven_in_any_order(
    drawn: list[tuple[int, MacProfile, bytes, bytes]],
) -> None:
    assert proven(mac_column(drawn)) == [ProofReason.PROVEN] * len(drawn)


@each_version
@true_row
def test_every_flipped_bit_of_mac_digest_and_number_is_found(
    version: int, profile: MacProfile
) -> None:
    column = mac_column([(version, profile, PSAMS[0], bytes(range(16)))])
    for name in ("macs", "digests", "factors"):
        whole = getattr(column, name)
        for bit in range(8 * len(whole)):
            value = int.from_bytes(whole, "big") ^ 1 << bit
            forged = replace(column, **{name: value.to_bytes(len(whole), "big")})
            assert proven(forged) == [ProofReason.WRONG], (name, bit)


def test_a_forged_row_among_thousands_is_found_and_spoils_no_other() -> None:
    count = 3_000
    drawn = [
        ((1, 4, 5)[row % 3], (FIXED, PBOC)[row % 2], PSAMS[row % 3], row.to_bytes(16, "big"))
        for row in range(count)
    ]
    column = mac_column(drawn)
    macs = bytearray(column.macs)
    forged = {0, 1, 1_234, count - 1}
    for row in forged:
        macs[16 * row] ^= 1
    answer = proven(replace(column, macs=bytes(macs)))
    assert {row for row, reason in enumerate(answer) if reason is not ProofReason.PROVEN} == forged
    assert {answer[row] for row in forged} == {ProofReason.WRONG}


@each_version
def test_one_psams_mac_proves_nothing_of_anothers_record(version: int) -> None:
    column = mac_column([(version, FIXED, PSAMS[0], bytes(16))])
    assert proven(replace(column, factors=PSAMS[1])) == [ProofReason.WRONG]


@each_version
def test_a_mac_of_the_weaker_profile_does_not_pass_for_a_fixed_one(version: int) -> None:
    column = mac_column([(version, PBOC, PSAMS[0], bytes(16))])
    assert proven(replace(column, profiles=bytes((FIXED,)))) == [ProofReason.WRONG]
    column = mac_column([(version, FIXED, PSAMS[0], bytes(16))])
    assert proven(replace(column, profiles=bytes((PBOC,)))) == [ProofReason.WRONG]


def test_the_reasons_are_those_of_tacs() -> None:
    right = (5, FIXED, PSAMS[0], bytes(16))
    column = mac_column([right] * 7)
    told = replace(
        column,
        algorithms=bytes((5, 1, 5, 5, 77, 0, 5)),
        key_versions=bytes((5, 5, 4, 9, 5, 5, 5)),
        profiles=bytes((1, 1, 1, 1, 1, 1, 3)),
    )
    assert proven(told) == [
        ProofReason.PROVEN,
        ProofReason.WRONG_VERSION,  # another algorithm than the version's
        ProofReason.WRONG_VERSION,  # made under another version than it names
        ProofReason.WRONG_VERSION,  # a version that nobody holds
        ProofReason.WRONG_VERSION,  # algorithms that nobody knows
        ProofReason.WRONG_VERSION,
        ProofReason.WRONG_VERSION,  # a profile that is none: not proven as it is named
    ]
    nothing = replace(column, profiles=bytes(7))
    assert set(proven(nothing)) == {ProofReason.WRONG_VERSION}


def test_the_keys_of_a_columns_psams_are_derived_once_each() -> None:
    asked: list[Words] = []

    def counting(factors: Words) -> Words:
        asked.append(factors)
        return card_key_column(Algorithm.AES, MASTERS[5], factors)

    column = mac_column([(5, FIXED, PSAMS[row % 3], row.to_bytes(16, "big")) for row in range(99)])
    keys = {5: ProofKey(Algorithm.AES, counting)}
    assert proven(column, keys) == [ProofReason.PROVEN] * 99
    assert sorted(np.concatenate(asked).tolist()) == [int.from_bytes(each) for each in PSAMS]


@each_version
def test_more_keys_than_are_set_up_at_a_time(version: int) -> None:
    count = 9_000
    factors = b"".join((7 * row).to_bytes(8, "big") for row in range(count))
    digests = b"".join(row.to_bytes(16, "little") for row in range(count))
    algorithm, master = ALGORITHMS[version], MASTERS[version]
    macs = make_record_macs(algorithm, master, factors, digests)
    head = bytes((algorithm,)) * count, bytes((version,)) * count
    column = RecordMacColumn(*head, bytes((FIXED,)) * count, factors, digests, macs)
    assert not any(prove_record_macs(KEYS, column))
    last = mac_of(version, FIXED, factors[-8:], digests[-16:])
    assert macs[-16:] == last
    answers = make_authentications(algorithm, master, factors, digests[: 8 * count])
    answered = AuthenticationColumn(*head, factors, digests[: 8 * count], answers)
    assert not any(prove_authentications(KEYS, answered))


@given(rows)
def test_made_macs_are_those_of_the_suite(row: tuple[int, MacProfile, bytes, bytes]) -> None:
    version, profile, factor, digest = row
    made = make_record_macs(ALGORITHMS[version], MASTERS[version], factor, digest, profile)
    assert made == mac_of(*row)


@given(st.sampled_from(sorted(ALGORITHMS)), st.lists(st.binary(min_size=16, max_size=16)))
@settings(max_examples=50)
def test_answers_of_cards_are_proven_and_forged_ones_found(
    version: int, drawn: list[bytes]
) -> None:
    """8 bytes of each are a card's factor, 8 its challenge."""
    suite, count = SUITES[ALGORITHMS[version]], len(drawn)
    factors = b"".join(each[:8] for each in drawn)
    challenges = b"".join(each[8:] for each in drawn)
    answers = b"".join(
        suite.authenticate(suite.diversify(MASTERS[version], each[:8]), each[8:]) for each in drawn
    )
    head = bytes((ALGORITHMS[version],)) * count, bytes((version,)) * count
    assert make_authentications(ALGORITHMS[version], MASTERS[version], factors, challenges) == (
        answers
    )
    column = AuthenticationColumn(*head, factors, challenges, answers)
    assert prove_authentications(KEYS, column) == bytes(count)
    flipped: list[Callable[[bytes], bytes]] = [
        lambda part: bytes(byte ^ 1 << 7 for byte in part),
        lambda part: bytes(byte ^ 1 for byte in part),
    ]
    for flip in flipped:
        for name in ("answers", "challenges"):
            forged = replace(column, **{name: flip(getattr(column, name))})
            assert set(prove_authentications(KEYS, forged)) <= {ProofReason.WRONG}


@each_version
def test_an_answer_under_another_version_is_told_from_a_forged_one(version: int) -> None:
    other = 4 if version == 1 else 1
    algorithm = ALGORITHMS[version]
    answer = make_authentications(algorithm, MASTERS[version], PSAMS[0], bytes(8))
    for algorithms, versions, reason in (
        (algorithm, version, ProofReason.PROVEN),
        (ALGORITHMS[other], other, ProofReason.WRONG_VERSION),
        (algorithm, 9, ProofReason.WRONG_VERSION),
        (2, version, ProofReason.WRONG_VERSION),
    ):
        column = AuthenticationColumn(
            bytes((algorithms,)), bytes((versions,)), PSAMS[0], bytes(8), answer
        )
        assert list(prove_authentications(KEYS, column)) == [reason]
    for algorithms, versions, reason in (
        (algorithm, 9, ProofReason.UNKNOWN_VERSION),
        (2, version, ProofReason.UNKNOWN_ALGORITHM),
    ):
        column = AuthenticationColumn(
            bytes((algorithms,)), bytes((versions,)), PSAMS[0], b"\xff" * 8, answer
        )
        assert list(prove_authentications(KEYS, column)) == [reason]


@pytest.mark.parametrize("name", ["key_versions", "profiles", "factors", "digests", "macs"])
def test_a_column_whose_fields_are_not_of_so_many_rows_cannot_be(name: str) -> None:
    column = mac_column([(5, FIXED, PSAMS[0], bytes(16))] * 3)
    assert len(column.part(1, 9)) == 2
    with pytest.raises(ValueError, match=f"{name}: "):
        replace(column, **{name: getattr(column, name)[:-1]})
