"""What a device refuses, in one short tree under the core's own::

    KeyServiceError
    ├── DeviceError            the folder is absent, busy, damaged or destroyed
    │   └── LogError           an entry of the log was changed, removed or put elsewhere
    ├── CustodyError           who asks is not enough to be answered
    │   ├── WrongPinError      a try was counted
    │   └── CustodianLockedError  too many wrong tries in a row; right or wrong is not looked at
    └── CeremonyError          a step that does not fit the keys as they are

No message carries a byte of a key, a component or a PIN.
"""

from collections.abc import Mapping

from cardcore.errors import KeyServiceError

#: What reading a JSON document that somebody altered can run into: another field, another type,
#: a number that is none (1e999), half a character.
NOT_OF_THE_FORM = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class DeviceError(KeyServiceError):
    """The device cannot be worked with; the message says what lies wrong and what to do."""


class LogError(DeviceError):
    """The log does not hold. `sequence` is the first entry that does not."""

    def __init__(self, sequence: int, reason: str) -> None:
        super().__init__(f"log entry {sequence}: {reason}")
        self.sequence = sequence


class CustodyError(KeyServiceError):
    """Dual control (双人控制) is not satisfied."""


class WrongPinError(CustodyError):
    """PINs are wrong. `tries_left` counts down to the lock, by role."""

    def __init__(self, tries_left: Mapping[str, int]) -> None:
        super().__init__(
            "; ".join(f"{role}: wrong PIN, {left} tries left" for role, left in tries_left.items())
        )
        self.tries_left = tries_left


class CustodianLockedError(CustodyError):
    """A custodian typed too many wrong PINs; two others give a new one, where there are two."""

    def __init__(self, role: str, others: int) -> None:
        way_out = (
            "two other custodians can give a new one"
            if others >= 2
            else "nobody is left to give a new one, so restore a backup into a new device"
        )
        super().__init__(f"{role}: locked after too many wrong PINs; {way_out}")
        self.role = role


class CeremonyError(KeyServiceError):
    """The step is refused, and nothing was changed."""
