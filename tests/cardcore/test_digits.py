from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore import digits
from cardcore.errors import DecodeError


@given(st.integers(1, 10), st.data())
def test_digits_come_back_with_leading_zeros(length: int, data: st.DataObject) -> None:
    number = data.draw(st.text("0123456789", min_size=1, max_size=2 * length))
    assert digits.decode_bcd(digits.encode_bcd(number, length)) == number.zfill(2 * length)


@given(st.dates())
def test_every_day_comes_back(day: date) -> None:
    assert digits.decode_date(digits.encode_date(day)) == day


@given(st.datetimes().map(lambda moment: moment.replace(microsecond=0)))
def test_every_second_comes_back(moment: datetime) -> None:
    assert digits.decode_time(digits.encode_time(moment)) == moment


@pytest.mark.parametrize("bad", ["", "12a4", "１２", "123456789", "-1"])
def test_what_is_no_number_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        digits.encode_bcd(bad, 4)


def test_a_half_byte_that_is_no_digit_is_refused_with_its_place() -> None:
    with pytest.raises(DecodeError, match="half-byte f") as caught:
        digits.decode_bcd(bytes.fromhex("123f"))
    assert caught.value.offset == 1


@pytest.mark.parametrize("bad", ["20180229", "00000000", "20181301", "2018", "2018010101"])
def test_what_is_no_day_is_refused(bad: str) -> None:
    with pytest.raises(DecodeError):
        digits.decode_date(bytes.fromhex(bad))


@pytest.mark.parametrize(
    "bad",
    ["20180901240000", "20180901096000", "00000000000000", "201809010942", "2018090109423100"],
)
def test_what_is_no_time_is_refused(bad: str) -> None:
    with pytest.raises(DecodeError):
        digits.decode_time(bytes.fromhex(bad))
