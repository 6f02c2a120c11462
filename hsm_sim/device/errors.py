"""What a device refuses, in one short tree under the core's own::

    KeyServiceError
    ├── DeviceError            the folder is absent, busy, damaged or destroyed
    │   └── LogError           an entry of the log was changed, removed or put elsewhere
    ├── CustodyError           who asks is not enough to be answered
    │   ├── WrongPinError      a try was counted
    │   └── CustodiansLockedError  too many wrong tries in a row; right or wrong is not looked at
    └── CeremonyError          a step that does not fit the keys as they are

No message carries a byte of a key, a component or a PIN.
"""

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
    """One of two PINs is wrong, or both. `tries_left` counts down to the lock of these two."""

    def __init__(self, roles: tuple[str, str], tries_left: int) -> None:
        first, second = roles
        super().__init__(
            Text(
                f"{first} 与 {second}：PIN 不对，是谁的不得而知；还可再试 {tries_left} 次。忘记了："
                "`onecard hsm ceremony new-pin`",
                f"{first} and {second}: wrong PIN, whose is not known; {tries_left} tries left. "
                "Who forgot theirs: `onecard hsm ceremony new-pin`",
            )
        )
        self.roles = roles
        self.tries_left = tries_left


class CustodiansLockedError(CustodyError):
    """Two custodians came too often with a wrong PIN; one of them with somebody else gives the
    other a new one, where there is somebody else.
    """

    def __init__(self, roles: tuple[str, str], others: int) -> None:
        first, second = roles
        way_out = (
            Text(
                "其中一人与另一名保管员可给对方新 PIN：`onecard hsm ceremony new-pin`",
                "one of them and another custodian can give the other a new PIN: "
                "`onecard hsm ceremony new-pin`",
            )
            if others
            else Text(
                "已无人能重置，请把备份恢复到新设备：`onecard hsm ceremony restore`",
                "nobody is left to give a new one, so restore a backup into a new device: "
                "`onecard hsm ceremony restore`",
            )
        )
        super().__init__(
            Text(
                f"{first} 与 {second}：PIN 错误次数过多，已锁定；{way_out.zh}",
                f"{first} and {second}: locked after too many wrong PINs; {way_out.en}",
            )
        )
        self.roles = roles


class CeremonyError(KeyServiceError):
    """The step is refused, and nothing was changed."""
