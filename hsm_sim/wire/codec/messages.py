"""Every operation of the key service as a request and an answer, both ways, without any I/O.

Decides what an operation is called, what it takes and gives, and how a refusal travels: by the
name of its class in `cardcore.errors`, with its sentence. Leaves the bytes to `frames` and
`values`, and doing what is asked to `dispatcher`.

A request's header has `id`, `operation` and `arguments`, in the order of the operation's
parameters; an answer's has the same `id` and either `result` or `error` and `message`. Repeating
a request is safe: of the port only a day's seal changes the key service, and once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cardcore.errors import (
    CardcoreError,
    CryptogramError,
    KeyRightError,
    KeyServiceError,
    KeyServiceUnavailableError,
    KeyStateError,
    KeyUsageError,
    SealRefusedError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.keys import AuthenticationColumn, DaySeal, RecordMacColumn, SealStanding
from cardcore.text import Text, shorten, text_of
from hsm_sim.wire.codec.frames import Frame, MessageError, encode_frame
from hsm_sim.wire.codec.values import (
    KEY_VERSION,
    REF,
    TEXT,
    USAGE,
    Day,
    Descriptions,
    Kind,
    Names,
    Nothing,
    Number,
    Octets,
    Perhaps,
    Plain,
    Profile,
    Rows,
    Slots,
    Tacs,
)

#: Data of one MAC, signature or cipher: with its frame it stays below `FRAME_BYTES_MAX`.
DATA_BYTES_MAX = 63 * 1024 * 1024
#: A GCM message is its data, 12 bytes of nonce and 16 of tag.
_SEALED_BYTES_MAX = DATA_BYTES_MAX + 28
_MESSAGE_CHARACTERS_MAX = 600
REQUEST_ID_MAX = 0xFFFF_FFFF
#: A hundred days a year for longer than any city stands.
DAY_NUMBER_MAX = 0xFFFF_FFFF
_DIGEST = re.compile("[0-9a-f]{64}")

FACTOR = Octets((8, 16, 24))
EIGHT = Octets((8,))
CHALLENGE = Octets((4, 8))
COUNTER = Octets((16,))
DATA = Octets(maximum=DATA_BYTES_MAX)
AES_BLOCKS = Octets(maximum=DATA_BYTES_MAX, block_bytes=16)
HANDLE = Number(0xFFFF_FFFF)
PSAM_HANDLE = Octets((16,))
#: An extended APDU: header 5 and length 2, data 65,535, Le 2.
APDU = Octets(maximum=65_544)
IMAGE = Octets(maximum=64 * 1024)
GENERATION = Number(0xFFFF_FFFF)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One operation: its name, what it takes, in order, and what it gives."""

    name: str
    parameters: tuple[tuple[str, Kind[Any]], ...]
    result: Kind[T]


@dataclass(frozen=True, slots=True)
class PsamAnswer:
    """What a hosted PSAM said; its handle when it was made or woken up.

    `image` is empty when it is the one the client holds already.
    """

    answer: bytes
    generation: int
    image: bytes


class PsamAnswers(Kind[PsamAnswer]):
    """See `PsamAnswer`: two parts and a number."""

    def write(self, value: PsamAnswer, parts: list[bytes]) -> object:
        """See `Kind`."""
        parts += (value.answer, value.image)
        return value.generation

    def read(self, value: object, parts: Iterator[bytes]) -> PsamAnswer:
        """See `Kind`."""
        generation = GENERATION.read(value, parts)
        return PsamAnswer(APDU.read(None, parts), generation, IMAGE.read(None, parts))


class Seal(Plain[DaySeal]):
    """A day to be sealed: a list of number, day and digest in hexadecimal digits."""

    def to_json(self, value: DaySeal) -> object:
        """See `Plain`."""
        return [value.number, value.day.isoformat(), value.digest.hex()]

    def from_json(self, value: object) -> DaySeal:
        """See `Plain`."""
        if not isinstance(value, list) or len(value) != 3 or not _DIGEST.fullmatch(str(value[2])):
            raise MessageError(
                Text("不是日封存的序号、日期与摘要", "not number, day and digest of a day's seal")
            )
        number, day, digest = value
        return DaySeal(
            Number(DAY_NUMBER_MAX).from_json(number),
            Day().from_json(day),
            bytes.fromhex(str(digest)),
        )


