"""APDUs of ISO/IEC 7816-4, short form. Decides how commands and responses are laid out in bytes;
leaves what they mean to the card. Short form suffices: the longest record is 128 bytes.
"""

from enum import IntEnum
from typing import NamedTuple

from cardcore.errors import DecodeError
from cardcore.text import Text

#: A status word at the end of a response.
STATUS_BYTES = 2


class StatusWord(IntEnum):
    """Status words of the purse and of ISO 7816-4 that the card gives (two bytes)."""

    OK = 0x9000
    EOF_REACHED = 0x6282
    FILE_INVALIDATED = 0x6283
    HOST_CRYPTOGRAM_WRONG = 0x6300
    EXECUTION_ERROR = 0x6400
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    STATE_INVALID = 0x6901
    FILE_TYPE_INCOMPATIBLE = 0x6981
    SECURITY_NOT_SATISFIED = 0x6982
    AUTHENTICATION_BLOCKED = 0x6983
    NO_CHALLENGE = 0x6984
    CONDITIONS_NOT_SATISFIED = 0x6985
    NO_CURRENT_EF = 0x6986
    MAC_MISSING = 0x6987
    MAC_WRONG = 0x6988
    DATA_WRONG = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    NO_SPACE = 0x6A84
    P1P2_WRONG = 0x6A86
    KEY_NOT_FOUND = 0x6A88
    OFFSET_WRONG = 0x6B00
    LE_WRONG = 0x6C00
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    NO_DIAGNOSIS = 0x6F00
    PURSE_MAC_WRONG = 0x9302
    APPLICATION_PERMANENTLY_BLOCKED = 0x9303
    INSUFFICIENT_FUNDS = 0x9401
    COUNTER_OR_AMOUNT_LIMIT = 0x9402
    PURSE_KEY_INDEX_WRONG = 0x9403
    NO_TRANSACTION_PROOF = 0x9406

    @property
    def text(self) -> Text:
        """For people."""
        return Text(_CHINESE[self], self.name.lower().replace("_", " "))


