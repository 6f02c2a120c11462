"""The sector payload of a record: one table a kind, in whole units.

Decides which bytes a kind carries beyond the fields that every record has. Leaves what they are
worth to the sectors of settlement; they stand under the record MAC, and under the card's
authentication where no purse moves. A kind without a table carries none. Records of version 1 carry
up to 40 bytes that no table describes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from cardcore import digits
from cardcore.errors import DecodeError
from cardcore.layouts.fixed import ASCII, DATE, HEX, UINT, Coding, FixedLayout, table
from cardcore.records.kinds import ExternalScheme, Funding, RecordKind

NO_TERMINAL = "0" * 12
#: Times of a payload are moments: no zeros in their place.
_TIME = Coding(lambda v, _: digits.encode_time(v), digits.decode_time, "time")


def words(kind: type[Funding] | type[ExternalScheme]) -> Coding:
    """The coding of a closed word in one byte."""

    def decode(data: bytes) -> Funding | ExternalScheme:
        try:
            return kind(int.from_bytes(data, "big"))
        except ValueError as error:
            raise DecodeError(kind.__name__, 0, str(error)) from error

    return Coding(UINT.encode, decode, kind.__name__)


@dataclass(frozen=True, slots=True)
class LoadPayload(FixedLayout):
    """Where the money came from; a refund names the debit it gives back.

    >>> LoadPayload(Funding.REFUND, "000101000001", 7).encode().hex()
    '0200010100000100000007'
    """

    TITLE: ClassVar = "payload of a load"
    SIZE: ClassVar = 11
    SIZE_MIN: ClassVar = 11
    FIELDS: ClassVar = table(
        ("funding", 1, words(Funding)), ("debit_terminal", 6, HEX), ("debit_serial", 4, UINT)
    )

    funding: Funding
    debit_terminal: str = NO_TERMINAL
    debit_serial: int = 0


@dataclass(frozen=True, slots=True)
class PurchasePayload(FixedLayout):
    """The merchant's own number of the sale."""

    TITLE: ClassVar = "payload of a purchase"
    SIZE: ClassVar = 30
    SIZE_MIN: ClassVar = 30
    FIELDS: ClassVar = table(("order_number", 30, ASCII))

    order_number: str


@dataclass(frozen=True, slots=True)
class VisitPayload(FixedLayout):
    """A clinic settlement: the insurance centre's number, and who bears what of the total."""

    TITLE: ClassVar = "payload of a visit"
    SIZE: ClassVar = 46
    SIZE_MIN: ClassVar = 46
    FIELDS: ClassVar = table(
        ("settlement_number", 30, ASCII),
        ("total_fen", 4, UINT),
        ("fund_fen", 4, UINT),
        ("account_fen", 4, UINT),
        ("own_fen", 4, UINT),
    )

    settlement_number: str
    total_fen: int
    fund_fen: int  # 统筹基金支付
    account_fen: int  # 个人账户支付
    own_fen: int  # 个人现金支付


@dataclass(frozen=True, slots=True)
class LoanPayload(FixedLayout):
    """A book lent: its barcode and the day on which it is due."""

    TITLE: ClassVar = "payload of a loan"
    SIZE: ClassVar = 24
    SIZE_MIN: ClassVar = 24
    FIELDS: ClassVar = table(("item", 20, ASCII), ("due", 4, DATE))

    item: str
    due: date


@dataclass(frozen=True, slots=True)
class ReturnPayload(FixedLayout):
    """A book returned, and how many days late."""

    TITLE: ClassVar = "payload of a return"
    SIZE: ClassVar = 22
    SIZE_MIN: ClassVar = 22
    FIELDS: ClassVar = table(("item", 20, ASCII), ("overdue_days", 2, UINT))

    item: str
    overdue_days: int


@dataclass(frozen=True, slots=True)
class EntitlementPayload(FixedLayout):
    """A right used: which, how often it may still be used (65535: without limit), and its end."""

    TITLE: ClassVar = "payload of an entitlement"
    SIZE: ClassVar = 10
    SIZE_MIN: ClassVar = 10
    FIELDS: ClassVar = table(
        ("entitlement", 4, UINT), ("uses_left", 2, UINT), ("valid_to", 4, DATE)
    )

    entitlement: int
    uses_left: int
    valid_to: date


