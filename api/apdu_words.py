"""APDUs in words, as a person reads a trace. Decides the name of a command and what is worth
showing of it; the bytes stay beside the words.
"""

from cardcore.apdu import CommandApdu, ResponseApdu, describe
from cardcore.errors import DecodeError
from terminals.connection import Exchange, Peer

#: (CLA, INS, P1) or (CLA, INS) to the name of the command in JR/T 0025 and ISO/IEC 7816-4.
_NAMES: dict[tuple[int, ...], str] = {
    (0x00, 0xA4): "SELECT 选择应用或文件",
    (0x00, 0xB0): "READ BINARY 读二进制文件",
    (0x00, 0xB2): "READ RECORD 读记录",
    (0x80, 0x5C): "GET BALANCE 读余额",
    (0x80, 0x50, 0x00): "INITIALIZE FOR LOAD 圈存初始化",
    (0x80, 0x50, 0x01): "INITIALIZE FOR PURCHASE 消费初始化",
    (0x80, 0x50, 0x03): "INITIALIZE FOR CAPP PURCHASE 复合消费初始化",
    (0x80, 0x52): "CREDIT FOR LOAD 圈存",
    (0x80, 0x54): "DEBIT FOR PURCHASE 消费",
    (0x80, 0xDC): "UPDATE CAPP DATA CACHE 更新复合应用数据",
    (0x80, 0x5A): "GET TRANSACTION PROVE 取交易认证",
    (0x80, 0x70): "INIT_SAM_FOR_PURCHASE 初始化PSAM消费",
    (0x80, 0x72): "CREDIT_SAM_FOR_PURCHASE 校验MAC2",
}


def exchange_line(exchange: Exchange) -> str:
    """One exchange as a line: who, the command in words, the bytes, the answer in words.

    >>> exchange_line(Exchange(Peer.CARD, bytes.fromhex("805C000204"),
    ...                        bytes.fromhex("00000AC39000")))
    'CARD  GET BALANCE 读余额  > 805C000204  < 00000AC3 9000 ok'
    """
    command = exchange.command.hex().upper()
    try:
        response = ResponseApdu.decode(exchange.response)
        answer = f"{response.data.hex().upper()} {describe(response.sw)}".strip()
    except DecodeError:
        answer = "(no answer: the card was gone 卡已离场)"
    peer = "CARD" if exchange.peer is Peer.CARD else "PSAM"
    return f"{peer}  {command_name(exchange.command)}  > {command}  < {answer}"


def command_name(command: bytes) -> str:
    """The name of a command, or its instruction byte.

    >>> command_name(bytes.fromhex("80500302"))
    'INITIALIZE FOR CAPP PURCHASE 复合消费初始化'
    """
    try:
        apdu = CommandApdu.decode(command)
    except DecodeError:
        return "malformed command"
    name = _NAMES.get((apdu.cla, apdu.ins, apdu.p1)) or _NAMES.get((apdu.cla, apdu.ins))
    return name or f"INS {apdu.ins:02X}"
