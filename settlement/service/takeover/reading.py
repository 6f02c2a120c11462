"""What a run reads of the files of opening balances, from their raw bytes.

Decides which files are a day's: those whose moment does not lie after it, and all that were read
before. A file that is damaged here is left out, by name, until it is sent again.
"""

from collections.abc import Iterable
from datetime import date

from cardcore.records.openings import HEADER, ROW_BYTES, OpeningFile, decode_header
from cardcore.text import Text
from settlement.city import City
from settlement.days.aside import AsideReason, SetAside
from settlement.errors import StoredBytesError
from settlement.facts.takeover import HandedRows
from settlement.intake.takeover import StoredOpenings
from settlement.reconciliation.takeover import Scope
from settlement.service.proven import hash_of, proven_bytes
from settlement.store.takeover import load_openings


def kept_file(city: City, stored: StoredOpenings) -> OpeningFile:
    """A kept file, proven by its hash. Raises `StoredBytesError` when it is damaged."""
    data = proven_bytes(city.openings_path(stored.content_hash), stored.content_hash)
    rows = data[HEADER.size : HEADER.size + stored.row_count * ROW_BYTES]
    return OpeningFile(decode_header(data), rows, stored.content_hash)


def find_openings(city: City, settlement_day: date, before: Iterable[str]) -> tuple[str, ...]:
    """The files, by content hash and in its order, that a run over a day stands on. `before` are
    those of the last closed day's run: they were whole then, and `verify` looks whether they still
    are.
    """
    read = set(before)
    for file, _ in load_openings(city.database):
        if city.scheme.business_day(file.as_of) > settlement_day:
            continue
        if hash_of(city.openings_path(file.content_hash)) == file.content_hash:
            read.add(file.content_hash)
    return tuple(sorted(read))


def damaged_openings(city: City, before: Iterable[str]) -> tuple[SetAside, ...]:
    """The files that no closed day has read and that are not what was signed."""
    read = set(before)
    return tuple(
        SetAside(file.sender, 0, file.content_hash, AsideReason.OPENINGS_DAMAGED)
        for file, _ in load_openings(city.database)
        if file.content_hash not in read
        and hash_of(city.openings_path(file.content_hash)) != file.content_hash
    )


def handed_rows(
    city: City, before: Iterable[str], openings: Iterable[str]
) -> tuple[HandedRows, ...]:
    """The rows of the files that a run reads and none before it. Raises `StoredBytesError` when one
    is damaged, or gone.
    """
    stored, read = _stored(city, openings), set(before)
    return tuple(
        HandedRows(each.centre, kept_file(city, each).rows)
        for each in stored
        if each.content_hash not in read
    )


def takeover_scopes(city: City, openings: Iterable[str]) -> tuple[Scope, ...]:
    """Whose cards came from which old centre, by all the files that a run stands on."""
    found: dict[tuple[str, int], Scope] = {}
    for stored in _stored(city, openings):
        since = city.scheme.business_day(stored.as_of)
        for issuer, application in stored.scopes:
            known = found.get((issuer, application))
            if known is None or since < known.since:
                scope = Scope(int(issuer, 16), application, stored.centre, since)
                found[issuer, application] = scope
    return tuple(found[each] for each in sorted(found))


def _stored(city: City, openings: Iterable[str]) -> list[StoredOpenings]:
    kept = {file.content_hash: file for file, _ in load_openings(city.database)}
    found = []
    for content_hash in openings:
        if content_hash not in kept:
            path = city.openings_path(content_hash)
            reason = Text("数据库中没有它的行", "the database has no row of it")
            raise StoredBytesError(path, reason)
        found.append(kept[content_hash])
    return found
