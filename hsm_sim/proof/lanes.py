"""The TACs of each suite over a column: by lanes, and one row at a time.

Decides how messages are padded and which key of a card goes into its lanes. Leaves the ciphers to
`des`, `aes` and `sm4`, and the reasons to `column`.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm
from hsm_sim.proof.circuits import des
from hsm_sim.proof.circuits.aes import AesLanes
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.circuits.sm4 import Sm4Lanes
from hsm_sim.proof.cmac import BlockLanes, State, cmac_words

Tacs = NDArray[np.uint32]
Messages = NDArray[np.uint8]


def _blocks(messages: Messages, size: int) -> Words:
    """Messages of one length as (n, words) of `size` bytes; 80 and zeros fill what is left over."""
    rows, length = messages.shape
    blocks = np.zeros((rows, size), dtype=np.uint8)
    blocks[:, :length] = messages
    blocks[:, length : length + 1] = 0x80
    words = blocks.view(np.uint64)
    return words.byteswap(inplace=True) if sys.byteorder == "little" else words


def _leftmost(words: Words) -> Tacs:
    return (words >> np.uint64(32)).astype(np.uint32)


def pboc_3des_tacs(card_keys: Words, messages: Messages) -> Tacs:
    """JR/T 0025: CBC-MAC by single DES, under the left half of the card's key XOR the right.

    A message that fills its blocks gets a whole block of padding.
    """
    blocks = _blocks(messages, (messages.shape[1] // 8 + 1) * 8)
    return _leftmost(des.cbc_last_blocks(card_keys[:, 0] ^ card_keys[:, 1], blocks))


def _cmac_tacs(cipher: type[BlockLanes[State]], card_keys: Words, messages: Messages) -> Tacs:
    """CMAC under the card's key. Only a message that does not fill its blocks is padded."""
    length = messages.shape[1]
    size = max(1, -(-length // 16)) * 16
    whole = length == size
    return _leftmost(cmac_words(cipher, card_keys, _blocks(messages, size), last_is_whole=whole))


#: From (n, 2) card keys and (n, bytes) messages to the TACs.
LANES: Mapping[Algorithm, Callable[[Words, Messages], Tacs]] = {
    Algorithm.PBOC_3DES: pboc_3des_tacs,
    Algorithm.SM4: partial(_cmac_tacs, Sm4Lanes),
    Algorithm.AES: partial(_cmac_tacs, AesLanes),
}


def single_tacs(algorithm: Algorithm, card_keys: Words, messages: Messages) -> Tacs:
    """The same by one call of the suite a row."""
    suite = SUITES[algorithm]
    keys = card_keys.astype(">u8").tobytes()
    tacs = [
        suite.tac(keys[16 * row : 16 * row + 16], message.tobytes())
        for row, message in enumerate(messages)
    ]
    return np.frombuffer(b"".join(tacs), ">u4").astype(np.uint32)