class Standing(Plain[SealStanding]):
    """How far days are sealed: a list of whether that is registered, and the newest seal."""

    def to_json(self, value: SealStanding) -> object:
        """See `Plain`."""
        return [value.is_kept, Perhaps(Seal()).to_json(value.newest)]

    def from_json(self, value: object) -> SealStanding:
        """See `Plain`."""
        if not isinstance(value, list) or len(value) != 2 or type(value[0]) is not bool:
            raise MessageError(Text("不是封存情况", "not how far days are sealed"))
        return SealStanding(value[0], Perhaps(Seal()).from_json(value[1]))


_REF = ("ref", REF)
_CARD = (_REF, ("factor", FACTOR))
_SESSION = (*_CARD, ("session_input", EIGHT), ("data", DATA))

DESCRIBE_KEYS = Operation(
    "describe_keys", (("usage", Perhaps(USAGE)), ("label", Perhaps(TEXT))), Descriptions()
)
DERIVE_CARD_KEY = Operation("derive_card_key", _CARD, Octets((16,)))
OPEN_CHANNEL = Operation(
    "open_channel",
    (
        ("label", TEXT),
        ("version", KEY_VERSION),
        ("factor", FACTOR),
        ("context", Octets((16,))),
    ),
    HANDLE,
)
CHECK_VALUE = Operation("check_value", _CARD, Octets((3,)))
AUTHENTICATE = Operation("authenticate", (*_CARD, ("challenge", EIGHT)), EIGHT)
MESSAGE_MAC = Operation(
    "message_mac", (*_CARD, ("challenge", CHALLENGE), ("data", DATA)), Octets((4,))
)
SESSION_MAC = Operation("session_mac", _SESSION, Octets((4,)))
VERIFY_SESSION_MAC = Operation(
    "verify_session_mac", (*_SESSION, ("mac", Octets(maximum=16))), Nothing()
)
PROVE_TACS = Operation("prove_tacs", (("label", TEXT), ("column", Tacs())), DATA)
PROVE_RECORD_MACS = Operation(
    "prove_record_macs", (("label", TEXT), ("column", Rows(RecordMacColumn))), DATA
)
PROVE_AUTHENTICATIONS = Operation(
    "prove_authentications", (("label", TEXT), ("column", Rows(AuthenticationColumn))), DATA
)
SEAL_DAY = Operation("seal_day", (_REF, ("seal", Seal())), Octets((64,)))
SEALED_DAYS = Operation("sealed_days", (("label", TEXT),), Standing())
SIGN = Operation("sign", (_REF, ("message", DATA)), Octets((64,)))
PUBLIC_KEY = Operation("public_key", (_REF,), Octets((32, 65)))
ENCIPHER_DATA = Operation(
    "encipher_data",
    (_REF, ("data", DATA), ("context", DATA)),
    Octets(maximum=_SEALED_BYTES_MAX),
)
DECIPHER_DATA = Operation(
    "decipher_data",
    (_REF, ("data", Octets(maximum=_SEALED_BYTES_MAX)), ("context", DATA)),
    DATA,
)

#: Operations of a channel that was opened on the same connection; the first argument names it.
CHANNEL = ("channel", HANDLE)
_CRYPTED = (CHANNEL, ("counter", COUNTER), ("data", AES_BLOCKS))
CHANNEL_CRYPTOGRAM = Operation("channel_cryptogram", (CHANNEL, ("constant", Number(0xFF))), EIGHT)
CHANNEL_COMMAND_MAC = Operation("channel_command_mac", (CHANNEL, ("data", DATA)), Octets((16,)))
CHANNEL_RESPONSE_MAC = Operation("channel_response_mac", (CHANNEL, ("data", DATA)), Octets((16,)))
CHANNEL_ENCIPHER = Operation("channel_encipher", _CRYPTED, AES_BLOCKS)
CHANNEL_DECIPHER = Operation("channel_decipher", _CRYPTED, AES_BLOCKS)
CHANNEL_WRAPPED_CARD_KEYS = Operation(
    "channel_wrapped_card_keys", (CHANNEL, ("refs", Names()), ("factor", FACTOR)), DATA
)

