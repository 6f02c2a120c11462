"""Each total of a batch file is compared by itself: a signer who miscounts one of them is named."""

import hashlib

import pytest

from cardcore.records.batch import (
    TRAILER,
    TRAILER_BYTES,
    BatchFaultError,
    decode_batch,
)
from tests.cardcore.records.test_batch import PUBLIC, SENDER, a_file

SIGNATURE_BYTES = 64
FIELDS = {"record_count": 1, "debit_fen": 2, "load_fen": 3, "hash_total": 4}


def with_total(name: str, change: int) -> bytes:
    """The file with one total changed, its digest right and signed by its own sender."""
    data = a_file()
    start = len(data) - TRAILER_BYTES
    values = list(TRAILER.unpack_from(data, start))
    values[FIELDS[name]] += change
    signed = data[:start] + TRAILER.pack(*values)
    return signed + SENDER.sign(signed)


def test_a_file_whose_totals_are_left_alone_is_taken() -> None:
    data = with_total("debit_fen", 0)
    assert data == a_file()
    assert decode_batch(data, PUBLIC).content_hash == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize("name", FIELDS)
def test_one_total_that_is_wrong_alone_is_named(name: str, change: int) -> None:
    with pytest.raises(BatchFaultError) as caught:
        decode_batch(with_total(name, change), PUBLIC)
    assert caught.value.kind == "totals_wrong"
