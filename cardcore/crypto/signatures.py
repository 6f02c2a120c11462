"""Signatures under files: Ed25519, or SM2 with SM3. Both are 64 bytes from a secret of 32.

Decides which mathematics an algorithm id names. Leaves keys to the key service, and which public
key is whose to registers.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cardcore.crypto import sm2
from cardcore.errors import CryptogramError
from cardcore.keys import Algorithm
from cardcore.text import Text

SIGNATURE_BYTES = 64
SECRET_BYTES = 32  # Ed25519 seed (RFC 8032 §5.1.5), SM2 private key (GB/T 32918)
#: By the length of a public key its algorithm is known: 32 bytes, or 04, x, y.
PUBLIC_KEY_BYTES = {Algorithm.ED25519: 32, Algorithm.SM2: sm2.PUBLIC_KEY_BYTES}


def is_secret(algorithm: Algorithm, secret: bytes) -> bool:
    """Whether these bytes can be a private key: any 32 for Ed25519, 1 to n - 2 for SM2.

    >>> [is_secret(each, bytes(32)) for each in (Algorithm.ED25519, Algorithm.SM2)]
    [True, False]
    """
    if algorithm is Algorithm.SM2:
        return sm2.is_private_key(secret)
    return len(secret) == SECRET_BYTES


def public_key(algorithm: Algorithm, secret: bytes) -> bytes:
    """The public half: 32 bytes of Ed25519, 65 of SM2."""
    if algorithm is Algorithm.SM2:
        return sm2.public_key(secret)
    assert algorithm is Algorithm.ED25519, algorithm
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def sign(algorithm: Algorithm, secret: bytes, message: bytes) -> bytes:
    """64 bytes, the same for the same message."""
    if algorithm is Algorithm.SM2:
        return sm2.sign(secret, message)
    assert algorithm is Algorithm.ED25519, algorithm
    return Ed25519PrivateKey.from_private_bytes(secret).sign(message)


def verify(algorithm: Algorithm, public: bytes, signature: bytes, message: bytes) -> None:
    """Raises `CryptogramError` when the signature does not hold, also for a key of another kind.

    >>> secret = bytes(range(32))
    >>> for kind in (Algorithm.ED25519, Algorithm.SM2):
    ...     verify(kind, public_key(kind, secret), sign(kind, secret, b"file"), b"file")
    """
    if len(public) != PUBLIC_KEY_BYTES[algorithm]:
        raise CryptogramError(
            Text(
                f"发送方密钥不是 {algorithm.name} 密钥",
                f"the sender's key is no {algorithm.name} key",
            )
        )
    if algorithm is Algorithm.SM2:
        sm2.verify(public, signature, message)
        return
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature as error:
        raise CryptogramError(
            Text("Ed25519 签名不符", "the Ed25519 signature does not hold")
        ) from error