#: Operations of a PSAM that lives in the server. `generation` is that of the image the client has.
PSAM_MAKE = Operation("psam_make", (("profile", Profile()), ("further", Slots())), PsamAnswers())
PSAM_WAKE = Operation("psam_wake", (("image", IMAGE),), PsamAnswers())
PSAM_RENEW = Operation("psam_renew", (("image", IMAGE),), PsamAnswers())
PSAM_TRANSMIT = Operation(
    "psam_transmit",
    (("psam", PSAM_HANDLE), ("command", APDU), ("generation", GENERATION)),
    PsamAnswers(),
)
PSAM_RESET = Operation("psam_reset", (("psam", PSAM_HANDLE),), Nothing())

OPERATIONS: Mapping[str, Operation[Any]] = {
    each.name: each
    for each in (
        DESCRIBE_KEYS, DERIVE_CARD_KEY, OPEN_CHANNEL, CHECK_VALUE, AUTHENTICATE, MESSAGE_MAC,
        SESSION_MAC, VERIFY_SESSION_MAC, PROVE_TACS, PROVE_RECORD_MACS,
        PROVE_AUTHENTICATIONS, SIGN, SEAL_DAY, SEALED_DAYS, PUBLIC_KEY, ENCIPHER_DATA,
        DECIPHER_DATA, CHANNEL_CRYPTOGRAM, CHANNEL_COMMAND_MAC, CHANNEL_RESPONSE_MAC,
        CHANNEL_ENCIPHER, CHANNEL_DECIPHER, CHANNEL_WRAPPED_CARD_KEYS,
        PSAM_MAKE, PSAM_WAKE, PSAM_RENEW, PSAM_TRANSMIT, PSAM_RESET,
    )
}  # fmt: skip

#: Columns in, a reason a row out: what takes memory and a core for a while.
PROOFS = (PROVE_TACS, PROVE_RECORD_MACS, PROVE_AUTHENTICATIONS)

