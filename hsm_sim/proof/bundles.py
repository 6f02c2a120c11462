"""Record MACs and answers to challenges in bulk: a few calls of the library a key, not a row.

Decides how rows that share a key are worked off together. A day has millions of records and only
thousands of PSAMs, so what is paid a row must be cheap, and what is paid a key hardly counts.
Leaves the reasons to `reasons`; the formulas are those of `Suite.record_mac`, `Suite.message_mac`
and `Suite.authenticate`, and the tests hold both ways equal.

CMAC of a message of one block is E(block + subkey) (NIST SP 800-38B §6.2), so all rows of a key are
one ECB call. ISO 9797-1 algorithm 3 over a digest and its padding is three blocks: two under the
left half of the key, and the last one, enciphered, deciphered and enciphered, is triple DES: three
calls. Blocks are words as they lie in memory, whatever the byte order of the machine, because they
are only added to each other.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import (
    BlockCipherAlgorithm,
    Cipher,
    CipherContext,
    modes,
)
from cryptography.hazmat.primitives.ciphers.algorithms import AES128, SM4
from numpy.typing import NDArray

from cardcore.keys import Algorithm, AuthenticationColumn, RecordMacColumn
from cardcore.records.kinds import MacProfile
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.reasons import Octets, ProofKey, Rows, order_by_factor, reasons_of

#: Ciphers set up at one time; each holds its expanded key.
_KEYS_A_RUN = 4_096
_KEY_BYTES, _HALF_BYTES = 16, 8
_BLOCK_CIPHERS = {Algorithm.SM4: SM4, Algorithm.AES: AES128}
#: SP 800-38B §5.3: what overflows in doubling a block comes back as this.
_OVERFLOW = 0x87


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, sys.byteorder))


_PADDING = _word(b"\x80" + bytes(7))
_FOUR_BYTES = np.array([_word(b"\xff" * 4 + bytes(4)), 0], np.uint64)


@dataclass(frozen=True, slots=True)
class Bundles:
    """Keys of one suite and their rows: those of key n are from `starts[n]` to `starts[n + 1]`."""

    algorithm: Algorithm
    keys: tuple[bytes, ...] = field(repr=False)
    starts: tuple[int, ...]

    def row_keys(self) -> Rows:
        """The number of each row's key."""
        return np.repeat(np.arange(len(self.keys)), np.diff(self.starts))

    def enciphered(self, ciphers: Sequence[CipherContext], blocks: Words) -> Words:
        """Every row's block under its key's cipher; a block is one word or two."""
        octets = memoryview(blocks.tobytes())
        size = blocks[:1].nbytes
        edges = zip(ciphers, self.starts, self.starts[1:], strict=False)
        made = [cipher.update(octets[size * at : size * to]) for cipher, at, to in edges]
        return np.frombuffer(b"".join(made), np.uint64).reshape(blocks.shape)


def bundles_of(key: ProofKey, factors: Words) -> Iterator[tuple[slice, Bundles]]:
    """Rows, in which those of a factor lie together, cut where a key ends."""
    if not len(factors):
        return
    first = np.flatnonzero(np.concatenate(([True], factors[1:] != factors[:-1])))
    edges = [*first.tolist(), len(factors)]
    derived = key.card_keys(factors[first]).astype(">u8").tobytes()
    keys = [derived[at : at + _KEY_BYTES] for at in range(0, len(derived), _KEY_BYTES)]
    for start in range(0, len(keys), _KEYS_A_RUN):
        stop = min(start + _KEYS_A_RUN, len(keys))
        starts = tuple(edge - edges[start] for edge in edges[start : stop + 1])
        rows = slice(edges[start], edges[stop])
        yield rows, Bundles(key.algorithm, tuple(keys[start:stop]), starts)


def record_macs(bundles: Bundles, digests: Words, is_pboc: NDArray[np.bool_]) -> Words:
    """The 16 bytes of `mac` of every row, (n, 2); `digests` the same. Of the profile `pboc`, MAC
    of secure messaging from a challenge of zeros, only four bytes are not zero.
    """
    if bundles.algorithm is Algorithm.PBOC_3DES:
        singly = [_ecb(TripleDES(key[:_HALF_BYTES] * 3)) for key in bundles.keys]
        chained = bundles.enciphered(singly, digests[:, 0])
        chained = bundles.enciphered(singly, chained ^ digests[:, 1])
        macs = np.zeros(digests.shape, np.uint64)
        macs[:, 0] = bundles.enciphered(_triple(bundles), chained ^ _PADDING)
    else:
        ciphers, zeros = _block_ciphers(bundles)
        row_keys = bundles.row_keys()
        blocks = digests ^ _doubled(zeros).take(row_keys, axis=0)
        # There a block of zeros comes first: what it becomes is added to the digest.
        blocks[is_pboc] ^= zeros[row_keys[is_pboc]]
        macs = bundles.enciphered(ciphers, blocks).copy()
    macs[is_pboc] &= _FOUR_BYTES
    return macs


