"""The wording of a record's story, in Chinese and English, and the figures behind each sentence.

Decides what is said of a record from what is known of it (pure). Leaves finding that out to
`settlement.reports.history`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cardcore.keys import ProofReason
from cardcore.money import yuan
from cardcore.records.record import RecordKind, TransactionRecord
from settlement.days.closing import ClosedDay
from settlement.dispositions import Disposition, Note, Reason
from settlement.intake.answers import FileRow
from settlement.ledger.accounts import parse_account
from settlement.ledger.entries import Entry
from settlement.ledger.movements import Movement, decide_movements, sum_up
from settlement.ledger.positions import Position
from settlement.registry import Registry
from settlement.seal import Sealable
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.fares import class_name
from settlement.sectors.rules import Payment


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a story. `data` holds the figures behind the words."""

    name: str
    text_zh: str
    text_en: str
    data: Mapping[str, Sealable]


@dataclass(frozen=True, slots=True)
class Decision:
    """What reconciliation decided of one copy of a record."""

    disposition: Disposition
    reason: Reason
    notes: Note
    late: bool
    fare_class: int
    chained: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one run made of the record, on a closed day or provisionally. `proof` is how its TAC was
    judged then, when that was not so yet as it came in.
    """

    decision: Decision
    proof: ProofReason | None
    day: ClosedDay | None
    entries: Sequence[Entry] = ()
    positions: Sequence[Position] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The proven record of the card just before or after, and its balances in fen."""

    record_id: str
    time: datetime
    balance_before_fen: int
    balance_after_fen: int


@dataclass(frozen=True, slots=True)
class Telling:
    """The story of one copy of a record: the file and row it stands in, and what became of it.

    `record` is None when a field of it is damaged, `decision`, the latest one, while no run has
    seen it.
    """

    content_hash: str
    row: int
    record: TransactionRecord | None
    decision: Decision | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """Everything known of a record id, the accepted copy first; empty when it was never seen."""

    record_id: str
    tellings: tuple[Telling, ...]


_KINDS = {
    RecordKind.LOAD: ("圈存", "load"),
    RecordKind.PURCHASE: ("消费", "purchase"),
    RecordKind.ENTRY: ("进站", "entry"),
    RecordKind.EXIT: ("出站", "exit"),
}
_PROOFS = {
    ProofReason.PROVEN: ("成立", "holds: the card itself signed this transaction"),
    ProofReason.WRONG: ("不成立", "does not hold under any key"),
    ProofReason.WRONG_VERSION: ("密钥版本不符", "holds only under another key version"),
    ProofReason.UNKNOWN_VERSION: ("密钥版本未知", "cannot be judged: its key version is not held"),
    ProofReason.UNKNOWN_ALGORITHM: ("算法未知", "cannot be judged: its algorithm is not held"),
}


def tell(
    *,
    file: FileRow,
    row: int,
    proof: ProofReason,
    record: TransactionRecord | None,
    registry: Registry,
    judgements: Sequence[Judgement],
    before: Neighbour | None,
    after: Neighbour | None,
) -> Telling:
    """The story of one copy, step by step in the order in which things happened."""
    steps = [_tap(record, registry), _file(file, row), _proof(proof)]
    if record is not None:
        steps.append(_chain(record, before, after))
    if not judgements:
        steps.append(_waiting(file))
    decided: Decision | None = None
    for each in judgements:
        if each.proof is not None:
            steps.append(_review(each.proof, decided, each.day))
        steps.append(_decision(each.decision))
        if record is not None:
            money = record_postings(record, decided, each.decision)
            steps.append(_ledger(money, each.entries, each.day))
            if each.day is not None:
                steps += _positions(money, each.positions, registry, each.day)
        if each.day is not None:
            steps.append(_seal(each.day))
        decided = each.decision
    return Telling(file.file.content_hash, row, record, decided, tuple(steps))


