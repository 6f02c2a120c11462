"""Published values however somebody turned them: a table that knows a value again.

Decides which changes of published bytes make them no secret: any order of the bits within a byte
that people use (as they are, half bytes swapped, mirrored, both), back to front, turned by any
number of bytes (halves swapped is eight), and one constant added to every byte (XOR, the complement
among them); and the last bit of each byte, which is parity for DES. Together 2^15 a value.
Leaves which values are published to `published_keys` and `standard_values`.
"""

from collections.abc import Iterable, Iterator

VALUE_BYTES = 16
_STEP = 8
_ORDERS = tuple(
    bytes(order)
    for order in (
        range(256),
        [byte >> 4 | byte << 4 & 0xF0 for byte in range(256)],
        [int(f"{byte:08b}"[::-1], 2) for byte in range(256)],
        [int(f"{byte:08b}"[3::-1] + f"{byte:08b}"[:3:-1], 2) for byte in range(256)],
    )
)
_PARITY = 0x01
#: What is left of a byte when its own last bit and that of what it was made from do not count.
_SEEN = tuple(0xFF & ~(_PARITY | order[_PARITY]) for order in _ORDERS)
_SEEN_BY_ALL = int.from_bytes(bytes([_SEEN[0] & _SEEN[1] & _SEEN[2] & _SEEN[3]]) * VALUE_BYTES)
_EVERY_BYTE = int.from_bytes(b"\x01" * VALUE_BYTES)

Table = dict[int, bytes]


def table_of(values: Iterable[bytes]) -> Table:
    """Values to be known again by their first 16 bytes or their last."""
    return {
        _trace(part): part
        for value in values
        for part in {value[:VALUE_BYTES], value[-VALUE_BYTES:]}
    }


def is_known(value: bytes, tables: Iterable[Table]) -> bool:
    """Whether a part of `value` is one of a table, however it was turned.

    >>> known = table_of([bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")])
    >>> turned = bytes.fromhex("D47A06F2983C5BE1257ED9B3601F4C8A")
    >>> is_known(turned, [known]), is_known(bytes(255 ^ byte for byte in turned), [known])
    (True, True)
    """
    tables = tuple(tables)
    return any(
        (found := table.get(trace)) is not None and _is_same(form, found, seen)
        for part in _parts(value)
        for form, seen in _forms(part)
        for trace in (_trace(form),)
        for table in tables
    )


def _parts(value: bytes) -> Iterator[bytes]:
    for start in range(0, len(value) - VALUE_BYTES + 1, _STEP):
        yield value[start : start + VALUE_BYTES]


def _forms(part: bytes) -> Iterator[tuple[bytes, int]]:
    for order, seen in zip(_ORDERS, _SEEN, strict=True):
        turned = part.translate(order)
        for way in (turned, turned[::-1]):
            for start in range(VALUE_BYTES):
                yield way[start:] + way[:start], seen


def _trace(form: bytes) -> int:
    """The same for every form that differs by a constant or in bits that do not count."""
    return (int.from_bytes(form) ^ form[0] * _EVERY_BYTE) & _SEEN_BY_ALL


def _is_same(form: bytes, found: bytes, seen: int) -> bool:
    return len({(left ^ right) & seen for left, right in zip(form, found, strict=True)}) == 1
