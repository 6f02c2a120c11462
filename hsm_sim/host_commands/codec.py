"""Fields of a host command, read one after another, and the error codes of the answers.

Decides how a field is taken out of a message and which code says what is wrong with it. Leaves
what a command does to `host_commands`.
"""

import re
from collections.abc import Collection
from enum import StrEnum

from cardcore.errors import KeyServiceError

TRAILER_CHARACTERS_MAX = 32
_TRAILER_MARK = b"\x19"
_STORAGE_KEY_IDENTIFIER = "00"  # of the only storage key there is
_HEX = re.compile(r"[0-9A-Fa-f]*")
_PRINTABLE = re.compile(rb"[ -~]*")


class ErrorCode(StrEnum):
    """Two characters behind the command of an answer, as payShield 10K numbers them.

    Where a command has a meaning of its own for a code, its name stands here as well, under the
    name of the command.
    """

    OK = "00"
    VERIFICATION_FAILED = "01"
    N0_LENGTH = "01"
    M6_MODE = "02"
    A4_COUNT = "03"
    M6_INPUT_FORMAT = "03"
    KEY_TYPE_CODE = "04"
    M6_ALGORITHM = "04"
    KEY_LENGTH_FLAG = "05"
    M6_KEY_TYPE = "05"
    M6_MESSAGE_LENGTH = "06"
    M6_PADDING = "09"
    KEY_WEAK = "11"  # all zero is the weakest
    STORAGE_KEY_IDENTIFIER = "13"
    INPUT = "15"
    KEY_SCHEME = "26"
    KEY_LENGTH = "27"
    KEY_TYPE = "28"
    KEY_FUNCTION = "29"
    INTERNAL = "41"
    COMMAND = "68"
    SINGLE_LENGTH_KEY = "75"
    DATA_LENGTH = "80"
    KEY_BLOCK_FORMAT = "83"
    KEY_BLOCK_AUTHENTICATION = "A4"
    KEY_BLOCK_KEY_LENGTH = "A5"
    KEY_USAGE = "A6"
    KEY_ALGORITHM = "A7"
    MODE_OF_USE = "A8"
    KEY_VERSION = "A9"
    EXPORTABILITY = "AA"
    OPTIONAL_BLOCK_COUNT = "AB"
    OPTIONAL_BLOCK = "AC"
    KEY_BLOCK = "B2"
    COMPONENTS = "B5"
    WRAPPING_KEY = "BB"
    KEY_BLOCK_VERSION = "BE"

    @property
    def words_zh(self) -> str:
        """What the code means, for a terminal that speaks Chinese; the log has the reason itself,
        in English.
        """
        return _WORDS_ZH[self.value]


_WORDS_ZH = {
    "00": "完成",
    "01": "校验不符，或长度不对",
    "02": "方式代码不对",
    "03": "个数不对，或输入格式代码不对",
    "04": "密钥类型代码不对，或算法代码不对",
    "05": "密钥长度标志不对，或密钥类型不对",
    "06": "报文长度不对",
    "09": "填充代码不对",
    "11": "密钥全零",
    "13": "存储密钥标识不对",
    "15": "输入数据不对",
    "26": "密钥方案不对",
    "27": "密钥长度不对",
    "28": "密钥类型不对",
    "29": "不允许此密钥功能",
    "41": "本服务出错",
    "68": "不提供此命令",
    "75": "密钥各部分相同，等于更短的密钥",
    "80": "数据长度不对",
    "83": "密钥块格式不对",
    "A4": "密钥块校验不符",
    "A5": "密钥块中的密钥长度不对",
    "A6": "密钥用途不对",
    "A7": "密钥算法不对",
    "A8": "密钥使用方式不对",
    "A9": "密钥版本号不对",
    "AA": "可导出性不对",
    "AB": "可选块个数不对",
    "AC": "可选块不对",
    "B2": "密钥块不对",
    "B5": "分量不对",
    "BB": "保护密钥强度不足或不对",
    "BE": "密钥块版本不对",
}