def _tap(record: TransactionRecord | None, registry: Registry) -> Step:
    if record is None:
        return Step("tap", "记录有损坏的字段", "a field of the record is damaged", {})
    kind_zh, kind_en = _KINDS[record.kind]
    who = " ".join((_participant_name(record.operator, registry), *_places(record, registry)))
    zh = f"{record.time} 卡 {record.card_number} 在 {who} 终端 {record.terminal} {kind_zh} "
    en = f"{record.time} card {record.card_number}: {kind_en} at {who}, terminal "
    zh += yuan(record.amount_fen)
    en += f"{record.terminal}, {yuan(record.amount_fen)}"
    if not record.is_load:
        zh += f"（票价 {yuan(record.tariff_fen)}）"
        en += f" (tariff {yuan(record.tariff_fen)})"
    balances = f"{yuan(record.balance_before_fen)} → {yuan(record.balance_after_fen)}"
    zh += f"，余额 {balances}"
    en += f", balance {balances}"
    names = ("offline_counter", "online_counter", "psam_sequence", "amount_fen", "tariff_fen")
    data: dict[str, Sealable] = {name: getattr(record, name) for name in names}
    data |= {"time": record.time, "card_number": record.card_number, "operator": record.operator}
    data |= {"business_day": record.business_day, "flags": int(record.flags)}
    return Step("tap", zh, en, data)


def _participant_name(code: int, registry: Registry) -> str:
    return next((each.name for each in registry.participants if each.code == code), str(code))


def _places(record: TransactionRecord, registry: Registry) -> Iterator[str]:
    names = {(each.kind, each.code): each.text for each in registry.names}
    for kind in ("line", "station", "vehicle"):
        code = getattr(record, kind)
        if code:
            yield names.get((kind, code), f"{kind} {code}")


def _file(row: FileRow, number: int) -> Step:
    file = row.file
    zh = f"第 {file.sender} 号发送方的第 {file.sequence} 号文件第 {number + 1} 条"
    zh += f"，{file.received_at:%Y-%m-%d %H:%M:%S} UTC 收妥，签名与合计已核"
    en = f"record {number + 1} of file {file.sequence} from sender {file.sender}, received "
    en += f"{file.received_at:%Y-%m-%d %H:%M:%S} UTC, signature and totals proven"
    data: dict[str, Sealable] = {
        "content_hash": file.content_hash,
        "sender": file.sender,
        "sequence": file.sequence,
        "row": number,
        "received_at": file.received_at,
    }
    return Step("file", zh, en, data)


def _proof(proof: ProofReason) -> Step:
    zh, en = _PROOFS[proof]
    return Step("tac", f"交易认证码 TAC {zh}", f"the TAC {en}", {"proof": proof.name})


def _chain(record: TransactionRecord, before: Neighbour | None, after: Neighbour | None) -> Step:
    zh, en = [], []
    if before is None:
        zh.append("此前无该卡记录")
        en.append("no record of the card before it")
    else:
        zh.append(f"上一笔 {before.record_id} 后余额 {yuan(before.balance_after_fen)}")
        en.append(f"before it {before.record_id} left {yuan(before.balance_after_fen)}")
    if after is None:
        zh.append("此后尚无记录")
        en.append("no record after it yet")
    else:
        zh.append(f"下一笔 {after.record_id} 前余额 {yuan(after.balance_before_fen)}")
        en.append(f"after it {after.record_id} starts from {yuan(after.balance_before_fen)}")
    start_fen = 0 if before is None else before.balance_after_fen
    joins = start_fen == record.balance_before_fen and (
        after is None or after.balance_before_fen == record.balance_after_fen
    )
    zh.append("余额相接" if joins else "余额不相接")
    en.append("the balances join" if joins else "the balances do not join")
    data: dict[str, Sealable] = {
        "before": None if before is None else before.record_id,
        "after": None if after is None else after.record_id,
        "joins": joins,
    }
    return Step("card", "卡链：" + "，".join(zh), "the card's chain: " + ", ".join(en), data)


def _waiting(file: FileRow) -> Step:
    if file.is_ready:
        return Step("decision", "等待清分", "waits for the next clearing run", {})
    zh, en = "等待同一发送方的缺号文件", "waits for earlier files of its sender"
    return Step("decision", zh, en, {})


