"""True cryptograms for whole columns of records nobody tapped: for benches and generated load.

Decides nothing: `column` and `bundles` have the formulas, this runs them the other way. In the
field a TAC and an answer come out of a card, a record MAC out of a PSAM; whoever can call this
holds the master, so it is for public test keys.
"""

from functools import partial

import numpy as np

from cardcore.keys import Algorithm
from cardcore.records.kinds import MacProfile
from hsm_sim.proof.bundles import answers, bundles_of, record_macs
from hsm_sim.proof.column import SHARE_ROWS_MAX
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.lanes import LANES
from hsm_sim.proof.reasons import ProofKey, order_by_factor


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


def make_record_macs(
    algorithm: Algorithm,
    master: bytes,
    factors: bytes,
    digests: bytes,
    profile: MacProfile = MacProfile.FIXED,
) -> bytes:
    """16 bytes a row, as in `RecordMacColumn`; `factors` 8 bytes a row, of the PSAMs.

    >>> make_record_macs(Algorithm.PBOC_3DES, bytes(range(16)), bytes(8), bytes(16)).hex()
    'c0929aa3dd36a9550000000000000000'
    """
    psams = np.frombuffer(factors, ">u8").astype(np.uint64)
    texts = np.frombuffer(digests, np.uint64).reshape(-1, 2)
    made = np.empty_like(texts)
    order = order_by_factor(psams)
    key = ProofKey(algorithm, partial(card_key_column, algorithm, master))
    for part, bundles in bundles_of(key, psams[order]):
        rows = order[part]
        is_pboc = np.full(len(rows), profile is MacProfile.PBOC)
        made[rows] = record_macs(bundles, texts[rows], is_pboc)
    return made.tobytes()


def make_authentications(
    algorithm: Algorithm, master: bytes, factors: bytes, challenges: bytes
) -> bytes:
    """8 bytes a row, as in `AuthenticationColumn`; `factors` 8 bytes a row, of the cards.

    >>> make_authentications(Algorithm.AES, bytes(range(16)), bytes(8), bytes(8)).hex()
    '293aeec410f256f0'
    """
    cards = np.frombuffer(factors, ">u8").astype(np.uint64)
    texts = np.frombuffer(challenges, np.uint64)
    made = np.empty_like(texts)
    order = order_by_factor(cards)
    key = ProofKey(algorithm, partial(card_key_column, algorithm, master))
    for part, bundles in bundles_of(key, cards[order]):
        made[order[part]] = answers(bundles, texts[order[part]])
    return made.tobytes()
