"""The codec of the wire: everything comes back as it was, and nothing else is believed."""

import inspect
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore import errors
from cardcore.errors import CardcoreError, DecodeError, KeyServiceError
from cardcore.keys import (
    DaySeal,
    IssuerChannelKeys,
    KeyRef,
    KeyService,
    KeyUsage,
    SealStanding,
    TacColumn,
)
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.frames import (
    FRAME_BYTES_MAX,
    HEADER_BYTES_MAX,
    LENGTH,
    Frame,
    MessageError,
    decode_frame,
    encode_frame,
    frame_bytes,
)
from tests.hsm_sim.psam.psams import FURTHER, PROFILE
from tests.hsm_sim.wire.key_server import (
    FACTOR,
    LABEL,
    SIGNING,
    a_column,
    a_mac_column,
    a_vault,
    an_answer_column,
    card_ref,
)

REF = card_ref(KeyUsage.TAC)
COLUMN = a_column(5)
#: One right value for every parameter, by its name.
VALUES: dict[str, object] = {
    "usage": KeyUsage.TAC, "label": "深圳", "ref": REF, "factor": FACTOR, "version": 3,
    "refs": (REF, card_ref(KeyUsage.LOAD)),
    "context": bytes(range(16)), "challenge": bytes(8), "data": bytes(32), "blocks": bytes(16),
    "session_input": bytes(8), "mac": b"abcd", "message": b"text",
    "channel": 7, "constant": 1, "counter": bytes(16), "profile": PROFILE, "further": FURTHER,
    "seal": DaySeal(7, date(2018, 9, 1), bytes(range(32))),
    "image": b"image", "psam": bytes(16), "command": b"\x00\xa4", "generation": 4,
}  # fmt: skip
RESULTS: dict[str, object] = {
    "channel_wrapped_card_keys": bytes(19),
    "describe_keys": a_vault().descriptions(), "open_channel": 3, "public_key": bytes(65),
    "verify_session_mac": None, "prove_tacs": bytes(5), "sign": bytes(64), "check_value": b"abc",
    "seal_day": bytes(64),
    "sealed_days": SealStanding(is_kept=True, newest=DaySeal(7, date(2018, 9, 1), bytes(32))),
    "authenticate": bytes(8), "message_mac": bytes(4), "session_mac": bytes(4),
    "channel_cryptogram": bytes(8), "psam_make": messages.PsamAnswer(b"handle", 2, b"image"),
    "psam_wake": messages.PsamAnswer(b"", 0, b""),
    "psam_renew": messages.PsamAnswer(b"", 0, b""), "psam_reset": None,
    "psam_transmit": messages.PsamAnswer(b"\x90\x00", 9, b""),
}  # fmt: skip

#: Columns of every kind, by the operation that takes them.
COLUMNS = {
    "prove_tacs": COLUMN, "prove_record_macs": a_mac_column(5),
    "prove_authentications": an_answer_column(5),
}  # fmt: skip
each_operation = pytest.mark.parametrize(
    "operation", messages.OPERATIONS.values(), ids=lambda o: o.name
)


def body(message: bytes) -> bytes:
    assert frame_bytes(message[: LENGTH.size]) == len(message) - LENGTH.size
    return message[LENGTH.size :]


def refusal(act: Callable[[], object]) -> str | None:
    """The sentence of a named refusal, or None."""
    try:
        act()
    except CardcoreError as error:
        return str(error)
    return None


def arguments_of(operation: messages.Operation[Any]) -> tuple[object, ...]:
    values = {**VALUES, "column": COLUMNS.get(operation.name)}
    return tuple(values[name] for name, _ in operation.parameters)


def a_request(operation: messages.Operation[Any]) -> bytes:
    return messages.encode_request(7, operation, arguments_of(operation))


@each_operation
def test_a_request_comes_back_as_it_was(operation: messages.Operation[Any]) -> None:
    request = messages.decode_request(decode_frame(body(a_request(operation))))
    assert (request.number, request.operation) == (7, operation)
    assert request.arguments == arguments_of(operation)


@each_operation
def test_a_result_comes_back_as_it_was(operation: messages.Operation[Any]) -> None:
    result = RESULTS.get(operation.name, bytes(16))
    answer = decode_frame(body(messages.encode_result(7, operation, result)))
    assert messages.decode_answer(answer, 7, operation) == result


