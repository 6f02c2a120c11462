"""Faults at the terminal, in one short tree split by whose fault it is.

A refusal the business expects is a `TapOutcome`; what is left is a link, a device or a disk that
failed. A programmer's mistake is an `assert`::

    TerminalError
    ├── CardRemovedError           the card left the field, or its answer was no answer
    ├── PsamFaultError             the PSAM answered what no healthy PSAM answers
    └── JournalError
        ├── JournalFullError       the disk is full; nothing of this step was stored
        └── JournalDamagedError    the journal file cannot be trusted; salvage it
"""

from cardcore.text import Text


class TerminalError(Exception):
    """Root of everything this package raises."""


class CardRemovedError(TerminalError):
    """The card was torn out (拔卡): whether it did the last command is not known."""


class PsamFaultError(TerminalError):
    """The PSAM refused a command that only a broken or foreign PSAM refuses; `sw` is its word."""

    def __init__(self, command: str, sw: int) -> None:
        super().__init__(
            Text(f"PSAM 对 {command} 应答 {sw:04X}", f"the PSAM answered {sw:04X} to {command}")
        )
        self.command = command
        self.sw = sw


class JournalError(TerminalError):
    """The journal could not do a step."""


class JournalFullError(JournalError):
    """No room on the disk. The step left no trace; free some room and repeat."""


class JournalDamagedError(JournalError):
    """The journal file is cut or overwritten. `journal.salvage` keeps every readable row."""