def answers(bundles: Bundles, challenges: Words) -> Words:
    """The answer of every row's card to its challenge, (n,) both."""
    if bundles.algorithm is Algorithm.PBOC_3DES:
        return bundles.enciphered(_triple(bundles), challenges)
    ciphers, zeros = _block_ciphers(bundles)
    padded = np.stack((challenges, np.full_like(challenges, _PADDING)), axis=1)
    blocks = padded ^ _doubled(_doubled(zeros))[bundles.row_keys()]
    return bundles.enciphered(ciphers, blocks)[:, 0]


def prove_record_macs(keys: Mapping[int, ProofKey], column: RecordMacColumn) -> bytes:
    """One `ProofReason` byte a row, see `reasons_of`. A profile that is none is answered as an
    algorithm that is none: nobody can say what such a MAC should be.
    """
    profiles = np.frombuffer(column.profiles, np.uint8)
    known = (profiles == MacProfile.FIXED) | (profiles == MacProfile.PBOC)
    is_pboc = profiles == MacProfile.PBOC
    digests, macs = (_blocks(each) for each in (column.digests, column.macs))
    factors = _factors(column.factors)

    def wrong(key: ProofKey, suspects: Rows) -> Rows:
        rows = suspects[order_by_factor(factors[suspects])]
        found = [rows[:0]]
        for part, bundles in bundles_of(key, factors[rows]):
            here = rows[part]
            made = record_macs(bundles, digests.take(here, axis=0), is_pboc[here])
            made ^= macs.take(here, axis=0)
            found.append(here[(made[:, 0] | made[:, 1]) != 0])
        return np.concatenate(found)

    algorithms = np.where(known, _octets(column.algorithms), np.uint8(0))
    return reasons_of(keys, algorithms, _octets(column.key_versions), wrong).tobytes()


def prove_authentications(keys: Mapping[int, ProofKey], column: AuthenticationColumn) -> bytes:
    """One `ProofReason` byte a row, see `reasons_of`."""
    challenges, given = (
        np.frombuffer(each, np.uint64) for each in (column.challenges, column.answers)
    )
    factors = _factors(column.factors)

    def wrong(key: ProofKey, suspects: Rows) -> Rows:
        rows = suspects[order_by_factor(factors[suspects])]
        found = [rows[:0]]
        for part, bundles in bundles_of(key, factors[rows]):
            here = rows[part]
            found.append(here[answers(bundles, challenges[here]) != given[here]])
        return np.concatenate(found)

    algorithms, versions = _octets(column.algorithms), _octets(column.key_versions)
    return reasons_of(keys, algorithms, versions, wrong).tobytes()


def _octets(part: bytes) -> Octets:
    return np.frombuffer(part, np.uint8)


def _factors(part: bytes) -> Words:
    return np.frombuffer(part, ">u8").astype(np.uint64)


def _blocks(part: bytes) -> Words:
    return np.frombuffer(part, np.uint64).reshape(-1, 2)


def _ecb(cipher: BlockCipherAlgorithm) -> CipherContext:
    return Cipher(cipher, modes.ECB()).encryptor()  # noqa: S305 - single blocks


def _triple(bundles: Bundles) -> list[CipherContext]:
    return [_ecb(TripleDES(key + key[:_HALF_BYTES])) for key in bundles.keys]


def _block_ciphers(bundles: Bundles) -> tuple[list[CipherContext], Words]:
    """The keys' ciphers, and a block of zeros under each."""
    made = _BLOCK_CIPHERS[bundles.algorithm]
    ciphers = [_ecb(made(key)) for key in bundles.keys]
    return ciphers, _blocks(b"".join(cipher.update(bytes(16)) for cipher in ciphers))


def _doubled(blocks: Words) -> Words:
    """Twice each block in GF(2^128), as CMAC makes its subkeys. RFC 4493 §4:

    >>> zeros = _blocks(bytes.fromhex("7DF76B0C1AB899B33E42F047B91B546F"))
    >>> _doubled(zeros).tobytes().hex()
    'fbeed618357133667c85e08f7236a8de'
    """
    left, right = np.frombuffer(blocks.tobytes(), ">u8").astype(np.uint64).reshape(-1, 2).T
    one, top = np.uint64(1), np.uint64(63)
    twice = np.stack(
        ((left << one) | (right >> top), (right << one) ^ (left >> top) * np.uint64(_OVERFLOW)),
        axis=1,
    )
    return _blocks(twice.astype(">u8").tobytes())
