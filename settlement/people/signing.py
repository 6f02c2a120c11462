"""A person's secret becomes a signature, and is kept nowhere.

Decides how: Argon2id (RFC 9106) makes of the secret and a salt the seed of an Ed25519 key; what is
kept is the public key. So whoever holds the folder can check an act and can make none, and there is
no hash that would do in place of the secret. What is left to whoever holds the folder is guessing,
each guess at the cost that stands here.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from cardcore.crypto import signatures
from cardcore.errors import CryptogramError
from cardcore.keys import Algorithm
from cardcore.text import Text
from settlement.seal import Sealable, canonical_json

SALT_BYTES = 16  # RFC 9106, §3.1: recommended for passwords
SECRET_LENGTH_MIN, SECRET_LENGTH_MAX = 10, 256
#: Stands before the bytes that are signed: they can be taken for nothing else.
_DOMAIN = b"onecard audit log 1\0"


_KEY, _SALT = re.compile("[0-9a-f]{64}"), re.compile(f"[0-9a-f]{{{2 * SALT_BYTES}}}")
#: What a desk can be asked for at most: 1 GiB, passes and lanes.
_COST_MAX = (1024 * 1024, 64, 64)


@dataclass(frozen=True, slots=True)
class SecretCost:
    """What one guess at a secret costs: Argon2id's memory, passes and lanes."""

    memory_kib: int
    passes: int
    lanes: int

    def __post_init__(self) -> None:
        asked = (self.memory_kib, self.passes, self.lanes)
        if any(not 1 <= each <= most for each, most in zip(asked, _COST_MAX, strict=True)):
            raise ValueError(asked)


#: RFC 9106, §4, second recommended option: 64 MiB, 3 passes. With one lane, as an office desk does
#: one at a time: about an eighth of a second.
PRODUCTION_COST = SecretCost(memory_kib=64 * 1024, passes=3, lanes=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """What is kept of a secret: nothing by which it could be shown."""

    public_key: str  # 64 hexadecimal digits, Ed25519
    salt: str  # hexadecimal
    cost: SecretCost

    def content(self) -> dict[str, Sealable]:
        """As it stands in the audit log."""
        cost = self.cost
        return {
            "public_key": self.public_key,
            "salt": self.salt,
            "cost": [cost.memory_kib, cost.passes, cost.lanes],
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """What `content` made. Raises `ValueError`, `KeyError` or `TypeError` for anything else: a
        key is written in one way only, so that the same key is seen to be the same.
        """
        cost = list(content["cost"])
        if any(type(each) is not int for each in cost):
            raise TypeError(cost)
        public_key, salt = text_in(content, "public_key"), text_in(content, "salt")
        if not _KEY.fullmatch(public_key) or not _SALT.fullmatch(salt):
            raise ValueError(public_key, salt)
        return cls(public_key, salt, SecretCost(*cost))


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A secret in use, for one act."""

    seed: bytes

    @property
    def public_key(self) -> str:
        """The half that is kept, hexadecimal."""
        return signatures.public_key(Algorithm.ED25519, self.seed).hex()

    def sign(self, statement: Sealable) -> str:
        """128 hexadecimal digits, the same for the same statement."""
        return signatures.sign(Algorithm.ED25519, self.seed, signed_bytes(statement)).hex()


def secret_problem(secret: str) -> Text | None:
    """What is wrong with a secret that somebody chose; None: it will do.

    >>> print(secret_problem("short"))
    a secret has 10 to 256 characters, all of them printable
    """
    if SECRET_LENGTH_MIN <= len(secret) <= SECRET_LENGTH_MAX and secret.isprintable():
        return None
    return Text(
        f"密语应有 {SECRET_LENGTH_MIN} 至 {SECRET_LENGTH_MAX} 个字符，且均可显示",
        f"a secret has {SECRET_LENGTH_MIN} to {SECRET_LENGTH_MAX} characters, all of them "
        "printable",
    )


def derive_key(secret: str, salt: str, cost: SecretCost) -> SigningKey:
    """The key of a secret. The same characters give the same key however they were typed (NFC, as
    RFC 8265, §4.2 has it of passwords).
    """
    argon2 = Argon2id(
        salt=bytes.fromhex(salt),
        length=signatures.SECRET_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return SigningKey(argon2.derive(unicodedata.normalize("NFC", secret).encode()))


def make_credential(secret: str, salt: bytes, cost: SecretCost) -> tuple[SigningKey, Credential]:
    """The key of a new secret, and what is kept of it.

    >>> key, kept = make_credential("three plain words", bytes(16), SecretCost(32, 1, 1))
    >>> derive_key("three plain words", kept.salt, kept.cost).public_key == kept.public_key
    True
    >>> signature_holds(kept.public_key, {"act": 1}, key.sign({"act": 1}))
    True
    >>> signature_holds(kept.public_key, {"act": 2}, key.sign({"act": 1}))
    False
    """
    key = derive_key(secret, salt.hex(), cost)
    return key, Credential(key.public_key, salt.hex(), cost)


def signature_holds(public_key: str, statement: Sealable, signature: str) -> bool:
    """Whether the person of this public key made this statement."""
    try:
        public, signed = bytes.fromhex(public_key), bytes.fromhex(signature)
        signatures.verify(Algorithm.ED25519, public, signed, signed_bytes(statement))
    except (CryptogramError, ValueError):  # the latter: a column that holds no such digits
        return False
    return True


def text_in(content: Mapping[str, Any], key: str) -> str:
    """A text of a content that was read; raises `KeyError` or `TypeError` where there is none."""
    text = content[key]
    if not isinstance(text, str):
        raise TypeError(text)
    return text


def signed_bytes(statement: Sealable) -> bytes:
    """What is signed of a statement."""
    return _DOMAIN + canonical_json(statement)
