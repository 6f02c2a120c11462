"""Who issued a dumped card, its number and its validity, in the form of its family.

Decides which family a card is of and where that family keeps number and dates. Leaves finding the
files in a dump, and everything else on the card, to `cardcore.dumps.dumps`.

The family is read from the name the card answered with. A dump without one is judged by EF15:
T-Union's issuer ends in FFFFFFFF, City Union repeats its city as the interoperable id, and any
other issuer is of the plain form of JR/T 0025. Fields that were never filled tell nothing.

A City Union card keeps its serial as decimal digits, two a byte; Shanghai's as a binary number.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from cardcore import digits
from cardcore.errors import DecodeError
from cardcore.layouts.city_union import AID_CITY_UNION, CityPublicInformation
from cardcore.layouts.fixed import FixedLayout, read_prefix
from cardcore.layouts.labels import of_field
from cardcore.layouts.transit import AID_CASH, AID_PURSE, PublicInformation
from cardcore.text import Text

_UNUSED = b"\xff" * 4
#: Fields of two bytes that nobody filled.
_EMPTY_CITIES = frozenset({bytes(2), b"\xff\xff"})
_NO_ISSUER = bytes(8)


class CardFamily(StrEnum):
    """Whose rules the public files of a card follow."""

    T_UNION = "t-union"  # 交通联合, JT/T 978
    CITY_UNION = "city-union"  # 城市一卡通, CJ/T 166
    PBOC = "pboc"  # 普通金融钱包: plain JR/T 0025
    BEIJING = "beijing"  # 北京市政交通一卡通, before T-Union
    LINGNAN = "lingnan"  # 岭南通
    SHENZHEN = "shenzhen"  # 深圳通
    UNKNOWN = "unknown"  # 未知


class Public(NamedTuple):
    """What could be read. `card_number` has the digits as stored, `printed_number` as on the card.
    `issuer` and `city` are hexadecimal digits.
    """

    family: CardFamily = CardFamily.UNKNOWN
    card_number: str | None = None
    printed_number: str | None = None
    issuer: str | None = None
    city: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class _OldForm(NamedTuple):
    """Where a card from before the standards keeps number and dates, as public readers read it."""

    number_at: int
    number_bytes: int
    printed_digits: int
    dates_at: int


_NAMES = {
    AID_PURSE: CardFamily.T_UNION,
    AID_CASH: CardFamily.T_UNION,
    AID_CITY_UNION: CardFamily.CITY_UNION,
    b"PAY.APPY": CardFamily.LINGNAN,
    b"PAY.TICL": CardFamily.LINGNAN,
    b"PAY.SZT": CardFamily.SHENZHEN,
}
_OLD_FORMS = {
    CardFamily.BEIJING: _OldForm(0, 8, 16, 24),
    CardFamily.LINGNAN: _OldForm(8, 8, 10, 23),
}
#: Shenzhen Tong prints a number of its own: four bytes of the serial, the lowest first.
_SHENZHEN_NUMBER = slice(16, 20)
#: Cities of City Union whose serial is four bytes of a binary number, highest first.
_BINARY_SERIAL_CITIES = frozenset({"2000"})  # Shanghai
_BINARY_SERIAL = slice(16, 20)


def family_of(names: tuple[bytes, ...], files: Mapping[int, bytes]) -> CardFamily:
    """The family by the names the card answered with, else by the files (SFI to bytes).

    >>> family_of((bytes.fromhex("A00000000386980701"),), {})
    <CardFamily.CITY_UNION: 'city-union'>
    """
    for name in names:
        for known, family in _NAMES.items():
            if name.startswith(known):
                return family
    public = files.get(0x15)
    if public is None:
        return CardFamily.BEIJING if 0x04 in files else CardFamily.UNKNOWN
    if public[:4] == _UNUSED:
        return CardFamily.LINGNAN
    if public[4:8] == _UNUSED:
        return CardFamily.T_UNION
    city = public[2:4]
    if len(public) >= 12 and city == public[10:12] and city not in _EMPTY_CITIES:
        return CardFamily.CITY_UNION
    return CardFamily.UNKNOWN if public[:8] == _NO_ISSUER else CardFamily.PBOC


def read_public(family: CardFamily, data: bytes) -> tuple[Public, tuple[DecodeError, ...]]:
    """Read EF15 (Beijing: file 04) as far as it goes, and say where it did not.

    >>> read_public(CardFamily.T_UNION, bytes.fromhex(
    ...     "00083010FFFFFFFF0201031048300100064125072022"))[0].printed_number
    '3104830010006412507'
    """
    if family in _OLD_FORMS:
        return _read_old(family, _OLD_FORMS[family], data)
    layout: type[FixedLayout] = PublicInformation
    if family is CardFamily.CITY_UNION:
        layout = CityPublicInformation
    values, errors = read_prefix(layout, data)
    issuer = values.get("issuer")
    number = values.get("card_number")
    printed = number
    if family is CardFamily.T_UNION and number is not None:
        printed = number.removeprefix("0")  # 19 digits are printed, 20 stored
    binary = _binary_serial(family, values.get("city"), data)
    if binary is not None:
        number = printed = str(binary)
    if binary is not None or family is CardFamily.UNKNOWN:
        digits_at = next(each for each in layout.FIELDS if each.name == "card_number")
        within = range(digits_at.offset, digits_at.offset + digits_at.length)
        errors = tuple(error for error in errors if error.offset not in within)
    if family is CardFamily.UNKNOWN:  # what is not known is not read as a number of somebody
        number = printed = issuer = None
    return Public(
        family,
        number,
        printed,
        issuer.hex() if isinstance(issuer, bytes) else issuer,
        values.get("city"),
        values.get("valid_from"),
        values.get("valid_to"),
    ), errors


def _binary_serial(family: CardFamily, city: str | None, data: bytes) -> int | None:
    """The serial of a card that keeps it as a binary number; None for other cards."""
    if family is CardFamily.SHENZHEN and len(data) >= _SHENZHEN_NUMBER.stop:
        return int.from_bytes(data[_SHENZHEN_NUMBER], "little")
    binary = family is CardFamily.CITY_UNION and city in _BINARY_SERIAL_CITIES
    if binary and len(data) >= _BINARY_SERIAL.stop:
        return int.from_bytes(data[_BINARY_SERIAL], "big")
    return None


def _read_old(
    family: CardFamily, form: _OldForm, data: bytes
) -> tuple[Public, tuple[DecodeError, ...]]:
    errors = []
    number = None
    try:
        number = digits.decode_bcd(_cut(data, form.number_at, form.number_bytes))
    except DecodeError as error:
        errors.append(_at("card_number", form.number_at, error))
    days: list[date | None] = []
    for name, at in (("valid_from", form.dates_at), ("valid_to", form.dates_at + 4)):
        try:
            days.append(digits.decode_date(_cut(data, at, 4)))
        except DecodeError as error:
            days.append(None)
            errors.append(_at(name, at, error))
    printed = None if number is None else number[-form.printed_digits :]
    return Public(family, number, printed, None, None, *days), tuple(errors)


def _cut(data: bytes, at: int, length: int) -> bytes:
    piece = data[at : at + length]
    if len(piece) < length:
        reason = Text(f"到第 {len(data)} 字节为止", f"ends after {len(data)} bytes")
        raise DecodeError("public file", len(piece), reason)
    return piece


def _at(name: str, offset: int, error: DecodeError) -> DecodeError:
    return DecodeError("public file", offset + error.offset, of_field(name, error.said))
