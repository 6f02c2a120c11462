"""True record MACs and answers of cards for whole columns: `bundles` run the other way."""

from functools import partial

import numpy as np

from cardcore.keys import Algorithm
from cardcore.records.kinds import MacProfile
from hsm_sim.proof.bundles import answers, bundles_of, record_macs
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.reasons import ProofKey, order_by_factor


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
