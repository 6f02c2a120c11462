"""The seal of a closed settlement day (日封存): which bytes are signed, and whether that holds.

Decides the message, so that whoever has the public key alone can check a seal. Leaves what the
digest covers to settlement, and that a number is sealed once to the key service.
"""

from cardcore.crypto import signatures
from cardcore.errors import CryptogramError
from cardcore.keys import Algorithm, DaySeal

#: The algorithm of day seals: its signatures are the same for the same message (RFC 8032), so a
#: close that was cut off and is repeated gets the very bytes it would have had.
ALGORITHM = Algorithm.ED25519
DIGEST_BYTES = 32


def seal_message(label: str, seal: DaySeal) -> bytes:
    """What is signed: lines of ASCII, the last one ended as well.

    >>> from datetime import date
    >>> seal_message("demo", DaySeal(7, date(2018, 9, 1), bytes(32))).decode().splitlines()[:4]
    ['onecard day seal', 'demo', '7', '2018-09-01']
    """
    lines = ("onecard day seal", label, str(seal.number), seal.day.isoformat(), seal.digest.hex())
    return "".join(f"{line}\n" for line in lines).encode()


def seal_holds(public_key: bytes, label: str, seal: DaySeal, signature: bytes) -> bool:
    """Whether this signature was made under that day of that city, with that key."""
    try:
        signatures.verify(ALGORITHM, public_key, signature, seal_message(label, seal))
    except CryptogramError:
        return False
    return True
