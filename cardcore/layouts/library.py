"""The files of the library application (图书馆应用).

Decides which field stands at which byte of the reader's file and of a loan. Leaves the rules of
lending to the library's own system: the card only shows a self-check machine that is offline what
it needs to know. No national standard describes these files; the layout is ours.
"""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from cardcore.layouts.fixed import ASCII, DATE, UINT, FixedLayout, table

LOAN_RECORDS = 10


class DepositState(IntEnum):
    """What became of the reader's deposit (押金)."""

    NONE = 0  # 信用免押: none is asked for
    PAID = 1  # 已交押金
    REFUNDED = 2  # 已退押金
    HELD = 3  # 押金暂扣: kept until a lost item is paid for


class LoanState(IntEnum):
    """What the last machine did with an item."""

    ON_LOAN = 1  # 借出
    RETURNED = 2  # 已还
    RENEWED = 3  # 续借


@dataclass(frozen=True, slots=True)
class ReaderInformation(FixedLayout):
    """EF15 of the library, 48 bytes.

    >>> reader = ReaderInformation("SZ0000123456", "SZLIB01", 1, 10, 30, DepositState.PAID, 10000,
    ...                            date(2024, 1, 1), date(2034, 12, 31))
    >>> ReaderInformation.decode(reader.encode()) == reader
    True
    """

    TITLE = "library EF15"
    SIZE = SIZE_MIN = 48
    FIELDS = table(
        ("reader_number", 16, ASCII),
        ("home_library", 8, ASCII),
        ("reader_class", 1, UINT),
        ("loans_max", 1, UINT),
        ("loan_days", 2, UINT),
        ("deposit_state", 1, UINT),
        ("deposit_fen", 4, UINT),
        ("valid_from", 4, DATE),
        ("valid_to", 4, DATE),
        ("reserved", 7, UINT),
    )

    reader_number: str  # 读者证号
    home_library: str  # 所属馆
    reader_class: int  # 读者类型: 1 adult, 2 child, 3 staff; a library adds its own
    loans_max: int
    loan_days: int
    deposit_state: int
    deposit_fen: int
    valid_from: date
    valid_to: date
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class LoanRecord(FixedLayout):
    """One entry of the loan index, EF18, 32 bytes, newest first.

    >>> loan = LoanRecord("0440012345678", "SZLIB02", date(2024, 3, 1), date(2024, 3, 31))
    >>> LoanRecord.decode(loan.encode()) == loan
    True
    """

    TITLE = "library EF18"
    SIZE = SIZE_MIN = 32
    FIELDS = table(
        ("item", 14, ASCII),
        ("library", 8, ASCII),
        ("lent_on", 4, DATE),
        ("due_on", 4, DATE),
        ("state", 1, UINT),
        ("renewals", 1, UINT),
    )

    item: str  # barcode of the item 条码
    library: str
    lent_on: date
    due_on: date
    state: int = LoanState.ON_LOAN
    renewals: int = 0
