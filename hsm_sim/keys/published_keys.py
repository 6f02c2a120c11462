"""The public test keys: a published rule that makes the same keys on every machine.

Decides what a test key is and how one is recognised, by its bytes and from outside. Leaves to
`strength` and the composition roots to refuse them: a key anyone can compute protects nothing, and
production settings must not start with one. `docs/keys.md` lists their check values.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache

from cardcore.crypto import SUITES, signatures
from cardcore.issuing.products import SHIPPED, key_refs, shipped
from cardcore.key_labels import load_host_label, maintenance_label, sender_label
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.disguises import Table, is_known, table_of
from hsm_sim.keys.standard_values import EXAMPLES, PATTERNS
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
    """Whether bytes are a public test key of anybody's, under whatever name and however turned
    (`disguises`): one of our rule, of these labels, of the cities that are shipped and of those
    guessed first, or one out of a standard.

    >>> key = published_key(KeyRef(KeyUsage.TAC, "shenzhen", 1))
    >>> is_published(key), is_published(key[::-1]), is_published(hashlib.sha256(key).digest())
    (True, True, False)
    """
    return is_known(value, _tables(frozenset(labels)))


def _tables(labels: frozenset[str]) -> tuple[Table, ...]:
    cities = {each.partition("-")[0] for each in labels} - set(SCHEMES)
    return (_of_everybody(), *map(_of_label, labels), *map(_of_city, cities))


def published_descriptions(described: Iterable[KeyDescription]) -> tuple[KeyDescription, ...]:
    """Those whose check value is that of a public test key: seen from outside a device, so judged
    by the names that their label has in its first version and their own, and by the standards'.

    Under the label of another city a check value of six digits may agree by chance, two of one city
    do not: then both are its public keys.
    """
    held = tuple(described)
    found = {each.ref for each in held if each.check_value in _published_check_values(each)}
    alike: dict[str, set[KeyRef]] = {}
    for each in held:
        ending = each.ref.label[len(each.ref.label.partition("-")[0]) :]
        others = _check_values_of_cities(each.ref.usage, each.algorithm, ending)
        for city in others.get(each.check_value, ()):
            alike.setdefault(city, set()).add(each.ref)
    found |= {ref for refs in alike.values() if len(refs) > 1 for ref in refs}
    return tuple(each for each in held if each.ref in found)


def shared_descriptions(described: Iterable[KeyDescription]) -> tuple[KeyDescription, ...]:
    """Those of which another has the same check value under the same algorithm: one key with two
    names.
    """
    seen: dict[tuple[Algorithm, str], list[KeyDescription]] = {}
    for each in described:
        seen.setdefault((each.algorithm, each.check_value), []).append(each)
    return tuple(each for same in seen.values() if len(same) > 1 for each in same)


_SHIPPED_VERSIONS, _GUESSED_VERSIONS = 32, 3
#: Labels that whoever has no city to try with thinks of first.
_GUESSED_CITIES = (
    "beijing", "shanghai", "tianjin", "chongqing", "guangzhou", "shenzhen", "hangzhou", "nanjing",
    "wuhan", "chengdu", "xian", "suzhou", "changsha", "zhengzhou", "jinan", "qingdao", "dalian",
    "shenyang", "harbin", "changchun", "xiamen", "fuzhou", "ningbo", "hefei", "nanchang", "kunming",
    "guiyang", "nanning", "haikou", "taiyuan", "shijiazhuang", "lanzhou", "urumqi", "hohhot",
    "hongkong", "macau", "city", "test", "demo", "realcity", "othercity", "onecard",
)  # fmt: skip


#: Numbers of issuers that are printed beside keys; those of the shipped cities come to them.
_ISSUERS = frozenset(map(bytes.fromhex, ("02215840", "10203040", "01011000", "00000000")))
_NUMBER_BYTES = 4


def _ruled(ref: KeyRef) -> bytes:
    """All that the rule's hash gives: whoever cuts a key out of it may take the end of it."""
    return hashlib.sha256(f"{RULE_TEXT} {ref}".encode()).digest()


