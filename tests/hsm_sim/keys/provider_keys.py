"""The keys that every provider is tested with: each usage, suite, state and version once; and the
verdicts every column of proofs must get under them.
"""

from datetime import date

from cardcore.issuing.products import key_refs, shipped
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage, ProofReason
from hsm_sim.keys.published_keys import card_key_refs
from hsm_sim.keys.vault import CHANNEL_USAGES
from hsm_sim.psam import PsamProfile
from tests.hsm_sim.keys.providers import Given, Keys, Provider

CITY, VECTOR, LIFE, PRODUCTS = "city", "vector", "life", "demo"
#: Labels of a scheme's masters, and of a city where one of them stands among its own.
SCHEME, MIXED = "scheme", "mixed"
#: Version of the city's keys to their suite.
SUITE_OF = {1: Algorithm.PBOC_3DES, 2: Algorithm.PBOC_3DES, 4: Algorithm.SM4, 5: Algorithm.AES}
VECTOR_MASTER = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
CARD = bytes.fromhex("0487123456789012")
#: Under a master of the scheme: the card's factor, then the issuer's.
ISSUER = bytes.fromhex("02215840FFFFFFFF")
CARD_OF_ISSUER = CARD + ISSUER
SESSION, CONTEXT = bytes.fromhex("1122334400050001"), bytes(range(16))
#: Versions of the label LIFE, and the state each is in.
LIVES = {
    1: Given(state=KeyState.PREPARED),
    2: Given(state=KeyState.ACTIVE, valid_from=date(2001, 1, 1)),
    3: Given(state=KeyState.RETIRING),
    4: Given(state=KeyState.DESTROYED),
    5: Given(valid_from=date(2999, 1, 1)),
    6: Given(valid_to=date(2001, 1, 1)),
}
STATE_OF = {
    **{version: life.state for version, life in LIVES.items()},
    5: KeyState.PREPARED,
    6: KeyState.RETIRING,
}
#: Version that made a cryptogram, version and algorithm the record names, forged, and the verdict.
Verdict = tuple[int, int, int, bool, ProofReason]
_VERDICTS: list[Verdict] = [
    (1, 1, Algorithm.PBOC_3DES, False, ProofReason.PROVEN),
    (2, 2, Algorithm.PBOC_3DES, False, ProofReason.PROVEN),
    (5, 5, Algorithm.AES, False, ProofReason.PROVEN),
    (1, 1, Algorithm.PBOC_3DES, True, ProofReason.WRONG),
    (5, 5, Algorithm.AES, True, ProofReason.WRONG),
    (1, 2, Algorithm.PBOC_3DES, False, ProofReason.WRONG_VERSION),
    (5, 1, Algorithm.PBOC_3DES, False, ProofReason.WRONG_VERSION),
    (1, 1, Algorithm.AES, False, ProofReason.WRONG_VERSION),
    (1, 9, Algorithm.PBOC_3DES, False, ProofReason.WRONG_VERSION),
    (1, 1, 77, False, ProofReason.WRONG_VERSION),
    (1, 9, Algorithm.PBOC_3DES, True, ProofReason.UNKNOWN_VERSION),
    (1, 1, 77, True, ProofReason.UNKNOWN_ALGORITHM),
]
_SM4_VERDICTS: list[Verdict] = [
    (4, 4, Algorithm.SM4, False, ProofReason.PROVEN),
    (4, 4, Algorithm.SM4, True, ProofReason.WRONG),
    (4, 2, Algorithm.PBOC_3DES, False, ProofReason.WRONG_VERSION),
]
PROFILE = PsamProfile(
    terminal="040900010001",
    number="00000000040900010001",
    issuer=ISSUER,
    valid_from=date(2018, 1, 1),
    valid_to=date(2038, 12, 31),
    key_index=1,
    key_label=CITY,
)


def verdicts_of(provider: Provider, usage: KeyUsage) -> list[Verdict]:
    """Every verdict a provider can be brought to: a token holds no key of SM4."""
    holds_sm4 = KeyRef(usage, CITY, 4) in provider.keys
    return [*_VERDICTS, *(_SM4_VERDICTS if holds_sm4 else [])]


def suite_of(usage: KeyUsage, version: int) -> Algorithm | None:
    return None if usage in CHANNEL_USAGES else SUITE_OF[version]


def every_key() -> Keys:
    keys = {
        ref: Given(algorithm=suite_of(ref.usage, version))
        for version in SUITE_OF
        for ref in card_key_refs(CITY, version)
    }
    keys |= {
        KeyRef(KeyUsage.RECORD_MAC, CITY, version): Given(algorithm=algorithm)
        for version, algorithm in SUITE_OF.items()
    }
    keys |= {ref: Given() for ref in key_refs(shipped("citizen"), PRODUCTS)}
    keys |= {
        KeyRef(KeyUsage.FILE_SIGNING, CITY, 1): Given(),
        KeyRef(KeyUsage.FILE_SIGNING, CITY, 4): Given(algorithm=Algorithm.SM2),
        KeyRef(KeyUsage.DATA_ENCRYPTION, CITY, 1): Given(),
        KeyRef(KeyUsage.DATA_ENCRYPTION, CITY, 4): Given(algorithm=Algorithm.SM4),
        KeyRef(KeyUsage.TRANSPORT, CITY, 1): Given(),
        KeyRef(KeyUsage.DAY_SEAL, CITY, 1): Given(),
        KeyRef(KeyUsage.LOAD, VECTOR, 1): Given(
            VECTOR_MASTER, parent=KeyRef(KeyUsage.LOAD, CITY, 1)
        ),
        KeyRef(KeyUsage.LOAD, VECTOR, 2): Given(VECTOR_MASTER, levels=2),
        KeyRef(KeyUsage.LOAD, VECTOR, 3): Given(VECTOR_MASTER, levels=3),
        KeyRef(KeyUsage.TAC, MIXED, 1): Given(),
        KeyRef(KeyUsage.TAC, MIXED, 2): Given(levels=2),
    }
    keys |= {
        ref: Given(algorithm=suite_of(ref.usage, version), levels=2)
        for version in (1, 4, 5)
        for ref in card_key_refs(SCHEME, version)
    }
    return keys | {
        KeyRef(usage, LIFE, version): life for usage in KeyUsage for version, life in LIVES.items()
    }


KEYS = every_key()
