"""Personalisation (制卡): a chip in stock becomes somebody's card, over SCP03, step by step.

Decides which commands are sent and in which order. Leaves the frame of the dialogue to
`cardcore.issuing.dialogue`, the check at its end to `cardcore.issuing.checking`, keys to the key
service, and what the card contains to `cardcore.issuing.orders`.

A chip in stock is blank, or initialised (`cardcore.issuing.initialisation`). The applications of a
product come onto a blank one as packages, the same for every card; an initialised one has them
already. What is a card's own is then written over it, on both alike.

Every step may be repeated: a package goes on with the next block, an application that is there is
left alone, a file or a key is written over. `void` takes an unfinished card back to stock,
`extend` adds applications to a card in use. The last step reads everything back, by itself.

Steps: the number of the chip is looked at and its dates and holder written, then for each
application package, files, keys with the PIN, then the check of everything.
"""

import hashlib
from collections.abc import Collection, Sequence
from functools import partial

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.cardkeys import Pin
from cardcore.chip.commands.store import GROUP_HEAD_BYTES, INS_STORE_DATA, WHOLE, group
from cardcore.chip.tree import BODY_SLOT, FIRST_RECORD_SLOT, ElementaryFile, Structure
from cardcore.issuing.checking import check_applications, check_card, enter
from cardcore.issuing.dialogue import (
    MASTER,
    OTHER,
    Desk,
    Dialogue,
    EndError,
    Plan,
    Result,
    Step,
    Talk,
    accept,
    enter_name,
    run,
)
from cardcore.issuing.orders import CardOrder, PlannedApplication, plan_applications
from cardcore.issuing.products import Product
from cardcore.keys import KeyService
from cardcore.layouts.transit import Sfi

#: Data of one command: what level 33 still carries in a short APDU, rounded down to whole blocks.
BLOCK_BYTES = 224
#: Groups of one STORE DATA, secrets of one PUT KEY: what level 33 carries in a short APDU, with a
#: byte of padding.
DATA_BYTES_MAX = 239
_NUMBER = slice(10, 20)  # of EF15


def make_plan(product: Product, order: CardOrder, label: str) -> Plan:
    """The plan of one card; `ValueError` when the order does not fit the product."""
    return Plan(product, order, label, plan_applications(product, order, label))


def personalise(plan: Plan, keys: KeyService, host_challenge: bytes, done: int = 0) -> Talk:
    """Make the card. Yields what to send, is sent the answers, returns how it ended.

    `host_challenge` is 8 fresh random bytes, `done` the number of an earlier `Exchange` or 0.
    Raises `CryptogramError` when the chip has not our keys or answers are not the chip's.
    """
    order = plan.order
    dates = group(Sfi.PUBLIC, 0, order.public.encode())
    steps = [
        Step("look", partial(look, plan)),
        Step("holder", partial(_write_master, dates + group(Sfi.HOLDER, 0, order.holder.encode()))),
        *_application_steps(plan, plan.applications),
        Step("check", partial(check_card, plan)),
    ]
    return run(plan, keys, host_challenge, steps, done)


def extend(
    plan: Plan, names: Collection[str], keys: KeyService, host_challenge: bytes, done: int = 0
) -> Talk:
    """Put these applications of the plan onto a card already in use; all others stay as they are.

    Parameters, answers and errors as those of `personalise`.
    """
    added = [each for each in plan.applications if each.name in names]
    assert len(added) == len(names), "an application that is not in the plan"
    steps = [
        Step("look", partial(look, plan)),
        *_application_steps(plan, added),
        Step("check", partial(check_applications, added)),
    ]
    return run(plan, keys, host_challenge, steps, done)


def void(plan: Plan, keys: KeyService, host_challenge: bytes) -> Talk:
    """Take a card back to stock: every application of the plan, a package on its way, the holder.

    Refused when there is money on the card.
    """
    steps = [Step("look", partial(look, plan)), Step("forget package", lambda _: _forget())]
    steps += [
        Step(f"delete {each.name}", partial(_delete, each.aid))
        for each in reversed(plan.applications)
    ]
    empty = CardOrder(plan.order.public).holder.encode()
    steps.append(Step("holder", partial(_write_master, group(Sfi.HOLDER, 0, empty))))
    return run(plan, keys, host_challenge, steps, 0)


def _application_steps(plan: Plan, applications: Sequence[PlannedApplication]) -> list[Step]:
    steps = []
    for each in applications:
        steps.append(Step(f"install {each.name}", partial(install, each)))
        if each.own:
            steps.append(Step(f"files of {each.name}", partial(_write_own, each)))
        steps.append(Step(f"keys of {each.name}", partial(_put_secrets, plan, each)))
    return steps


def look(plan: Plan, desk: Desk) -> Dialogue:
    """Whether this is the chip that was ordered: its number is what its keys are made from."""
    yield from desk.enter(MASTER)
    public = accept((yield CommandApdu(0x00, 0xB0, 0x80 | Sfi.PUBLIC, 0x00, le=256)))
    if public[_NUMBER] != plan.order.public.encode()[_NUMBER]:
        raise EndError(Result.OTHER_CARD, detail=f"the chip is {public[_NUMBER].hex()}")


