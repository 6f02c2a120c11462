"""The public test keys: a published rule that makes the same keys on every machine.

Decides what a test key is and how one is recognised, by its bytes and from outside. Leaves to
`strength` and the composition roots to refuse them: a key anyone can compute protects nothing, and
production settings must not start with one. `docs/keys.md` lists their check values.
"""

import hashlib
from collections.abc import Iterable
from functools import cache, lru_cache

from cardcore.crypto import signatures
from cardcore.issuing.products import SHIPPED, key_refs, shipped
from cardcore.key_labels import load_host_label, maintenance_label, sender_label
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.vault import (
    CARD_USAGES,
    SIGNING_USAGES,
    VERSION_MAX,
    KeyVault,
    check_value,
    key_bytes,
)

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


def public_test_keys(vault: KeyVault) -> tuple[KeyRef, ...]:
    """The names in a vault under which the public test key of that name is held."""
    return tuple(
        each.description.ref
        for each in vault.entries()
        if each.value == published_key(each.description.ref)
    )


def is_published(value: bytes, labels: Iterable[str] = ()) -> bool:
    """Whether bytes are a public test key of anybody's, under whatever name, parity aside: one of
    our rule, of these labels and of the cities that are shipped, or one out of a standard.

    >>> key = published_key(KeyRef(KeyUsage.TAC, "shenzhen", 1))
    >>> is_published(key), is_published(bytes(byte ^ 1 for byte in key)), is_published(key[::-1])
    (True, True, False)
    """
    start = _without_parity(value)
    if start in _STANDARD or start in _shipped_values():
        return True
    return any(start in _values_of_label(label) for label in labels)


def published_descriptions(described: Iterable[KeyDescription]) -> tuple[KeyDescription, ...]:
    """Those whose check value is that of a public test key: seen from outside a device, so judged
    by the names that their label has in its first version and their own, and by the standards'.
    """
    return tuple(each for each in described if each.check_value in _published_check_values(each))


def shared_descriptions(described: Iterable[KeyDescription]) -> tuple[KeyDescription, ...]:
    """Those of which another has the same check value under the same algorithm: one key with two
    names.
    """
    seen: dict[tuple[Algorithm, str], list[KeyDescription]] = {}
    for each in described:
        seen.setdefault((each.algorithm, each.check_value), []).append(each)
    return tuple(each for same in seen.values() if len(same) > 1 for each in same)


#: Examples of standards and makers' defaults that `strength.weakness` takes for dice.
_EXAMPLES = (
    "2B7E151628AED2A6ABF7158809CF4F3C",  # FIPS 197, AES-128
    "8E73B0F7DA0E6452C810F32B809079E5",  # FIPS 197, AES-192
    "603DEB1015CA71BE2B73AEF0857D7781",  # FIPS 197, AES-256
    "6AC292FAA1315B4D858AB3A3D7D5933A",  # ANSI X9.24-1, initial key of DUKPT
    "B8ED59E0A279A295E9F5ED7944FD06B9",  # TR-31, annex B
    "1D22BF32387C600AD97F9B97A51311AC",
    "DD7515F2BFC17F85CE48F3CA25CB21F6",
    "88E1AB2A2E3DD38C1FA039A536500CC8",
)
#: What makers write into their cards before anybody else does.
_PATTERNS = (
    "404142434445464748494A4B4C4D4E4F",
    "0123456789ABCDEFFEDCBA9876543210",
    "00112233445566778899AABBCCDDEEFF",
    "000102030405060708090A0B0C0D0E0F",
    "00000000000000000000000000000000",
    "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
)
_RULED_BYTES = 16
_SHIPPED_VERSIONS = 10


def _without_parity(value: bytes) -> bytes:
    return bytes(byte & 0xFE for byte in value[:_RULED_BYTES])


_STANDARD = frozenset(_without_parity(bytes.fromhex(each)) for each in _EXAMPLES)


@lru_cache(maxsize=256)
def _values_of_label(label: str, versions: int = VERSION_MAX + 1) -> frozenset[bytes]:
    return frozenset(
        _without_parity(published_key(KeyRef(usage, label, version)))
        for usage in KeyUsage
        for version in range(versions)
    )


@cache
def _shipped_values() -> frozenset[bytes]:
    """Of every label of the cities that are shipped, in their first versions."""
    values: set[bytes] = set()
    for scheme in SCHEMES.values():
        city = scheme.name
        labels = {city, maintenance_label(city), load_host_label(city)}
        labels |= {ref.label for name in SHIPPED for ref in key_refs(shipped(name), city)}
        labels |= {sender_label(each) for one in scheme.participants for each in one.senders}
        for label in labels:
            values |= _values_of_label(label, _SHIPPED_VERSIONS)
    return frozenset(values)


def _published_check_values(key: KeyDescription) -> set[str]:
    usage, version = key.ref.usage, key.ref.version
    names = {
        KeyRef(each, key.ref.label, number)
        for each in KeyUsage
        for number in (1, version)
        if key_bytes(each) == key_bytes(usage)
    }
    values = [published_key(ref) for ref in names]
    if key_bytes(usage) == _RULED_BYTES:
        values += [bytes.fromhex(each) for each in (*_EXAMPLES, *_PATTERNS)]
    if usage in SIGNING_USAGES:
        values = [each for each in values if signatures.is_secret(key.algorithm, each)]
    return {check_value(Key(usage, each), key.algorithm) for each in values}
