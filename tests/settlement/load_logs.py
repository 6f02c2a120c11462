"""A load host for tests: what it allows stands in its log, in signed files.

It has a key of its own, which an office registers; it allows whatever it is asked.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cardcore.crypto import signatures
from cardcore.keys import Algorithm
from cardcore.records.kinds import Funding
from cardcore.records.load_log import (
    AllowedLoad,
    LoadLogHeader,
    chain_start,
    encode_entry,
    encode_load_log,
)
from cardcore.records.record import decode_record
from settlement.city import City
from settlement.registry.book import since_ever
from settlement.registry.rows import LoadHostRow
from settlement.store.registry import register
from tests.settlement.device_files import ACTION, MORNING, SCHEME

SECRET, STRANGERS_SECRET = bytes(range(32)), bytes(32)
ISSUER = SCHEME.issuer.hex().upper()


def register_host(city: City) -> None:
    """The host of the test city's issuer, under the first version of its key."""
    public_key = signatures.public_key(Algorithm.ED25519, SECRET).hex()
    register(city.database, since_ever(LoadHostRow(ISSUER, 1, public_key)), ACTION)


@dataclass
class Host:
    """The log of a load host: entries one after another, and how far they are in files."""

    secret: bytes = SECRET
    loads: list[AllowedLoad] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    filed: int = 0

    def allow(self, **values: object) -> AllowedLoad:
        """One more entry: the card's first load of 10 yuan, unless told otherwise."""
        known: dict[str, object] = {
            "number": len(self.loads) + 1,
            "application": 0,
            "card_number": f"{1:020}",
            "key_version": 1,
            "random": b"\1\2\3\4",
            "online_counter": 0,
            "balance_before_fen": 0,
            "amount_fen": 1000,
            "terminal": "0000000000c1",
            "time": MORNING,
            "mac1": b"mac1",
            "mac2": b"mac2",
            "funding": Funding.CASH,
        }
        load = AllowedLoad(**(known | values))  # type: ignore[arg-type] # the caller names fields
        self.loads.append(load)
        self.entries.append(encode_entry(load, self.digest))
        return load

    def allow_record(self, record: bytes, **changes: object) -> AllowedLoad:
        """The entry of the load that a record tells of."""
        told = decode_record(record)
        names = (
            "application", "card_number", "key_version", "online_counter", "balance_before_fen",
            "amount_fen", "terminal", "time",
        )  # fmt: skip
        return self.allow(**({name: getattr(told, name) for name in names} | changes))

    @property
    def digest(self) -> bytes:
        """The digest of the whole log."""
        return self.entries[-1][-32:] if self.entries else chain_start(SCHEME.issuer)

    def file(
        self, created_at: datetime = MORNING + timedelta(hours=12), **changes: object
    ) -> bytes:
        """A signed file of all entries that are in none yet."""
        first, self.filed = self.filed, len(self.entries)
        return self.file_of(first, len(self.entries), created_at, **changes)

    def file_of(
        self, first: int, end: int, created_at: datetime = MORNING, **changes: object
    ) -> bytes:
        """A signed file of the entries from one place in the log to before another."""
        previous = self.entries[first - 1][-32:] if first else chain_start(SCHEME.issuer)
        values: dict[str, object] = {
            "issuer": SCHEME.issuer,
            "key_version": 1,
            "first_number": first + 1,
            "entry_count": end - first,
            "previous": previous,
            "created_at": created_at,
        }
        header = LoadLogHeader(**(values | changes))  # type: ignore[arg-type] # as above
        return encode_load_log(
            header,
            self.entries[first:end],
            lambda message: signatures.sign(Algorithm.ED25519, self.secret, message),
        )
