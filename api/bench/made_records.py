"""Records nobody tapped, many at a time: columns of numbers in, bytes with true TACs out.

Decides what stands in a record of which only a few fields matter. Leaves what is made of them to
whoever measures, and the public key their cards would sign with to `api.bench.keys`.
"""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from api.bench.keys import city_tacs
from cardcore.keys import TacColumn
from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.records.record import COUNTER_NOT_READ, FIELD, RECORD_BYTES, VERSION
from cardcore.schemes.catalogue import SCHEMES
from settlement.facts.signed import cryptograms

#: n records of 256 bytes each.
Rows = NDArray[np.uint8]
#: One number for every record, or the same for all.
Column = NDArray[np.int64] | int

SCHEME = SCHEMES["shenzhen"]
BUS_OPERATOR, LOAD_AGENT = 101, 900
#: The terminals of made records, by number.
BUS, KIOSK = 0xB1, 0xC1
#: Taps of a day begin at six and are dealt out over eighteen hours.
_FIRST_HOUR, _DAY_SECONDS = 6, 18 * 3600 - 1
_CARD = 3_105_840_000_000_000_000  # of the scheme; the digits of card 0
_COUNTER_CYCLE = 65_535


def rides(day: date, count: int, **columns: Column) -> Rows:
    """Bus rides of nothing, one after the other; what matters is told by field. `card` is the
    number of the card, `counter` its debits before in its whole life.
    """
    rows = _rows(day, count, columns)
    _put(rows, "kind", RecordKind.PURCHASE)
    _put(rows, "sector", Sector.TRANSIT)
    _put(rows, "transaction_type", TransactionType.COMPOSITE)
    _put(rows, "online_counter", COUNTER_NOT_READ)
    _put(rows, "offline_counter", _wrapped(columns.pop("counter", 0)))
    _put(rows, "terminal", BUS)
    _put(rows, "operator", BUS_OPERATOR)
    return told(rows, **columns)


def loads(day: date, count: int, **columns: Column) -> Rows:
    """The same of loads at the kiosk; `counter` is the loads before."""
    rows = _rows(day, count, columns)
    _put(rows, "kind", RecordKind.LOAD)
    _put(rows, "sector", Sector.CARD_SERVICE)
    _put(rows, "transaction_type", TransactionType.LOAD)
    _put(rows, "offline_counter", COUNTER_NOT_READ)
    _put(rows, "online_counter", _wrapped(columns.pop("counter", 0)))
    _put(rows, "terminal", KIOSK)
    _put(rows, "operator", LOAD_AGENT)
    return told(rows, **columns)


def sign(rows: Rows) -> Rows:
    """The records with the TACs that their cards would make."""
    signed, tac = rows.copy(), FIELD["tac"].offset
    for part in cryptograms(rows.tobytes(), (), SCHEME.name):
        assert isinstance(part.column, TacColumn)
        tacs = city_tacs(SCHEME.name, part.column)
        signed[part.rows, tac : tac + 4] = np.frombuffer(tacs, np.uint8).reshape(-1, 4)
    return signed


def told(rows: Rows, **columns: Column) -> Rows:
    """The records with these fields told otherwise."""
    changed = rows.copy()
    for name, values in columns.items():
        _put(changed, name, values)
    return changed


def _rows(day: date, count: int, columns: dict[str, Column]) -> Rows:
    """Records with what all of them have."""
    rows = np.zeros((count, RECORD_BYTES), np.uint8)
    rows[:, 0] = VERSION
    number = np.arange(count)
    _put(rows, "issuer", int.from_bytes(SCHEME.issuer, "big"))
    _put_digits(rows, "card_number", _CARD + np.asarray(columns.pop("card", 1), np.int64))
    _put(rows, "terminal_serial", number + 1)
    _put(rows, "psam_sequence", number + 1)
    _put(rows, "station", 1)
    _put(rows, "hotlist_version", 1)
    _put(rows, "algorithm", 1)
    _put(rows, "key_version", 1)
    text = int(f"{day:%Y%m%d}")
    _put_digits(rows, "business_day", text)
    seconds = number * _DAY_SECONDS // max(count, 1)
    hour, minute, second = _FIRST_HOUR + seconds // 3600, seconds // 60 % 60, seconds % 60
    _put_digits(rows, "time", text * 1_000_000 + hour * 10_000 + minute * 100 + second)
    return rows


def _wrapped(counter: Column) -> NDArray[np.int64]:
    """A counter of 16 bits: after 65535 comes 1."""
    position = np.asarray(counter, np.int64)
    return np.where(position > 0, (position - 1) % _COUNTER_CYCLE + 1, 0)


def _put(rows: Rows, name: str, values: Column) -> None:
    field = FIELD[name]
    wide = np.broadcast_to(np.asarray(values).astype(">u8"), (len(rows),)).copy()
    cells = wide.view(np.uint8).reshape(-1, 8)
    rows[:, field.offset : field.offset + field.length] = cells[:, 8 - field.length :]


def _put_digits(rows: Rows, name: str, values: Column) -> None:
    """Two digits a byte."""
    field = FIELD[name]
    rest = np.broadcast_to(np.asarray(values, np.int64), (len(rows),)).copy()
    for place in range(field.offset + field.length - 1, field.offset - 1, -1):
        rows[:, place] = rest % 10 + (rest // 10 % 10) * 16
        rest //= 100
