"""Which finished records may still get the MAC of their PSAM, and how it is kept.

Decides when a record stops changing: once it is in a planned file, which is the same bytes for
ever. Leaves the MAC to `dialogue.record_mac`.

A MAC is stored without a forced write to the disk: that is the time of a tap, and a MAC that was
lost is made again, the same. It cannot be lost after it was sent: planning a file is forced to the
disk, and with it everything written before.
"""

from collections.abc import Iterable

from cardcore.digits import encode_bcd
from cardcore.records.kinds import MacProfile, RecordKind
from cardcore.records.record import FIELD, RECORD_BYTES
from terminals.journal.journal import Journal

_PSAM, _KIND, _PROFILE = FIELD["psam"], FIELD["kind"], FIELD["mac_profile"]
#: Up to here every record is in a file, unless it is held back still (`upload`).
_PLANNED = "(SELECT coalesce(max(last_position), 0) FROM batches)"
# By the index of serials: a collector's other terminals are not read. The first time it is walked
# back from the newest serial, never through the terminal's whole life; nor is it for what is held
# back, which stands first in its join.
_FINISHED = f"""
SELECT serial, position, record FROM records
WHERE terminal = :terminal AND position > {_PLANNED} AND serial > CASE WHEN :after > 0 THEN :after
    ELSE coalesce((SELECT serial FROM records WHERE terminal = :terminal AND position <= {_PLANNED}
        ORDER BY serial DESC LIMIT 1), 0) END
UNION ALL
SELECT serial, position, record FROM holds CROSS JOIN records USING (position)
WHERE serial > :after AND position <= {_PLANNED} AND sequence IS NULL AND terminal = :terminal
ORDER BY serial LIMIT :most
"""  # noqa: S608 - constants
_STORE = f"""
UPDATE records SET record = :signed WHERE position = :position AND record = :before
AND (position > {_PLANNED} OR position IN (SELECT position FROM holds WHERE sequence IS NULL))
"""  # noqa: S608 - constants


def finished_records(
    journal: Journal, terminal: str, after: int, limit: int
) -> list[tuple[int, int, bytes]]:
    """Records of a terminal that are in no file yet, behind a serial: serial, position, bytes."""
    rows = journal.query(_FINISHED, {"after": after, "terminal": terminal, "most": limit})
    return [(int(serial), int(position), record) for serial, position, record in rows]


def wants_mac(data: bytes, psam: str) -> bool:
    """Whether this PSAM has to sign the record. A load has the load host's word; a record of
    another PSAM, or of an older version, goes up as it is.
    """
    return (
        len(data) == RECORD_BYTES
        and data[_KIND.offset] != RecordKind.LOAD
        and data[_PROFILE.offset] == MacProfile.NONE
        and data[_PSAM.offset : _PSAM.offset + _PSAM.length] == encode_bcd(psam, _PSAM.length)
    )


def store_macs(journal: Journal, signed: Iterable[tuple[int, bytes, bytes]]) -> int:
    """Put signed records in the place of what they were: position, before, after. One that went
    into a file meanwhile, or was signed meanwhile, stays as it is; how many were stored.
    """
    with journal.transaction("macs", force=False) as database:
        return sum(
            database.execute(
                _STORE, {"position": position, "before": before, "signed": after}
            ).rowcount
            for position, before, after in signed
        )
