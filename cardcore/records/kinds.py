"""The closed words of a record: what happened, where, and what speaks for it.

Decides the numbers, which are never used again for something else, and what evidence each kind of
record carries. Leaves the bytes to `record`, what is signed to `tac`, payloads to `payloads`.
"""

from enum import Enum, IntEnum, IntFlag, auto


class Evidence(Enum):
    """What a record can prove by itself (docs/keys.md says what each is worth)."""

    TAC = auto()  # 交易认证码: the card moved its purse and signed that
    AUTHENTICATION = auto()  # 内部认证: the card answered INTERNAL AUTHENTICATE over the record
    RECORD_MAC = auto()  # 记录 MAC: no card was asked; the PSAM vouches for the bytes
    FOREIGN = auto()  # 外部密文: an instrument of another scheme, with a cryptogram of its own

    @property
    def cryptogram_bytes(self) -> int:
        """How many bytes of the card the record carries."""
        return {Evidence.TAC: 4, Evidence.AUTHENTICATION: 8}.get(self, 0)


class RecordKind(IntEnum):
    """What happened. Numbers are never used again for something else."""

    LOAD = 1  # 圈存
    PURCHASE = 2  # 消费
    ENTRY = 3  # 进站
    EXIT = 4  # 出站
    VISIT = 5  # 就诊结算
    LOAN = 6  # 借书
    RETURN = 7  # 还书
    ENTITLEMENT = 8  # 权益核销: a concession, a pass, a monthly ticket is used
    HIRE = 9  # 租借开始
    HIRE_RETURNED = 10  # 租借归还: the bicycle stands in a dock again, nobody shows a card
    CARD_LOCKED = 11  # 锁卡: a terminal locked a card of the hotlist
    EXTERNAL = 12  # 外部介质: a bank card or a QR code in place of a card of ours

    @property
    def evidence(self) -> Evidence:
        """What speaks for a record of this kind."""
        return _EVIDENCE[self]

    @property
    def moves_purse(self) -> bool:
        """Whether a purse of ours moves: only then does the record count in sums and the float."""
        return _EVIDENCE[self] is Evidence.TAC


_EVIDENCE = {
    RecordKind.LOAD: Evidence.TAC,
    RecordKind.PURCHASE: Evidence.TAC,
    RecordKind.ENTRY: Evidence.TAC,
    RecordKind.EXIT: Evidence.TAC,
    RecordKind.VISIT: Evidence.AUTHENTICATION,
    RecordKind.LOAN: Evidence.AUTHENTICATION,
    RecordKind.RETURN: Evidence.AUTHENTICATION,
    RecordKind.ENTITLEMENT: Evidence.AUTHENTICATION,
    RecordKind.HIRE: Evidence.AUTHENTICATION,
    RecordKind.HIRE_RETURNED: Evidence.RECORD_MAC,
    RecordKind.CARD_LOCKED: Evidence.RECORD_MAC,
    RecordKind.EXTERNAL: Evidence.FOREIGN,
}
assert set(_EVIDENCE) == set(RecordKind)


class Sector(IntEnum):
    """In which sector of the city it happened: the sectors this package itself speaks of. A record
    may name any number; which sectors there are is settlement's catalogue.
    """

    TRANSIT = 1  # 公交地铁
    HEALTH = 2  # 卫生
    SOCIAL_SECURITY = 3  # 社保
    LIBRARY = 4  # 图书馆
    MERCHANT = 5  # 小额消费
    CARD_SERVICE = 6  # 卡服务


class TransactionType(IntEnum):
    """PBOC transaction type, as it stands in the card's log and under MAC and TAC."""

    NONE = 0x00  # 无
    LOAD = 0x02  # 电子钱包圈存
    PURCHASE = 0x06  # 电子钱包消费
    COMPOSITE = 0x09  # 复合应用消费


class RecordFlag(IntFlag):
    """What else the back office must know of the tap."""

    TRANSFER = 1  # 联程: the discount of a transfer was given
    SEQUENCE_EXEMPT = 2  # 进出次序免检: the gate did not check entry against exit
    RECOVERED = 4  # 补全: the tap was torn; the card proved it on its next visit
    TAC_MISSING = 8  # 缺少交易认证码: the tap was torn and the card could no longer prove it


class Mac2Check(IntEnum):
    """What the PSAM said to the card's MAC2 (80 72). A claim, but under the record MAC."""

    NOT_ASKED = 0  # 未验: a load, or no purse moved
    HELD = 1  # 成立: 9000: the card was debited
    NOT_CHECKED = 2  # 未能验: the tap was torn, and the PSAM no longer held its half


class MacProfile(IntEnum):
    """How the record MAC was made."""

    NONE = 0  # 无: there is none
    FIXED = 1  # 固定密钥: under a key fixed to this PSAM's own number
    PBOC = 2  # 过程密钥: by 80 1A and 80 FA, 4 bytes: weaker, another PSAM could have made it


class Funding(IntEnum):
    """Where the money of a load came from (充值资金来源)."""

    CASH = 1  # 现金
    REFUND = 2  # 退款: gives back a debit, which it names
    BENEFIT = 3  # 补贴
    CHANNEL = 4  # 渠道: paid by another way, an app or a bank


class ExternalScheme(IntEnum):
    """Whose instrument it was."""

    BANK_CARD = 1  # 银行卡
    QR_CODE = 2  # 二维码
