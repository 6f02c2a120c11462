"""BCD digits, dates and times as cards and terminals write them.

Decides how digits become bytes and which digit strings are dates. Leaves time zones to others:
a card's clock is the city's wall clock.
"""

from datetime import date, datetime
from functools import lru_cache

from cardcore.errors import DecodeError
from cardcore.text import Text

#: Two digits in a byte: what a number from 0 to 99 is written as.
_TWO_DIGITS = tuple(tens << 4 | ones for tens in range(10) for ones in range(10))
_HOURS, _SIXTY = frozenset(_TWO_DIGITS[:24]), frozenset(_TWO_DIGITS[:60])
#: Days of one terminal's traffic, and of the cards it sees.
_DAYS_KEPT = 1024


def encode_bcd(digits: str, length: int) -> bytes:
    """Pack decimal digits into `length` bytes, leading zeros added.

    >>> encode_bcd("231017343", 6).hex()
    '000231017343'
    """
    if not digits.isascii() or not digits.isdigit() or len(digits) > 2 * length:
        raise ValueError(f"{digits!r} is not a number of at most {2 * length} digits")
    return bytes.fromhex(digits.zfill(2 * length))


def decode_bcd(data: bytes) -> str:
    """Unpack bytes into their decimal digits.

    >>> decode_bcd(bytes.fromhex("0310"))
    '0310'

    Raises `DecodeError` when a half-byte is not a digit.
    """
    digits = data.hex()
    if digits and not digits.isdigit():
        position = next(i for i, digit in enumerate(digits) if not digit.isdigit())
        raise DecodeError("BCD digits", position // 2, _no_digit(digits[position]))
    return digits


def encode_date(day: date) -> bytes:
    """Four bytes YYYYMMDD.

    >>> encode_date(date(2018, 9, 1)).hex()
    '20180901'
    """
    two, year = _TWO_DIGITS, day.year
    return bytes((two[year // 100], two[year % 100], two[day.month], two[day.day]))


def decode_date(data: bytes) -> date:
    """Four bytes YYYYMMDD to a date; `DecodeError` when there is no such day."""
    digits = decode_bcd(data)
    if len(digits) != 8:
        raise DecodeError("date", len(data), wrong_length(len(data), 4))
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError as error:
        raise DecodeError("date", 0, Text(f"{digits} 不是日期", f"{digits} is no day")) from error


@lru_cache(maxsize=_DAYS_KEPT)
def is_date(data: bytes) -> bool:
    """Whether these four bytes are a day of the calendar.

    >>> [is_date(bytes.fromhex(text)) for text in ("20240229", "20230229", "99999999", "0000000A")]
    [True, False, False, False]
    """
    try:
        decode_date(data)
    except DecodeError:
        return False
    return True


def is_time(data: bytes) -> bool:
    """Whether these seven bytes are a moment of the calendar. Asked at every debit.

    >>> is_time(bytes.fromhex("20180901235959")), is_time(bytes.fromhex("20180901240000"))
    (True, False)
    """
    hour, minute, second = data[4:7]
    return hour in _HOURS and minute in _SIXTY and second in _SIXTY and is_date(data[:4])


def encode_time(moment: datetime) -> bytes:
    """Seven bytes YYYYMMDDHHMMSS; the first four are the date, the last three the time.

    >>> encode_time(datetime(2018, 9, 1, 9, 42, 31)).hex()
    '20180901094231'
    """
    two = _TWO_DIGITS
    return encode_date(moment) + bytes((two[moment.hour], two[moment.minute], two[moment.second]))


def decode_time(data: bytes) -> datetime:
    """Seven bytes YYYYMMDDHHMMSS to a moment; `DecodeError` when there is none.

    >>> decode_time(bytes.fromhex("20180901094231"))
    datetime.datetime(2018, 9, 1, 9, 42, 31)
    """
    digits = decode_bcd(data)
    if len(digits) != 14:
        raise DecodeError("time", len(data), wrong_length(len(data), 7))
    try:
        return datetime(  # noqa: DTZ001 - wall clock of the city
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:]),
        )
    except ValueError as error:
        raise DecodeError("time", 0, Text(f"{digits} 不是时间", f"{digits} is no time")) from error


def wrong_length(found: int, needed: int) -> Text:
    """That bytes are more or fewer than they have to be.

    >>> wrong_length(3, 4).en
    '3 bytes, not 4'
    """
    return Text(f"有 {found} 字节，应为 {needed}", f"{found} bytes, not {needed}")


def _no_digit(half: str) -> Text:
    return Text(f"半字节 {half} 不是数字", f"half-byte {half} is no digit")
