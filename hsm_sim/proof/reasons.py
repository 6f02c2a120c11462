"""Why a row of a column is not proven, by the same rule for every kind of cryptogram.

Decides for every row in which of the documented ways it fails. Leaves whether a cryptogram is that
of a key to whoever hands in the check, and where master keys lie to whoever hands in `ProofKey`s.

Rows are gathered by the version they name; the version says which suite proves them. What fails
under the version it names, or names one that is not held, is tried under every other version held,
because a record that names the wrong version and a forged record are told apart by exactly that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, ProofReason
from hsm_sim.proof.circuits.bitslice import Words

#: 2^64 by the golden ratio: spreads serials that differ in their last digits over all bits.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

Rows = NDArray[np.intp]
Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A master key as a proof needs it: its suite, and keys below it for a column of factors."""

    algorithm: Algorithm
    card_keys: Callable[[Words], Words]  # (n,) factors to (n, 2) halves


def order_by_factor(factors: Words) -> Rows:
    """An order in which the rows of one card, or of one PSAM, lie together.

    Rows are put in order of 32 bits of a hash, 16 at a time, which NumPy sorts by radix: four times
    as fast as by the factors themselves. Two factors of one hash may lie among each other; a key is
    then derived more than once, and nothing else changes.
    """
    hashes = factors * _GOLDEN
    low = (hashes >> np.uint64(32)).astype(np.uint16)
    order = np.argsort(low, kind="stable")
    high = (hashes >> np.uint64(48)).astype(np.uint16)
    return order[np.argsort(high[order], kind="stable")]


def reasons_of(
    keys: Mapping[int, ProofKey],
    algorithms: Octets,
    versions: Octets,
    wrong: Callable[[ProofKey, Rows], Rows],
) -> NDArray[np.uint8]:
    """One `ProofReason` a row. `keys` are those in use, by version; `wrong` says which of some rows
    a key does not prove.

    Version and algorithm of a row are signed by nobody. What does not hold as the row names it is
    tried under every version held, once; only what holds under none is told apart by whether its
    algorithm is known and its version held.
    """
    known = np.isin(algorithms, [int(algorithm) for algorithm in SUITES])
    held = np.isin(versions, list(keys))
    reasons = np.full(len(algorithms), ProofReason.UNKNOWN_ALGORITHM, dtype=np.uint8)
    reasons[known & ~held] = ProofReason.UNKNOWN_VERSION
    reasons[known & held] = ProofReason.PROVEN
    unnamed = np.flatnonzero(~(known & held))
    others = unnamed
    for key in keys.values():
        others = wrong(key, others)
    reasons[np.setdiff1d(unnamed, others, assume_unique=True)] = ProofReason.WRONG_VERSION
    for version, key in keys.items():
        named = known & (versions == version)
        agreed = named & (algorithms == key.algorithm)
        suspects = np.concatenate(
            (wrong(key, np.flatnonzero(agreed)), np.flatnonzero(named & ~agreed))
        )
        reasons[suspects] = ProofReason.WRONG_VERSION
        for other, other_key in keys.items():
            if other != version:
                suspects = wrong(other_key, suspects)
        # A row of another suite than its version's may be right under that very version.
        lied = algorithms[suspects] != key.algorithm
        still = wrong(key, suspects[lied])
        reasons[still] = ProofReason.WRONG
        reasons[suspects[~lied]] = ProofReason.WRONG
    return reasons