class CommandApdu(NamedTuple):
    """One command. `le` is None when no response data is expected, 256 when Le is 00.

    >>> CommandApdu(0x80, 0x5C, 0x00, 0x02, le=4).encode().hex()
    '805c000204'
    >>> CommandApdu.decode(bytes.fromhex("00A4040002315000")).data.hex()
    '3150'
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def encode(self) -> bytes:
        """Lay the command out in one of the four short cases of ISO 7816-3 §12.1."""
        cla, ins, p1, p2, data, le = self
        if not data:
            return bytes((cla, ins, p1, p2) if le is None else (cla, ins, p1, p2, le & 0xFF))
        if le is None:
            return bytes((cla, ins, p1, p2, len(data))) + data
        return b"%b%b%c" % (bytes((cla, ins, p1, p2, len(data))), data, le & 0xFF)

    @classmethod
    def decode(cls, raw: bytes) -> "CommandApdu":
        """Read a command; `DecodeError` when header, Lc and length do not agree."""
        size = len(raw)
        if size < 4:
            raise DecodeError("command APDU", size, "shorter than its four-byte header")
        cla, ins, p1, p2 = raw[:4]
        if size == 4:
            return cls(cla, ins, p1, p2)
        lc = raw[4]
        if size == 5:
            return cls(cla, ins, p1, p2, b"", lc or 256)
        if lc == 0:
            raise DecodeError("command APDU", 4, "extended length is not supported")
        if size == 5 + lc:
            return cls(cla, ins, p1, p2, raw[5:])
        if size == 6 + lc:
            return cls(cla, ins, p1, p2, raw[5:-1], raw[-1] or 256)
        raise DecodeError("command APDU", 4, f"Lc says {lc} bytes, {size - 5} follow")


class ResponseApdu(NamedTuple):
    r"""One response: data and status word.

    >>> ResponseApdu.decode(bytes.fromhex("00000AC39000"))
    ResponseApdu(data=b'\x00\x00\n\xc3', sw=36864)
    """

    data: bytes
    sw: int

    def encode(self) -> bytes:
        """Data, then the status word."""
        return self.data + self.sw.to_bytes(2, "big")

    @classmethod
    def decode(cls, raw: bytes) -> "ResponseApdu":
        """Read a response; `DecodeError` when even the status word is missing."""
        if len(raw) < 2:
            raise DecodeError("response APDU", len(raw), "shorter than its status word")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    @property
    def ok(self) -> bool:
        """Whether the status word is 9000."""
        return self.sw == StatusWord.OK


def describe(sw: int) -> Text:
    """A status word in words, the Chinese ones as the standards of JR/T 0025 put it.

    >>> describe(0x6A82).en, describe(0x63C2).en, describe(0x6C1E).en, describe(0x1234).en
    ('file not found', 'wrong, 2 tries left', 'le wrong, 30 bytes', 'unknown')
    >>> describe(0x9302).zh, describe(0x63C2).zh, describe(0x6C1E).zh, describe(0x1234).zh
    ('MAC 无效', '验证失败，还可再试 2 次', 'Le 错误，应为 30 字节', '未知状态字')
    """
    if sw & 0xFFF0 == 0x63C0:
        return Text(f"验证失败，还可再试 {sw & 0x0F} 次", f"wrong, {sw & 0x0F} tries left")
    if sw & 0xFF00 == 0x6100:
        size = sw & 0xFF or 256
        return Text(f"还有 {size} 字节待取", f"data waiting, {size} bytes")
    if sw & 0xFF00 == StatusWord.LE_WRONG and sw & 0xFF:
        return Text(f"Le 错误，应为 {sw & 0xFF} 字节", f"le wrong, {sw & 0xFF} bytes")
    try:
        return StatusWord(sw).text
    except ValueError:
        return Text("未知状态字", "unknown")


_CHINESE = {
    StatusWord.OK: "成功",
    StatusWord.EOF_REACHED: "已到文件末尾",
    StatusWord.FILE_INVALIDATED: "选择的文件无效",
    StatusWord.HOST_CRYPTOGRAM_WRONG: "主机密文验证失败",
    StatusWord.EXECUTION_ERROR: "状态未变，执行出错",
    StatusWord.MEMORY_FAILURE: "存储器故障",
    StatusWord.WRONG_LENGTH: "长度错误",
    StatusWord.STATE_INVALID: "命令不接受，状态无效",
    StatusWord.FILE_TYPE_INCOMPATIBLE: "命令与文件结构不相容",
    StatusWord.SECURITY_NOT_SATISFIED: "不满足安全状态",
    StatusWord.AUTHENTICATION_BLOCKED: "认证方法锁定",
    StatusWord.NO_CHALLENGE: "引用数据无效，未取随机数",
    StatusWord.CONDITIONS_NOT_SATISFIED: "不满足使用条件",
    StatusWord.NO_CURRENT_EF: "没有当前文件",
    StatusWord.MAC_MISSING: "缺少安全报文数据",
    StatusWord.MAC_WRONG: "安全报文数据不正确",
    StatusWord.DATA_WRONG: "数据域参数错误",
    StatusWord.FUNCTION_NOT_SUPPORTED: "不支持此功能，或卡片或应用已锁定",
    StatusWord.FILE_NOT_FOUND: "未找到文件",
    StatusWord.RECORD_NOT_FOUND: "未找到记录",
    StatusWord.NO_SPACE: "空间不足",
    StatusWord.P1P2_WRONG: "P1 P2 参数错误",
    StatusWord.KEY_NOT_FOUND: "未找到引用的密钥",
    StatusWord.OFFSET_WRONG: "偏移量错误",
    StatusWord.LE_WRONG: "Le 错误",
    StatusWord.INS_NOT_SUPPORTED: "不支持的指令",
    StatusWord.CLA_NOT_SUPPORTED: "不支持的类别",
    StatusWord.NO_DIAGNOSIS: "未知故障",
    StatusWord.PURSE_MAC_WRONG: "MAC 无效",
    StatusWord.APPLICATION_PERMANENTLY_BLOCKED: "应用永久锁定",
    StatusWord.INSUFFICIENT_FUNDS: "余额不足",
    StatusWord.COUNTER_OR_AMOUNT_LIMIT: "交易计数器达到最大值或金额超限",
    StatusWord.PURSE_KEY_INDEX_WRONG: "密钥索引不支持",
    StatusWord.NO_TRANSACTION_PROOF: "所需 MAC 不可用",
}
assert set(_CHINESE) == set(StatusWord)
