"""The public test keys: a published rule that makes the same keys on every machine.

Decides what a test key is and how one is recognised. Leaves to the composition roots to refuse
them: a key anyone can compute protects nothing, and production settings must not start with one.
`docs/keys.md` lists their check values.
"""

import hashlib
from collections.abc import Iterable

from cardcore.keys import Key, KeyDescription, KeyRef, KeyUsage
from hsm_sim.keys.vault import CARD_USAGES, KeyVault, check_value, key_bytes

RULE_TEXT = "onecard public test key"


def published_key(ref: KeyRef) -> bytes:
    """SHA-256 of the rule's text, a space and the key's name, cut to the key's length.

    >>> published_key(KeyRef(KeyUsage.TAC, "shenzhen", 1)).hex()
    '107165718f1c70e6a14ca53b4f9aa1ba'
    """
    return hashlib.sha256(f"{RULE_TEXT} {ref}".encode()).digest()[: key_bytes(ref.usage)]


def published_vault(refs: Iterable[KeyRef]) -> KeyVault:
    """A vault that holds the public test key of every name given."""
    return KeyVault({ref: published_key(ref) for ref in refs})


def issuer_key_refs(label: str, version: int) -> tuple[KeyRef, ...]:
    """The names of every master key one issuer needs to make and prove its cards, and the record
    MACs of its PSAMs.

    >>> [str(ref) for ref in issuer_key_refs("shenzhen", 1)][:2]
    ['purchase/shenzhen/v1', 'load/shenzhen/v1']
    """
    usages = (
        KeyUsage.PURCHASE,
        KeyUsage.LOAD,
        KeyUsage.TAC,
        KeyUsage.FILE_MAINTENANCE,
        KeyUsage.RECORD_MAC,
    )
    return tuple(KeyRef(usage, label, version) for usage in usages)


def card_key_refs(label: str, version: int) -> tuple[KeyRef, ...]:
    """The names of every master key that keys of one application, or of a chip, can come from.

    >>> len(card_key_refs("demo-purse", 1)) == len(CARD_USAGES)
    True
    """
    return tuple(KeyRef(usage, label, version) for usage in KeyUsage if usage in CARD_USAGES)


def is_public_test_key(ref: KeyRef, value: bytes) -> bool:
    """Whether this is the key the published rule makes for that name."""
    return value == published_key(ref)


def public_test_keys(vault: KeyVault) -> tuple[KeyRef, ...]:
    """The names in a vault under which a public test key is held."""
    return tuple(
        each.description.ref
        for each in vault.entries()
        if each.value is not None and is_public_test_key(each.description.ref, each.value)
    )


def published_descriptions(described: Iterable[KeyDescription]) -> tuple[KeyDescription, ...]:
    """Those whose check value is the public test key's of that name: seen from outside a device."""
    return tuple(
        each
        for each in described
        if each.check_value
        == check_value(Key(each.ref.usage, published_key(each.ref)), each.algorithm)
    )
