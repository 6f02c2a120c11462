"""Records as bytes: true ones with the TACs and record MACs of the public test keys, and the same
with bytes changed by somebody who has no key.
"""

from functools import lru_cache

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from cardcore.records.kinds import MacProfile
from cardcore.records.record import FIELD
from cardcore.records.tac import record_digest, tac_message
from hsm_sim.keys.published_keys import published_key

#: One version of a city's keys after the other, and its suite.
SUITE_OF_VERSION = {1: Algorithm.PBOC_3DES, 2: Algorithm.PBOC_3DES}
MAC_VERSION = 1


def changed(data: bytes, **values: object) -> bytes:
    """The bytes with some fields written over, whatever was signed."""
    made = bytearray(data)
    for name, value in values.items():
        if name == "version":
            assert isinstance(value, int)
            made[0] = value
            continue
        field = FIELD[name]
        made[field.offset : field.offset + field.length] = field.coding.encode(value, field.length)
    return bytes(made)


def field_of(data: bytes, name: str) -> int:
    """A field's bytes as a number."""
    field = FIELD[name]
    return int.from_bytes(data[field.offset : field.offset + field.length], "big")


def signed_by_card(data: bytes, label: str, key_version: int) -> bytes:
    """The record with the TAC its card makes."""
    suite = SUITES[SUITE_OF_VERSION[key_version]]
    number = FIELD["card_number"]
    factor = data[number.offset + 2 : number.offset + 10]
    tac = suite.tac(_card_key(label, key_version, factor), tac_message(data))
    return changed(data, tac=tac.ljust(8, b"\x00"))


def signed_by_psam(data: bytes, city: str, profile: MacProfile) -> bytes:
    """The record with the MAC its PSAM makes, in that profile."""
    algorithm = Algorithm.PBOC_3DES
    named = changed(data, mac_profile=profile, mac_algorithm=algorithm, mac_key_version=MAC_VERSION)
    psam = FIELD["psam"]
    key = _psam_key(city, named[psam.offset + 2 : psam.offset + 10])
    mac = SUITES[algorithm].record_mac(key, record_digest(named))
    return changed(named, mac=mac[: 4 if profile is MacProfile.PBOC else 8].ljust(16, b"\x00"))


def without_mac(data: bytes) -> bytes:
    """The record as a PSAM leaves it that signs no records."""
    return changed(data, mac_profile=0, mac_algorithm=0, mac_key_version=0, mac=bytes(16))


@lru_cache(maxsize=4096)
def _card_key(label: str, version: int, factor: bytes) -> bytes:
    master = published_key(KeyRef(KeyUsage.TAC, label, version))
    return SUITES[SUITE_OF_VERSION[version]].diversify(master, factor)


@lru_cache(maxsize=4096)
def _psam_key(city: str, factor: bytes) -> bytes:
    master = published_key(KeyRef(KeyUsage.RECORD_MAC, city, MAC_VERSION))
    return SUITES[Algorithm.PBOC_3DES].diversify(master, factor)
