"""Whether bytes are something that a person wrote: words or dates, in one of the usual codes.

Decides by how much shorter they can be said than dice: each code and kind of writing gives every
text a probability, and bytes that one of them calls 2^48 times likelier than dice do are a text. As
probabilities add up to 1, no more than one throw in 2^48 is so for one of them, and there are fewer
than 2^6 of them together (`strength` promises 2^-40). Leaves what follows from it to `strength`.

A password thrown by dice, as managers of passwords make it, is likely to no kind of writing.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from math import log2

_SURPLUS_BITS = 48
#: How many of 1,000 letters of names and words, English and pinyin, a to z.
_LETTERS = (
    80, 16, 30, 40, 110, 21, 24, 50, 75, 3, 9, 40, 25,
    72, 76, 20, 2, 58, 63, 86, 30, 11, 23, 4, 23, 9,
)  # fmt: skip
_MARKS = " -_./:\n\r\t\0,;!@#"
#: What fills a text up to the length of a key, and what it costs to say so: how many, of which.
_FILLERS = (b"\0", b" ", b"\xff")
_FILLED_BITS = 7
#: Characters in what cities and card makers write: places, keys, days.
_HAN = (
    "市民卡密钥主根城京上海广州深圳一通银行公司测试系统发方消费圈存交易认证北天津重庆"
    "武汉成都南西安杭苏东中国人共和地铁支付心应用维护传输数据加分散备份保管员甲乙丙丁"
    "号年月日版本的是在有不了我这为大来以个到说们"
)
_Kinds = Mapping[str, float]
#: Kinds of writing: how much of each is letters (of which case), digits, marks, Han characters.
_WRITINGS: tuple[_Kinds, ...] = (
    {"lower": 0.75, "upper": 0.05, "digit": 0.1, "mark": 0.1},
    {"lower": 0.05, "upper": 0.75, "digit": 0.1, "mark": 0.1},
    {"digit": 0.9, "mark": 0.1},
    {"han": 0.7, "digit": 0.15, "lower": 0.05, "upper": 0.05, "mark": 0.05},
)
_HEXADECIMAL = ("0123456789abcdef", "0123456789ABCDEF")
#: Digits of numbers and days, 0 to 9: the small ones are more.
_DIGITS = (0.2, 0.17, 0.13, *(1 / 14,) * 7)
_DATE = re.compile(r"(?:19[5-9]|20[0-4])\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_DATES = 100 * 365
_DATE_SHARE = 1 / 16


def is_text(value: bytes) -> bool:
    """Whether somebody wrote these bytes, rather than threw them.

    >>> is_text(b"onecard-master1"), is_text("Onecard1".encode("utf-16-le"))
    (True, True)
    >>> is_text(bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4"))
    False
    """
    costs = [_bits(text, prices) for text in _readings(value) for prices in _PRICES]
    if value[-1:] in _FILLERS:
        texts = _readings(value.rstrip(value[-1:]))
        costs += [_FILLED_BITS + _bits(text, prices) for text in texts for prices in _PRICES]
    costs.append(_decimal_bits(value.hex()))
    return 8 * len(value) - min(costs) >= _SURPLUS_BITS


def _readings(value: bytes) -> Iterator[str]:
    """In ASCII, whatever the top bit is used for, and in the codes of card makers and offices."""
    parities = {each.bit_count() % 2 for each in value}
    tops = {each >> 7 for each in value}
    if len(parities) == 1 or len(tops) == 1:
        yield bytes(each & 0x7F for each in value).decode("ascii")
    for code in ("utf-8", "gbk", "utf-16-le", "utf-16-be", "cp037"):
        try:
            yield value.decode(code)
        except UnicodeDecodeError:
            continue


def _prices(kinds: _Kinds) -> dict[str, float]:
    """What a character of this kind of writing costs, in bits."""
    shares: dict[str, float] = {}
    for number, share in enumerate(_LETTERS):
        letter = chr(ord("a") + number)
        shares[letter] = kinds.get("lower", 0) * share / sum(_LETTERS)
        shares[letter.upper()] = kinds.get("upper", 0) * share / sum(_LETTERS)
    shares |= dict.fromkeys("0123456789", kinds.get("digit", 0) / 10)
    shares |= dict.fromkeys(_MARKS, kinds.get("mark", 0) / len(_MARKS))
    shares |= dict.fromkeys(_HAN, kinds.get("han", 0) / len(_HAN))
    return {character: -log2(share) for character, share in shares.items() if share}


_PRICES = (
    *map(_prices, _WRITINGS),
    *(dict.fromkeys(digits, 4.0) for digits in _HEXADECIMAL),
)


def _bits(text: str, prices: Mapping[str, float]) -> float:
    return sum(prices.get(character, float("inf")) for character in text)


def _decimal_bits(digits: str) -> float:
    """The cost of digits two a byte (BCD), of which some are days of the calendar."""
    if not digits.isdecimal():
        return float("inf")
    cost, place = 0.0, 0
    while place < len(digits):
        if _DATE.match(digits, place) and _is_day(digits[place : place + 8]):
            cost += log2(_DATES / _DATE_SHARE)
            place += 8
        else:
            cost -= log2(_DIGITS[int(digits[place])] * (1 - _DATE_SHARE))
            place += 1
    return cost


def _is_day(digits: str) -> bool:
    try:
        date.fromisoformat(digits)
    except ValueError:
        return False
    return True
