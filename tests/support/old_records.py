"""Records as terminals of version 1 wrote them: 192 bytes."""

from cardcore.records.record import FIELD, PAYLOAD_AT, V1_RECORD_BYTES, V1_VERSION


def as_version_1(data: bytes) -> bytes:
    """The old form of an encoded record that has nothing the old form could not say."""
    tac, payload = FIELD["tac"].offset, data[PAYLOAD_AT : PAYLOAD_AT + 42]
    assert not any(data[PAYLOAD_AT + 42 : tac])
    assert not any((*data[142:143], *data[tac + 4 :]))
    front = bytes((V1_VERSION,)) + data[1:142]
    return (front + data[tac : tac + 4] + payload).ljust(V1_RECORD_BYTES, b"\x00")
