"""Coverage-guided fuzzing of everything that reads bytes: TLV, APDUs, records, layouts, packages,
key blocks, host commands.

    python -m tests.fuzz.fuzz_codecs --seconds 60 [--seed 1]
    python -m tests.fuzz.fuzz_codecs --atheris [libFuzzer arguments]

The rule of every codec: bytes are refused with the codec's own error, or they are a value whose
bytes read as the same value again. `fuzz_one` checks it; its first byte chooses the codec. With
atheris installed libFuzzer drives it; without, the loop below keeps every input that reaches a
line no other input has reached, and makes new inputs out of those.
"""

import argparse
import random
import sys
import time
import zlib
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from cardcore import tlv
from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import CardKey, Pin
from cardcore.chip.memory import Memory
from cardcore.chip.package import Package
from cardcore.chip.tree import decode_file
from cardcore.errors import DecodeError, RecordFormatError
from cardcore.layouts import bus, city_transit, city_union, library
from cardcore.layouts import transit as layout
from cardcore.layouts.fixed import FixedLayout
from cardcore.records.record import RECORD_BYTES, decode_record, encode_record
from tests.cardcore.chip.full_chips import EVERYTHING, package
from tests.cardcore.transit_cards import PROFILE, RIDE, TRIP, a_record
from tests.fuzz import host_commands

Target = Callable[[bytes], None]


def _check(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], data: bytes) -> None:
    """Refused, or a value that comes back from its own bytes."""
    try:
        value = decode(data)
    except (DecodeError, RecordFormatError):
        return
    encoded = encode(value)
    assert decode(encoded) == value, (data.hex(), value, encoded.hex())


def _layout(kind: type[FixedLayout]) -> Target:
    return lambda data: _check(kind.decode, lambda value: value.encode(), data)


def _sealed(data: bytes, start: int) -> bytes:
    """The bytes with the checksum that belongs to them, so that damage gets past it."""
    body = data[start:-4]
    return data[:start] + body + zlib.crc32(body).to_bytes(4, "big")


def _package(data: bytes) -> None:
    sealed = _sealed(data, 1 + data[0]) if data else data
    _check(Package.decode, lambda value: value.encode(), sealed)


def _image(data: bytes) -> None:
    data = _sealed(data, 0)

    def cells(image: bytes) -> dict[int, bytes]:
        return Memory.from_image(image).cells()

    _check(cells, lambda value: Memory(value).image(), data)


def _header(data: bytes) -> None:
    _check(lambda raw: decode_file(7, raw), lambda file: file.encode(), data)


def _rule(data: bytes) -> None:
    _check(lambda raw: Access.decode(raw)[0], lambda rule: rule.encode(), data)


def _codec(kind: Any) -> Target:  # noqa: ANN401 - any class with decode and encode
    return lambda data: _check(kind.decode, lambda value: value.encode(), data)


TARGETS: list[Target] = [
    lambda data: _check(tlv.decode_all, tlv.encode_all, data),
    _codec(CommandApdu),
    _codec(ResponseApdu),
    _package,
    _codec(CardKey),
    _codec(Pin),
    _codec(city_union.CompositeRecord),
    _image,
    _header,
    _rule,
    lambda data: _check(decode_record, encode_record, data),
    host_commands.host_command,
    host_commands.key_block,
    *(
        _layout(kind)
        for kind in (
            layout.PublicInformation,
            layout.HolderInformation,
            layout.CardProperties,
            layout.LogRecord,
            layout.TransitRecord,
            layout.TripRecord,
            bus.BusRecord,
            city_transit.HireRecord,
            city_transit.ConcessionRecord,
            city_union.CityPublicInformation,
            library.ReaderInformation,
            library.LoanRecord,
        )
    ),
]


def fuzz_one(data: bytes) -> None:
    """One input; raises when a codec breaks its rule."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def seeds() -> list[bytes]:
    """Real bytes for the codecs that nothing random ever reaches, and a little for all."""
    real = [
        bytes.fromhex("6F0C840431504159A5049F080102"),
        bytes.fromhex("80500102 0B 0100001000112233445566 0F"),
        b"\x90\x00",
        package().encode(),
        EVERYTHING,
        encode_record(a_record()),
        PROFILE.public.encode(),
        RIDE.encode(),
        TRIP.encode(),
        bytes(RECORD_BYTES),
        *host_commands.seeds(),
    ]
    return [bytes((number,)) + data for number in range(len(TARGETS)) for data in (*real, b"")]


class Lines:
    """Which lines of the codecs have run."""

    def __init__(self) -> None:
        self.seen: set[tuple[CodeType, int]] = set()
        self.new = False

    def trace(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - a tracer
        """Tracer for `sys.settrace`."""
        if not any(package in frame.f_code.co_filename for package in ("cardcore", "hsm_sim")):
            return None
        if event == "line":
            at = (frame.f_code, frame.f_lineno)
            if at not in self.seen:
                self.seen.add(at)
                self.new = True
        return self.trace

    def reaches(self, data: bytes) -> bool:
        """Run one input; whether it came to a new line."""
        self.new = False
        sys.settrace(self.trace)
        try:
            fuzz_one(data)
        finally:
            sys.settrace(None)
        return self.new


def mutated(dice: random.Random, corpus: list[bytes]) -> bytes:
    """An input made of one or two others."""
    data = bytearray(dice.choice(corpus)) or bytearray(b"\x00")
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(data))
        kind = dice.randrange(6)
        if kind == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at] = dice.choice((0x00, 0x01, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        elif kind == 2:
            del data[at : at + dice.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = dice.randbytes(dice.randrange(1, 9))
        elif kind == 4:
            data = data[: at + 1] + dice.choice(corpus)[-dice.randrange(1, 64) :]
        else:
            data[at : at + 4] = len(data).to_bytes(4, "big")
        data = data or bytearray(b"\x00")
    return bytes(data)


def run(seconds: float, seed: int) -> tuple[int, int, int]:
    """Inputs tried, inputs kept, lines reached. Raises at the first broken rule."""
    dice, lines, corpus = random.Random(seed), Lines(), seeds()
    for data in corpus:
        lines.reaches(data)
    tried, end = len(corpus), time.perf_counter() + seconds
    while time.perf_counter() < end:
        data = mutated(dice, corpus)
        tried += 1
        if lines.reaches(data):
            corpus.append(data)
    return tried, len(corpus), len(lines.seen)


def main() -> None:
    """Command line."""
    if "--atheris" in sys.argv:
        import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

        arguments = [argument for argument in sys.argv if argument != "--atheris"]
        atheris.instrument_all()
        atheris.Setup(arguments, fuzz_one)
        atheris.Fuzz()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    tried, kept, reached = run(chosen.seconds, chosen.seed)
    sys.stdout.write(f"{tried:,} inputs, {kept:,} kept, {reached:,} lines reached\n")


if __name__ == "__main__":
    main()
