"""A terminal as it stands: who it is, whose it is, and the lists it holds.

Decides the values only. Leaves what a device is for to its role, and asking a PSAM who it is to the
shells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cardcore.digits import encode_bcd
from cardcore.keys import Algorithm
from terminals.taps import Hotlist

#: What stands in the place of a PSAM number where a load host does the PSAM's part.
NO_PSAM = "0" * 20


@dataclass(frozen=True, slots=True)
class PbocKey:
    """The record MAC key of a PSAM of the field: its number there, which is its version."""

    number: int
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class Device:
    """A terminal as it stands: who it is, whose it is, and the lists it holds.

    `terminal` is 12 hexadecimal digits, `psam` 20 decimal ones (zeros where there is no PSAM).
    `purses` are those a role takes in this city, where the city says otherwise than the role.
    `pboc` is the record MAC key of a PSAM that cannot say which one it has, or None.
    """

    terminal: str
    psam: str
    key_index: int
    operator: int
    issuer: bytes  # the home city's issuer id, 8 bytes
    city_code: str
    tariff_version: int
    hotlist: Hotlist
    purses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pboc: PbocKey | None = None

    @property
    def psam_factor(self) -> bytes:
        """From which the PSAM's own keys are diversified: the last 8 bytes of its number."""
        return encode_bcd(self.psam, 10)[-8:]
