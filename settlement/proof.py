"""TAC proof of a whole file: its records as columns to the key service, one answer byte a record.

Decides nothing: which bytes stand under a TAC is the record's, what an answer means is
reconciliation's, and keys never leave the key service.
"""

import numpy as np

from cardcore.keys import KeyService
from settlement.facts import record_rows, tac_columns


def prove_records(records: bytes, key_service: KeyService, label: str) -> bytes:
    """One `ProofReason` byte for each 192-byte record, in their order.

    `label` names the city's TAC keys. Raises what the port raises: `UnknownKeyError` when no such
    key is held, `KeyServiceUnavailableError` when the service does not answer.
    """
    proof = np.zeros(len(record_rows(records)), np.uint8)
    for numbers, column in tac_columns(records):
        if len(column):
            answers = key_service.prove_tacs(label, column)
            assert len(answers) == len(column), (len(answers), len(column))
            proof[numbers] = np.frombuffer(answers, np.uint8)
    return proof.tobytes()