@dataclass(frozen=True, slots=True)
class HirePayload(FixedLayout):
    """A vehicle taken out of its dock. A deposit is only checked or debited elsewhere."""

    TITLE: ClassVar = "payload of a hire"
    SIZE: ClassVar = 16
    SIZE_MIN: ClassVar = 16
    FIELDS: ClassVar = table(("vehicle", 8, HEX), ("dock", 4, UINT), ("deposit_fen", 4, UINT))

    vehicle: str
    dock: int
    deposit_fen: int


@dataclass(frozen=True, slots=True)
class HireReturnedPayload(FixedLayout):
    """A vehicle put back: which, where, and the hire it ends."""

    TITLE: ClassVar = "payload of a returned hire"
    SIZE: ClassVar = 29
    SIZE_MIN: ClassVar = 29
    FIELDS: ClassVar = table(
        ("vehicle", 8, HEX),
        ("dock", 4, UINT),
        ("hire_terminal", 6, HEX),
        ("hire_serial", 4, UINT),
        ("hired_at", 7, _TIME),
    )

    vehicle: str
    dock: int
    hire_terminal: str
    hire_serial: int
    hired_at: datetime


@dataclass(frozen=True, slots=True)
class CardLockedPayload(FixedLayout):
    """A card locked by a terminal: the version of the list that named it."""

    TITLE: ClassVar = "payload of a locked card"
    SIZE: ClassVar = 4
    SIZE_MIN: ClassVar = 4
    FIELDS: ClassVar = table(
        ("list_version", 4, UINT),
    )

    list_version: int


@dataclass(frozen=True, slots=True)
class ExternalPayload(FixedLayout):
    """An instrument of another scheme: its token, its counter, its own cryptogram."""

    TITLE: ClassVar = "payload of an external instrument"
    SIZE: ClassVar = 55
    SIZE_MIN: ClassVar = 55
    FIELDS: ClassVar = table(
        ("scheme", 1, words(ExternalScheme)),
        ("token", 32, HEX),
        ("counter", 4, UINT),
        ("cryptogram", 16, HEX),
        ("cryptogram_bytes", 2, UINT),
    )

    scheme: ExternalScheme
    token: str
    counter: int
    cryptogram: str
    cryptogram_bytes: int


#: The table of each kind that has one.
PAYLOADS: Mapping[RecordKind, type[FixedLayout]] = {
    RecordKind.LOAD: LoadPayload,
    RecordKind.PURCHASE: PurchasePayload,
    RecordKind.VISIT: VisitPayload,
    RecordKind.LOAN: LoanPayload,
    RecordKind.RETURN: ReturnPayload,
    RecordKind.ENTITLEMENT: EntitlementPayload,
    RecordKind.HIRE: HirePayload,
    RecordKind.HIRE_RETURNED: HireReturnedPayload,
    RecordKind.CARD_LOCKED: CardLockedPayload,
    RecordKind.EXTERNAL: ExternalPayload,
}


def payload_sizes(kind: RecordKind) -> frozenset[int]:
    """How many bytes of payload a record of this kind may carry. Where a purse moves its table may
    be left out: the purse says enough.

    >>> sorted(payload_sizes(RecordKind.PURCHASE)), sorted(payload_sizes(RecordKind.VISIT))
    ([0, 30], [46])
    """
    layout = PAYLOADS.get(kind)
    if layout is None:
        return frozenset({0})
    return frozenset({0, layout.SIZE} if kind.moves_purse else {layout.SIZE})


def decode_payload(kind: RecordKind, data: bytes) -> FixedLayout | None:
    """A payload by the table of its kind; None when it was left out.

    Raises `DecodeError` that names the field and its byte in the payload.
    """
    if len(data) not in payload_sizes(kind):
        sizes = " or ".join(map(str, sorted(payload_sizes(kind))))
        raise DecodeError("payload", 0, f"{len(data)} bytes, {kind.name} has {sizes}")
    return PAYLOADS[kind].decode(data) if data else None
