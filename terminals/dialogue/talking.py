"""The shape of a dialogue: a generator of commands, and what carries it to the other end.

Decides who is spoken to. Leaves what is said to the dialogues beside this file.
"""

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

from cardcore.apdu import CommandApdu, ResponseApdu

End = TypeVar("End")


class ForCard(NamedTuple):
    """A command for the card in the field."""

    command: CommandApdu


class ForPsam(NamedTuple):
    """A command for the terminal's PSAM."""

    command: CommandApdu


Said = ForCard | ForPsam
#: Yields what is to be said, is sent the answer, returns what came of it.
Dialogue = Generator[Said, ResponseApdu, End]


def carry(dialogue: Dialogue[End], say: Callable[[Said], ResponseApdu]) -> End:
    """Carry a dialogue to its end. What `say` raises ends it where it stands."""
    try:
        said = next(dialogue)
        while True:
            said = dialogue.send(say(said))
    except StopIteration as stop:
        end: End = stop.value
        return end
    finally:
        dialogue.close()
