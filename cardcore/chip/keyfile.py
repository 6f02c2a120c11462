"""The key file of an application: which keys it needs, and the file that keeps them.

Decides what a product has to put into an application and how many records the file has. Leaves
what a secret is to `cardcore.chip.cardkeys`, and its way into the card to personalisation: the file
of a card made in one process is full from the start, that of a card made through the secure channel
is empty and filled by PUT KEY.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cardcore.chip.access import Access
from cardcore.chip.cardkeys import FID_KEYS, SECRET_BYTES, CardKey, Pin, Secret, key_prefix
from cardcore.chip.tree import DedicatedFile, Structure, TreeBuilder
from cardcore.errors import KeyUsageError
from cardcore.key_labels import indexed_label
from cardcore.keys import KeyRef, KeyUsage


@dataclass(frozen=True, slots=True)
class KeySlot:
    """One key an application needs: its use, the index commands name, and its wrong tries.

    `tries_max` 0 means that the key is never blocked.
    """

    usage: KeyUsage
    index: int = 1
    tries_max: int = 0

    def ref(self, label: str, version: int) -> KeyRef:
        """The master key it comes from: every index has a master of its own.

        >>> str(KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, 0x0A).ref("demo-social", 1))
        'external-authentication/demo-social-0a/v1'
        """
        return KeyRef(self.usage, indexed_label(label, self.index), version)

    def head(self, version: int, algorithm: int) -> bytes:
        """What the record of this key starts with in the key file: all but its 16 bytes.

        >>> KeySlot(KeyUsage.TAC).head(1, 1).hex()
        '030101010000'
        """
        tries = (self.tries_max, self.tries_max)
        return key_prefix(self.usage, self.index) + bytes((version, algorithm, *tries))


def add_key_file(
    tree: TreeBuilder,
    directory: DedicatedFile,
    slots: Sequence[KeySlot],
    secrets: Sequence[Secret],
    *,
    has_pin: bool = False,
) -> None:
    """Key file of a directory, holding these secrets or none.

    Raises `KeyUsageError` when some but not all of the keys are there, or one that has no slot.
    """
    if secrets:
        _check(slots, secrets)
    tree.add_file(
        directory,
        FID_KEYS,
        Structure.LINEAR_FIXED,
        [secret.encode() for secret in secrets],
        size=SECRET_BYTES,
        records_max=len(slots) + has_pin,
        read=Access.NEVER,
    )


def _check(slots: Sequence[KeySlot], secrets: Sequence[Secret]) -> None:
    held = {(key.key.usage, key.index) for key in secrets if isinstance(key, CardKey)}
    wanted = {(slot.usage, slot.index) for slot in slots}
    for usage, index in sorted(wanted - held):
        raise KeyUsageError(f"the application needs a {usage} key with index {index}")
    for usage, index in sorted(held - wanted):
        raise KeyUsageError(f"the application has no place for a {usage} key with index {index}")
    assert len([each for each in secrets if isinstance(each, Pin)]) <= 1, "one PIN"
