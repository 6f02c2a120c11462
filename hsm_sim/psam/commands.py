"""Commands of the PSAM as decisions: a handler takes a context and a command and returns a `Reply`.

Decides what a handler may see and what it may ask for. The commands stand in the files beside
it; `module` carries out what they decide, so a refused command has changed nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cardcore.apdu import CommandApdu, StatusWord
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.psam.image import Held
from hsm_sim.psam.keys import PsamKey, PsamKeyType
from hsm_sim.psam.profile import APPLICATION, PsamProfile


@dataclass(frozen=True, slots=True)
class Numbers:
    """Sequence numbers (终端交易序号), kept while there is power. One counter stands under both
    types, so a number given to one is never given to the other.

    After power came back all three are the last number that may have been given before.
    """

    last: int
    purchase: int  # the last one given for type 06, EF18
    composite: int  # the last one given for type 09, EF19


@dataclass(frozen=True, slots=True)
class Chain:
    """A MAC that is not finished: what has come so far."""

    initial: bytes
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The temporary key (临时密钥): which one it is. Its bytes exist within one command only."""

    key: PsamKey
    factor: bytes
    chain: Chain | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What SELECT and a reset forget. `expected_mac2` is there while a transaction is open."""

    directory: int = APPLICATION
    expected_mac2: bytes | None = field(default=None, repr=False)
    challenge: bytes = field(default=b"", repr=False)
    delivered: Delivered | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler sees. `random` gives that many fresh bytes."""

    profile: PsamProfile
    keys: Mapping[tuple[PsamKeyType, int], PsamKey]
    masters: MasterKeys
    random: Callable[[int], bytes]
    held: Held
    numbers: Numbers
    session: Session


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler decided. None: that part stays as it is."""

    data: bytes = b""
    sw: int = StatusWord.OK
    session: Session | None = None
    numbers: Numbers | None = None
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A proof is about to be compared. `spend` is written before `compare` may be called, so that
    power lost in between costs a try and never gives one.
    """

    spend: Held
    compare: Callable[[], Reply]


#: A status word refuses; so does any other number, which is one with a detail (6Cxx).
Decision = int | Reply | Attempt
Handler = Callable[[Context, CommandApdu], Decision]


def fits(le: int | None, length: int) -> bool:
    """Whether an answer of that length is what Le asks for; no Le and Le 00 take what there is."""
    return le in {None, 256, length}
