"""What an application of the card is to everybody outside it: its number, its names, its key label.

Decides the shape. Leaves files, keys and access rules to the applets, and which applications there
are to `cardcore.applets.catalogue`.
"""

from dataclasses import dataclass

from cardcore.text import Text


@dataclass(frozen=True, slots=True)
class Application:
    """One application (应用). `code` stands in records and is never used again for another one.

    `aids` are its names on cards, in the order in which a terminal asks for them: one application
    may lie on cards in more than one form. `key_ending` ends the label of its keys;
    `authentication_index` is that of the key by which its cards sign an event in which no purse
    moves, None where they sign none.
    """

    code: int
    name: str
    title: Text
    aids: tuple[bytes, ...]
    key_ending: str
    has_purse: bool
    authentication_index: int | None = None

    def __post_init__(self) -> None:
        assert 0 <= self.code <= 0xFF, self


#: What a record names where no application of ours was asked: a bank card, a QR code.
NO_APPLICATION = 5
