"""Key blocks (密钥块): a key enciphered and bound to what it is for; neither changes alone.

Decides the bytes of ASC X9 TR-31:2018 (ANSI X9.143) key blocks of version B (triple DES) and D
(AES), both bound by keys that are derived from the protection key with CMAC (NIST SP 800-108).
Versions A and C bind by variants, are deprecated, and are refused. Leaves what the letters of a
header mean for our keys to `key_names`, and where protection keys come from to its callers.

A block is text: 16 characters of header, optional blocks, the enciphered key and the MAC in
hexadecimal digits. The MAC covers every character before it and the key, so whatever is altered
is refused; nothing of header or key is believed before the MAC holds.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from cardcore.crypto import pboc_3des
from cardcore.errors import KeyServiceError
from cardcore.text import Text

BLOCK_CHARACTERS_MAX = 9999  # four digits of length (TR-31 §4.1)
OPTIONAL_BLOCKS_MAX = 99  # two digits of count
_HEADER_CHARACTERS = 16
_SHORT_LENGTH_MAX = 0xFF  # of an optional block; a longer one has an extended length
#: Four hexadecimal characters of length, said as 04 (X9.143:2021, example 8.5); some
#: programs count the bytes in them and say 02.
_EXTENDED_DIGITS, _EXTENDED_MARKS = 4, frozenset({2, 4})
_PADDING = "PB"
_EXPORTABILITIES = "ENS"  # exportable under trusted keys, not at all, and otherwise
_ENCIPHERING, _AUTHENTICATING = b"\x00\x00", b"\x00\x01"  # what a derived key is for (§4.3)
_TEXT = re.compile(r"[0-9A-Z]*")
_VERSION_NUMBER = re.compile(r"[0-9A-Zc][0-9A-Z]")
_DIGITS = re.compile(r"[0-9]*")
_HEX = re.compile(r"(?:[0-9A-F]{2})*")
_PRINTABLE = re.compile(r"[ -~]*")


class KeyBlockFault(StrEnum):
    """What is wrong with a key block."""

    LENGTH = "length"  # too short, too long, or not what its own digits say
    VERSION = "version"  # not B or D
    HEADER = "header"
    OPTIONAL_BLOCK = "optional block"
    MAC = "mac"  # altered, or wrapped under another key: the two cannot be told apart
    PROTECTION_KEY = "protection key"  # of a length that no block of the version is wrapped under
    KEY = "key"  # the MAC holds and the sender wrapped something that is no key

    @property
    def text(self) -> Text:
        """For people."""
        return Text(_FAULTS_ZH[self], str(self))


_FAULTS_ZH = {
    KeyBlockFault.LENGTH: "长度",
    KeyBlockFault.VERSION: "版本",
    KeyBlockFault.HEADER: "头部",
    KeyBlockFault.OPTIONAL_BLOCK: "可选块",
    KeyBlockFault.MAC: "MAC",
    KeyBlockFault.PROTECTION_KEY: "保护密钥",
    KeyBlockFault.KEY: "密钥",
}


class KeyBlockError(KeyServiceError):
    """A key block is refused, or cannot be made. `fault` says what is wrong; no byte is shown."""

    def __init__(self, fault: KeyBlockFault, reason: Text) -> None:
        super().__init__(
            Text(
                f"密钥块：{fault.text.zh}：{reason.zh}", f"key block: {fault.text.en}: {reason.en}"
            )
        )
        self.fault = fault


@dataclass(frozen=True, slots=True)
class KeyBlockHeader:
    """What a block says of its key, in the letters of TR-31 §A.5.

    `usage` two characters, `algorithm` one, `mode_of_use` one, `version_number` two ("00": none;
    with a small c first, the value is a component and no key), `exportability` one: E under a
    trusted key, N not, S otherwise. `optional_blocks` are texts of printable ASCII by identifiers
    of two characters, in the order of the block; the padding block PB is added and removed here.
    Raises `KeyBlockError` for anything else.
    """

    usage: str
    algorithm: str
    mode_of_use: str
    version_number: str = "00"
    exportability: str = "N"
    optional_blocks: Mapping[str, str] = field(default_factory=dict)
    version: str = "D"

    def __post_init__(self) -> None:
        if self.version not in _METHODS:
            raise KeyBlockError(KeyBlockFault.VERSION, Text("不是 B 或 D", "is not B or D"))
        parts = (self.usage, self.algorithm, self.mode_of_use)
        if tuple(map(len, parts)) != (2, 1, 1) or not _TEXT.fullmatch("".join(parts)):
            raise KeyBlockError(
                KeyBlockFault.HEADER,
                Text(
                    "用途、算法、使用方式须为 2、1、1 个大写字母或数字",
                    "usage, algorithm and mode of use are 2, 1 and 1 capital letters or digits",
                ),
            )
        if not _VERSION_NUMBER.fullmatch(self.version_number):
            raise KeyBlockError(
                KeyBlockFault.HEADER,
                Text(
                    "版本号须为 2 个大写字母或数字，或以 c 开头",
                    "a version number is 2 capital letters or digits, or c first",
                ),
            )
        if len(self.exportability) != 1 or self.exportability not in _EXPORTABILITIES:
            raise KeyBlockError(
                KeyBlockFault.HEADER, Text("可导出性须为 E、N 或 S", "exportability is E, N or S")
            )
        for identifier, text in self.optional_blocks.items():
            if len(identifier) != 2 or not _TEXT.fullmatch(identifier) or identifier == _PADDING:
                raise KeyBlockError(
                    KeyBlockFault.OPTIONAL_BLOCK,
                    Text(
                        "标识须为 2 个大写字母或数字，且不是 PB",
                        "an identifier is 2 capital letters or digits, and not PB",
                    ),
                )
            if not _PRINTABLE.fullmatch(text):
                raise KeyBlockError(
                    KeyBlockFault.OPTIONAL_BLOCK,
                    Text(
                        f"{identifier} 含有可打印 ASCII 以外的字符",
                        f"{identifier} has more than printable ASCII",
                    ),
                )


@dataclass(frozen=True, slots=True)
class _Method:
    """How a version protects: its cipher, and the algorithm number of each length of its keys."""

    block_bytes: int
    algorithm_numbers: Mapping[int, int]
    cipher: Callable[[bytes], BlockCipherAlgorithm]

    def cmac(self, key: bytes, data: bytes) -> bytes:
        mac = CMAC(self.cipher(key))
        mac.update(data)
        return mac.finalize()

    def derived(self, protection_key: bytes, purpose: bytes) -> bytes:
        """A key as long as the protection key (§4.3.2.1, §4.3.2.3)."""
        size = len(protection_key)
        about = purpose + b"\x00" + self.algorithm_numbers[size].to_bytes(2, "big")
        about += (8 * size).to_bytes(2, "big")
        parts = (
            self.cmac(protection_key, bytes((counter,)) + about)
            for counter in range(1, -(-size // self.block_bytes) + 1)
        )
        return b"".join(parts)[:size]


def triple_des(key: bytes) -> BlockCipherAlgorithm:
    """Triple DES with a key of 8, 16 or 24 bytes."""
    return TripleDES(key if len(key) == 24 else pboc_3des.expand(key))


_METHODS: Mapping[str, _Method] = {
    "B": _Method(8, {16: 0, 24: 1}, triple_des),
    "D": _Method(16, {16: 2, 24: 3, 32: 4}, AES),
}


def wrap(
    protection_key: bytes, header: KeyBlockHeader, key: bytes, random: Callable[[int], bytes]
) -> str:
    """A key block: `key` under `protection_key` (16 or 24 bytes for B, 16, 24 or 32 for D).

    `random` gives that many bytes, to fill the last block of the cipher. The length of a key is
    not hidden: it follows from its algorithm. Raises `KeyBlockError` for a protection key of
    another length, an empty key and a block that would be longer than 9999 characters.

    >>> protection_key = bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6")
    >>> key = bytes.fromhex("3F419E1CB7079442AA37474C2EFBF8B8")
    >>> header = KeyBlockHeader("P0", "T", "E", exportability="E", version="B")
    >>> block = wrap(protection_key, header, key, bytes)
    >>> block[:16], len(block), unwrap(protection_key, block) == (header, key)
    ('B0080P0TE00E0000', 80, True)
    """
    method = _method(header.version, protection_key)
    if not key:
        raise KeyBlockError(KeyBlockFault.KEY, Text("没有密钥", "there is none"))
    block = method.block_bytes
    count, optional = _optional_text(header.optional_blocks, block)
    if count > OPTIONAL_BLOCKS_MAX:
        raise KeyBlockError(
            KeyBlockFault.OPTIONAL_BLOCK,
            Text(
                f"{count} 个，超过 {OPTIONAL_BLOCKS_MAX} 个",
                f"{count} are more than {OPTIONAL_BLOCKS_MAX}",
            ),
        )
    missing = -(2 + len(key)) % block
    length = _HEADER_CHARACTERS + len(optional) + 2 * (2 + len(key) + missing + block)
    if length > BLOCK_CHARACTERS_MAX:
        raise KeyBlockError(
            KeyBlockFault.LENGTH,
            Text(
                f"{length} 个字符，超过 {BLOCK_CHARACTERS_MAX} 个",
                f"{length} characters are more than {BLOCK_CHARACTERS_MAX}",
            ),
        )
    clear = (8 * len(key)).to_bytes(2, "big") + key + random(missing)
    text = (
        f"{header.version}{length:04}{header.usage}{header.algorithm}{header.mode_of_use}"
        f"{header.version_number}{header.exportability}{count:02}00{optional}"
    )
    mac = method.cmac(method.derived(protection_key, _AUTHENTICATING), text.encode() + clear)
    cipher = method.cipher(method.derived(protection_key, _ENCIPHERING))
    encryptor = Cipher(cipher, modes.CBC(mac)).encryptor()
    return text + (encryptor.update(clear) + mac).hex().upper()


def unwrap(protection_key: bytes, block: str) -> tuple[KeyBlockHeader, bytes]:
    """The header of a key block and its key.

    Raises `KeyBlockError`. The vector is TR-31:2018 §A.7.2.2.

    >>> header, key = unwrap(
    ...     bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6"),
    ...     "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E")
    >>> header.usage, header.algorithm, header.mode_of_use, header.exportability
    ('P0', 'T', 'E', 'E')
    >>> key.hex()
    '3f419e1cb7079442aa37474c2efbf8b8'
    """
    if block[:1] not in _METHODS:
        raise KeyBlockError(KeyBlockFault.VERSION, Text("不是 B 或 D", "is not B or D"))
    method = _method(block[0], protection_key)
    _check_length(block, method)
    optional, start = _optional_blocks(block)
    body = block[start:]
    if not _HEX.fullmatch(body) or len(body) % (2 * method.block_bytes):
        raise KeyBlockError(
            KeyBlockFault.LENGTH,
            Text(
                "密钥和 MAC 不是由整数个分组的十六进制数字组成",
                "key and MAC are not whole cipher blocks of hexadecimal digits",
            ),
        )
    sealed = bytes.fromhex(body)
    enciphered, mac = sealed[: -method.block_bytes], sealed[-method.block_bytes :]
    if not enciphered:
        raise KeyBlockError(
            KeyBlockFault.LENGTH, Text("没有留下密钥的位置", "no room is left for a key")
        )
    cipher = method.cipher(method.derived(protection_key, _ENCIPHERING))
    clear = Cipher(cipher, modes.CBC(mac)).decryptor().update(enciphered)
    authenticating = method.derived(protection_key, _AUTHENTICATING)
    if not hmac.compare_digest(method.cmac(authenticating, block[:start].encode() + clear), mac):
        raise KeyBlockError(
            KeyBlockFault.MAC,
            Text(
                "校验不符；密钥块被改动，或加密它的是另一把密钥",
                "does not hold; the block is altered or under another key",
            ),
        )
    if block[14:16] != "00":
        raise KeyBlockError(
            KeyBlockFault.HEADER, Text("保留字段不是 00", "the reserved field is not 00")
        )
    header = KeyBlockHeader(
        block[5:7], block[7], block[8], block[9:11], block[11], optional, block[0]
    )
    return header, _key(clear)


def _method(version: str, protection_key: bytes) -> _Method:
    method = _METHODS[version]
    if len(protection_key) not in method.algorithm_numbers:
        allowed = ", ".join(map(str, method.algorithm_numbers))
        raise KeyBlockError(
            KeyBlockFault.PROTECTION_KEY,
            Text(
                f"有 {len(protection_key)} 字节；版本 {version} 的密钥块须为 {allowed} 字节",
                f"has {len(protection_key)} bytes; a block of version {version} takes {allowed}",
            ),
        )
    return method


def _check_length(block: str, method: _Method) -> None:
    """All of it must be there, in characters that text can have, before any is read."""
    if not _HEADER_CHARACTERS <= len(block) <= BLOCK_CHARACTERS_MAX:
        raise KeyBlockError(
            KeyBlockFault.LENGTH,
            Text(
                f"{len(block)} 个字符；密钥块须为 {_HEADER_CHARACTERS} 至 {BLOCK_CHARACTERS_MAX} "
                "个",
                f"{len(block)} characters; a block has {_HEADER_CHARACTERS} to "
                f"{BLOCK_CHARACTERS_MAX}",
            ),
        )
    if not _PRINTABLE.fullmatch(block):
        raise KeyBlockError(
            KeyBlockFault.HEADER,
            Text("含有可打印 ASCII 以外的字符", "has more than printable ASCII"),
        )
    if not _DIGITS.fullmatch(block[1:5]) or int(block[1:5]) != len(block):
        raise KeyBlockError(
            KeyBlockFault.LENGTH,
            Text(
                f"{len(block)} 个字符，与其长度字段不符",
                f"{len(block)} characters, and its length field says otherwise",
            ),
        )
    if len(block) % method.block_bytes:
        raise KeyBlockError(
            KeyBlockFault.LENGTH,
            Text(
                f"{len(block)} 个字符，不是整数个分组",
                f"{len(block)} characters are not whole cipher blocks",
            ),
        )


def _optional_text(blocks: Mapping[str, str], block_bytes: int) -> tuple[int, str]:
    """How many optional blocks there are with the padding, and their text in whole blocks."""
    text = ""
    for identifier, data in blocks.items():
        length = len(data) + 4
        if length <= _SHORT_LENGTH_MAX:
            text += f"{identifier}{length:02X}{data}"
        else:
            text += f"{identifier}00{_EXTENDED_DIGITS:02X}{length + 6:04X}{data}"
    if len(text) % block_bytes == 0:
        return len(blocks), text
    # A padding block holds one character at least, as other devices write it.
    missing = block_bytes - (len(text) + 4) % block_bytes
    return len(blocks) + 1, f"{text}{_PADDING}{missing + 4:02X}{'0' * missing}"


def _optional_blocks(block: str) -> tuple[dict[str, str], int]:
    """The optional blocks without the padding, and where they end."""
    if not _DIGITS.fullmatch(block[12:14]):
        raise KeyBlockError(
            KeyBlockFault.HEADER,
            Text("可选块个数不是两位数字", "the number of optional blocks is not two digits"),
        )
    found: dict[str, str] = {}
    at = _HEADER_CHARACTERS
    for _ in range(int(block[12:14])):
        identifier = block[at : at + 2]
        length, head = _number(block[at + 2 : at + 4]), 4
        if length == 0:
            if _number(block[at + 4 : at + 6]) not in _EXTENDED_MARKS:
                raise KeyBlockError(
                    KeyBlockFault.OPTIONAL_BLOCK,
                    Text("其扩展长度不是 04 字节", "its long length is not 04 long"),
                )
            head = 6 + _EXTENDED_DIGITS
            length = _number(block[at + 6 : at + head])
        if length < head or at + length > len(block):
            raise KeyBlockError(
                KeyBlockFault.OPTIONAL_BLOCK,
                Text("其长度与密钥块不符", "its length does not fit the block"),
            )
        if identifier in found:
            raise KeyBlockError(
                KeyBlockFault.OPTIONAL_BLOCK,
                Text("同一标识出现两次", "one identifier stands twice"),
            )
        found[identifier] = block[at + head : at + length]
        at += length
    found.pop(_PADDING, None)
    return found, at


def _number(digits: str) -> int:
    if not digits or not _HEX.fullmatch(digits):
        raise KeyBlockError(
            KeyBlockFault.OPTIONAL_BLOCK,
            Text("其长度不是成对的十六进制数字", "its length is not hexadecimal digits in pairs"),
        )
    return int(digits, 16)


def _key(clear: bytes) -> bytes:
    """The key out of its length in bits, itself, and what fills the block."""
    bits = int.from_bytes(clear[:2], "big")
    if bits == 0 or bits % 8 or bits // 8 > len(clear) - 2:
        raise KeyBlockError(
            KeyBlockFault.KEY,
            Text("其位数与字节数或分组不符", "its length in bits fits neither bytes nor block"),
        )
    return clear[2 : 2 + bits // 8]
