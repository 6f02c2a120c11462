"""Which answers of a key service are believed: wrong keys make nobody a forger."""

from dataclasses import replace

import pytest

from cardcore.errors import KeyServiceUnavailableError, UnknownKeyError
from cardcore.keys import (
    Algorithm,
    KeyDescription,
    KeyState,
    KeyUsage,
    ProofReason,
    TacColumn,
)
from cardcore.records.record import decode_record, encode_record
from cardcore.schemes.catalogue import SCHEMES
from settlement.facts.proof import Proof, prove_records, tac_keys
from settlement.registry.rows import TacKeyRow
from tests.settlement.device_files import Street, key_service, tac_ref

SCHEME = SCHEMES["shenzhen"]

LABEL = SCHEME.name
KNOWN = {row.version: row for row in tac_keys(key_service(1, 2, 3), LABEL)}
TRUE, FALSE = ProofReason.PROVEN, ProofReason.WRONG
OTHER, UNKNOWN = ProofReason.WRONG_VERSION, ProofReason.UNKNOWN_VERSION


def taps(*versions: int) -> list[bytes]:
    """A true load under each version."""
    street = Street()
    return [street.card(n, version).load(500) for n, version in enumerate(versions, 1)]


def forge(record: bytes) -> bytes:
    return encode_record(replace(decode_record(record), tac=b"\xba\xdc\x0d\xe5"))


def renamed(record: bytes, version: int) -> bytes:
    return encode_record(replace(decode_record(record), key_version=version))


def prove(
    records: list[bytes], registered: tuple[int, ...], keys: object
) -> tuple[list[ProofReason], tuple[TacKeyRow, ...]]:
    rows = [KNOWN[version] for version in registered]
    proof: Proof = prove_records(b"".join(records), keys, LABEL, rows)  # type: ignore[arg-type] # stubs too
    return [ProofReason(answer) for answer in proof.answers], proof.shown


def test_with_every_key_held_as_registered_every_answer_is_believed() -> None:
    first, second = taps(1, 2)
    records = [first, second, forge(first), renamed(second, 1)]
    assert prove(records, (1, 2), key_service(1, 2)) == ([TRUE, TRUE, FALSE, OTHER], ())


def test_nothing_is_called_wrong_while_a_registered_version_is_lost() -> None:
    first, second = taps(1, 2)
    # The last one is of version 2 and names version 1: without version 2 it looks forged.
    records = [first, second, forge(first), renamed(second, 1)]
    assert prove(records, (1, 2), key_service(1)) == ([TRUE, UNKNOWN, UNKNOWN, UNKNOWN], ())


def test_nothing_is_believed_of_a_version_held_with_other_bytes() -> None:
    first, second = taps(1, 2)
    records = [first, second, forge(second), forge(first)]
    keys = key_service(1, 2, misheld=(2,))
    assert prove(records, (1, 2), keys) == ([TRUE, UNKNOWN, UNKNOWN, UNKNOWN], ())
    # Not even that a TAC holds: it was made with the bytes that are held by mistake.
    assert prove([first], (1,), key_service(1, misheld=(1,)))[0] == [UNKNOWN]


def test_a_record_made_with_misheld_bytes_is_not_accepted() -> None:
    held = key_service(1, misheld=(1,))
    row = replace(KNOWN[1], check_value=tac_keys(held, LABEL)[0].check_value)
    (first,) = taps(1)
    proof = prove_records(first, key_service(1), LABEL, [row])
    assert list(proof.answers) == [UNKNOWN]


def test_a_version_not_registered_shows_itself_by_what_it_proves() -> None:
    first, second, third = taps(1, 2, 2)
    answers, shown = prove([first, second, third, forge(third)], (1,), key_service(1, 2))
    assert (answers, shown) == ([TRUE, TRUE, TRUE, FALSE], (KNOWN[2],))


def test_a_version_that_proves_no_more_than_it_fails_has_not_shown_itself() -> None:
    first, second = taps(1, 2)
    records = [first, second, forge(second), forge(first)]
    answers, shown = prove(records, (1,), key_service(1, 2))
    assert (answers, shown) == ([TRUE, TRUE, UNKNOWN, FALSE], ())
    # Wrong bytes under a name the city does not know yet prove nothing.
    misheld = key_service(1, 2, misheld=(2,))
    assert prove([first, second], (1,), misheld) == ([TRUE, UNKNOWN], ())


def test_a_key_prepared_or_destroyed_is_not_lost() -> None:
    first, second = taps(1, 2)
    for state in (KeyState.PREPARED, KeyState.DESTROYED):
        keys = key_service(1, 2)
        keys._masters._entries[tac_ref(2)] = replace(  # type: ignore[attr-defined] # a vault
            keys._masters._entries[tac_ref(2)],  # type: ignore[attr-defined] # the same
            description=replace(keys._masters.describe(tac_ref(2)), state=state),
        )
        answers, _ = prove([first, second, forge(first)], (1, 2), keys)
        assert answers == [TRUE, UNKNOWN, FALSE]


def test_a_key_held_as_a_master_of_the_scheme_is_as_lost() -> None:
    first, second = taps(1, 2)
    keys = key_service(1, 2)
    entry = keys._masters._entries[tac_ref(2)]  # type: ignore[attr-defined] # a vault
    described = replace(entry.description, levels=2)
    keys._masters._entries[tac_ref(2)] = replace(entry, description=described)  # type: ignore[attr-defined] # the same
    assert [row.version for row in tac_keys(keys, LABEL)] == [1]
    records = [first, second, renamed(second, 1), forge(first)]
    assert prove(records, (1, 2), keys) == ([TRUE, UNKNOWN, UNKNOWN, UNKNOWN], ())


def test_another_algorithm_under_the_same_check_value_is_another_key() -> None:
    (first,) = taps(1)
    row = replace(KNOWN[1], algorithm=int(Algorithm.SM4))
    assert list(prove_records(first, key_service(1), LABEL, [row]).answers) == [UNKNOWN]


def test_a_key_service_of_another_city_is_asked_no_further() -> None:
    (first,) = taps(1)
    with pytest.raises(UnknownKeyError):
        prove_records(first, key_service(1), "atlantis", ())


class ReloadedService:
    """A ceremony replaces the keys while a column is proven."""

    def __init__(self) -> None:
        self.services = [key_service(1), key_service(1, 2)]

    def describe_keys(self, usage: KeyUsage, label: str) -> tuple[KeyDescription, ...]:
        return self.services.pop(0).describe_keys(usage, label)

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        return key_service(1).prove_tacs(label, column)


def test_keys_that_change_during_the_proof_decide_nothing() -> None:
    with pytest.raises(KeyServiceUnavailableError, match="changed"):
        prove(taps(1), (1,), ReloadedService())


def test_no_records_need_no_key_service() -> None:
    assert prove_records(b"", None, LABEL, ()) == Proof(b"", b"")  # type: ignore[arg-type] # on purpose
