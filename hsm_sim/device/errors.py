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
from cardcore.text import Text

#: What reading a JSON document that somebody altered can run into: another field, another type,
#: a number that is none (1e999), half a character.
NOT_OF_THE_FORM = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class DeviceError(KeyServiceError):
    """The device cannot be worked with; the message says what lies wrong and what to do."""


class LogError(DeviceError):
    """The log does not hold. `sequence` is the first entry that does not."""

    def __init__(self, sequence: int, reason: Text) -> None:
        super().__init__(
            Text(f"日志第 {sequence} 条{reason.zh}", f"log entry {sequence}: {reason.en}")
        )
        self.sequence = sequence


class CustodyError(KeyServiceError):
    """Dual control (双人控制) is not satisfied."""


class WrongPinError(CustodyError):
    """PINs are wrong. `tries_left` counts down to the lock, by role."""

    def __init__(self, tries_left: Mapping[str, int]) -> None:
        super().__init__(
            Text(
                "；".join(f"{role}：PIN 不对，还可再试 {n} 次" for role, n in tries_left.items())
                + "。忘记了：`onecard hsm ceremony new-pin`",
                "; ".join(f"{role}: wrong PIN, {n} tries left" for role, n in tries_left.items())
                + ". Who forgot theirs: `onecard hsm ceremony new-pin`",
            )
        )
        self.tries_left = tries_left


class CustodianLockedError(CustodyError):
    """A custodian typed too many wrong PINs; two others give a new one, where there are two."""

    def __init__(self, role: str, others: int) -> None:
        way_out = (
            Text(
                "另两名保管员可重置：`onecard hsm ceremony new-pin`",
                "two other custodians can give a new one: `onecard hsm ceremony new-pin`",
            )
            if others >= 2
            else Text(
                "已无人能重置，请把备份恢复到新设备：`onecard hsm ceremony restore`",
                "nobody is left to give a new one, so restore a backup into a new device: "
                "`onecard hsm ceremony restore`",
            )
        )
        super().__init__(
            Text(
                f"{role}：PIN 错误次数过多，已锁定；{way_out.zh}",
                f"{role}: locked after too many wrong PINs; {way_out.en}",
            )
        )
        self.role = role


class CeremonyError(KeyServiceError):
    """The step is refused, and nothing was changed."""
