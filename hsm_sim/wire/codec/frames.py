"""Frames of the key service's own dialect: how one message lies in a stream of bytes.

Decides where a message begins and ends and what is too long. Leaves what a message says to
`messages`, and reading before a deadline to `streams`.

=============  =====  ==============================================================
field          bytes  content
=============  =====  ==============================================================
length         4      of everything behind it, big-endian, at most `FRAME_BYTES_MAX`
version        1      01
header length  4      at most `HEADER_BYTES_MAX`
header         n      one JSON object in UTF-8; `parts` lists the lengths of the parts
parts          n      binary, one after another, up to the end of the frame
=============  =====  ==============================================================
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cardcore.errors import KeyServiceError
from cardcore.text import Text

VERSION = 1
#: A column of a million records with messages of 30 bytes is 44 MiB.
FRAME_BYTES_MAX = 64 * 1024 * 1024
#: The description of a key has some 200 bytes: room for five thousand of them.
HEADER_BYTES_MAX = 1024 * 1024
#: A column has five parts; nothing has more.
PARTS_MAX = 8
LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">BI")


class MessageError(KeyServiceError):
    """A message that cannot be right: refused, nothing was done."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message: its header, and the binary parts that the header speaks of."""

    header: Mapping[str, object]
    parts: tuple[bytes, ...] = field(default=(), repr=False)


def encode_frame(header: Mapping[str, object], parts: Sequence[bytes] = ()) -> bytes:
    """A message as bytes, length first. Raises `MessageError` when it is too long.

    >>> encode_frame({"id": 1}, [b"ab"]).hex(" ", -4)
    '0000001b 01000000 147b2269 64223a31 2c227061 72747322 3a5b325d 7d6162'
    """
    lengths = [len(part) for part in parts]
    words = json.dumps({**header, "parts": lengths}, ensure_ascii=False, separators=(",", ":"))
    try:
        head = words.encode()
    except UnicodeEncodeError:  # half of a character
        raise MessageError(
            Text("消息中的一段文字不是合法文本", "a text in the message is none")
        ) from None
    size = _HEAD.size + len(head) + sum(lengths)
    if size > FRAME_BYTES_MAX or len(head) > HEADER_BYTES_MAX:
        raise MessageError(
            Text(
                f"消息 {size} 字节，过长：至多 {FRAME_BYTES_MAX} 字节",
                f"a message of {size} bytes is too long: at most {FRAME_BYTES_MAX}",
            )
        )
    return b"".join((LENGTH.pack(size), _HEAD.pack(VERSION, len(head)), head, *parts))


def frame_bytes(length: bytes) -> int:
    """How many bytes follow the length field. Raises `MessageError` for a size no message has."""
    (size,) = LENGTH.unpack(length)
    if not _HEAD.size < size <= FRAME_BYTES_MAX:
        raise MessageError(
            Text(
                f"消息 {size} 字节：至多 {FRAME_BYTES_MAX} 字节",
                f"a message of {size} bytes: at most {FRAME_BYTES_MAX}",
            )
        )
    return int(size)


def decode_frame(body: bytes | bytearray) -> Frame:
    """The message behind a length field. Raises `MessageError` for anything that is none.

    >>> decode_frame(encode_frame({"id": 1}, [b"ab", b""])[4:]).header["id"]
    1
    """
    if len(body) < _HEAD.size:
        raise MessageError(
            Text(f"消息 {len(body)} 字节，缺少头部", f"a message of {len(body)} bytes has no head")
        )
    version, head_bytes = _HEAD.unpack_from(body)
    if version != VERSION:
        raise MessageError(
            Text(
                f"协议版本为 {version}，本机为版本 {VERSION}",
                f"version {version} of the dialect; this is version {VERSION}",
            )
        )
    start = _HEAD.size + head_bytes
    if head_bytes > HEADER_BYTES_MAX or start > len(body):
        raise MessageError(
            Text(
                f"消息共 {len(body)} 字节，头部却有 {head_bytes} 字节",
                f"a header of {head_bytes} bytes in a message of {len(body)}",
            )
        )
    try:
        header = json.loads(bytes(body[_HEAD.size : start]).decode())
    except (ValueError, RecursionError):
        # No chain: the parser's own error quotes what was sent.
        raise MessageError(
            Text("头部不是 UTF-8 的 JSON", "the header is not JSON in UTF-8")
        ) from None
    if not isinstance(header, dict):
        raise MessageError(Text("头部不是 JSON 对象", "the header is not a JSON object"))
    return Frame(header, _cut(header.pop("parts", None), memoryview(body)[start:]))


def _cut(lengths: object, rest: memoryview) -> tuple[bytes, ...]:
    """The parts, as long as the header says; together they are all there is."""
    if not isinstance(lengths, list) or len(lengths) > PARTS_MAX:
        raise MessageError(
            Text(
                f"`parts` 不是至多 {PARTS_MAX} 个长度的列表",
                f"`parts` is not a list of at most {PARTS_MAX} lengths",
            )
        )
    parts: list[bytes] = []
    position = 0
    for length in lengths:
        if type(length) is not int or not 0 <= length <= len(rest) - position:
            raise MessageError(
                Text(
                    f"第 {len(parts) + 1} 部分长于消息剩余的字节",
                    f"part {len(parts) + 1} is longer than what is left of the message",
                )
            )
        parts.append(bytes(rest[position : position + length]))
        position += length
    if position != len(rest):
        raise MessageError(
            Text(
                f"末一部分之后还有 {len(rest) - position} 字节",
                f"{len(rest) - position} bytes behind the last part",
            )
        )
    return tuple(parts)
