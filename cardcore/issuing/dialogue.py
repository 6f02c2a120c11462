"""The frame of every dialogue with a chip over SCP03: opened, led step by step, ended with a value.

Decides how steps become commands inside the channel and answers come back, and how a dialogue that
was cut off is gone on with. Leaves what is said in a step to `cardcore.issuing.personalisation`
and `cardcore.issuing.checking`, and carrying commands to whoever has the card.

Nothing here waits or sends: `run` is a generator that yields commands and is sent answers. Every
`Exchange` says how many steps are done; started again with that number (or with 0) on the same
chip it goes on, since every step may be repeated.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.chip import scp03
from cardcore.errors import DecodeError
from cardcore.issuing.orders import CardOrder, PlannedApplication, PlannedKey
from cardcore.issuing.products import CHIP_KEYS, Product
from cardcore.key_labels import chip_label
from cardcore.keys import IssuerChannelKeys, KeyRef, KeyService
from cardcore.layouts.transit import FID_MASTER


class Result(StrEnum):
    """How it ended. Only a refusal may come right by trying again."""

    DONE = "done"  # 完成
    OTHER_CARD = "other-card"  # 卡号不符: the chip in the reader is not the one that was ordered
    REFUSED = "refused"  # 卡片拒绝: the card answered a step with another status word than 9000
    CHECK_FAILED = "check-failed"  # 核对不符: what was read back is not what was written


class Finished(NamedTuple):
    """The end: result, the step it ended at, the status word of a refusal, what is wrong."""

    result: Result
    step: str
    sw: int = StatusWord.OK
    detail: str = ""


class Exchange(NamedTuple):
    """One command for the card. `done` steps are behind it: keep it, to go on from there."""

    command: bytes
    done: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one card needs, decided before the first command."""

    product: Product
    order: CardOrder
    label: str
    applications: tuple[PlannedApplication, ...]


Talk = Generator[Exchange, bytes, Finished]
Dialogue = Generator[CommandApdu, ResponseApdu, None]


class EndError(Exception):
    """Inside a dialogue only: a step cannot go on; it ends the generator with a value."""

    def __init__(self, result: Result, sw: int = StatusWord.OK, detail: str = "") -> None:
        super().__init__(result)
        self.result, self.sw, self.detail = result, sw, detail


#: Stands for the master file, which has no name.
MASTER = FID_MASTER.to_bytes(2, "big")
#: Stands for what has no name.
OTHER = b""


class Desk:
    """What a dialogue has in hand: the open channel, the keys of the card and what is selected.

    A key sent into the card comes with its check value; it is not asked for again.
    """

    def __init__(self, plan: Plan, keys: KeyService, channel: IssuerChannelKeys) -> None:
        self._keys = keys
        self._channel = channel
        self._factor = plan.order.public.factor
        self._check_values: dict[KeyRef, bytes] = {}
        self._entered = MASTER

    def enter(self, name: bytes) -> Dialogue:
        """SELECT by name, or of the master file, without the answer that only a reader wants,
        unless the step before has left just this one selected.
        """
        if name != self._entered:
            response = yield _ENTER_MASTER if name == MASTER else enter_name(name)
            accept(response)
            self._entered = name

    def left(self, name: bytes) -> None:
        """A step has left this one selected."""
        self._entered = name

    def wrapped(self, keys: Sequence[PlannedKey]) -> Iterator[bytes]:
        """Keys as PUT KEY carries them: under the chip's DEK, with their check values."""
        sent = self._channel.wrapped_card_keys([key.ref for key in keys], self._factor)
        size = len(sent) // len(keys)
        for number, key in enumerate(keys):
            end = size * (number + 1)
            self._check_values[key.ref] = sent[end - scp03.CHECK_VALUE_BYTES : end]
            yield sent[end - size : end]

    def check_value(self, key: PlannedKey) -> bytes:
        """3 bytes that the card must show of that key."""
        known = self._check_values.get(key.ref)
        return self._keys.check_value(key.ref, self._factor) if known is None else known


class Step(NamedTuple):
    """One part of a dialogue, which may be repeated."""

    name: str
    run: Callable[[Desk], Dialogue]


Transmit = Callable[[bytes], bytes]


