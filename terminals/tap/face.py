"""The public face of a card: what a terminal reads of a purse before it touches it.

Decides which form the public files of an application have, by the name under which the card was
found, and what a terminal makes of them. Leaves whether such a card may pass to `decisions`.

Three forms. T-Union: EF15 and, beside it, EF17 with the kind of the card and whether it travels.
City Union (CJ/T 166): its own EF15, which says itself whether it travels; its SFI 17 is something
else, so a kind is not known. Every other purse: the EF15 of T-Union alone.
"""

from dataclasses import dataclass, replace
from datetime import date

from cardcore import tlv
from cardcore.errors import DecodeError
from cardcore.layouts.city_union import AID_CITY_UNION, CityPublicInformation
from cardcore.layouts.transit import AID_PURSE, CardProperties, PublicInformation

PUBLIC_INFORMATION_TAG = 0x9F0C
#: A record has 20 digits for a card number; a City Union card has 16.
_NUMBER_DIGITS = 20
_ISSUER_FILL = bytes.fromhex("FFFFFFFF")


@dataclass(frozen=True, slots=True)
class CardFace:
    """What the public files of one application say. `card_kind` is 0 where none says it."""

    issuer: bytes  # 8 bytes, as a record has them
    card_number: str  # 20 digits, as a record has them
    factor: bytes  # of the card's keys
    is_enabled: bool
    valid_from: date
    valid_to: date
    interoperable: bool
    has_properties: bool  # EF17 has more to say
    card_kind: int = 0

    def with_properties(self, properties: CardProperties) -> "CardFace":
        """The face with what EF17 adds."""
        return replace(self, interoperable=properties.interoperable, card_kind=properties.card_kind)


def read_face(aid: bytes, fci: bytes) -> CardFace:
    """The face out of the FCI that came with SELECT of `aid`: tag 9F0C is a copy of EF15.

    Shenzhen's copy is two bytes longer. Raises `DecodeError` when there is no such copy.
    """
    found = tlv.find(tlv.decode_all(fci), PUBLIC_INFORMATION_TAG)
    if found is None:
        raise DecodeError("FCI", 0, "has no public information 9F0C")
    if aid == AID_CITY_UNION:
        return _city_union(CityPublicInformation.decode(found.content))
    public = PublicInformation.decode(found.content[: PublicInformation.SIZE])
    return CardFace(
        issuer=public.issuer,
        card_number=public.card_number,
        factor=public.factor,
        is_enabled=public.application_version != 0,
        valid_from=public.valid_from,
        valid_to=public.valid_to,
        interoperable=False,
        has_properties=aid == AID_PURSE,
    )


def _city_union(public: CityPublicInformation) -> CardFace:
    """Its issuer and its city stand where T-Union has both in one; the last 16 digits of a number
    are the factor in both forms. Published cards in use have the application version 0.
    """
    return CardFace(
        issuer=bytes.fromhex(public.issuer + public.city) + _ISSUER_FILL,
        card_number=public.card_number.zfill(_NUMBER_DIGITS),
        factor=public.factor,
        is_enabled=True,
        valid_from=public.valid_from,
        valid_to=public.valid_to,
        interoperable=public.interoperable,
        has_properties=False,
    )
