"""Card keys in bulk: every card of a column once, all cards of a master in one call.

Decides nothing: the formulas are those of `Suite.diversify`, taken over a column.
"""

import numpy as np

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm
from hsm_sim.proof.circuits import des
from hsm_sim.proof.circuits.bitslice import Words

#: From this many cards on, bit planes derive triple-DES keys faster than one ECB call does.
PLANES_CARDS_MIN = 16_000


def factor_blocks(factors: Words) -> bytes:
    """What is enciphered to make the keys: each factor, then its complement; 16 bytes a card."""
    return np.stack((factors, ~factors), axis=1).astype(">u8").tobytes()


def key_halves(derived: bytes) -> Words:
    """Enciphered factors as (n, 2) words, left and right half of each key."""
    return np.frombuffer(derived, ">u8").astype(np.uint64).reshape(-1, 2)


def card_key_column(algorithm: Algorithm, master: bytes, factors: Words) -> Words:
    """Diversified keys of many cards (JR/T 0025, one level): (n,) factors in, (n, 2) halves out."""
    if algorithm is Algorithm.PBOC_3DES and len(factors) >= PLANES_CARDS_MIN:
        halves = des.encrypt_blocks(master, np.concatenate((factors, ~factors)))
        return np.ascontiguousarray(halves.reshape(2, -1).T)
    return key_halves(SUITES[algorithm].encipher(master, factor_blocks(factors)))
