"""True TACs for whole columns of records nobody tapped: for benches and generated load.

Decides nothing: `column` has the formulas, this runs them the other way. In the field a TAC comes
out of a card; whoever can call this holds the master, so it is for public test keys.
"""

import numpy as np

from cardcore.keys import Algorithm
from hsm_sim.proof.column import SHARE_ROWS_MAX
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.lanes import LANES


def make_tacs(
    algorithm: Algorithm, master: bytes, factors: bytes, messages: bytes, message_bytes: int
) -> bytes:
    """4 bytes a row; `factors` 8 bytes a row and `messages` as in `TacColumn`.

    >>> message = bytes.fromhex("00001000060011223344550000000120120229135100")
    >>> make_tacs(Algorithm.PBOC_3DES, bytes(range(16)), bytes(8), message, len(message)).hex()
    'fbe47cef'
    """
    cards = np.frombuffer(factors, ">u8").astype(np.uint64)
    texts = np.frombuffer(messages, np.uint8).reshape(len(cards), message_bytes)
    made = []
    for start in range(0, len(cards), SHARE_ROWS_MAX):
        run = slice(start, start + SHARE_ROWS_MAX)
        tacs = LANES[algorithm](card_key_column(algorithm, master, cards[run]), texts[run])
        made.append(tacs.astype(">u4").tobytes())
    return b"".join(made)
