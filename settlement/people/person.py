"""A person (人员): somebody with a name, a role and a secret of their own.

Decides what is known of one. Leaves who becomes one, and who stops being one, to the audit log: a
person is there because two others said so, or founded the office.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from settlement.people.actions import Actor
from settlement.people.names import check_person_name
from settlement.people.roles import Role
from settlement.people.signing import Credential, text_in
from settlement.seal import Sealable


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Who is to become a person, and what is kept of the secret that they chose. `ActorError` for a
    name that nobody can have.
    """

    name: str
    role: Role
    credential: Credential

    def __post_init__(self) -> None:
        check_person_name(self.name)

    def content(self) -> dict[str, Sealable]:
        """As it stands in the audit log."""
        return {"name": self.name, "role": self.role.value, **self.credential.content()}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """What `content` made. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        credential = Credential.from_content(content)
        return cls(text_in(content, "name"), Role(content["role"]), credential)


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the audit log knows them. Entries of the log are named by their numbers."""

    name: str
    role: Role
    credential: Credential
    since: int  # the entry that made them one
    last_act: int  # the last entry that they signed, or that let them try again; else as `since`
    ended: int | None = None  # the entry from which on they are none any more

    @property
    def actor(self) -> Actor:
        """As rows and sealed documents name them."""
        return Actor(self.name)

    @property
    def is_valid(self) -> bool:
        """Whether they may act now."""
        return self.ended is None
