"""The wording of a record's history, in Chinese and English, and the figures behind each sentence.

Decides what is said of a record from what is known of it (pure). Leaves finding that out to
`settlement.reports.history`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.application import NO_APPLICATION
from cardcore.keys import ProofReason
from cardcore.money import yuan
from cardcore.records.kinds import Evidence, RecordKind
from cardcore.records.record import TransactionRecord
from cardcore.text import Text
from settlement.days.closing import ClosedDay
from settlement.dispositions import Note, Reason, proof_text
from settlement.intake.answers import FileLine
from settlement.ledger.accounts import HOLDER_DUE, parse_account
from settlement.ledger.entries import Entry
from settlement.ledger.movements import Movement, decide_movements, sum_up
from settlement.ledger.positions import Position
from settlement.registry.book import Registry
from settlement.reports.told import Chain, CopyHistory, Decision, Judgement, Step
from settlement.rulings.ruling import Ruling
from settlement.seal import Sealable
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.fares import class_name
from settlement.sectors.rules import Payment

#: The figures behind a sentence.
_Data: TypeAlias = dict[str, Sealable]
_KINDS = {
    RecordKind.LOAD: Text("圈存", "load"),
    RecordKind.PURCHASE: Text("消费", "purchase"),
    RecordKind.ENTRY: Text("进站", "entry"),
    RecordKind.EXIT: Text("出站", "exit"),
    RecordKind.VISIT: Text("就诊结算", "settlement of a visit"),
    RecordKind.LOAN: Text("借书", "loan"),
    RecordKind.RETURN: Text("还书", "return of a loan"),
    RecordKind.ENTITLEMENT: Text("权益核销", "entitlement used"),
    RecordKind.HIRE: Text("租借", "hire"),
    RecordKind.HIRE_RETURNED: Text("租借归还", "end of a hire"),
    RecordKind.CARD_LOCKED: Text("锁卡", "card locked"),
    RecordKind.EXTERNAL: Text("外部介质", "payment from an instrument of another scheme"),
}
assert set(_KINDS) == set(RecordKind)
#: What is judged of a record. Where no card of ours signed, the record MAC stands for it.
_EVIDENCE = {
    Evidence.TAC: Text("交易认证码 TAC", "the TAC"),
    Evidence.AUTHENTICATION: Text("内部认证应答", "the card's answer"),
    Evidence.RECORD_MAC: Text("记录 MAC", "the record MAC"),
    Evidence.FOREIGN: Text("记录 MAC", "the record MAC"),
}
assert set(_EVIDENCE) == set(Evidence)


def describe_copy(
    *,
    file: FileLine,
    row: int,
    proof: ProofReason,
    record: TransactionRecord | None,
    registry: Registry,
    judgements: Sequence[Judgement],
    chain: Chain | None,
) -> CopyHistory:
    """The history of one copy, step by step in the order in which things happened. What its card
    did before and after is known once a run has seen it: `chain` is None until then.
    """
    steps = [_tap(record, registry), _file(file, row), _proof(proof, record)]
    if record is not None and chain is not None:
        steps.append(_chain(record, chain))
    if not judgements:
        steps.append(_waiting(file))
    decided: Decision | None = None
    for each in judgements:
        if each.ruling is not None:
            steps.append(_ruling(each.ruling))
        elif each.proof is not None:
            steps.append(_review(_judged(each.proof, record), each.proof, decided, each.day))
        steps.append(_decision(each.decision, registry))
        if record is not None:
            money = record_postings(record, decided, each.decision)
            steps.append(_ledger(money, each.entries, each.day))
            if each.day is not None:
                steps += _positions(money, each.positions, registry, each.day)
        if each.day is not None:
            steps.append(_seal(each.day))
        decided = each.decision
    return CopyHistory(file.file.content_hash, row, record, decided, tuple(steps))


def _tap(record: TransactionRecord | None, registry: Registry) -> Step:
    if record is None:
        return Step("tap", Text("记录有损坏的字段", "a field of the record is damaged"), {})
    kind = _KINDS[record.kind]
    name, places = _participant_name(record.operator, registry), list(_places(record, registry))
    who_zh = " ".join((name, *(each.zh for each in places)))
    who_en = " ".join((name, *(each.en for each in places)))
    asked = _application(record.application)
    zh = f"{record.time} 卡 {record.card_number}（{asked.zh}）"
    zh += f"在 {who_zh} 终端 {record.terminal} {kind.zh}"
    en = f"{record.time} card {record.card_number} ({asked.en}): "
    en += f"{kind.en} at {who_en}, terminal {record.terminal}"
    if record.kind.moves_purse or record.amount_fen:
        zh += f" {yuan(record.amount_fen)}"
        en += f", {yuan(record.amount_fen)}"
    if record.kind.moves_purse and not record.is_load:
        zh += f"（票价 {yuan(record.tariff_fen)}）"
        en += f" (tariff {yuan(record.tariff_fen)})"
    if record.kind.moves_purse:
        balances = f"{yuan(record.balance_before_fen)} → {yuan(record.balance_after_fen)}"
        zh += f"，余额 {balances}"
        en += f", balance {balances}"
    names = ("offline_counter", "online_counter", "psam_sequence", "amount_fen", "tariff_fen")
    data: _Data = {name: getattr(record, name) for name in names}
    data |= {"time": record.time, "card_number": record.card_number, "operator": record.operator}
    data |= {"business_day": record.business_day, "flags": int(record.flags)}
    data |= {"application": record.application, "sector": record.sector}
    return Step("tap", Text(zh, en), data)


def _application(code: int) -> Text:
    """Which purse moved, or which application of the card was asked."""
    if code == NO_APPLICATION:
        return Text("外部介质", "of another scheme")
    known = APPLICATIONS.get(code)
    return Text(f"应用 {code}", f"application {code}") if known is None else known.title


def _participant_name(code: int, registry: Registry) -> str:
    # What it is called now, whatever it was called then.
    names = [each.row.name for each in registry.participants if each.row.code == code]
    return names[-1] if names else str(code)


_PLACES = {
    "line": Text("线路", "line"),
    "station": Text("站点", "station"),
    "vehicle": Text("车辆", "vehicle"),
}


def _places(record: TransactionRecord, registry: Registry) -> Iterator[Text]:
    names = {(each.row.kind, each.row.code): each.row.text for each in registry.names}
    for kind, said in _PLACES.items():
        code = getattr(record, kind)
        if code:
            name = names.get((kind, code))
            yield (
                Text(f"{said.zh} {code}", f"{said.en} {code}") if name is None else Text(name, name)
            )


def _file(row: FileLine, number: int) -> Step:
    file = row.file
    zh = f"第 {file.sender} 号发送方的第 {file.sequence} 号文件第 {number + 1} 条"
    zh += f"，{file.received_at:%Y-%m-%d %H:%M:%S} UTC 收妥，签名与合计已核"
    en = f"record {number + 1} of file {file.sequence} from sender {file.sender}, received "
    en += f"{file.received_at:%Y-%m-%d %H:%M:%S} UTC, signature and totals proven"
    names = ("content_hash", "sender", "sequence", "received_at")
    data: _Data = {name: getattr(file, name) for name in names} | {"row": number}
    return Step("file", Text(zh, en), data)


def _proof(proof: ProofReason, record: TransactionRecord | None) -> Step:
    return Step("tac", _judged(proof, record), {"proof": proof.name})


def _judged(proof: ProofReason, record: TransactionRecord | None) -> Text:
    evidence = Evidence.TAC if record is None else record.kind.evidence
    what, how = _EVIDENCE[evidence], proof_text(proof)
    zh, en = f"{what.zh} {how.zh}", f"{what.en} {how.en}"
    if proof is ProofReason.PROVEN and evidence in {Evidence.TAC, Evidence.AUTHENTICATION}:
        zh, en = f"{zh}：卡片自己签过此记录", f"{en}: the card itself signed this"
    return Text(zh, en)


def _chain(record: TransactionRecord, chain: Chain) -> Step:
    before, after, zh, en = chain.before, chain.after, [], []
    if before is not None:
        zh.append(f"上一笔 {before.record_id} 后余额 {yuan(before.balance_after_fen)}")
        en.append(f"before it {before.record_id} left {yuan(before.balance_after_fen)}")
    elif chain.days_before is None:
        zh.append("此前无该卡记录")
        en.append("no record of the card before it")
    else:
        zh.append(f"此前 {chain.days_before} 个清算日内无该卡记录")
        en.append(f"no record of the card in the {chain.days_before} settled days before it")
    if after is not None:
        zh.append(f"下一笔 {after.record_id} 前余额 {yuan(after.balance_before_fen)}")
        en.append(f"after it {after.record_id} starts from {yuan(after.balance_before_fen)}")
    elif chain.days_after is None:
        zh.append("此后尚无已清分的记录")
        en.append("no record after it is settled yet")
    else:
        zh.append(f"此后 {chain.days_after} 个清算日内无该卡记录")
        en.append(f"no record of the card in the {chain.days_after} settled days after it")
    joins = chain.joins(record)
    zh.append("余额相接" if joins else "余额不相接")
    en.append("the balances join" if joins else "the balances do not join")
    data: _Data = {
        "before": None if before is None else before.record_id,
        "after": None if after is None else after.record_id,
        "joins": joins,
    }
    return Step("card", Text("卡链：" + "，".join(zh), "the card's chain: " + ", ".join(en)), data)


def _waiting(file: FileLine) -> Step:
    if file.is_ready:
        return Step("decision", Text("等待清分", "waits for the next clearing run"), {})
    said = Text("等待同一发送方的缺号文件", "waits for earlier files of its sender")
    if file.is_aside:
        said = Text("文件已被搁置", "its file was set aside by two people")
    return Step("decision", said, {})


def _review(
    judged: Text, proof: ProofReason, before: Decision | None, day: ClosedDay | None
) -> Step:
    """Why the record could be judged now: its key came, or its terminal was registered."""
    when_zh = "" if day is None else f"{day.settlement_day} "
    when_en = "" if day is None else f"on {day.settlement_day} "
    reason = None if before is None else before.reason
    key_came = Text(f"密钥已到位，{judged.zh}", f"the key is held: {judged.en}")
    cause = _AGAIN.get(reason, key_came)
    data: _Data = {
        "proof": proof.name,
        "settlement_day": None if day is None else day.settlement_day,
        "before": None if before is None else before.reason.name,
    }
    return Step(
        "review", Text(f"{when_zh}复核：{cause.zh}", f"{when_en}judged again, {cause.en}"), data
    )


#: Why what waited is judged again, where it is not its key that came.
_AGAIN: Mapping[Reason | None, Text] = {
    Reason.TERMINAL_UNKNOWN: Text("终端已登记", "its terminal is registered"),
    Reason.NOT_YOUR_TERMINAL: Text("发送方已登记为采集方", "its sender is registered as collector"),
    Reason.FOREIGN_CARD: Text(
        "该号段已登记，其密钥已在", "its card number is registered, and its key is held"
    ),
    Reason.CLOCK_AHEAD: Text("已到其日", "its day has come"),
}


def _ruling(ruling: Ruling) -> Step:
    """What two people ruled, and why."""
    at, kind = f"{ruling.approved_at:%Y-%m-%d %H:%M} UTC", ruling.kind.text
    zh = f"裁定第 {ruling.number} 号（{kind.zh}）：{ruling.proposed_by} 提请，"
    zh += f"{ruling.approved_by} 于 {at} 批准；理由：{ruling.why}"
    en = f"ruling {ruling.number} ({kind.en}): asked for by {ruling.proposed_by}, approved by "
    en += f"{ruling.approved_by} at {at}, because: {ruling.why}"
    people: _Data = {
        "ruling": ruling.number,
        "kind": ruling.kind.value,
        "proposed_by": ruling.proposed_by,
        "approved_by": ruling.approved_by,
        "why": ruling.why,
    }
    return Step("ruling", Text(zh, en), people)


def _decision(decision: Decision, registry: Registry) -> Step:
    zh, en = decision.disposition.text.zh, decision.disposition.text.en
    if decision.reason is not Reason.NONE:
        zh, en = f"{zh}：{decision.reason.text.zh}", f"{en}: {decision.reason.text.en}"
        remedy = decision.reason.remedy
        zh, en = f"{zh}（可改变者：{remedy.zh}）", f"{en} (what would change that: {remedy.en})"
    if decision.disposition.is_posted:
        who = _participant_name(decision.operator, registry)
        zh, en = f"{zh}；按登记归 {who}", f"{en}; by the registry it is for {who}"
    if decision.centre:
        centre = _participant_name(decision.centre, registry)
        zh, en = f"{zh}；卡属 {centre}", f"{en}; the card is of {centre}"
    notes = [note for note in Note if note in decision.notes]
    for note in notes:
        zh, en = f"{zh}；{note.text.zh}", f"{en}; {note.text.en}"
    if decision.excess_fen:
        held = yuan(decision.excess_fen)
        zh = f"{zh}；超出已知票价 {held}，留待退还持卡人"
        en = f"{en}; {held} above the known tariff are held for the holder"
    if decision.late:
        zh, en = f"{zh}；迟到", f"{en}; late"
    data: _Data = {
        "disposition": decision.disposition.name,
        "reason": decision.reason.name,
        "notes": [str(note.name) for note in notes],
        "late": decision.late,
        "operator": decision.operator,
        "sector": decision.sector,
        "fare_class": class_name(decision.fare_class),
        "excess_fen": decision.excess_fen,
        "centre": decision.centre,
    }
    return Step("decision", Text(f"处理结果：{zh}", f"disposition: {en}"), data)


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
    paid_fen = record.amount_fen - decision.excess_fen
    payment = Payment(record.application, decision.operator, paid_fen)
    return decide_movements(
        decision.reason,
        kind=record.kind,
        operator=decision.operator,
        centre=decision.centre,
        amount_fen=record.amount_fen,
        excess_fen=decision.excess_fen,
        passed_on_fen=rule_of(read_rules(), decision.sector).passed_on(payment),
    )


def _ledger(money: Mapping[str, int], entries: Sequence[Entry], day: ClosedDay | None) -> Step:
    if not money:
        return Step("ledger", Text("不涉及资金", "no money is posted for it"), {})
    named = [(parse_account(each).kind.text, each, yuan(fen)) for each, fen in money.items()]
    lines_zh = "；".join(f"{kind.zh}（{each}）{amount}" for kind, each, amount in named)
    lines_en = "; ".join(f"{kind.en} ({each}) {amount}" for kind, each, amount in named)
    data: _Data = {"postings": dict(money)}
    if day is None:
        zh, en = f"日终关闭时入账：{lines_zh}", f"will be posted at close: {lines_en}"
        return Step("ledger", Text(zh, en), data)
    numbers = [entry.number for entry in entries]
    text = ", ".join(str(number) for number in numbers)
    data["entries"] = numbers
    zh = f"{day.settlement_day} 入账，汇总于分录 {text}：{lines_zh}"
    en = f"posted on {day.settlement_day}, summed up in entries {text}: {lines_en}"
    return Step("ledger", Text(zh, en), data)


def _positions(
    money: Mapping[str, int],
    positions: Sequence[Position],
    registry: Registry,
    day: ClosedDay,
) -> Iterator[Step]:
    for each in positions:
        account = parse_account(each.account)
        code = account.participant
        if each.account in money and (code is not None or account == HOLDER_DUE):
            who = Text("持卡人", "holders")
            if code is not None:
                name = _participant_name(code, registry)
                who = Text(name, name)
            side_zh, side_en = ("应付", "owes") if each.net_fen > 0 else ("应收", "is owed")
            amount = yuan(abs(each.net_fen))
            zh = f"{day.settlement_day} 净额：{who.zh}（{each.account}）{side_zh} {amount}"
            en = f"net position of {day.settlement_day}: {who.en} ({each.account}) "
            en += f"{side_en} {amount}"
            data: _Data = {"account": each.account, "net_fen": each.net_fen}
            yield Step("position", Text(zh, en), data)


def _seal(day: ClosedDay) -> Step:
    zh = f"{day.settlement_day} 已关闭并封存：{day.seal}"
    en = f"{day.settlement_day} is closed and sealed: {day.seal}"
    return Step("seal", Text(zh, en), {"seal": day.seal, "output_hash": day.output_hash})
