"""A chip that stores something else than it was told is found by the check, file by file."""

import pytest

from cardcore.applets import library
from cardcore.chip.card import Card
from cardcore.chip.cardkeys import FID_KEYS, CardKey
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.tree import BODY_SLOT, HEADER_SLOT, ElementaryFile, Structure
from cardcore.errors import DecodeError
from cardcore.issuing import personalisation
from cardcore.issuing.dialogue import Finished, Result, drive
from cardcore.layouts.transit import Sfi
from tests.cardcore.issuing.test_personalisation import (
    HOST_CHALLENGE,
    KEYS,
    a_plan,
    personalised,
)

_CHECK = 3 * len(a_plan().applications)


def _is_key(record: bytes) -> bool:
    try:
        CardKey.decode(record)
    except DecodeError:
        return False
    return True


def check(card: Card) -> Finished:
    """The check alone, of a card that is finished otherwise."""
    card.reset()
    return drive(personalisation.personalise(a_plan(), KEYS, HOST_CHALLENGE, _CHECK), card.transmit)


def test_a_chip_that_stored_what_it_was_told_passes() -> None:
    assert check(personalised()) == Finished(Result.DONE, "check")


@pytest.mark.parametrize("position", [0, -1])
@pytest.mark.parametrize("sfi", [Sfi.PUBLIC, Sfi.HOLDER])
def test_number_and_holder_that_were_stored_otherwise_are_named(sfi: Sfi, position: int) -> None:
    card = personalised()
    tree = FileSystem(card.memory)
    file = tree.by_sfi(tree.root, sfi)
    assert file is not None
    body = bytearray(tree.body(file))
    body[position] ^= 1
    changes: dict[int, bytes] = {}
    tree.write_body(file, bytes(body), changes)
    card.memory.commit(changes)
    assert check(card) == Finished(Result.CHECK_FAILED, "check", detail=f"EF{sfi:02X}")


def test_a_bit_of_any_cell_of_an_application_that_was_stored_otherwise_is_found() -> None:
    card = personalised()
    tree = FileSystem(card.memory)
    directory = tree.named(library.NAME)[0]
    whole = dict(card.memory.cells())
    # What files there are is known from the start. Of the key file the keys are compared, by their
    # check values; a PIN shows nothing that could be.
    keys = tree.child(directory, FID_KEYS)
    assert keys is not None
    # The chip itself counts the records of its files, and trusts its own count.
    left_out = {
        number << 8 | BODY_SLOT
        for number, file in tree.tree.by_number.items()
        if isinstance(file, ElementaryFile) and file.structure is not Structure.TRANSPARENT
    }
    cells = [
        each
        for each in tree.cells_below(directory)
        if each & 0xFF != HEADER_SLOT
        and each not in left_out
        and (each >> 8 != keys.number or _is_key(whole[each]))
    ]
    assert len(cells) > 2
    for cell in cells:
        for position in {0, len(whole[cell]) - 1}:
            changed = bytearray(whole[cell])
            changed[position] ^= 0x10  # the lowest bit of a DES key is parity
            card.memory.commit({cell: bytes(changed)})
            finished = check(card)
            assert finished.result is not Result.DONE, (cell, position)
            card.memory.commit({cell: whole[cell]})
    assert check(card).result is Result.DONE
