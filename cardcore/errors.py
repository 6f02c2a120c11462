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
    │   ├── KeyRightError      whoever asks may not do that, or not with that key
    │   └── SealRefusedError   that day number is sealed otherwise, or it is not its turn
    ├── KeyServiceUnavailableError  the key service does not answer; the caller may repeat
    └── PowerLossError         the card lost power inside a command (fault injection only)
"""

import errno

from cardcore.text import Text


class CardcoreError(Exception):
    """Root of everything this package raises. What people read of it is a `cardcore.text.Text`, so
    it is said in the language of whoever reads it; logs and wires keep the English of it.
    """


class DecodeError(CardcoreError):
    """Bytes could not be decoded.

    `what` names the thing, `offset` the byte where reading stopped making sense. `place` says that
    byte and what is wrong there, `reason` the latter in English.
    """

    def __init__(self, what: str, offset: int, reason: str | Text) -> None:
        """A `Text` is said of what has the same name in both languages."""
        said = reason if isinstance(reason, Text) else Text(reason, reason)
        self.place = Text(f"第 {offset} 字节：{said.zh}", f"byte {offset}: {said.en}")
        whole = Text(f"{what}：{self.place.zh}", f"{what}: {self.place.en}")
        super().__init__(whole if isinstance(reason, Text) else whole.en)
        self.what = what
        self.offset = offset
        self.said = said
        self.reason = said.en


class RecordFormatError(DecodeError):
    """One field of a transaction record is damaged; `field` names it."""

    def __init__(self, field: str, offset: int, reason: str) -> None:
        super().__init__(f"record field {field}", offset, reason)
        self.field = field


class FileFaultError(DecodeError):
    """A signed file that proves itself wrong. `kind` is the short name of the fault, `fault` what
    it says to people, `entry` the number of the entry that shows it, 0 where it is the file.
    """

    def __init__(self, what: str, kind: str, offset: int, reason: Text, *, entry: int = 0) -> None:
        super().__init__(what, offset, reason)
        self.fault = reason
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


class SealRefusedError(KeyServiceError):
    """A day is not sealed: its number has another seal, or it does not follow the newest one."""


class KeyServiceUnavailableError(CardcoreError):
    """The key service does not answer. Nothing was decided; the caller may repeat later."""


class PowerLossError(CardcoreError):
    """Power failed inside the card. Only fault injection raises it."""


#: What the system under us says is wrong, by its error numbers (POSIX, `errno.h`).
_SYSTEM_WORDS = {
    errno.EPERM: Text("不允许此操作", "not permitted"),
    errno.ENOENT: Text("没有这个文件或目录", "no such file or folder"),
    errno.EIO: Text("读写出错", "input or output failed"),
    errno.EACCES: Text("没有权限", "permission denied"),
    errno.EEXIST: Text("已存在", "exists already"),
    errno.ENOTDIR: Text("路径中有一段不是目录", "a part of the path is no folder"),
    errno.EISDIR: Text("是目录", "is a folder"),
    errno.EINVAL: Text("参数不合法", "an argument is not valid"),
    errno.EMFILE: Text("打开的文件过多", "too many files are open"),
    errno.ENFILE: Text("打开的文件过多", "too many files are open"),
    errno.ENOSPC: Text("磁盘没有空间", "no room is left on the disk"),
    errno.EDQUOT: Text("磁盘配额已用完", "the disk quota is used up"),
    errno.EROFS: Text("文件系统只读", "the file system is read-only"),
    errno.ENAMETOOLONG: Text("名称过长", "the name is too long"),
    errno.ENOTEMPTY: Text("目录不是空的", "the folder is not empty"),
    errno.EADDRINUSE: Text("地址已被占用", "the address is in use"),
    errno.EADDRNOTAVAIL: Text("本机没有这个地址", "this machine has no such address"),
    errno.ENETUNREACH: Text("网络不可达", "the network cannot be reached"),
    errno.EHOSTUNREACH: Text("主机不可达", "the host cannot be reached"),
    errno.ECONNREFUSED: Text("连接被拒绝", "the connection was refused"),
    errno.ECONNRESET: Text("连接被对方断开", "the other side ended the connection"),
    errno.ETIMEDOUT: Text("超时", "it took too long"),
}


def system_words(error: OSError) -> Text:
    """What is wrong, without where.

    >>> print(system_words(FileNotFoundError(errno.ENOENT, "No such file or directory", "city")))
    no such file or folder
    """
    number = 0 if error.errno is None else error.errno
    return _SYSTEM_WORDS.get(number) or Text(f"系统错误 {number}", f"system error {number}")


def placed_system_words(error: OSError) -> Text:
    """The same after the file that the system named, if it named one.

    >>> print(placed_system_words(PermissionError(errno.EACCES, "Permission denied", "city")))
    city: permission denied
    """
    said = system_words(error)
    if not isinstance(error.filename, str):
        return said
    return Text(f"{error.filename}：{said.zh}", f"{error.filename}: {said.en}")