def _review(proof: ProofReason, before: Decision | None, day: ClosedDay | None) -> Step:
    """Why the record could be judged now: its key came, or its terminal was registered."""
    when_zh = "" if day is None else f"{day.settlement_day} "
    when_en = "" if day is None else f"on {day.settlement_day} "
    zh, en = _PROOFS[proof]
    if before is not None and before.reason is Reason.TERMINAL_UNKNOWN:
        cause_zh, cause_en = "终端已登记", "its terminal is registered"
    else:
        cause_zh, cause_en = f"密钥已到位，交易认证码 TAC {zh}", f"the key is held: the TAC {en}"
    data: dict[str, Sealable] = {
        "proof": proof.name,
        "settlement_day": None if day is None else day.settlement_day,
        "before": None if before is None else before.reason.name,
    }
    return Step("review", f"{when_zh}复核：{cause_zh}", f"{when_en}judged again, {cause_en}", data)


def _decision(decision: Decision) -> Step:
    zh, en = decision.disposition.text.zh, decision.disposition.text.en
    if decision.reason is not Reason.NONE:
        zh, en = f"{zh}：{decision.reason.text.zh}", f"{en}: {decision.reason.text.en}"
    notes = [note for note in Note if note in decision.notes]
    for note in notes:
        zh, en = f"{zh}；{note.text.zh}", f"{en}; {note.text.en}"
    if decision.late:
        zh, en = f"{zh}；迟到", f"{en}; late"
    data: dict[str, Sealable] = {
        "disposition": decision.disposition.name,
        "reason": decision.reason.name,
        "notes": [str(note.name) for note in notes],
        "late": decision.late,
        "fare_class": class_name(decision.fare_class),
    }
    return Step("decision", f"处理结果：{zh}", f"disposition: {en}", data)


def record_postings(
    record: TransactionRecord, before: Decision | None, now: Decision
) -> dict[str, int]:
    """What a decision on one record adds to each account, in fen, debits positive, less what an
    earlier decision had added; nothing when no money moves.
    """
    movements = list(_movements(record, now))
    if before is not None:
        movements += [each.taken_back for each in _movements(record, before)]
    sums = sum_up(movements)
    accounts = sorted(sums, key=lambda account: account.order)
    money = {account.text: sums[account].net_fen for account in accounts}
    return {account: amount_fen for account, amount_fen in money.items() if amount_fen}


def _movements(record: TransactionRecord, decision: Decision) -> tuple[Movement, ...]:
    payment = Payment(record.application, record.operator, record.amount_fen)
    return decide_movements(
        decision.reason,
        kind=record.kind,
        is_chained=decision.chained,
        operator=record.operator,
        amount_fen=record.amount_fen,
        passed_on_fen=rule_of(read_rules(), record.sector).passed_on(payment),
    )


def _ledger(money: Mapping[str, int], entries: Sequence[Entry], day: ClosedDay | None) -> Step:
    if not money:
        return Step("ledger", "不涉及资金", "no money is posted for it", {})
    lines = "; ".join(f"{account} {yuan(amount_fen)}" for account, amount_fen in money.items())
    data: dict[str, Sealable] = {"postings": dict(money)}
    if day is None:
        zh, en = f"日终关闭时入账：{lines}", f"will be posted at close: {lines}"
        return Step("ledger", zh, en, data)
    numbers = [entry.number for entry in entries]
    text = ", ".join(str(number) for number in numbers)
    data["entries"] = numbers
    zh = f"{day.settlement_day} 入账，汇总于分录 {text}：{lines}"
    en = f"posted on {day.settlement_day}, summed up in entries {text}: {lines}"
    return Step("ledger", zh, en, data)


def _positions(
    money: Mapping[str, int],
    positions: Sequence[Position],
    registry: Registry,
    day: ClosedDay,
) -> Iterator[Step]:
    for each in positions:
        code = parse_account(each.account).participant
        if each.account in money and code is not None:
            who = _participant_name(code, registry)
            side_zh, side_en = ("应付", "owes") if each.net_fen > 0 else ("应收", "is owed")
            amount = yuan(abs(each.net_fen))
            yield Step(
                "position",
                f"{day.settlement_day} 净额：{who}（{each.account}）{side_zh} {amount}",
                f"net position of {day.settlement_day}: {who} ({each.account}) {side_en} {amount}",
                {"account": each.account, "net_fen": each.net_fen},
            )


def _seal(day: ClosedDay) -> Step:
    zh = f"{day.settlement_day} 已关闭并封存：{day.seal}"
    en = f"{day.settlement_day} is closed and sealed: {day.seal}"
    return Step("seal", zh, en, {"seal": day.seal, "output_hash": day.output_hash})