class HostCommandError(KeyServiceError):
    """A host command is refused: `code` goes into the answer, the reason into the log.

    The reason shows nothing of what the message held.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Fields:
    """What is left of a message. Every method raises `HostCommandError` for what it cannot take:
    15 where the message ends or is no text, `code` where the text is not the field's.

    >>> fields = Fields(b"0008rest")
    >>> fields.hex_number(4, "length"), fields.text(4, "name")
    (8, 'rest')
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._storage_key_is_named = False

    def raw(self, size: int, name: str, code: ErrorCode = ErrorCode.INPUT) -> bytes:
        """Any bytes. `code` is for a message that ends before."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise HostCommandError(code, f"{name}: the message ends after {len(taken)} of {size}")
        self._at += size
        return taken

    def text(self, size: int, name: str) -> str:
        """Printable ASCII."""
        taken = self.raw(size, name)
        if not _PRINTABLE.fullmatch(taken):
            raise HostCommandError(ErrorCode.INPUT, f"{name}: is not printable ASCII")
        return taken.decode("ascii")

    def choice(
        self,
        allowed: Collection[str],
        name: str,
        code: ErrorCode = ErrorCode.INPUT,
    ) -> str:
        """One of some values, all of one length."""
        size = len(next(iter(allowed)))
        taken = self.text(size, name)
        if taken not in allowed:
            raise HostCommandError(code, f"{name}: is none of {', '.join(sorted(allowed))}")
        return taken

    def digits(self, size: int, name: str, code: ErrorCode = ErrorCode.INPUT) -> int:
        """A number in decimal digits."""
        taken = self.text(size, name)
        if not taken.isdigit():
            raise HostCommandError(code, f"{name}: is not {size} digits")
        return int(taken)

    def hexadecimal(self, size: int, name: str, code: ErrorCode = ErrorCode.INPUT) -> bytes:
        """That many hexadecimal digits, two a byte."""
        taken = self.text(size, name)
        if size % 2 or not _HEX.fullmatch(taken):
            raise HostCommandError(code, f"{name}: is not hexadecimal digits in pairs")
        return bytes.fromhex(taken)

    def hex_number(self, size: int, name: str, code: ErrorCode = ErrorCode.INPUT) -> int:
        """A number in hexadecimal digits."""
        return int.from_bytes(self.hexadecimal(size, name, code), "big")

    def starts(self, mark: bytes) -> bool:
        """Whether this comes next; if so, it is taken."""
        if not self._data.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def storage_key(self) -> None:
        """The number of the storage key, %00, where it stands before other options: hosts differ
        in where they name it.
        """
        if self.starts(b"%"):
            self._name_storage_key(self.text(2, "option %"))

    def _name_storage_key(self, identifier: str) -> None:
        if self._storage_key_is_named:
            raise HostCommandError(ErrorCode.INPUT, "the storage key is named twice")
        if identifier != _STORAGE_KEY_IDENTIFIER:
            raise HostCommandError(
                ErrorCode.STORAGE_KEY_IDENTIFIER, "there is one storage key, and its number is 00"
            )
        self._storage_key_is_named = True

    def options(self, sizes: dict[str, int]) -> dict[str, str]:
        """Values behind marks of one character, each once, in any order; then the message ends.

        Any command may name the storage key, %00. A trailer stays, for `trailer`.
        """
        sizes = {**sizes, "%": 2}
        found: dict[str, str] = {}
        while self._at < len(self._data) and not self._data.startswith(_TRAILER_MARK, self._at):
            mark = self.text(1, "an option")
            if mark not in sizes or mark in found:
                raise HostCommandError(ErrorCode.INPUT, "more follows than this command takes")
            found[mark] = self.text(sizes[mark], f"option {mark}")
        if (identifier := found.pop("%", None)) is not None:
            self._name_storage_key(identifier)
        self.trailer()
        return found

    def trailer(self) -> bytes:
        """What stands behind the end mark 19, with it, to be repeated in the answer."""
        rest = self._data[self._at :]
        if not rest:
            return b""
        inside = rest.removeprefix(_TRAILER_MARK)
        if (
            inside == rest
            or len(inside) > TRAILER_CHARACTERS_MAX
            or not _PRINTABLE.fullmatch(inside)
        ):
            raise HostCommandError(
                ErrorCode.INPUT, f"the trailer is not up to {TRAILER_CHARACTERS_MAX} characters"
            )
        return rest
