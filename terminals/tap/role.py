"""What a device is for, as data: the shape of an entry in the catalogue of roles.

Decides the shape. Leaves which roles there are to `terminals.roles`, the order of a tap to
`terminals.tap.flow`, and what stands behind a device to `terminals.partners`.
"""

from dataclasses import dataclass

from cardcore.layouts.transit import Industry, TripType
from cardcore.records.kinds import RecordKind, TransactionType
from cardcore.text import Text
from terminals.tap.flow import Flow


@dataclass(frozen=True, slots=True)
class DeviceRole:
    """What a device is for. `applications` are the purses it takes, by the names of their
    applications, in the order in which it asks a card for them; a scheme may say otherwise.

    `partner` names what does the other half of the cryptography: the PSAM in the device
    (`terminals.partners.PSAM`), or what stands behind it, or None.

    `sequence_exempt` is the degraded mode 进出次序免检: a gate then lets a card through whose entry
    or exit is missing, and marks the record. `mode_of` names the role of which this one is a mode:
    a request stays the same request when the device changes over.
    """

    name: str
    title: Text
    applications: tuple[str, ...]
    flow: Flow
    kind: RecordKind
    sector: int  # any number: which sectors there are is the catalogue of settlement
    transaction_type: TransactionType
    partner: str | None
    trip_type: TripType | None = None
    industry: Industry | None = None
    sequence_exempt: bool = False
    mode_of: str | None = None

    @property
    def device_name(self) -> str:
        """The name of the device, whatever mode it is in: requests and registers go by it."""
        return self.mode_of or self.name
