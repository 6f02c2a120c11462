"""What a device asks of what stands behind it, and what it is answered: ports without wires.

Decides the vocabulary only. Who answers has a file of its own beside this one; how bytes travel
there is its own business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from cardcore.keys import KeyService
from cardcore.records.load_log import AllowedLoad
from cardcore.records.payloads import LoadPayload
from cardcore.text import Text
from terminals.taps import TapOutcome


@dataclass(frozen=True, slots=True)
class LoadQuestion:
    """What a load host is asked; the answer is a `HostAnswer`. `application` is the code of the
    purse, which has keys of its own; `funding` is whose money it is.
    """

    application: int
    card_number: str
    funding: LoadPayload
    factor: bytes
    key_version: int
    random: bytes
    online_counter: int
    balance_before_fen: int
    amount_fen: int
    terminal: str
    time: datetime
    mac1: bytes


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """MAC2, or why there is none."""

    mac2: bytes = b""
    refusal: TapOutcome | None = None


class LoadLog(Protocol):
    """Where the load host keeps what it allowed; `journal.load_log.LoadLog` is one."""

    def append(self, load: AllowedLoad) -> AllowedLoad:
        """Keep it, durable when this returns, with the number it got. `JournalFullError` when
        there is no room.
        """
        ...


@runtime_checkable
class Authoriser(Protocol):
    """The load host as a kiosk sees it; `load_host.LoadHost` is one."""

    def authorise(self, question: LoadQuestion) -> HostAnswer:
        """Check the card's MAC1 and give MAC2, or refuse."""
        ...


@dataclass(frozen=True, slots=True)
class PartnerSetting:
    """What a partner is started with: the key service, the city whose keys it asks for, and the
    log of what a load host allows.
    """

    keys: KeyService
    city: str
    load_log: LoadLog


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner that devices may have. `start` makes it ready for a city."""

    name: str
    title: Text
    start: Callable[[PartnerSetting], Authoriser]
