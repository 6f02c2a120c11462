"""The least that the cryptography of a piece of work can cost: its own operations, done bare.

Decides how block ciphers and CMACs are listened to and done over again. Leaves the work itself to
whoever measures it. While a recording runs, the suites and the secure channel reach the library
through listeners that write down every operation: key, vector and data. Done over again means the
same calls into the same library, with the same bytes, an object new where it was new and kept where
it was kept; nothing of ours runs between them. Digests and random bytes are not counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from cryptography.hazmat.primitives.cmac import CMAC

from cardcore.chip import scp03
from cardcore.crypto import block_suites, pboc_3des

_LISTENED = (scp03, pboc_3des, block_suites)
_Key = Any  # the library's key objects, whose protocols have neither class nor bytes in common


@dataclass(slots=True)
class Operations:
    """What was done, by the way the library was called.

    `made` are key class, key, vector (None: ECB) and data of one cipher each; `kept` the same with
    a key object that served before; `went_on` are further data to an open cipher. `macs` are key
    class, key and data; `copied` a started CMAC and the data it was copied for.
    """

    enciphered_made: list[tuple[type, bytes, bytes | None, bytes]] = field(default_factory=list)
    deciphered_made: list[tuple[type, bytes, bytes | None, bytes]] = field(default_factory=list)
    enciphered_kept: list[tuple[_Key, bytes | None, bytes]] = field(default_factory=list)
    deciphered_kept: list[tuple[_Key, bytes | None, bytes]] = field(default_factory=list)
    went_on: list[tuple[CipherContext, bytes]] = field(default_factory=list)
    macs: list[tuple[type, bytes, bytes]] = field(default_factory=list)
    copied: list[tuple[CMAC, bytes]] = field(default_factory=list)

    def __len__(self) -> int:
        ciphers = len(self.enciphered_made) + len(self.deciphered_made) + len(self.went_on)
        kept = len(self.enciphered_kept) + len(self.deciphered_kept)
        return ciphers + kept + len(self.macs) + len(self.copied)

    def repeat(self) -> None:
        """Every operation once more, and nothing else."""
        for made, key, vector, data in self.enciphered_made:
            Cipher(made(key), _mode(vector)).encryptor().update(data)
        for made, key, vector, data in self.deciphered_made:
            Cipher(made(key), _mode(vector)).decryptor().update(data)
        for kept, vector, data in self.enciphered_kept:
            Cipher(kept, _mode(vector)).encryptor().update(data)
        for kept, vector, data in self.deciphered_kept:
            Cipher(kept, _mode(vector)).decryptor().update(data)
        for context, data in self.went_on:
            context.update(data)
        for made, key, data in self.macs:
            mac = CMAC(made(key))
            mac.update(data)
            mac.finalize()
        for started, data in self.copied:
            mac = started.copy()
            mac.update(data)
            mac.finalize()


def _mode(vector: bytes | None) -> modes.CBC | modes.ECB:
    return modes.ECB() if vector is None else modes.CBC(vector)  # noqa: S305 - as it was called


@contextmanager
def recording() -> Iterator[Operations]:
    """Write down the operations of this process while the block runs. Not for two threads."""
    operations = Operations()
    seen: dict[int, _Key] = {}

    def cipher(key: _Key, mode: Any) -> _CipherListener:  # noqa: ANN401 - any mode of the library
        kept = id(key) in seen
        seen[id(key)] = key  # held, so that its number is not given to another object
        return _CipherListener(key, mode, operations, kept)

    def cmac(key: _Key) -> _CmacListener:
        return _CmacListener(key, CMAC(key), operations)

    listeners = {"Cipher": cipher, "CMAC": cmac}
    places = [
        (module, name, getattr(module, name))
        for module in _LISTENED
        for name in listeners
        if hasattr(module, name)
    ]
    for module, name, _ in places:
        setattr(module, name, listeners[name])
    try:
        yield operations
    finally:
        for module, name, original in places:
            setattr(module, name, original)


class _CipherListener:
    def __init__(self, key: _Key, mode: Any, operations: Operations, kept: bool) -> None:  # noqa: ANN401, FBT001
        self._key, self._mode, self._operations, self._kept = key, mode, operations, kept

    def encryptor(self) -> "_ContextListener":
        context = Cipher(self._key, self._mode).encryptor()
        made, kept = self._operations.enciphered_made, self._operations.enciphered_kept
        return self._listen(context, made, kept)

    def decryptor(self) -> "_ContextListener":
        context = Cipher(self._key, self._mode).decryptor()
        made, kept = self._operations.deciphered_made, self._operations.deciphered_kept
        return self._listen(context, made, kept)

    def _listen(self, context: CipherContext, made: list[Any], kept: list[Any]) -> Any:  # noqa: ANN401
        vector = getattr(self._mode, "initialization_vector", None)
        first = (self._key, vector) if self._kept else (type(self._key), self._key.key, vector)
        return _ContextListener(context, kept if self._kept else made, first, self._operations)


class _ContextListener:
    def __init__(
        self,
        context: CipherContext,
        into: list[tuple[Any, ...]],
        first: tuple[Any, ...],
        operations: Operations,
    ) -> None:
        self._context, self._into, self._operations = context, into, operations
        self._first: tuple[Any, ...] | None = first

    def update(self, data: bytes) -> bytes:
        if self._first is None:
            self._operations.went_on.append((self._context, data))
        else:
            self._into.append((*self._first, data))
            self._first = None
        return self._context.update(data)


class _CmacListener:
    """`copied_from` is the CMAC this one was copied from, None when it was made from a key."""

    def __init__(
        self, key: _Key, mac: CMAC, operations: Operations, copied_from: CMAC | None = None
    ) -> None:
        self._key, self._mac, self._operations, self._from = key, mac, operations, copied_from
        self._data = b""

    def copy(self) -> "_CmacListener":
        return _CmacListener(self._key, self._mac.copy(), self._operations, self._mac)

    def update(self, data: bytes) -> None:
        self._data += data
        self._mac.update(data)

    def finalize(self) -> bytes:
        if self._from is None:
            made = (type(self._key), self._key.key, self._data)
            self._operations.macs.append(made)
        else:
            self._operations.copied.append((self._from, self._data))
        return self._mac.finalize()