@pytest.mark.parametrize(
    ("port", "prefix", "first"),
    [(KeyService, "", []), (IssuerChannelKeys, "channel_", ["channel"])],
)
def test_every_operation_of_the_port_has_a_message_with_its_parameters(
    port: type, prefix: str, first: list[str]
) -> None:
    names = [name for name, _ in inspect.getmembers(port, inspect.isfunction) if name[0] != "_"]
    assert names
    for name in names:
        parameters = list(inspect.signature(getattr(port, name)).parameters)[1:]
        operation = messages.OPERATIONS[prefix + name]
        assert [each for each, _ in operation.parameters] == [*first, *parameters]


@pytest.mark.parametrize("error", messages.ERRORS)
def test_an_error_travels_as_its_class_with_its_sentence(error: type[CardcoreError]) -> None:
    answer = decode_frame(body(messages.encode_error(7, error("tac/深圳/v1: why"))))
    with pytest.raises(error, match="tac/深圳/v1: why") as raised:
        messages.decode_answer(answer, 7, messages.SIGN)
    assert type(raised.value) is error


def test_every_error_of_the_key_service_travels() -> None:
    of_the_port = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, KeyServiceError)
    }
    assert of_the_port < set(messages.ERRORS)


def test_an_error_of_another_kind_travels_as_the_refusal_it_is() -> None:
    answer = decode_frame(body(messages.encode_error(7, DecodeError("PSAM image", 3, "why"))))
    with pytest.raises(KeyServiceError, match="PSAM image: byte 3: why"):
        messages.decode_answer(answer, 7, messages.SIGN)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_named_refusal(data: bytes) -> None:
    assert refusal(lambda: messages.decode_request(decode_frame(data))) != ""


@given(st.data())
def test_a_request_with_one_byte_altered_is_a_request_or_a_named_refusal(
    data: st.DataObject,
) -> None:
    operation = data.draw(st.sampled_from(list(messages.OPERATIONS.values())))
    sent = bytearray(body(a_request(operation)))
    sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(lambda: messages.decode_request(decode_frame(sent))) != ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=True),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.data())
def test_arguments_of_any_other_form_are_refused_by_the_name_of_the_argument(
    data: st.DataObject,
) -> None:
    operation = data.draw(st.sampled_from(list(messages.OPERATIONS.values())))
    right = decode_frame(body(a_request(operation)))
    given_ = list(right.header["arguments"])  # type: ignore[call-overload]  # it is a list
    place = data.draw(st.integers(0, len(given_) - 1))
    given_[place] = data.draw(JSON)
    frame = Frame({**right.header, "arguments": given_}, right.parts)
    why = refusal(lambda: messages.decode_request(frame))
    if why is None:
        written = messages.encode_request(7, operation, messages.decode_request(frame).arguments)
        assert decode_frame(body(written)).header["arguments"] == given_
    else:
        named = (operation.parameters[place][0], "parts", "PSAM")
        assert any(each in why for each in named), why


@pytest.mark.parametrize(
    ("header", "parts", "why"),
    [
        (b"{", b"", "not JSON"),
        (b"\xff\xfe", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b"9" * 5_000, b"", "not JSON"),
        (b"[]", b"", "not a JSON object"),
        (b"{}", b"", "`parts`"),
        (b'{"parts":3}', b"", "`parts`"),
        (b'{"parts":[0,0,0,0,0,0,0,0,0]}', b"", "`parts`"),
        (b'{"parts":[true]}', b"a", "part 1"),
        (b'{"parts":[-1]}', b"a", "part 1"),
        (b'{"parts":[1,2]}', b"ab", "part 2"),
        (b'{"parts":[1e0]}', b"a", "part 1"),
        (b'{"parts":[1]}', b"ab", "1 bytes behind"),
    ],
)  # fmt: skip
def test_a_damaged_frame_is_refused_by_name(header: bytes, parts: bytes, why: str) -> None:
    data = b"\x01" + LENGTH.pack(len(header)) + header + parts
    with pytest.raises(MessageError, match=why):
        decode_frame(data)


def test_another_version_of_the_dialect_is_refused() -> None:
    sent = bytearray(body(a_request(messages.SIGN)))
    sent[0] = 2
    with pytest.raises(MessageError, match="version 2"):
        decode_frame(sent)


def test_a_header_longer_than_its_message_or_the_limit_is_refused() -> None:
    for length in (100, HEADER_BYTES_MAX + 1, 0xFFFFFFFF):
        with pytest.raises(MessageError, match="header of"):
            decode_frame(b"\x01" + LENGTH.pack(length) + b"{}")