def drive(talk: Talk, transmit: Transmit) -> Finished:
    """Carry a talk to its end over anything that transmits."""
    return drive_together([(talk, transmit)])[0]


def drive_together(stations: Sequence[tuple[Talk, Transmit]]) -> list[Finished]:
    """Carry several talks to their ends in step, a command to each card by turns, as a machine
    with many stations (多工位制卡机) does. What one card answers is nothing to another.
    """
    ended: dict[int, Finished] = {}
    answers: dict[int, bytes | None] = dict.fromkeys(range(len(stations)))
    while answers:
        sent = {}
        for number, answer in answers.items():
            talk = stations[number][0]
            try:
                exchange = next(talk) if answer is None else talk.send(answer)
            except StopIteration as end:
                ended[number] = end.value
                continue
            sent[number] = exchange.command
        answers = {number: stations[number][1](command) for number, command in sent.items()}
    return [ended[number] for number in range(len(stations))]


def run(
    plan: Plan, keys: KeyService, host_challenge: bytes, steps: Sequence[Step], done: int
) -> Talk:
    """Open the channel and lead the steps that are not done yet. The first one says whose chip
    this is: it is led after every start.
    """
    name = "open channel"
    try:
        channel, desk = yield from _open(plan, keys, host_challenge, done)
        for number, step in enumerate(steps):
            if 0 < number < done:
                continue
            name, reached = step.name, max(number, done)
            dialogue = step.run(desk)
            try:
                plain = next(dialogue)
                while True:
                    sent, channel = scp03.wrap_command(channel, plain)
                    answer = yield Exchange(sent, reached)
                    plain = dialogue.send(scp03.unwrap_response(channel, answer))
            except StopIteration:
                pass
    except EndError as end:
        return Finished(end.result, name, end.sw, end.detail)
    except DecodeError as error:
        return Finished(Result.CHECK_FAILED, name, detail=str(error))
    return Finished(Result.DONE, name)


def _open(
    plan: Plan, keys: KeyService, host_challenge: bytes, done: int
) -> Generator[Exchange, bytes, tuple[scp03.Channel, Desk]]:
    """SELECT the chip, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE."""
    label = chip_label(plan.label)
    chip_key, _ = plan.product.key(CHIP_KEYS[0], label)
    select = CommandApdu(0x00, 0xA4, 0x00, 0x00, FID_MASTER.to_bytes(2, "big"), le=256)
    accept(ResponseApdu.decode((yield Exchange(select.encode(), done))))
    update = scp03.initialize_update(chip_key.version, host_challenge)
    raw = ResponseApdu.decode((yield Exchange(update.encode(), done)))
    answer = scp03.InitializeResponse.decode(accept(raw))
    number = answer.diversification
    context = host_challenge + answer.card_challenge
    chip_keys = keys.open_channel(label, answer.key_version, number[-8:], context)
    command, channel = scp03.authenticate_by_host(chip_keys, answer, plan.product.channel_level)
    accept(ResponseApdu.decode((yield Exchange(command, done))))
    return channel, Desk(plan, keys, chip_keys)


def accept(response: ResponseApdu) -> bytes:
    """The data of an answer that is no refusal."""
    if response.sw != StatusWord.OK:
        raise EndError(Result.REFUSED, response.sw)
    return response.data


_ENTER_MASTER = CommandApdu(0x00, 0xA4, 0x00, 0x0C, FID_MASTER.to_bytes(2, "big"))


def select_name(aid: bytes) -> CommandApdu:
    """SELECT by name, with the answer."""
    return CommandApdu(0x00, 0xA4, 0x04, 0x00, aid, le=256)


def enter_name(aid: bytes) -> CommandApdu:
    """SELECT by name, without the answer that only a reader wants."""
    return CommandApdu(0x00, 0xA4, 0x04, 0x0C, aid)


def enter_directory(fid: int) -> CommandApdu:
    """SELECT of a directory by its file id, without an answer."""
    return CommandApdu(0x00, 0xA4, 0x00, 0x0C, fid.to_bytes(2, "big"))


def select_file(fid: int) -> CommandApdu:
    """SELECT of a file of the current directory by its id."""
    return CommandApdu(0x00, 0xA4, 0x02, 0x0C, fid.to_bytes(2, "big"))
