"""Exceptions of the core, in one short tree split by whose fault it is.

A refusal the business expects is a value (`Decision`, `StatusWord`, an enum), never one of these.
A programmer's mistake is an `assert`. What is left is bytes or messages that cannot be right::

    CardcoreError
    ├── DecodeError            the bytes handed in are damaged; carries where
    │   └── RecordFormatError  one field of a transaction record is damaged
    ├── CryptogramError        a MAC or TAC does not hold; nothing may go on
    ├── KeyServiceError        the key service refuses the request
    │   ├── UnknownKeyError    no key of that usage, label and version
    │   │   └── UnknownKeyVersionError  the key is held, but not in that version
    │   ├── KeyUsageError      the key is not for that operation
    │   ├── KeyStateError      the key is not yet, or no longer, for that operation
    │   └── KeyRightError      whoever asks may not do that, or not with that key
    ├── KeyServiceUnavailableError  the key service does not answer; the caller may repeat
    └── PowerLossError         the card lost power inside a command (fault injection only)
"""

from cardcore.text import Text


class CardcoreError(Exception):
    """Root of everything this package raises. What people read of it is a `cardcore.text.Text`, so
    it is said in the language of whoever reads it; logs and wires keep the English of it.
    """


class DecodeError(CardcoreError):
    """Bytes could not be decoded.

    `what` names the thing, `offset` the byte where reading stopped making sense.
    """

    def __init__(self, what: str, offset: int, reason: str | Text) -> None:
        """A `Text` is said of what has the same name in both languages."""
        if isinstance(reason, Text):
            said = Text(
                f"{what}：第 {offset} 字节：{reason.zh}", f"{what}: byte {offset}: {reason.en}"
            )
            super().__init__(said)
            reason = reason.en
        else:
            super().__init__(f"{what}: byte {offset}: {reason}")
        self.what = what
        self.offset = offset
        self.reason = reason


class RecordFormatError(DecodeError):
    """One field of a transaction record is damaged; `field` names it."""

    def __init__(self, field: str, offset: int, reason: str) -> None:
        super().__init__(f"record field {field}", offset, reason)
        self.field = field


class FileFaultError(DecodeError):
    """A signed file that proves itself wrong. `kind` is the short name of the fault, `entry` the
    number of the entry that shows it, 0 where it is the file.
    """

    def __init__(self, what: str, kind: str, offset: int, reason: str, *, entry: int = 0) -> None:
        super().__init__(what, offset, reason)
        self.kind = kind
        self.entry = entry


class CryptogramError(CardcoreError):
    """A cryptogram does not hold. Carries no secret and no expected value."""


class KeyServiceError(CardcoreError):
    """The key service refuses the request; repeating it cannot help."""


class UnknownKeyError(KeyServiceError):
    """No key of that usage, label and version is held."""


class UnknownKeyVersionError(UnknownKeyError):
    """Other versions of the key are held, the named one is not: loading it can help."""


class KeyUsageError(KeyServiceError):
    """The key is held, but is not for this operation."""


class KeyStateError(KeyServiceError):
    """The key is prepared, retiring or destroyed, and the operation needs another state."""


class KeyRightError(KeyServiceError):
    """Whoever asks has no right to the operation or the key: nothing is said of either."""


class KeyServiceUnavailableError(CardcoreError):
    """The key service does not answer. Nothing was decided; the caller may repeat later."""


class PowerLossError(CardcoreError):
    """Power failed inside the card. Only fault injection raises it."""
