"""Personalisation (制卡): a chip in stock becomes somebody's card, over SCP03, step by step.

Decides which commands are sent, in which order, and when the card is done. Leaves carrying them to
whoever has the card (in process, PC/SC, a desk far away), keys to the key service, and what the
card contains to `cardcore.issuing.orders`.

Nothing here waits or sends: `personalise` is a generator that yields commands and is sent answers.
It can be cut off anywhere. Every `Exchange` says how many steps are done; started again with that
number (or with 0) on the same chip it goes on, since every step may be repeated: a package goes on
with the next block, an application that is there is left alone, a key or a file is written over.
`void` takes an unfinished card back to stock, `extend` adds applications to a card in use. The
last step reads everything back, by itself.

Steps: the number of the chip is looked at and its dates and holder written, then for each
application package, keys and PIN, then the check of everything.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.chip import scp03
from cardcore.chip.cardkeys import Pin
from cardcore.chip.tree import BODY_SLOT, DedicatedFile, ElementaryFile, Structure
from cardcore.errors import DecodeError
from cardcore.issuing.orders import CardOrder, PlannedApplication, plan_applications
from cardcore.issuing.products import CHIP_KEYS, Product
from cardcore.key_labels import chip_label
from cardcore.keys import IssuerChannelKeys, KeyService
from cardcore.layouts.transit import FID_MASTER, PPSE_NAME, Sfi
from cardcore.limits import CHANNEL_RESPONSE_BYTES_MAX

#: Data of one LOAD: what level 33 still carries in a short APDU, rounded down to whole blocks.
BLOCK_BYTES = 224
#: Keys of one PUT KEY: a head of 6 bytes, 16 enciphered and 3 of check value each; nine are what
#: level 33 carries in a short APDU.
KEYS_AT_ONCE = 9
_SHOWN_BYTES = 3  # of a key in GET DATA 00E0, before its check value: usage, index, version
_KEY_ROW_BYTES = 6
_NUMBER = slice(10, 20)  # of EF15


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
_Dialogue = Generator[CommandApdu, ResponseApdu, None]


class _EndError(Exception):
    """Inside this module only: a step cannot go on; it ends the generator with a value."""

    def __init__(self, result: Result, sw: int = StatusWord.OK, detail: str = "") -> None:
        super().__init__(result)
        self.result, self.sw, self.detail = result, sw, detail


class _Step(NamedTuple):
    name: str
    run: Callable[[IssuerChannelKeys], _Dialogue]


def make_plan(product: Product, order: CardOrder, label: str) -> Plan:
    """The plan of one card; `ValueError` when the order does not fit the product."""
    return Plan(product, order, label, plan_applications(product, order, label))


def personalise(plan: Plan, keys: KeyService, host_challenge: bytes, done: int = 0) -> Talk:
    """Make the card. Yields what to send, is sent the answers, returns how it ended.

    `host_challenge` is 8 fresh random bytes, `done` the number of an earlier `Exchange` or 0.
    Raises `CryptogramError` when the chip has not our keys or answers are not the chip's.
    """
    return _run(plan, keys, host_challenge, _steps(plan, keys), done)


def extend(
    plan: Plan, names: Collection[str], keys: KeyService, host_challenge: bytes, done: int = 0
) -> Talk:
    """Put these applications of the plan onto a card already in use; all others stay as they are.

    Parameters, answers and errors as those of `personalise`.
    """
    added = [each for each in plan.applications if each.name in names]
    assert len(added) == len(names), "an application that is not in the plan"
    steps = [_Step("look", partial(_look, plan)), *_application_steps(plan, keys, added)]
    steps.append(_Step("check", partial(_check_applications, plan, keys, added)))
    return _run(plan, keys, host_challenge, steps, done)


def void(plan: Plan, keys: KeyService, host_challenge: bytes) -> Talk:
    """Take a card back to stock: every application of the plan, a package on its way, the holder.

    Refused when there is money on the card.
    """
    steps = [_Step("look", partial(_look, plan)), _Step("forget package", lambda _: _forget())]
    steps += [
        _Step(f"delete {each.name}", lambda _, aid=each.aid: _delete(aid))  # type: ignore[misc]
        for each in reversed(plan.applications)
    ]
    empty = CardOrder(plan.order.public).holder.encode()
    steps.append(_Step("holder", lambda _: _write_master(Sfi.HOLDER, empty)))
    return _run(plan, keys, host_challenge, steps, 0)


def drive(talk: Talk, transmit: Callable[[bytes], bytes]) -> Finished:
    """Carry a talk to its end over anything that transmits."""
    try:
        exchange = next(talk)
        while True:
            exchange = talk.send(transmit(exchange.command))
    except StopIteration as end:
        finished: Finished = end.value
        return finished


def _run(
    plan: Plan, keys: KeyService, host_challenge: bytes, steps: list[_Step], done: int
) -> Talk:
    name = "open channel"
    try:
        channel, chip_keys = yield from _open(plan, keys, host_challenge, done)
        # The first step says whose chip this is: it is looked at again after every start.
        for number, step in enumerate(steps):
            if 0 < number < done:
                continue
            name = step.name
            dialogue = step.run(chip_keys)
            answer: ResponseApdu | None = None
            while True:
                try:
                    plain = dialogue.send(answer) if answer else next(dialogue)
                except StopIteration:
                    break
                sent, channel = scp03.wrap_command(channel, plain)
                raw = yield Exchange(sent.encode(), max(number, done))
                answer = scp03.unwrap_response(channel, ResponseApdu.decode(raw))
    except _EndError as end:
        return Finished(end.result, name, end.sw, end.detail)
    except DecodeError as error:
        return Finished(Result.CHECK_FAILED, name, detail=str(error))
    return Finished(Result.DONE, name)


def _open(
    plan: Plan, keys: KeyService, host_challenge: bytes, done: int
) -> Generator[Exchange, bytes, tuple[scp03.Channel, IssuerChannelKeys]]:
    """SELECT the chip, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE."""
    label = chip_label(plan.label)
    chip_key, _ = plan.product.key(CHIP_KEYS[0], label)
    select = CommandApdu(0x00, 0xA4, 0x00, 0x00, FID_MASTER.to_bytes(2, "big"), le=256)
    _accept(ResponseApdu.decode((yield Exchange(select.encode(), done))))
    update = scp03.initialize_update(chip_key.version, host_challenge)
    raw = ResponseApdu.decode((yield Exchange(update.encode(), done)))
    answer = scp03.InitializeResponse.decode(_accept(raw))
    number = answer.diversification
    context = host_challenge + answer.card_challenge
    chip_keys = keys.open_channel(label, answer.key_version, number[-8:], context)
    command, channel = scp03.authenticate_by_host(chip_keys, answer, plan.product.channel_level)
    _accept(ResponseApdu.decode((yield Exchange(command.encode(), done))))
    return channel, chip_keys


def _steps(plan: Plan, keys: KeyService) -> list[_Step]:
    """Each may be repeated. The first looks at the chip, the last at everything on it."""
    order = plan.order
    steps = [
        _Step("look", partial(_look, plan)),
        _Step("dates", lambda _: _write_master(Sfi.PUBLIC, order.public.encode())),
        _Step("holder", lambda _: _write_master(Sfi.HOLDER, order.holder.encode())),
    ]
    steps += _application_steps(plan, keys, plan.applications)
    steps.append(_Step("check", partial(_check, plan, keys)))
    return steps


def _application_steps(
    plan: Plan, keys: KeyService, applications: Sequence[PlannedApplication]
) -> list[_Step]:
    steps = []
    for each in applications:
        steps.append(_Step(f"install {each.name}", partial(_install, each)))
        steps.append(_Step(f"keys of {each.name}", partial(_put_keys, plan, keys, each)))
        if each.pin_tries:
            steps.append(_Step(f"PIN of {each.name}", partial(_put_pin, plan, each)))
    return steps


def _accept(response: ResponseApdu) -> bytes:
    if response.sw != StatusWord.OK:
        raise _EndError(Result.REFUSED, response.sw)
    return response.data


def _look(plan: Plan, _: IssuerChannelKeys) -> _Dialogue:
    """Whether this is the chip that was ordered: its number is what its keys are made from."""
    yield from _select_master()
    public = _accept((yield CommandApdu(0x00, 0xB0, 0x80 | Sfi.PUBLIC, 0x00, le=256)))
    if public[_NUMBER] != plan.order.public.encode()[_NUMBER]:
        raise _EndError(Result.OTHER_CARD, detail=f"the chip is {public[_NUMBER].hex()}")


def _select_master() -> _Dialogue:
    _accept((yield CommandApdu(0x00, 0xA4, 0x00, 0x0C, FID_MASTER.to_bytes(2, "big"))))


def _write_master(sfi: Sfi, content: bytes) -> _Dialogue:
    yield from _select_master()
    _accept((yield CommandApdu(0x00, 0xD6, 0x80 | sfi, 0x00, content)))


def _install(planned: PlannedApplication, _: IssuerChannelKeys) -> _Dialogue:
    """Unless it is there already, the package in blocks, beginning where the card is."""
    response = yield _select_name(planned.aid)
    if response.ok:
        return
    if response.sw != StatusWord.FILE_NOT_FOUND:
        raise _EndError(Result.REFUSED, response.sw)
    package = planned.package.encode()
    announced = len(package).to_bytes(4, "big") + hashlib.sha256(package).digest()
    first = int.from_bytes(_accept((yield CommandApdu(0x80, 0xE6, 0x02, 0x00, announced, 256))))
    blocks = range(0, len(package), BLOCK_BYTES)
    for block, at in list(enumerate(blocks))[first:]:
        p1, p2 = block.to_bytes(2, "big")
        data = package[at : at + BLOCK_BYTES]
        _accept((yield CommandApdu(0x80, 0xE8, p1, p2, data)))
    _accept((yield CommandApdu(0x80, 0xE6, 0x0C, 0x00)))


def _select_name(aid: bytes) -> CommandApdu:
    return CommandApdu(0x00, 0xA4, 0x04, 0x00, aid, le=256)


def _enter(aid: bytes) -> CommandApdu:
    """SELECT by name, without the answer that only a reader wants."""
    return CommandApdu(0x00, 0xA4, 0x04, 0x0C, aid)


def _put_keys(
    plan: Plan, keys: KeyService, planned: PlannedApplication, chip_keys: IssuerChannelKeys
) -> _Dialogue:
    """PUT KEY, as many in a command as it carries. For each the head of its record, the key under
    the chip's DEK, its check value.
    """
    _accept((yield _enter(planned.aid)))
    factor = plan.order.public.factor
    for first in range(0, len(planned.slots), KEYS_AT_ONCE):
        sent, data = [], b""
        for slot in planned.slots[first : first + KEYS_AT_ONCE]:
            ref, algorithm = plan.product.key(slot, planned.key_label)
            head = slot.head(ref.version, algorithm)
            data += head + chip_keys.wrapped_card_key(ref, factor) + keys.check_value(ref, factor)
            sent.append((ref, algorithm))
        response = yield CommandApdu(0x80, 0xD8, 0x00, 0x00, data)
        if response.sw == StatusWord.DATA_WRONG:
            said = ", ".join(f"{ref} algorithm {algorithm:02X}" for ref, algorithm in sent)
            detail = f"the card finds another check value; the product says {said}"
            raise _EndError(Result.REFUSED, response.sw, f"{detail}: what is the key's?")
        _accept(response)


def _put_pin(plan: Plan, planned: PlannedApplication, _: IssuerChannelKeys) -> _Dialogue:
    _accept((yield _enter(planned.aid)))
    pin = Pin.fresh(plan.order.pin, planned.pin_tries)
    _accept((yield CommandApdu(0x80, 0xD8, 0x00, 0x00, pin.encode())))


def _forget() -> _Dialogue:
    _accept((yield CommandApdu(0x80, 0xE4, 0x00, 0x00)))


def _delete(aid: bytes) -> _Dialogue:
    yield from _select_master()
    response = yield CommandApdu(0x80, 0xE4, 0x00, 0x00, aid)
    if response.sw != StatusWord.FILE_NOT_FOUND:
        _accept(response)


def _check(plan: Plan, keys: KeyService, chip_keys: IssuerChannelKeys) -> _Dialogue:
    """Read back number, dates and holder, then the applications."""
    yield from _select_master()
    for sfi, content in (
        (Sfi.PUBLIC, plan.order.public.encode()),
        (Sfi.HOLDER, plan.order.holder.encode()),
    ):
        read = _accept((yield CommandApdu(0x00, 0xB0, 0x80 | sfi, 0x00, le=256)))
        _expect(read, content, f"EF{sfi:02X}")
    yield from _check_applications(plan, keys, plan.applications, chip_keys)


def _check_applications(
    plan: Plan,
    keys: KeyService,
    applications: Sequence[PlannedApplication],
    _: IssuerChannelKeys,
) -> _Dialogue:
    """The directory that readers look at, every readable file, the check value of every key."""
    listed = _accept((yield _select_name(PPSE_NAME)))
    for planned in applications:
        assert planned.package.entry is not None, "every application is in the directory"
        if planned.package.entry.encode().encode() not in listed:
            raise _EndError(Result.CHECK_FAILED, detail=f"{planned.name} is not in the PPSE")
        _accept((yield _select_name(planned.aid)))
        rows = _accept((yield CommandApdu(0x80, 0xCA, 0x00, 0xE0, le=256)))
        shown = {rows[at : at + _KEY_ROW_BYTES] for at in range(0, len(rows), _KEY_ROW_BYTES)}
        for slot in planned.slots:
            ref = plan.product.key(slot, planned.key_label)[0]
            value = keys.check_value(ref, plan.order.public.factor)
            if slot.head(ref.version, 0)[:_SHOWN_BYTES] + value not in shown:
                raise _EndError(Result.CHECK_FAILED, detail=f"{planned.name}: key {ref}")
        yield from _check_files(planned)


def _check_files(planned: PlannedApplication) -> _Dialogue:
    """Every file that may be read, against the package it came in."""
    tree = planned.package.tree
    directories = {file.number: file for file in tree if isinstance(file, DedicatedFile)}
    current = tree[0].number
    for file in tree:
        if not isinstance(file, ElementaryFile) or not file.read.ways:
            continue
        if file.parent != current:
            fid = directories[file.parent].fid.to_bytes(2, "big")
            _accept((yield CommandApdu(0x00, 0xA4, 0x00, 0x0C, fid)))
            current = file.parent
        if not file.sfi:
            fid = file.fid.to_bytes(2, "big")
            _accept((yield CommandApdu(0x00, 0xA4, 0x02, 0x0C, fid)))
        if file.structure is Structure.TRANSPARENT:
            yield from _check_body(planned, file)
        else:
            yield from _check_records(planned, file)


def _check_body(planned: PlannedApplication, file: ElementaryFile) -> _Dialogue:
    """From its start to its end. A short id selects the file as it is first read; without one it
    has been selected.
    """
    content = planned.package.cells[file.number << 8 | BODY_SLOT]
    at = 0
    while at < len(content):
        p1 = 0x80 | file.sfi if file.sfi and not at else at >> 8
        read = _accept((yield CommandApdu(0x00, 0xB0, p1, at & 0xFF, le=256)))
        if not read or read != content[at : at + len(read)]:
            raise _EndError(Result.CHECK_FAILED, detail=_name(planned, file))
        at += len(read)


def _check_records(planned: PlannedApplication, file: ElementaryFile) -> _Dialogue:
    """From each record on to the end: as many whole ones as one answer carries. An answer with
    room for one more was the last.
    """
    cells = planned.package.cells
    records = [cells[cell] for cell in file.record_cells(cells)]
    number, ended = 1, False
    while not ended:
        response = yield CommandApdu(0x00, 0xB2, number, file.sfi << 3 | 0x05, le=256)
        if response.sw == StatusWord.RECORD_NOT_FOUND:
            break
        read = _accept(response)
        if not read:
            raise _EndError(Result.CHECK_FAILED, detail=f"{_name(planned, file)}: an empty answer")
        ended = len(read) + file.size <= CHANNEL_RESPONSE_BYTES_MAX
        at = 0
        while at < len(read):
            if number > len(records):
                detail = f"{_name(planned, file)}: a record too many"
                raise _EndError(Result.CHECK_FAILED, detail=detail)
            record = records[number - 1]
            if not read.startswith(record, at):
                detail = f"{_name(planned, file)} record {number}"
                raise _EndError(Result.CHECK_FAILED, detail=detail)
            at += len(record)
            number += 1
    if number <= len(records):
        detail = f"{_name(planned, file)}: record {number} is missing"
        raise _EndError(Result.CHECK_FAILED, detail=detail)


def _name(planned: PlannedApplication, file: ElementaryFile) -> str:
    """A file for a message: its application, directory and file id."""
    fids = {each.number: each.fid for each in planned.package.tree}
    return f"{planned.name} {fids[file.parent]:04X}/{file.fid:04X}"


def _expect(read: bytes, written: bytes, name: str) -> None:
    if read != written:
        raise _EndError(Result.CHECK_FAILED, detail=name)