def _write_master(groups: bytes, desk: Desk) -> Dialogue:
    """Files of the whole chip."""
    yield from desk.enter(MASTER)
    accept((yield _store(groups)))


def install(planned: PlannedApplication, desk: Desk) -> Dialogue:
    """Unless it is there already, the package in blocks, beginning where the card is."""
    response = yield enter_name(planned.aid)
    if response.ok:
        desk.left(planned.aid)
        return
    if response.sw != StatusWord.FILE_NOT_FOUND:
        raise EndError(Result.REFUSED, response.sw)
    package = planned.package.encode()
    announced = len(package).to_bytes(4, "big") + hashlib.sha256(package).digest()
    first = int.from_bytes(accept((yield CommandApdu(0x80, 0xE6, 0x02, 0x00, announced, 256))))
    blocks = range(0, len(package), BLOCK_BYTES)
    for block, at in list(enumerate(blocks))[first:]:
        p1, p2 = block.to_bytes(2, "big")
        data = package[at : at + BLOCK_BYTES]
        accept((yield CommandApdu(0x80, 0xE8, p1, p2, data)))
    accept((yield CommandApdu(0x80, 0xE6, 0x0C, 0x00)))
    desk.left(MASTER)


def _write_own(planned: PlannedApplication, desk: Desk) -> Dialogue:
    """What is this card's own, over what every card of the product has: the files that have a short
    id by STORE DATA, as many as one command carries, all others by UPDATE.
    """
    yield from desk.enter(planned.aid)
    tree, blank = planned.package.tree, planned.package.cells
    files = {file.number: file for file in tree}
    current, stored = tree[0].number, b""
    for cell, data in sorted(planned.own.items()):
        file = files[cell >> 8]
        assert isinstance(file, ElementaryFile), "a directory has nothing of its own"
        assert file.structure is not Structure.CYCLIC, "what happens to a card is not ordered"
        if file.structure is Structure.TRANSPARENT:
            assert cell & 0xFF == BODY_SLOT, planned.name
            record = 0
        else:
            record = (cell & 0xFF) - FIRST_RECORD_SLOT + 1
        size = GROUP_HEAD_BYTES + len(data)
        is_stored = bool(file.sfi) and size <= DATA_BYTES_MAX
        if stored and (
            not is_stored or file.parent != current or len(stored) + size > DATA_BYTES_MAX
        ):
            accept((yield _store(stored)))
            stored = b""
        if not is_stored or file.parent != current:
            current = yield from enter(planned, file, current)
        if is_stored:
            stored += group(file.sfi, record, data)
        elif record:
            accept((yield CommandApdu(0x00, 0xDC, record, file.sfi << 3 | 0x04, data)))
        else:
            yield from _write_body(file, blank[cell], data)
    if stored:
        accept((yield _store(stored)))
    if current != tree[0].number:
        desk.left(OTHER)


def _store(groups: bytes) -> CommandApdu:
    return CommandApdu(0x80, INS_STORE_DATA, WHOLE, 0x00, groups)


def _write_body(file: ElementaryFile, blank: bytes, data: bytes) -> Dialogue:
    """From its start to the last block that is another one than on every card. A short id selects
    the file as it is first written to; without one it has been selected.
    """
    last = max(at for at in range(len(data)) if data[at] != blank[at])
    for at in range(0, last + 1, BLOCK_BYTES):
        p1 = 0x80 | file.sfi if file.sfi and not at else at >> 8
        accept((yield CommandApdu(0x00, 0xD6, p1, at & 0xFF, data[at : at + BLOCK_BYTES])))


def _put_secrets(plan: Plan, planned: PlannedApplication, desk: Desk) -> Dialogue:
    """PUT KEY, as many in a command as it carries. For each key the head of its record, the key
    under the chip's DEK, its check value; then the PIN.
    """
    yield from desk.enter(planned.aid)
    wrapped = desk.wrapped(planned.keys)
    secrets = [key.head + one for key, one in zip(planned.keys, wrapped, strict=True)]
    if planned.pin_tries:
        secrets.append(Pin.fresh(plan.order.pin, planned.pin_tries).encode())
    first = 0
    while first < len(secrets):
        end, size = first, 0
        while end < len(secrets) and size + len(secrets[end]) <= DATA_BYTES_MAX:
            size += len(secrets[end])
            end += 1
        response = yield CommandApdu(0x80, 0xD8, 0x00, 0x00, b"".join(secrets[first:end]))
        if response.sw == StatusWord.DATA_WRONG:
            sent = planned.keys[first:end]
            said = ", ".join(f"{key.ref} algorithm {key.head[3]:02X}" for key in sent)
            detail = f"the card finds another check value; the product says {said}"
            raise EndError(Result.REFUSED, response.sw, f"{detail}: what is the key's?")
        accept(response)
        first = end


def _forget() -> Dialogue:
    accept((yield CommandApdu(0x80, 0xE4, 0x00, 0x00)))


def _delete(aid: bytes, desk: Desk) -> Dialogue:
    yield from desk.enter(MASTER)
    response = yield CommandApdu(0x80, 0xE4, 0x00, 0x00, aid)
    if response.sw != StatusWord.FILE_NOT_FOUND:
        accept(response)
