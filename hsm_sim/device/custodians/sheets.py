"""Sheets of custodians (分量信封) as a device remembers them: whose time a component is of.

Decides which components are good for what is made now. A custodian who left keeps his copies, so
whatever was made or brought before the custody last changed is good for nothing new (`epoch`
counts those changes), and a backup takes only what this device made for those of its moment.
A component is known again by a digest of it, which leads to none: it is as long as a key.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cardcore.text import Text
from hsm_sim.device.errors import CustodyError


@dataclass(frozen=True, slots=True)
class Sheet:
    """A component that was made here, or brought by a custodian, in the time of one custody."""

    digest: str
    epoch: int
    is_made_here: bool


@dataclass(frozen=True, slots=True)
class Sheets:
    """All of them, and the epoch there is now."""

    device_id: str
    epoch: int = 0
    known: tuple[Sheet, ...] = ()

    def following(self) -> "Sheets":
        """After the custody changed."""
        return Sheets(self.device_id, self.epoch + 1, self.known)

    def with_made(self, component: bytes) -> "Sheets":
        """One more that this device made."""
        return self._with([component], is_made_here=True)

    def with_brought(self, components: Mapping[str, bytes]) -> "Sheets":
        """Those out of which a key is made. `CustodyError` for one of an earlier epoch."""
        for role, component in components.items():
            if any(each.epoch < self.epoch for each in self._of(component)):
                raise CustodyError(
                    Text(
                        f"{role}：此分量早于保管员或 PIN 的上次变更，离任者可能仍有副本；新的分量："
                        "`onecard hsm ceremony component`",
                        f"{role}: that component is older than the last change of custodians or "
                        "PINs, and who left may have a copy; make another: "
                        "`onecard hsm ceremony component`",
                    )
                )
        return self._with(components.values(), is_made_here=False)

    def check_made_now(self, components: Mapping[str, bytes]) -> None:
        """`CustodyError` for one that this device did not make for those who are custodians now."""
        for role, component in components.items():
            held = self._of(component)
            if not any(each.is_made_here and each.epoch == self.epoch for each in held):
                raise CustodyError(
                    Text(
                        f"{role}：此分量不是本设备为现任保管员生成的；请各生成一个新的：`onecard "
                        "hsm ceremony component --usage transport`",
                        f"{role}: that component was not made by this device for those who are "
                        "custodians now; make a new one for each: `onecard hsm ceremony component "
                        "--usage transport`",
                    )
                )

    def _with(self, components: Iterable[bytes], *, is_made_here: bool) -> "Sheets":
        new = [Sheet(self._digest(each), self.epoch, is_made_here) for each in components]
        known = (*self.known, *(each for each in new if each not in self.known))
        return Sheets(self.device_id, self.epoch, known)

    def _of(self, component: bytes) -> list[Sheet]:
        digest = self._digest(component)
        return [each for each in self.known if each.digest == digest]

    def _digest(self, component: bytes) -> str:
        named = f"onecard device {self.device_id} component ".encode()
        return hashlib.sha256(named + component).hexdigest()


def sheets_document(sheets: Sheets) -> list[dict[str, Any]]:
    """Sheets as they stand in the device's file."""
    return [
        {"digest": each.digest, "epoch": each.epoch, "is_made_here": each.is_made_here}
        for each in sheets.known
    ]


def read_sheets(device_id: str, epoch: int, documents: list[Mapping[str, Any]]) -> Sheets:
    """The other way. One of `NOT_OF_THE_FORM` when they are none."""
    known = (
        Sheet(str(each["digest"]), int(each["epoch"]), bool(each["is_made_here"]))
        for each in documents
    )
    return Sheets(device_id, epoch, tuple(known))
