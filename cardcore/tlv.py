"""BER-TLV of ISO/IEC 7816-4 §5.2: tags of one to three bytes, definite lengths, nesting.

Decides how tag, length and value become bytes and back. Leaves which tags mean what to those who
build or read the object. A bare `70`-style constructed tag is one whose bit 6 is set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cardcore.errors import DecodeError
from cardcore.text import Text

#: Longest tag and length that are read: nothing on a card is larger than two length bytes say.
TAG_BYTES_MAX = 3
LENGTH_BYTES_MAX = 3
#: Nesting deeper than any directory of a card; a deeper object is damaged, not understood.
DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Tlv:
    r"""One object: `value` is bytes when primitive, the objects inside when constructed.

    >>> Tlv(0x6F, (Tlv(0x84, b"1PAY"), Tlv(0xA5, (Tlv(0x9F08, b"\x02"),)))).encode().hex()
    '6f0c840431504159a5049f080102'
    >>> Tlv(0x80, bytes(200)).encode()[:3].hex()
    '8081c8'
    """

    tag: int
    value: "bytes | tuple[Tlv, ...]"

    def encode(self) -> bytes:
        """Tag, shortest definite length, value."""
        content = self.value if isinstance(self.value, bytes) else encode_all(self.value)
        tag, length = self.tag, len(content)
        if tag < 0x100 and length < 0x80:
            return bytes((tag, length)) + content
        size = max(1, (tag.bit_length() + 7) // 8)
        return tag.to_bytes(size, "big") + _encode_length(length) + content

    def find(self, tag: int) -> "Tlv | None":
        """The first object with that tag in here, this one first, depth first."""
        if self.tag == tag:
            return self
        return None if isinstance(self.value, bytes) else find(self.value, tag)

    @property
    def content(self) -> bytes:
        """The bytes of the value, constructed or not."""
        return self.value if isinstance(self.value, bytes) else encode_all(self.value)


def encode_all(objects: Sequence[Tlv]) -> bytes:
    """Objects one after another."""
    return b"".join([each.encode() for each in objects])


def find(objects: Sequence[Tlv], tag: int) -> Tlv | None:
    """The first object with that tag among these and inside them, depth first."""
    return next((hit for each in objects if (hit := each.find(tag)) is not None), None)


def decode_all(data: bytes) -> tuple[Tlv, ...]:
    r"""Read objects to the end of the data; constructed ones are read into.

    >>> fci = bytes.fromhex("6F0C840431504159A5049F080102")
    >>> find(decode_all(fci), 0x9F08)
    Tlv(tag=40712, value=b'\x02')

    Raises `DecodeError` with the byte where an object cannot be right.
    """
    return tuple(_decode(data, 0, len(data), 0))


def _encode_length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    if size >= LENGTH_BYTES_MAX:
        raise ValueError(f"{length} bytes are more than a card object holds")
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def _decode(data: bytes, start: int, end: int, depth: int) -> Iterator[Tlv]:
    if depth > DEPTH_MAX:
        raise DecodeError(
            "TLV", start, Text(f"嵌套超过 {DEPTH_MAX} 层", f"nested deeper than {DEPTH_MAX}")
        )
    position = start
    while position < end:
        if data[position] == 0:
            # Zero bytes between objects mean nothing (§5.2.1); one published FCI ends in four.
            position += 1
            continue
        tag, constructed, after_tag = _decode_tag(data, position, end)
        length, body = _decode_length(data, after_tag, end)
        position = body + length
        if position > end:
            reason = Text(f"长度 {length} 超出末尾", f"length {length} runs past the end")
            raise DecodeError("TLV", after_tag, reason)
        if constructed:
            yield Tlv(tag, tuple(_decode(data, body, position, depth + 1)))
        else:
            yield Tlv(tag, data[body:position])


def _decode_tag(data: bytes, start: int, end: int) -> tuple[int, bool, int]:
    """Tag, whether it is constructed, where it ends. Low five bits all set: more bytes follow."""
    first = data[start]
    stop = start + 1
    if first & 0x1F == 0x1F:
        while True:
            if stop >= end:
                raise DecodeError("TLV", start, Text("标签超出末尾", "tag runs past the end"))
            stop += 1
            if stop - start > TAG_BYTES_MAX:
                reason = Text(
                    f"标签长于 {TAG_BYTES_MAX} 字节", f"tag longer than {TAG_BYTES_MAX} bytes"
                )
                raise DecodeError("TLV", start, reason)
            if data[stop - 1] & 0x80 == 0:
                break
    return int.from_bytes(data[start:stop], "big"), first & 0x20 != 0, stop


def _decode_length(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Length and where the value begins."""
    if start >= end:
        raise DecodeError("TLV", start, Text("缺少长度", "length is missing"))
    first = data[start]
    if first < 0x80:
        return first, start + 1
    size = first & 0x7F
    if size == 0 or size >= LENGTH_BYTES_MAX:
        raise DecodeError("TLV", start, Text(f"长度占 {size} 字节", f"length of {size} bytes"))
    if start + 1 + size > end:
        raise DecodeError("TLV", start, Text("长度超出末尾", "length runs past the end"))
    return int.from_bytes(data[start + 1 : start + 1 + size], "big"), start + 1 + size
