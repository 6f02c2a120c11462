"""Which part of a record is damaged is said of all rows at once, as the codec says it of one, and
no sender chooses what a row costs.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from cardcore.errors import RecordFormatError
from cardcore.layouts.fixed import DATE
from cardcore.records.kinds import RecordKind
from cardcore.records.payloads import PAYLOADS, PurchasePayload, VisitPayload
from cardcore.records.record import (
    BODY_END,
    FIELD,
    PAYLOAD_AT,
    RECORD_BYTES,
    V1_PAYLOAD_BYTES_MAX,
    decode_record,
    encode_record,
)
from settlement.facts.cells import record_rows
from settlement.facts.faults import FORMAT_FAULTS, format_faults
from tests.settlement.reconciliation.run_inputs import debit

PLAIN = encode_record(debit())
ODD_BYTES = (0x00, 0x01, 0x20, 0x7F, 0x80, 0xFF)
#: What the table calls otherwise than `RecordFormatError`.
SAID = {"version has no application": "version"}


def a_payload(kind: RecordKind, dice: random.Random) -> bytes:
    parts = []
    for field in PAYLOADS[kind].FIELDS if kind in PAYLOADS else ():
        if field.coding is DATE or field.coding.name == "time":
            parts.append(bytes.fromhex("20180901080000")[: field.length])
        elif field.length == 1:
            parts.append(b"\x01")
        else:
            filled = (b"AB".ljust(99, b"\xff"), b"A \x00".ljust(99, b" "), bytes(99))
            parts.append(dice.choice(filled)[: field.length])
    return b"".join(parts)


def odd_records(count: int) -> Iterator[bytes]:
    """Records of every kind and version with up to two odd bytes in odd places."""
    dice = random.Random(20180901)
    for _ in range(count):
        kind, data = dice.choice(list(RecordKind)), bytearray(PLAIN)
        data[0], data[FIELD["kind"].offset] = dice.choice((2, 2, 2, 1)), kind
        payload = a_payload(kind, dice) if dice.random() < 0.9 else b""
        if data[0] == 1 and dice.random() < 0.8:
            payload = payload[:V1_PAYLOAD_BYTES_MAX]
        data[PAYLOAD_AT : PAYLOAD_AT + 1 + len(payload)] = bytes((len(payload),)) + payload
        signed = b"\x01" * (kind.evidence.cryptogram_bytes if dice.random() < 0.9 else 8)
        data[BODY_END : BODY_END + 8] = signed.ljust(8, b"\x00")
        for _ in range(dice.choice((0, 0, 1, 1, 2))):
            at = dice.choice((1, 142, 143, dice.randrange(144, RECORD_BYTES)))
            data[at] = dice.choice(ODD_BYTES)
        yield bytes(data)


def test_every_damage_behind_the_fields_is_named_as_the_codec_names_it() -> None:
    rows = list(odd_records(6_000))
    named = format_faults(np.asfortranarray(record_rows(b"".join(rows))))
    found = set()
    for data, number in zip(rows, named.tolist(), strict=True):
        try:
            decode_record(data)
        except RecordFormatError as error:
            expected = error.field
        else:
            expected = ""
        fault = SAID.get(FORMAT_FAULTS[number], FORMAT_FAULTS[number])
        if fault != "unknown application":  # which no codec can know
            assert fault == expected, data.hex()
        found.add(fault)
    assert found >= {"", "payload", "reserved", "cryptogram", "version", "kind"}


def test_a_sender_cannot_choose_dear_records() -> None:
    """Payloads were read one record at a time: thirty-five times the cost of a plain one."""
    shop = encode_record(replace(debit(), payload=PurchasePayload("A1").encode()))
    bill = VisitPayload("S1", 4, 1, 1, 2).encode()
    visit = replace(debit(), kind=RecordKind.VISIT, application=3, tac=bytes(8), payload=bill)
    broken = bytearray(shop)
    broken[PAYLOAD_AT + 1] = 0x80
    shapes = (PLAIN, shop, encode_record(visit), bytes(broken), b"\xff" * RECORD_BYTES)
    plain, *others = (cpu_seconds(shape * 16_384) for shape in shapes)
    assert max(others) < 8 * plain


def cpu_seconds(records: bytes) -> float:
    rows = np.asfortranarray(record_rows(records))

    def once() -> float:
        start = time.process_time()
        format_faults(rows)
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("size", [31, 84, 85, 255])
def test_a_length_that_is_none_is_the_payloads_fault(size: int) -> None:
    data = bytearray(PLAIN)
    data[PAYLOAD_AT] = size
    assert FORMAT_FAULTS[format_faults(record_rows(bytes(data)))[0]] == "payload"
