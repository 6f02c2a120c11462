"""What a session is given, what it can ask its caller to do, and what the caller can answer.

Decides the vocabulary only. Each action names the kind of its answer; who gives another kind has
made a mistake that the session asserts against.
"""

from dataclasses import dataclass
from datetime import datetime

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.records.record import TransactionRecord
from terminals.device import Device
from terminals.partners.ports import HostAnswer, LoadQuestion
from terminals.tap.decisions import AskedPurse
from terminals.tap.role import DeviceRole
from terminals.taps import Intent, TapOutcome, TapRequest, TapResult, TapState


@dataclass(frozen=True, slots=True)
class TapContext:
    """All a session is given. `time` has whole seconds, as card and record write it.

    `purses` are asked for in their order. `torn_card` is the card of this very request when it was
    torn before; `psam_sequence` the last number the PSAM gave since it has power, or None: only for
    that one can it still check a MAC2.
    """

    role: DeviceRole
    purses: tuple[AskedPurse, ...]
    device: Device
    request: TapRequest
    time: datetime
    torn_card: str | None = None
    psam_sequence: int | None = None


@dataclass(frozen=True, slots=True)
class ToCard:
    """Send to the card; the answer is a `ResponseApdu`."""

    command: CommandApdu


@dataclass(frozen=True, slots=True)
class ToPsam:
    """Send to the PSAM; the answer is a `ResponseApdu`."""

    command: CommandApdu


@dataclass(frozen=True, slots=True)
class FindIntent:
    """Ask the journal for a torn tap of this card's purse; the answer is an `Intent` or None."""

    card_number: str
    application: int


@dataclass(frozen=True, slots=True)
class StoreIntent:
    """Make the intent durable; the answer is the tap's number."""

    draft: TransactionRecord


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """End a tap with its record; the answer is the record with its serial."""

    tap: int
    outcome: TapOutcome
    record: TransactionRecord
    also_answers: bool


@dataclass(frozen=True, slots=True)
class StoreVoid:
    """End a tap that never moved the purse; the answer is None."""

    tap: int


@dataclass(frozen=True, slots=True)
class StoreEnd:
    """End a tap without a record, lapsed or forged; the answer is None."""

    tap: int
    state: TapState
    outcome: TapOutcome


@dataclass(frozen=True, slots=True)
class Finish:
    """The tap is over."""

    result: TapResult


Action = (
    ToCard | ToPsam | LoadQuestion | FindIntent | StoreIntent | StoreRecord | StoreVoid | StoreEnd
    | Finish
)  # fmt: skip
Reply = ResponseApdu | HostAnswer | Intent | TransactionRecord | int | None
