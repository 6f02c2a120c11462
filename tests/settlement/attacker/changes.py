"""What the attacker may write into a record, and what is left of its truth.

Decides which bytes it changes to what. Leaves when it does so, and what must hold, to `attacker`.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

from cardcore.records.kinds import RecordFlag
from cardcore.records.record import FIELD
from tests.settlement.attacker.truth import Movement
from tests.settlement.attacks.town import AGENT, BUS, GUEST_ISSUER, METRO, altered, vouched
from tests.settlement.device_files import BUS_TERMINAL, METRO_TERMINAL, SCHEME

#: A bus that is sold one day, and a terminal that nobody registered at first.
SOLD_BUS, STRAY = "0000000000b2", "0000000000d1"
#: What the attacker writes into bytes that nobody signed: any of these leaves a true record true.
HARMLESS: dict[str, tuple[int, ...]] = {
    "terminal_serial": (0, 1, 2, 3, 50, 2**32 - 1),
    "offline_counter": (0, 1, 2, 3, 0xFFFF),
    "balance_before_fen": (0, 160, 10_000, 2**32 - 1),
    "operator": (BUS, METRO, AGENT, 4_242, 0),
    "sector": (1, 5, 6, 200),
    "tariff_fen": (0, 1, 200, 2**32 - 1),
    "flags": (0, int(RecordFlag.TAC_MISSING), int(RecordFlag.RECOVERED)),
    "concession": (0, 1, 2),
    "business_day": (0x20180901, 0x20991231),
    "hotlist_version": (0, 2**32 - 1),
    "line": (1, 2, 3),
}
#: What keeps a record from being judged as a card's of this city.
FOREIGN: dict[str, tuple[int | bytes, ...]] = {
    "issuer": (0x0102030405060708, int(GUEST_ISSUER, 16)),
    "card_number": (bytes(2),),
    "application": (1, 2),
    "algorithm": (4, 99),
    "key_version": (2, 77),
    # Issuer and the digits that choose no key: a partner's card told as ours, ours as a partner's.
    "whose": (SCHEME.issuer + bytes.fromhex("0310"), bytes.fromhex(GUEST_ISSUER + "0888")),
}
#: What cards did sign: the attacker can only hope.
SIGNED: dict[str, tuple[int | bytes, ...]] = {
    "amount_fen": (0, 1, 9_999, 2**32 - 1),
    "terminal": tuple(bytes.fromhex(each) for each in (BUS_TERMINAL, METRO_TERMINAL, STRAY)),
    "psam_sequence": (9_001, 9_002),
    "tac": (bytes(8), b"\1\2\3\4" + bytes(4)),
}
#: A change of a record: the name of a field and its new value; "": none, "mac": a PSAM vouches.
Change = tuple[str, int | bytes]
UNSIGNED = st.sampled_from(sorted(HARMLESS)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(HARMLESS[name]))
)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.just(("", 0)),
    UNSIGNED,
    UNSIGNED,
    st.sampled_from([("mac", psam) for psam in (1, 4, 9)]),
    st.sampled_from([(name, each) for name, values in SIGNED.items() for each in values]),
    st.sampled_from([(name, each) for name, values in FOREIGN.items() for each in values]),
)


@dataclass(frozen=True, eq=False)
class Piece:
    """A record the attacker holds, and the movement whose signature it carries, if any."""

    record: bytes
    origin: Movement | None
    is_judgeable: bool = True


def changed(piece: Piece, name: str, value: int | bytes) -> Piece:
    """The record with something else in one field, and what is left of its truth."""
    if name == "mac":
        assert isinstance(value, int)
        return Piece(vouched(piece.record, f"{value}" * 20), piece.origin, piece.is_judgeable)
    if name == "whose":
        assert isinstance(value, bytes)
        return changed(changed(piece, "issuer", value[:8]), "card_number", value[8:])
    if name == "card_number":  # the first digits, which choose no key
        assert isinstance(value, bytes)
        start = FIELD[name].offset
        value += piece.record[start + len(value) : start + FIELD[name].length]
    record = altered(piece.record, name, value)
    if name in SIGNED and record != piece.record and not _is_unsigned_of_a_load(piece, name):
        return Piece(record, None)
    return Piece(record, piece.origin, piece.is_judgeable and name not in FOREIGN)


def _is_unsigned_of_a_load(piece: Piece, name: str) -> bool:
    return name == "psam_sequence" and piece.origin is not None and piece.origin.is_load
