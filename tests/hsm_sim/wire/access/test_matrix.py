"""The matrix duty × operation × usage: as the code has it, as the key service does it, as told."""

from collections.abc import Callable, Collection, Mapping
from datetime import date
from pathlib import Path

import pytest

from cardcore.errors import CardcoreError, KeyUsageError
from cardcore.keys import DaySeal, KeyRef, KeyService, KeyUsage
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.keys.vault import CHANNEL_USAGES
from hsm_sim.wire.access.duties import (
    AT_TERMINALS,
    DUTIES,
    PSAM_MAKING,
    PSAM_USE,
    RELEASES,
    WITH_PSAMS,
    WITH_RELEASES,
    Duty,
    Operation,
    matrix,
)
from hsm_sim.wire.codec import messages
from tests.hsm_sim.wire.key_server import FACTOR, LABEL

KEYS = Path(__file__).parents[4] / "docs" / "keys.md"
SERVICE = KeyOperations(published_vault(KeyRef(usage, LABEL, 1) for usage in KeyUsage))
ASKED: Mapping[Operation, Callable[[KeyService, KeyRef], object]] = {
    messages.DERIVE_CARD_KEY: lambda keys, ref: keys.derive_card_key(ref, FACTOR),
    messages.CHECK_VALUE: lambda keys, ref: keys.check_value(ref, FACTOR),
    messages.AUTHENTICATE: lambda keys, ref: keys.authenticate(ref, FACTOR, bytes(8)),
    messages.MESSAGE_MAC: lambda keys, ref: keys.message_mac(ref, FACTOR, bytes(4), b""),
    messages.SESSION_MAC: lambda keys, ref: keys.session_mac(ref, FACTOR, bytes(8), b""),
    messages.VERIFY_SESSION_MAC: lambda keys, ref: keys.verify_session_mac(
        ref, FACTOR, bytes(8), b"", bytes(4)
    ),
    messages.SIGN: lambda keys, ref: keys.sign(ref, b""),
    messages.SEAL_DAY: lambda keys, ref: keys.seal_day(
        ref, DaySeal(1, date(2018, 9, 1), bytes(32))
    ),
    messages.PUBLIC_KEY: lambda keys, ref: keys.public_key(ref),
    messages.ENCIPHER_DATA: lambda keys, ref: keys.encipher_data(ref, b"", b""),
    messages.DECIPHER_DATA: lambda keys, ref: keys.decipher_data(ref, bytes(28), b""),
    messages.CHANNEL_WRAPPED_CARD_KEYS: lambda keys, ref: keys.open_channel(
        LABEL, 1, FACTOR, bytes(16)
    ).wrapped_card_keys((ref,), FACTOR),
}


def given(operation: Operation) -> set[KeyUsage]:
    """By all duties together."""
    return {usage for duty in DUTIES.values() for usage in duty.get(operation, ())}


@pytest.mark.parametrize("operation", ASKED, ids=lambda each: each.name)
def test_duties_give_what_the_key_service_does_and_the_rest_is_refused_by_it(
    operation: Operation,
) -> None:
    does = set()
    for usage in KeyUsage:
        try:
            ASKED[operation](SERVICE, KeyRef(usage, LABEL, 1))
        except KeyUsageError:
            continue
        except CardcoreError:
            pass  # asked for something wrong, and it was looked at
        does.add(usage)
    assert given(operation) == does


def test_every_operation_with_a_key_is_asked_above_or_names_a_label_only() -> None:
    others: Mapping[Operation, Collection[KeyUsage]] = {
        messages.OPEN_CHANNEL: CHANNEL_USAGES,
        messages.PROVE_TACS: {KeyUsage.TAC},
        messages.PROVE_RECORD_MACS: {KeyUsage.RECORD_MAC},
        messages.PROVE_AUTHENTICATIONS: {KeyUsage.INTERNAL_AUTHENTICATION},
        messages.SEALED_DAYS: {KeyUsage.DAY_SEAL},
    }
    for operation, usages in others.items():
        assert given(operation) == set(usages)
    in_channel = {each for each in messages.OPERATIONS.values() if each.name.startswith("channel_")}
    rest = {messages.DESCRIBE_KEYS, *PSAM_MAKING, *PSAM_USE, *in_channel}
    assert set(messages.OPERATIONS.values()) == {*ASKED, *others, *rest}


def test_no_duty_gives_load_beside_purchase_or_a_psam_or_a_release_beside_a_mac() -> None:
    macs = {messages.SESSION_MAC, messages.MESSAGE_MAC}
    for duty, operations in DUTIES.items():
        usages = {usage for each in operations.values() for usage in each}
        if duty not in {Duty.PERSONALISATION, Duty.KEY_RELEASE}:
            assert not {KeyUsage.LOAD, KeyUsage.PURCHASE} <= usages, duty
            assert not set(RELEASES) & set(operations), duty
        else:
            assert not macs & set(operations), duty
        assert KeyUsage.TRANSPORT not in usages
    in_psams = {
        duty: {usage for each in DUTIES[duty].values() for usage in each} for duty in WITH_PSAMS
    }
    for duty in WITH_PSAMS:  # who makes PSAMs uses none, and who uses them makes none
        assert set(DUTIES[duty]) in ({*PSAM_MAKING}, {*PSAM_USE})
    assert in_psams[Duty.PSAM] == {KeyUsage.PURCHASE}
    reader = {KeyUsage.PURCHASE, KeyUsage.EXTERNAL_AUTHENTICATION}
    assert in_psams[Duty.PSAM_READER] == reader


def test_a_right_says_what_bounds_its_duty() -> None:
    for duty, operations in DUTIES.items():
        psams = {*PSAM_MAKING, *PSAM_USE} & set(operations)
        macs = {messages.SESSION_MAC, messages.VERIFY_SESSION_MAC} & set(operations)
        assert (duty in WITH_PSAMS) == bool(psams)
        assert (duty in AT_TERMINALS) == bool(psams or macs)
        assert (duty in WITH_RELEASES) == bool(set(RELEASES) & set(operations))


def test_the_document_has_the_matrix_of_the_code() -> None:
    """When this fails, put what it wants into docs/keys.md."""
    wanted = "\n".join(matrix())
    assert wanted in KEYS.read_text(encoding="utf-8"), f"docs/keys.md wants:\n{wanted}"
