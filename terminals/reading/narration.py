"""What was said between a reader and a card, in words, with every secret left out.

Decides which commands carry a PIN or a key, and how an exchange is written for a person. Leaves
where the exchange comes from (a reader, a journal's trace) to the caller.

The command that carries a secret is known by class and instruction alone, never by its content,
so that a wrong PIN or half a command is covered as well. Cryptograms and MACs are no secrets: they
prove a key and do not give it away.
"""

from collections.abc import Callable

from cardcore.apdu import STATUS_BYTES, describe
from cardcore.text import Text
from terminals.link.connection import CardConnection

_PIN, _KEY = Text("PIN", "PIN"), Text("密钥", "key")
_PERSONAL = Text("个人数据", "personal data")
_GONE = Text("无应答，卡已移走", "no answer: the card is gone")
_NAMELESS = Text("", "")
#: Instructions whose data is a PIN or a key, in any class: the class says how, not what.
_SECRET_INSTRUCTIONS = {
    0x20: _PIN,  # VERIFY
    0x24: _PIN,  # PIN UNBLOCK, CHANGE REFERENCE DATA
    0x2C: _PIN,  # RESET RETRY COUNTER
    0x5E: _PIN,  # CHANGE PIN, RELOAD PIN
    0xD4: _KEY,  # WRITE KEY
    0xD8: _KEY,  # PUT KEY of GlobalPlatform
}
#: STORE DATA of GlobalPlatform shares its number with APPEND RECORD, which has the ISO class.
_STORE_DATA = 0xE2
_PROPRIETARY_CLASS = 0x80
_HEADER_BYTES = 4

NAMES = {
    0x1A: Text("密钥分散", "DELIVERY KEY"),
    0x16: Text("卡片锁定", "CARD BLOCK"),
    0x18: Text("应用解锁", "APPLICATION UNBLOCK"),
    0x1E: Text("应用锁定", "APPLICATION BLOCK"),
    0x20: Text("校验 PIN", "VERIFY"),
    0x24: Text("PIN 解锁", "PIN UNBLOCK"),
    0x50: Text("交易初始化", "INITIALIZE"),
    0x52: Text("圈存", "CREDIT"),
    0x54: Text("扣款", "DEBIT"),
    0x58: Text("修改透支限额", "UPDATE OVERDRAW LIMIT"),
    0x5A: Text("取交易认证", "GET TRANSACTION PROVE"),
    0x5C: Text("读余额", "GET BALANCE"),
    0x5E: Text("修改或重装 PIN", "CHANGE/RELOAD PIN"),
    0x70: Text("PSAM 消费初始化", "INIT SAM FOR PURCHASE"),
    0x72: Text("PSAM 校验 MAC2", "CREDIT SAM FOR PURCHASE"),
    0x7C: Text("记录签名", "RECORD MAC"),
    0x7E: Text("取交易序号", "TAKE SEQUENCE"),
    0x82: Text("外部认证", "EXTERNAL AUTHENTICATE"),
    0x84: Text("取随机数", "GET CHALLENGE"),
    0x88: Text("内部认证", "INTERNAL AUTHENTICATE"),
    0xA4: Text("选择", "SELECT"),
    0xB0: Text("读二进制", "READ BINARY"),
    0xB2: Text("读记录", "READ RECORD"),
    0xC0: Text("取响应", "GET RESPONSE"),
    0xCA: Text("取数据", "GET DATA"),
    0xD4: Text("写密钥", "WRITE KEY"),
    0xD6: Text("写二进制", "UPDATE BINARY"),
    0xD8: Text("写密钥", "PUT KEY"),
    0xDC: Text("写记录", "UPDATE RECORD"),
    0xE2: Text("追加记录", "APPEND RECORD"),
    0xE4: Text("删除应用", "DELETE"),
    0xE6: Text("安装应用", "INSTALL"),
    0xE8: Text("装载应用", "LOAD"),
    0xFA: Text("通用加密计算", "CIPHER DATA"),
}

#: What class and P1 make of an instruction: (class, instruction, P1 or None for any).
_SHARPER_NAMES: dict[tuple[int, int, int | None], Text] = {
    (0x80, 0x50, 0x00): Text("圈存初始化", "INITIALIZE FOR LOAD"),
    (0x80, 0x50, 0x01): Text("消费初始化", "INITIALIZE FOR PURCHASE"),
    (0x80, 0x50, 0x03): Text("复合消费初始化", "INITIALIZE FOR CAPP PURCHASE"),
    (0x80, 0xDC, None): Text("更新复合应用数据", "UPDATE CAPP DATA CACHE"),
}


def command_name(command: bytes) -> Text | None:
    """The name of a command in the words of the standards; None for one that has none. In Chinese
    the name that engineers look up stands before what it means.

    >>> name = command_name(bytes.fromhex("80500302"))
    >>> name.zh, name.en
    ('INITIALIZE FOR CAPP PURCHASE 复合消费初始化', 'INITIALIZE FOR CAPP PURCHASE')
    """
    if len(command) < _HEADER_BYTES:
        return None
    instruction_class, instruction, p1 = command[:3]
    named = (
        _SHARPER_NAMES.get((instruction_class, instruction, p1))
        or _SHARPER_NAMES.get((instruction_class, instruction, None))
        or NAMES.get(instruction)
    )
    return None if named is None else Text(f"{named.en} {named.zh}", named.en)


def secret_in(command: bytes) -> Text | None:
    """What secret the data of a command is, or None.

    >>> print(secret_in(bytes.fromhex("0020000003123456")))
    PIN
    >>> secret_in(bytes.fromhex("00B0950000")) is None
    True
    """
    if len(command) <= _HEADER_BYTES:
        return None
    if command[1] == _STORE_DATA and command[0] & _PROPRIETARY_CLASS:
        return _PERSONAL
    return _SECRET_INSTRUCTIONS.get(command[1])


def show_command(command: bytes) -> Text:
    """A command in hexadecimal, its secret data left out, with its name.

    >>> print(show_command(bytes.fromhex("0020000003123456")))
    00 20 00 00 [PIN not shown]  VERIFY
    >>> show_command(bytes.fromhex("805C000204")).zh
    '80 5C 00 02 04  GET BALANCE 读余额'
    """
    name = command_name(command) or _NAMELESS
    secret = secret_in(command)
    if secret is None:
        shown = Text(spaced(command), spaced(command))
    else:
        head = spaced(command[:_HEADER_BYTES])
        shown = Text(f"{head} [{secret.zh}，不显示]", f"{head} [{secret.en} not shown]")
    return Text(f"{shown.zh}  {name.zh}".rstrip(), f"{shown.en}  {name.en}".rstrip())


def show_response(response: bytes) -> Text:
    """An answer in hexadecimal, and its status word in words.

    >>> print(show_response(bytes.fromhex("00000AC39000")))
    00 00 0A C3 | 9000 ok
    >>> show_response(b"").zh
    '无应答，卡已移走'
    """
    if len(response) < STATUS_BYTES:
        return _GONE
    data = spaced(response[:-STATUS_BYTES])
    said = show_status(int.from_bytes(response[-STATUS_BYTES:], "big"))
    return Text(f"{data} | {said.zh}", f"{data} | {said.en}") if data else said


def show_status(sw: int) -> Text:
    """A status word in words.

    >>> print(show_status(0x6A82))
    6A82 file not found
    """
    said = describe(sw)
    return Text(f"{sw:04X} {said.zh}", f"{sw:04X} {said.en}")


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
