"""The least that the cryptography of a piece of work can cost: its own operations, done bare.

Decides how block ciphers, CMACs and digests are listened to and done over again. Leaves the work
itself to whoever measures it. While a recording runs, the suites, the secure channel and the digest
of a card's content reach the library through listeners that write down every operation: key, vector
and data. Done over again means the same calls into the same library with the same bytes in the same
order, an object new where it was new and kept where it was kept; nothing of ours runs between them.
Comparisons and random bytes are not counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers import (
    BlockCipherAlgorithm,
    Cipher,
    CipherContext,
    modes,
)
from cryptography.hazmat.primitives.cmac import CMAC

from cardcore.chip import content, scp03
from cardcore.chip.content import Started
from cardcore.crypto import block_suites, pboc_3des

_LISTENED = (scp03, pboc_3des, block_suites)
_COPY, _GO_ON, _ENCIPHER, _DECIPHER, _MAC, _DIGEST = range(6)


class Operation(NamedTuple):
    """One call. `key` is what the cipher is made over: bytes with the class to make a key of, or a
    key object that served before, or (to go on, to copy, to digest) the object used again.
    """

    act: int
    made: Any  # the class of a new key; None for an object that was kept
    key: Any
    mode: Any  # a mode of the library; None where there is none
    vector: bytes | None  # of a new CBC mode
    data: bytes


def repeat(operations: list[Operation]) -> None:
    """Every operation once more, in order, and nothing else."""
    for act, made, key, mode, vector, data in operations:
        if act == _COPY:
            mac = key.copy()
            mac.update(data)
            mac.finalize()
        elif act == _GO_ON:
            key.update(data)
        elif act == _DIGEST:
            digest = key.copy()
            digest.update(data)
            digest.digest()
        elif act == _MAC:
            mac = CMAC(made(key))
            mac.update(data)
            mac.finalize()
        else:
            cipher: Cipher[Any] = Cipher(
                key if made is None else made(key), mode if vector is None else modes.CBC(vector)
            )
            context = cipher.encryptor() if act == _ENCIPHER else cipher.decryptor()
            context.update(data)


@contextmanager
def recording() -> Iterator[list[Operation]]:
    """Write down the operations of this process while the block runs. Not for two threads."""
    operations: list[Operation] = []
    seen: dict[int, Any] = {}

    def cipher(key: BlockCipherAlgorithm, mode: modes.Mode) -> _CipherListener:
        kept = id(key) in seen
        seen[id(key)] = key  # held, so that its number is not given to another object
        return _CipherListener(key, mode, operations, kept=kept)

    def cmac(key: BlockCipherAlgorithm) -> _CmacListener:
        return _CmacListener(CMAC(key), operations, key=key)

    listeners = {"Cipher": cipher, "CMAC": cmac}
    places = [
        (module, name, getattr(module, name))
        for module in _LISTENED
        for name in listeners
        if hasattr(module, name)
    ]
    for module, name, _ in places:
        setattr(module, name, listeners[name])
    go_on = content.go_on

    def listened(started: Started, data: bytes) -> bytes:
        operations.append(Operation(_DIGEST, None, started, None, None, data))
        return go_on(started, data)

    content.go_on = listened
    try:
        yield operations
    finally:
        content.go_on = go_on
        for module, name, original in places:
            setattr(module, name, original)


def _bytes_of(key: object) -> bytes:
    """Every key object of the library keeps its bytes so; their protocol does not say it."""
    value: bytes = key.key  # type: ignore[attr-defined]
    return value


class _CipherListener:
    """Stands for a cipher of the library and writes down what the contexts made from it do."""

    def __init__(
        self,
        key: BlockCipherAlgorithm,
        mode: modes.Mode,
        operations: list[Operation],
        *,
        kept: bool,
    ) -> None:
        self._cipher: Cipher[Any] = Cipher(key, mode)
        self._operations = operations
        made, value = (None, key) if kept else (type(key), _bytes_of(key))
        vector = getattr(mode, "initialization_vector", None)
        self._first = Operation(_ENCIPHER, made, value, mode, vector, b"")

    def encryptor(self) -> "_ContextListener":
        first = self._first._replace(act=_ENCIPHER)
        return _ContextListener(self._cipher.encryptor(), first, self._operations)

    def decryptor(self) -> "_ContextListener":
        first = self._first._replace(act=_DECIPHER)
        return _ContextListener(self._cipher.decryptor(), first, self._operations)


class _ContextListener:
    """Its first data are the cipher's making; what comes after goes on with what was made."""

    def __init__(
        self,
        context: CipherContext,
        first: Operation,
        operations: list[Operation],
    ) -> None:
        self._context, self._operations = context, operations
        self._first: Operation | None = first

    def update(self, data: bytes) -> bytes:
        first = self._first or Operation(_GO_ON, None, self._context, None, None, b"")
        self._operations.append(first._replace(data=data))
        self._first = None
        return self._context.update(data)


class _CmacListener:
    """Made over a key, or copied from a started one."""

    def __init__(
        self,
        mac: CMAC,
        operations: list[Operation],
        *,
        key: BlockCipherAlgorithm | None = None,
        copied: CMAC | None = None,
    ) -> None:
        self._mac, self._operations, self._key, self._copied = mac, operations, key, copied
        self._data = b""

    def copy(self) -> "_CmacListener":
        return _CmacListener(self._mac.copy(), self._operations, copied=self._mac)

    def update(self, data: bytes) -> None:
        self._data += data
        self._mac.update(data)

    def finalize(self) -> bytes:
        if self._copied is None:
            done = Operation(_MAC, type(self._key), _bytes_of(self._key), None, None, self._data)
        else:
            done = Operation(_COPY, None, self._copied, None, None, self._data)
        self._operations.append(done)
        return self._mac.finalize()
