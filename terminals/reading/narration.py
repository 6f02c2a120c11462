"""What was said between a reader and a card, in words, with every secret left out.

Decides which commands carry a PIN or a key, and how an exchange is written for a person. Leaves
where the exchange comes from (a reader, a journal's trace) to the caller.

The command that carries a secret is known by class and instruction alone, never by its content,
so that a wrong PIN or half a command is covered as well. Cryptograms and MACs are no secrets: they
prove a key and do not give it away.
"""

from collections.abc import Callable

from cardcore.apdu import describe
from terminals.link.connection import CardConnection

#: Instructions whose data is a PIN or a key, in any class: the class says how, not what.
_SECRET_INSTRUCTIONS = {
    0x20: "PIN",  # VERIFY
    0x24: "PIN",  # PIN UNBLOCK, CHANGE REFERENCE DATA
    0x2C: "PIN",  # RESET RETRY COUNTER
    0x5E: "PIN",  # CHANGE PIN, RELOAD PIN
    0xD4: "key",  # WRITE KEY
    0xD8: "key",  # PUT KEY of GlobalPlatform
}
#: STORE DATA of GlobalPlatform shares its number with APPEND RECORD, which has the ISO class.
_STORE_DATA = 0xE2
_PROPRIETARY_CLASS = 0x80
_HEADER_BYTES = 4

NAMES = {
    0x1A: "DELIVERY KEY 密钥分散",
    0x16: "CARD BLOCK 卡片锁定",
    0x18: "APPLICATION UNBLOCK 应用解锁",
    0x1E: "APPLICATION BLOCK 应用锁定",
    0x20: "VERIFY 校验 PIN",
    0x24: "PIN UNBLOCK PIN 解锁",
    0x50: "INITIALIZE 交易初始化",
    0x52: "CREDIT 圈存",
    0x54: "DEBIT 扣款",
    0x58: "UPDATE OVERDRAW LIMIT 修改透支限额",
    0x5A: "GET TRANSACTION PROVE 取交易认证",
    0x5C: "GET BALANCE 读余额",
    0x5E: "CHANGE/RELOAD PIN 修改或重装 PIN",
    0x70: "INIT SAM FOR PURCHASE",
    0x72: "CREDIT SAM FOR PURCHASE",
    0x7C: "RECORD MAC 记录签名",
    0x7E: "TAKE SEQUENCE 取交易序号",
    0x82: "EXTERNAL AUTHENTICATE 外部认证",
    0x84: "GET CHALLENGE 取随机数",
    0x88: "INTERNAL AUTHENTICATE 内部认证",
    0xA4: "SELECT 选择",
    0xB0: "READ BINARY 读二进制",
    0xB2: "READ RECORD 读记录",
    0xC0: "GET RESPONSE 取响应",
    0xCA: "GET DATA 取数据",
    0xD4: "WRITE KEY 写密钥",
    0xD6: "UPDATE BINARY 写二进制",
    0xD8: "PUT KEY 写密钥",
    0xDC: "UPDATE RECORD 写记录",
    0xE2: "APPEND RECORD 追加记录",
    0xE4: "DELETE 删除应用",
    0xE6: "INSTALL 安装应用",
    0xE8: "LOAD 装载应用",
    0xFA: "CIPHER DATA 通用加密计算",
}

#: What class and P1 make of an instruction: (class, instruction, P1 or None for any).
_SHARPER_NAMES: dict[tuple[int, int, int | None], str] = {
    (0x80, 0x50, 0x00): "INITIALIZE FOR LOAD 圈存初始化",
    (0x80, 0x50, 0x01): "INITIALIZE FOR PURCHASE 消费初始化",
    (0x80, 0x50, 0x03): "INITIALIZE FOR CAPP PURCHASE 复合消费初始化",
    (0x80, 0xDC, None): "UPDATE CAPP DATA CACHE 更新复合应用数据",
}


def command_name(command: bytes) -> str:
    """The name of a command in the words of the standards; empty for one that has none.

    >>> command_name(bytes.fromhex("80500302"))
    'INITIALIZE FOR CAPP PURCHASE 复合消费初始化'
    """
    if len(command) < _HEADER_BYTES:
        return ""
    instruction_class, instruction, p1 = command[:3]
    return (
        _SHARPER_NAMES.get((instruction_class, instruction, p1))
        or _SHARPER_NAMES.get((instruction_class, instruction, None))
        or NAMES.get(instruction, "")
    )


def secret_in(command: bytes) -> str | None:
    """What secret the data of a command is, or None.

    >>> secret_in(bytes.fromhex("0020000003123456")), secret_in(bytes.fromhex("00B0950000"))
    ('PIN', None)
    """
    if len(command) <= _HEADER_BYTES:
        return None
    if command[1] == _STORE_DATA and command[0] & _PROPRIETARY_CLASS:
        return "personal data"
    return _SECRET_INSTRUCTIONS.get(command[1])


def show_command(command: bytes) -> str:
    """A command in hexadecimal, its secret data left out, with its name.

    >>> show_command(bytes.fromhex("0020000003123456"))
    '00 20 00 00 [PIN not shown]  VERIFY 校验 PIN'
    >>> show_command(bytes.fromhex("805C000204"))
    '80 5C 00 02 04  GET BALANCE 读余额'
    """
    name = command_name(command)
    secret = secret_in(command)
    if secret is None:
        return f"{spaced(command)}  {name}".rstrip()
    return f"{spaced(command[:_HEADER_BYTES])} [{secret} not shown]  {name}".rstrip()


def show_response(response: bytes) -> str:
    """An answer in hexadecimal, its status word in words of both languages.

    >>> show_response(bytes.fromhex("00000AC39000"))
    '00 00 0A C3 | 9000 ok 成功'
    >>> show_response(b"")
    'no answer: the card is gone 无应答, 卡已移走'
    """
    if len(response) < 2:
        return "no answer: the card is gone 无应答, 卡已移走"
    words = show_status(int.from_bytes(response[-2:], "big"))
    return f"{spaced(response[:-2])} | {words}" if response[:-2] else words


def show_status(sw: int) -> str:
    """A status word in words.

    >>> show_status(0x6A82)
    '6A82 file not found 未找到文件'
    """
    text = describe(sw)
    return f"{sw:04X} {text.en} {text.zh}"


def spaced(data: bytes) -> str:
    """Bytes as engineers write them.

    >>> spaced(bytes.fromhex("00a404"))
    '00 A4 04'
    """
    return data.hex(" ").upper()


class NarratingConnection:
    """A connection that tells every exchange over it, `>` to the card and `<` from it."""

    def __init__(self, inner: CardConnection, tell: Callable[[str], None]) -> None:
        self._inner = inner
        self._tell = tell

    def transmit(self, command: bytes) -> bytes:
        """See `CardConnection`. A command that tore the card is told with no answer."""
        self._tell(f"> {show_command(command)}")
        response = b""
        try:
            response = self._inner.transmit(command)
        finally:
            self._tell(f"< {show_response(response)}")
        return response
