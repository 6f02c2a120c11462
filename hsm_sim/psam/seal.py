"""The seal under the image of a PSAM: a MAC that only the key service makes.

Decides which key seals and what stands under it. Leaves the bytes to `image`, and whether an image
is the newest to who hosts the PSAM (`hsm_sim.wire.counters`).

The key is the PSAM's maintenance master, or where it has none the newest of its purchase masters,
diversified by factors made of its number that no operation takes (`masters.check_factor`), so
nothing else is ever done under it. Two MACs stand side by side, so that the formula of the suites
(8 bytes in triple DES) gives 16.
"""

import hashlib
import hmac
from collections.abc import Sequence

from cardcore.errors import DecodeError, KeyServiceError
from cardcore.keys import KeyState
from cardcore.text import Text
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.psam.keys import KeySlot, PsamKey, PsamKeyType, recognise_key

SEAL_BYTES = 16
_DOMAIN = b"onecard PSAM image "
_HALF = SEAL_BYTES // 2


def sealing_place(keys: Sequence[PsamKey], masters: MasterKeys) -> int:
    """Which of its keys seals its image. Raises `KeyServiceError` when all are destroyed."""
    ranked = sorted(
        range(len(keys)),
        key=lambda place: (
            keys[place].slot.kind is PsamKeyType.MAINTENANCE,
            keys[place].slot.ref.version,
        ),
        reverse=True,
    )
    for place in ranked:
        slot = keys[place].slot
        is_fit = slot.kind in {PsamKeyType.MAINTENANCE, PsamKeyType.PURCHASE}
        if is_fit and masters.describe(slot.ref).state is not KeyState.DESTROYED:
            return place
    raise KeyServiceError(
        Text(
            "可为此 PSAM 映像签封的密钥均已销毁",
            "every key that could seal the image of this PSAM is destroyed",
        )
    )


def seal(body: bytes, number: str, slot: KeySlot, masters: MasterKeys) -> bytes:
    """16 bytes over the body of an image."""
    handle = masters.sealing_key(slot.ref, number)
    digest = hashlib.sha256(_DOMAIN + body).digest()
    halves = (digest[:SEAL_BYTES], digest[SEAL_BYTES:])
    return b"".join(handle.record_mac(half)[:_HALF] for half in halves)


def check_seal(
    body: bytes, sealed: bytes, number: str, place: tuple[KeySlot, str], masters: MasterKeys
) -> None:
    """Raises `DecodeError` when the seal does not hold, and what `recognise_key` raises."""
    recognise_key(*place, masters)
    if not hmac.compare_digest(seal(body, number, place[0], masters), sealed):
        raise DecodeError(
            "PSAM image",
            len(body),
            Text("密钥服务的签封不符", "the seal of the key service does not hold"),
        )
