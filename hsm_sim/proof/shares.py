"""A share of a column: rows of one suite that one process proves by itself.

Decides what belongs to a share, and so what another process is given: the keys of the cards in it
and never the master they come from. Leaves which rows a share has to `column`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cardcore.keys import Algorithm
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.lanes import LANES, Messages, Tacs, single_tacs

#: Below this many rows one call a row is faster than filling lanes (docs/keys.md).
BULK_ROWS_MIN = {Algorithm.PBOC_3DES: 400, Algorithm.SM4: 3_300, Algorithm.AES: 2_100}

_HEADER = struct.Struct("=BIII")  # algorithm, cards, rows, bytes a message
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """The cards' keys, (cards, 2) halves; which of them each row has; messages and TACs."""

    algorithm: Algorithm
    card_keys: Words = field(repr=False)
    row_cards: NDArray[np.uint32]
    messages: Messages = field(repr=False)
    tacs: Tacs

    def __len__(self) -> int:
        return len(self.row_cards)

    def wrong(self) -> Mask:
        """For every row whether its TAC is not the card's."""
        keys = self.card_keys.take(self.row_cards, axis=0)
        by_lanes = len(self) >= BULK_ROWS_MIN[self.algorithm]
        tacs = (
            LANES[self.algorithm](keys, self.messages)
            if by_lanes
            else single_tacs(self.algorithm, keys, self.messages)
        )
        return np.not_equal(tacs, self.tacs)

    def parts(self) -> list[memoryview]:
        """The share as messages between two processes of this machine."""
        header = _HEADER.pack(
            self.algorithm, len(self.card_keys), len(self), self.messages.shape[1]
        )
        arrays = (self.card_keys, self.row_cards, self.messages, self.tacs)
        return [memoryview(header), *(np.ascontiguousarray(each).data.cast("B") for each in arrays)]

    @classmethod
    def from_parts(cls, parts: Sequence[bytes]) -> "Share":
        """The other way."""
        header, card_keys, row_cards, messages, tacs = parts
        algorithm, cards, rows, message_bytes = _HEADER.unpack(header)
        return cls(
            Algorithm(algorithm),
            np.frombuffer(card_keys, np.uint64).reshape(cards, 2),
            np.frombuffer(row_cards, np.uint32),
            np.frombuffer(messages, np.uint8).reshape(rows, message_bytes),
            np.frombuffer(tacs, np.uint32),
        )


#: `Share.parts` are so many messages.
PARTS = 5