#: What the port raises, the most particular first: an error travels as the first it is one of.
ERRORS = (
    UnknownKeyVersionError,
    UnknownKeyError,
    KeyUsageError,
    KeyStateError,
    KeyRightError,
    SealRefusedError,
    KeyServiceError,
    CryptogramError,
    KeyServiceUnavailableError,
)
_ERRORS_BY_NAME = {error.__name__: error for error in ERRORS}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was understood."""

    number: int
    operation: Operation[Any]
    arguments: tuple[Any, ...]


def encode_request(number: int, operation: Operation[Any], arguments: Sequence[object]) -> bytes:
    """A request as a frame. Raises `MessageError` when it is too long for one."""
    parts: list[bytes] = []
    written = [
        kind.write(argument, parts)
        for (_, kind), argument in zip(operation.parameters, arguments, strict=True)
    ]
    return encode_frame({"id": number, "operation": operation.name, "arguments": written}, parts)


def request_number(frame: Frame) -> int:
    """The number a request gave itself, to answer under; 0 when it gave none."""
    number = frame.header.get("id")
    return number if type(number) is int and 0 < number <= REQUEST_ID_MAX else 0


def decode_request(frame: Frame) -> Request:
    """Raises `MessageError`, which names the argument, for a request that is none of ours.

    >>> from cardcore.keys import KeyRef, KeyUsage
    >>> from hsm_sim.wire.codec.frames import decode_frame
    >>> ref = KeyRef(KeyUsage.FILE_SIGNING, "sender-101", 1)
    >>> request = decode_request(decode_frame(encode_request(7, PUBLIC_KEY, [ref])[4:]))
    >>> request.operation.name, str(request.arguments[0])
    ('public_key', 'file-signing/sender-101/v1')
    """
    if frame.header.keys() != {"id", "operation", "arguments"} or not request_number(frame):
        raise MessageError(
            Text(
                "请求须有 `id`、`operation` 和 `arguments`",
                "a request has `id`, `operation` and `arguments`",
            )
        )
    name, given = frame.header["operation"], frame.header["arguments"]
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        raise MessageError(
            Text(
                f"没有操作 {shorten(str(name), 40)}",
                f"operation {shorten(str(name), 40)} is not known here",
            )
        )
    if not isinstance(given, list) or len(given) != len(operation.parameters):
        raise MessageError(
            Text(
                f"{operation.name} 须有 {len(operation.parameters)} 个参数",
                f"{operation.name} takes {len(operation.parameters)} arguments",
            )
        )
    parts = iter(frame.parts)
    arguments = []
    for (parameter, kind), value in zip(operation.parameters, given, strict=True):
        try:
            arguments.append(kind.read(value, parts))
        except MessageError as error:
            raise MessageError(
                Text(
                    f"{operation.name}，{parameter}：{text_of(error).zh}",
                    f"{operation.name}, {parameter}: {text_of(error).en}",
                )
            ) from None
    if next(parts, None) is not None:
        raise MessageError(
            Text(f"{operation.name}：部分过多", f"{operation.name}: more parts than it takes")
        )
    return Request(request_number(frame), operation, tuple(arguments))


def encode_result(number: int, operation: Operation[T], result: T) -> bytes:
    """The answer to a request that was done."""
    parts: list[bytes] = []
    written = operation.result.write(result, parts)
    return encode_frame({"id": number, "result": written}, parts)


def encode_error(number: int, error: CardcoreError) -> bytes:
    """The answer to a request that was refused; an error the port does not name is a refusal."""
    kinds = (each for each in ERRORS if isinstance(error, each))
    name = next(kinds, KeyServiceError).__name__
    return encode_frame(
        {"id": number, "error": name, "message": text_of(error).en[:_MESSAGE_CHARACTERS_MAX]}
    )


#: What a refusal of each kind means to whoever reads Chinese: what travels is English.
_REFUSALS_ZH: Mapping[type[CardcoreError], str] = {
    CryptogramError: "密文或 MAC 不符",
    UnknownKeyVersionError: "密钥服务持有此密钥，但没有所要的版本",
    UnknownKeyError: "密钥服务没有此密钥",
    KeyUsageError: "此密钥的用途不允许这一操作",
    KeyStateError: "此密钥在当前状态下不能用于这一操作",
    KeyRightError: "该客户端无权执行这一操作或使用此密钥；由密钥服务的运行者在其权限文件中规定",
    SealRefusedError: "密钥服务不封存此日：该序号已另有封存，或未轮到",
    KeyServiceUnavailableError: "密钥服务此刻不能应答，其日志写明原因",
    KeyServiceError: "密钥服务不能照此请求执行，其日志写明原因",
}
#: The key that a refusal begins with, where it names one.
_KEY_NAMED = re.compile(r"([a-z-]+/[A-Za-z0-9-]+(?:/v[0-9]{1,3})?): ")


def _refusal(error: type[CardcoreError], message: str) -> Text:
    """The sentence of a refusal: the service's own in English, that of its kind in Chinese."""
    named = _KEY_NAMED.match(message)
    key = f"{named[1]}：" if named else ""
    return Text(f"{key}{_REFUSALS_ZH[error]}", message)


def decode_answer(frame: Frame, number: int, operation: Operation[T]) -> T:
    """The result, or the error of the port that the answer says.

    Raises `MessageError` for an answer that cannot be one: who answers is no key service of this
    version. It never travels itself, so it is told apart from every refusal.
    """
    header = frame.header
    if header.keys() == {"id", "error", "message"} and header["id"] in {number, 0}:
        name, message = header["error"], header["message"]
        error = _ERRORS_BY_NAME.get(name) if isinstance(name, str) else None
        if error is None or not isinstance(message, str) or frame.parts:
            raise MessageError(Text("拒绝的种类未知", "a refusal of no known kind"))
        raise error(_refusal(error, message))
    if header.keys() != {"id", "result"} or header["id"] != number:
        raise MessageError(Text(f"不是请求 {number} 的应答", f"not the answer to request {number}"))
    parts = iter(frame.parts)
    result = operation.result.read(header["result"], parts)
    if next(parts, None) is not None:
        raise MessageError(Text("应答中的部分过多", "more parts than the answer has"))
    return result