@cache
def _endings() -> frozenset[str]:
    """What stands behind the city's name in the labels of a shipped city."""
    labels = {maintenance_label(""), load_host_label(""), ""}
    labels |= {ref.label for name in SHIPPED for ref in key_refs(shipped(name), "")}
    return frozenset(labels)


@lru_cache(maxsize=64)
def _of_label(label: str) -> Table:
    """Of a label in every version."""
    return table_of(_ruled_values([label], VERSION_MAX + 1))


@lru_cache(maxsize=64)
def _of_city(city: str) -> Table:
    """Of every label that a city has beside its own, in their first versions."""
    return table_of(_ruled_values(_labels(city), _SHIPPED_VERSIONS))


def _labels(city: str) -> list[str]:
    return [city + each for each in _endings()]


def _ruled_values(labels: Iterable[str], versions: int) -> Iterator[bytes]:
    for label in labels:
        for usage in KeyUsage:
            for version in range(versions):
                yield _ruled(KeyRef(usage, label, version))


@cache
def _of_everybody() -> Table:
    """What no label need be known for: the standards', the shipped cities' with what their masters
    give an issuer, and those that are guessed first.
    """
    cities = [scheme.name for scheme in SCHEMES.values()]
    senders = {
        sender_label(each)
        for scheme in SCHEMES.values()
        for one in scheme.participants
        for each in one.senders
    }
    shipped_labels = senders.union(*map(_labels, cities))
    guessed = set().union(*map(_labels, _GUESSED_CITIES))
    return table_of(
        (
            *map(bytes.fromhex, (*EXAMPLES, *PATTERNS)),
            *_ruled_values(shipped_labels, _SHIPPED_VERSIONS),
            *_ruled_values(guessed, _GUESSED_VERSIONS),
            *_derived(cities),
        )
    )


def _derived(cities: Iterable[str]) -> Iterator[bytes]:
    """A published master diversified by a published issuer's number is as public as both."""
    issuers = {scheme.issuer[:_NUMBER_BYTES] for scheme in SCHEMES.values()} | _ISSUERS
    factors = {issuer + after for issuer in issuers for after in (issuer, b"\xff" * 4)}
    for label in (label for city in cities for label in _labels(city)):
        for ref in card_key_refs(label, 1):
            for suite in SUITES.values():
                for factor in factors:
                    yield suite.diversify(published_key(ref), factor)


@cache
def _check_values_of_cities(
    usage: KeyUsage, algorithm: Algorithm, ending: str
) -> Mapping[str, frozenset[str]]:
    """Of which shipped or guessed cities' public keys of one use a check value is."""
    found: dict[str, set[str]] = {}
    for city in {*SCHEMES, *_GUESSED_CITIES}:
        for version in range(_SHIPPED_VERSIONS if city in SCHEMES else _GUESSED_VERSIONS):
            value = published_key(KeyRef(usage, city + ending, version))
            if usage not in SIGNING_USAGES or signatures.is_secret(algorithm, value):
                shown = check_value(Key(usage, value), algorithm)
                found.setdefault(shown, set()).add(city)
    return {shown: frozenset(cities) for shown, cities in found.items()}


def _published_check_values(key: KeyDescription) -> set[str]:
    usage, version = key.ref.usage, key.ref.version
    names = {
        KeyRef(each, key.ref.label, number)
        for each in KeyUsage
        for number in (1, version)
        if key_bytes(each) == key_bytes(usage)
    }
    values = [published_key(ref) for ref in names]
    values += [bytes.fromhex(each) for each in (*EXAMPLES, *PATTERNS)]
    values = [each for each in values if len(each) == key_bytes(usage)]
    if usage in SIGNING_USAGES:
        values = [each for each in values if signatures.is_secret(key.algorithm, each)]
    return {check_value(Key(usage, each), key.algorithm) for each in values}
