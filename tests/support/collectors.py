"""What stands around the terminals of a test that runs from chips to the closed day: who is
registered, and what a collector sends of its journal.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

from api.composition import CityKeys
from cardcore.key_labels import sender_label
from cardcore.keys import KeyUsage
from cardcore.records.batch import decode_batch, encode_batch
from cardcore.records.record import RECORD_BYTES
from settlement.city import City
from settlement.facts.proof import signing_keys
from settlement.people.actions import Action
from settlement.registry.book import since_ever
from settlement.registry.rows import SenderRow, TerminalRow
from settlement.service.registering import register_rows
from terminals.journal.journal import Journal
from terminals.journal.upload import plan_batch, write_batch


@dataclass(frozen=True, slots=True)
class Site:
    """A terminal (12 digits), the role of its device, and whose it is: operator and sender."""

    terminal: str
    role: str
    participant: int


def register_sites(city: City, keys: CityKeys, sites: Iterable[Site], action: Action) -> None:
    """The terminals of a street, the senders of their files, and the keys under which cards and
    PSAMs sign, as an office registers them.
    """
    sites = tuple(sites)
    senders = {
        SenderRow(each, key.ref.version, each, keys.service.public_key(key.ref).hex())
        for each in {site.participant for site in sites}
        for key in keys.sender_keys(each)
    }
    terminals = (TerminalRow(each.terminal, each.participant, each.role) for each in sites)
    signing = signing_keys(keys.service, city.scheme.name)
    register_rows(city, since_ever(*sorted(senders), *terminals, *signing), action)


def signed_files(journal: Journal, keys: CityKeys, now: datetime, outbox: Path) -> Iterator[bytes]:
    """Everything a collector holds, in signed files; they lie in its outbox, too."""
    key = keys.key_to_make(KeyUsage.FILE_SIGNING, sender_label(journal.sender()))
    outbox.mkdir(parents=True, exist_ok=True)
    while (sequence := plan_batch(journal, key_version=key.ref.version, now=now)) is not None:
        sign = partial(keys.service.sign, key.ref)
        yield write_batch(journal, sequence, sign, outbox, key.algorithm).read_bytes()


def rewritten(
    data: bytes, keys: CityKeys, change: Callable[[int, bytearray], None]
) -> tuple[bytes, Sequence[bytes]]:
    """The file as its collector would send it after `change` went over its records, numbered from
    0: true signature, false bytes. And the records as they were.
    """
    sender = int.from_bytes(data[8:12], "big")
    key = keys.key_to_make(KeyUsage.FILE_SIGNING, sender_label(sender))
    batch = decode_batch(data, keys.service.public_key(key.ref))
    starts = range(0, len(batch.records), RECORD_BYTES)
    before = [batch.records[at : at + RECORD_BYTES] for at in starts]
    after = [bytearray(each) for each in before]
    for number, record in enumerate(after):
        change(number, record)
    sign = partial(keys.service.sign, key.ref)
    header = replace(batch.header, key_version=key.ref.version)
    return encode_batch(header, [bytes(each) for each in after], batch.registers, sign), before


def moment(day: date, clock: str) -> datetime:
    """A time of a day on the city's wall clock.

    >>> moment(date(2026, 3, 2), "08:10").isoformat()
    '2026-03-02T08:10:00'
    """
    return datetime.fromisoformat(f"{day}T{clock}")