@pytest.mark.parametrize("size", [0, 5, FRAME_BYTES_MAX + 1, 0xFFFFFFFF])
def test_a_length_no_message_has_is_refused(size: int) -> None:
    with pytest.raises(MessageError, match=f"{size} bytes"):
        frame_bytes(LENGTH.pack(size))


def test_a_message_longer_than_the_limit_is_not_sent() -> None:
    with pytest.raises(MessageError, match="too long"):
        encode_frame({}, [bytes(FRAME_BYTES_MAX)])


def test_half_of_a_character_is_not_sent() -> None:
    with pytest.raises(MessageError, match="a text in the message is none"):
        encode_frame({"label": "\ud800"})


WRONG_FORMS: list[tuple[dict[str, object], str]] = [
    ({"operation": "drop_keys"}, "drop_keys is not known"),
    ({"operation": "__init__"}, "__init__ is not known"),
    ({"operation": ["sign"]}, "not known"),
    ({"id": 0}, "`id`"),
    ({"id": True}, "`id`, `operation`"),
    ({"extra": 1}, "and `arguments`"),
    ({"arguments": []}, "takes 2"),
    ({"arguments": "ab"}, "takes 2 arguments"),
]


@pytest.mark.parametrize(("change", "why"), WRONG_FORMS, ids=range(len(WRONG_FORMS)))
def test_a_request_of_another_form_is_refused_by_name(change: dict[str, object], why: str) -> None:
    right = decode_frame(body(a_request(messages.SIGN)))
    header = {**right.header, **change}
    with pytest.raises(MessageError, match=why):
        messages.decode_request(Frame(header, right.parts))


def test_more_parts_than_an_operation_takes_are_refused() -> None:
    right = decode_frame(body(a_request(messages.SIGN)))
    with pytest.raises(MessageError, match="more parts"):
        messages.decode_request(Frame(right.header, (*right.parts, b"")))


@pytest.mark.parametrize("length", [0, 7, 9, 15, 17, 25, 32])
def test_a_factor_of_another_length_never_reaches_a_key(length: int) -> None:
    sent = messages.encode_request(1, messages.CHECK_VALUE, [REF, bytes(length)])
    with pytest.raises(
        MessageError, match=f"check_value, factor: {length} bytes, not 8 or 16 or 24"
    ):
        messages.decode_request(decode_frame(body(sent)))


@pytest.mark.parametrize("operation", messages.PROOFS, ids=lambda each: each.name)
def test_a_column_whose_parts_do_not_fit_each_other_is_refused(
    operation: messages.Operation[bytes],
) -> None:
    right = decode_frame(body(a_request(operation)))
    assert len(right.parts) in {5, 6}
    for place in range(len(right.parts)):
        parts = list(right.parts)
        parts[place] += b"x"
        with pytest.raises(MessageError, match=f"{operation.name}, column: the parts"):
            messages.decode_request(Frame(right.header, tuple(parts)))
    with pytest.raises(MessageError, match=f"{operation.name}, column: the parts are"):
        messages.decode_request(Frame(right.header, right.parts[:-1]))


@pytest.mark.parametrize(
    "header",
    [
        {"id": 8, "result": None},
        {"id": 7, "result": [1]},
        {"id": 7},
        {"id": 7, "error": "SystemExit", "message": "out"},
        {"id": 7, "error": "KeyUsageError", "message": 3},
        {"id": 8, "error": "KeyUsageError", "message": "not this request's"},
        json.loads('{"id": 7, "result": null, "error": "KeyUsageError", "message": ""}'),
    ],
)
def test_an_answer_of_another_form_is_told_apart_from_every_refusal(
    header: dict[str, object],
) -> None:
    with pytest.raises(MessageError):
        messages.decode_answer(Frame(header, (bytes(64),)), 7, messages.SIGN)


def test_the_representation_of_a_message_shows_no_part() -> None:
    sent = messages.encode_result(1, messages.DERIVE_CARD_KEY, b"0123456789abcdef")
    assert "0123456789abcdef" not in repr(decode_frame(body(sent)))


def test_an_empty_column_and_names_of_any_writing_travel() -> None:
    empty = TacColumn(b"", b"", b"", b"", 22, b"")
    for label in (LABEL, "深圳", "a" * 256, ""):
        sent = messages.encode_request(1, messages.PROVE_TACS, [label, empty])
        request = messages.decode_request(decode_frame(body(sent)))
        assert request.arguments == (label, empty)
    assert str(SIGNING) == str(KeyRef(KeyUsage.FILE_SIGNING, "sender-101", 1))
