"""An old centre for tests: it hands its cards over in files that it signs."""

from collections.abc import Sequence
from datetime import datetime

from cardcore.crypto import signatures
from cardcore.keys import Algorithm
from cardcore.records.kinds import Sector
from cardcore.records.openings import (
    OpeningBalance,
    OpeningHeader,
    encode_openings,
    encode_row,
)
from cardcore.schemes import ParticipantKind
from settlement.city import City
from settlement.registry.book import since_ever
from settlement.registry.rows import ParticipantRow, SenderRow
from settlement.store.registry import register
from tests.settlement.device_files import ACTION, SCHEME

SECRET = bytes(range(1, 33))
PUBLIC_KEY = signatures.public_key(Algorithm.ED25519, SECRET).hex()
CENTRE, CENTRE_SENDER = 800, 80
EVE = datetime(2018, 8, 31, 23, 59)  # noqa: DTZ001 - wall clock of the city
ISSUER = SCHEME.issuer.hex()


def register_centre(city: City) -> None:
    """The old centre, and the key that it signs with."""
    rows = since_ever(
        ParticipantRow(CENTRE, "老中心", ParticipantKind.CENTRE, Sector.CARD_SERVICE),
        SenderRow(CENTRE_SENDER, 1, CENTRE, PUBLIC_KEY),
    )
    register(city.database, rows, ACTION)


def a_balance(number: int, balance_fen: int, online: int = 3, **changes: object) -> OpeningBalance:
    """What the old centre says of a card of the test city."""
    known: dict[str, object] = {
        "issuer": ISSUER,
        "card_number": f"{number:020}",
        "application": 0,
        "balance_fen": balance_fen,
        "online_counter": online,
        "debit_counter": 0,
        "debit_counter_known": 0,
        "as_of": EVE,
    }
    return OpeningBalance(**(known | changes))  # type: ignore[arg-type] # the caller names fields


def opening_file(
    balances: Sequence[OpeningBalance], secret: bytes = SECRET, **changes: object
) -> bytes:
    """A signed file of these rows. What is changed of the header is signed so."""
    values: dict[str, object] = {
        "sender": CENTRE_SENDER,
        "key_version": 1,
        "centre": CENTRE,
        "row_count": len(balances),
        "total_fen": sum(each.balance_fen for each in balances),
        "as_of": EVE,
        "created_at": EVE,
    }
    header = OpeningHeader(**(values | changes))  # type: ignore[arg-type] # as above
    rows = [encode_row(each, header.centre, row) for row, each in enumerate(balances, 1)]
    return signed_rows(header, rows, secret)


def signed_rows(header: OpeningHeader, rows: Sequence[bytes], secret: bytes = SECRET) -> bytes:
    """A signed file of rows that may be anything."""
    return encode_openings(
        header, rows, lambda message: signatures.sign(Algorithm.ED25519, secret, message)
    )
