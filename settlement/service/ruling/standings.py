"""What the subjects of a proposal are at this moment, one reader a kind.

Decides only whether they can be ruled on so at all. A reader says what stands in the store, in a
digest that differs as soon as anything does that somebody who approves has seen. It is asked when
something is proposed, and again under the write lock when it is approved.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from cardcore.text import Text
from settlement.city import City
from settlement.dispositions import Disposition
from settlement.registry.book import book_of
from settlement.registry.proposed import check_changes, read_changes
from settlement.rulings.book import RulingBook, person_named
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Request, Standing
from settlement.rulings.subjects import CONTRADICTION, Subject
from settlement.seal import Sealable, digest
from settlement.service.ruling.decisions import (
    DecidedRecord,
    read_decision,
    read_register_difference,
)
from settlement.service.ruling.open_items import (
    read_contradiction,
    read_gap,
    read_open_load,
    read_serial_gap,
)
from settlement.store.applied import load_new_rulings
from settlement.store.days import load_newest_seal
from settlement.store.files import load_file_lines, load_refusals
from settlement.store.readiness import SequenceStanding, look_at_sequence
from settlement.store.registry import load_changes

#: What one subject is: what its digest covers and its money, or why it cannot be ruled on so.
_Found = tuple[Sealable, int] | Text
_ReadOne = Callable[[City, RulingBook, Subject], _Found]
Reader = Callable[[City, RulingBook, Request], Standing]

_NOT_THERE = Text("没有此事项", "there is no such thing")
_RULED_ALREADY = Text("此事项已有同样的裁定", "the same was ruled of it already")


def read_standing(city: City, book: RulingBook, request: Request) -> Standing:
    """What the subjects of a request are now."""
    return READERS[request.kind](city, book, request)


def _each(read: _ReadOne, *, once: bool = True) -> Reader:
    """A reader that looks at one subject after the other; `once`: what was ruled so is not ruled so
    again.
    """

    def read_all(city: City, book: RulingBook, request: Request) -> Standing:
        states: list[Sealable] = []
        sum_fen = 0
        for item in request.subjects:
            is_ruled = once and any(each.kind is request.kind for each in book.about(item))
            found = _RULED_ALREADY if is_ruled else read(city, book, Subject.parse(item))
            if isinstance(found, Text):
                return Standing("", len(request.subjects), 0, _about(item, found))
            state, amount_fen = found
            states.append(state)
            sum_fen += amount_fen
        return Standing(digest([states, request.details]), len(states), sum_fen)

    return read_all


def _about(item: str, said: Text) -> Text:
    return Text(f"{item}：{said.zh}", f"{item}: {said.en}")


def _person(_city: City, book: RulingBook, subject: Subject) -> _Found:
    """Whether it is a person, and since when."""
    person = book.person(person_named(str(subject)))
    return [] if person is None else [person.since, person.ended], 0


def _held_person(city: City, book: RulingBook, subject: Subject) -> _Found:
    person = book.person(person_named(str(subject)))
    if person is None or not person.is_valid:
        return Text("没有此人员", "there is no such person")
    return _person(city, book, subject)


def _sequence(city: City, _book: RulingBook, subject: Subject) -> _Found:
    sender, sequence = (int(each) for each in subject.parts)
    match look_at_sequence(city.database, sender, sequence):
        case SequenceStanding.HOLE:
            return [], 0
        case SequenceStanding.THERE:
            return Text("此文件已经收到", "this file is there")
        case SequenceStanding.BEYOND:
            return Text("其后没有文件在等候", "no file behind it waits for it")


def _file(city: City, book: RulingBook, subject: Subject, *, is_aside: bool) -> _Found:
    lines = load_file_lines(city.database, subject.parts)
    if not lines:
        return _NOT_THERE
    (line,) = lines
    if line.settlement_day is not None:
        return Text("已在关闭的日内结算", "a closed day has settled it")
    if book.is_aside(str(subject)) is not is_aside:
        return Text("此文件未被搁置", "it is not set aside") if is_aside else _RULED_ALREADY
    return line.file.row_hash, line.file.debit_fen + line.file.load_fen


def _open_file(city: City, book: RulingBook, subject: Subject) -> _Found:
    return _file(city, book, subject, is_aside=False)


def _aside_file(city: City, book: RulingBook, subject: Subject) -> _Found:
    return _file(city, book, subject, is_aside=True)


def _refusal(city: City, _book: RulingBook, subject: Subject) -> _Found:
    number = int(subject.parts[0])
    for each in load_refusals(city.database):
        if each.number == number:
            said = each.acknowledgement
            return [said.content_hash, said.answer.name, said.received_at], 0
    return _NOT_THERE


def _decided_record(city: City, _book: RulingBook, subject: Subject) -> _Found:
    prefix, row = subject.parts
    found = read_decision(city, prefix, int(row))
    if found is None:
        return Text(
            "没有此记录，或尚无关闭的日处理过", "no such record, or no closed day decided it yet"
        )
    return _judged(found), found.amount_fen


def _judged(found: DecidedRecord) -> Sealable:
    judged: list[Sealable] = [found.disposition, found.reason, found.notes, found.operator]
    return [found.content_hash, found.settlement_day, judged]


def _of_disposition(city: City, subject: Subject, asked: Disposition) -> DecidedRecord | Text:
    """A record that was decided so last."""
    prefix, row = subject.parts
    found = read_decision(city, prefix, int(row))
    if found is None or found.disposition != asked:
        return Text(
            f"不是已关闭日所处理的{asked.text.zh}记录",
            f"no closed day left such a record: {asked.text.en}",
        )
    return found


def _suspended(city: City, book: RulingBook, subject: Subject) -> _Found:
    """A record whose money is held, and that no ruling waits for the next close to move."""
    found = _of_disposition(city, subject, Disposition.SUSPENDED)
    if isinstance(found, Text):
        return found
    made = {each.number for each in book.about(str(subject))}
    if any(each.number in made for each in load_new_rulings(city.database)):
        return Text("已有裁定，待下次关闭执行", "a ruling on it waits for the next close")
    return _judged(found), found.amount_fen


def _suspended_debit(city: City, book: RulingBook, subject: Subject) -> _Found:
    found = _of_disposition(city, subject, Disposition.SUSPENDED)
    if isinstance(found, DecidedRecord) and found.is_load:
        return Text(
            "充值已在卡上，不能退还，只能放行", "a load lies on its card: it can only be released"
        )
    return _suspended(city, book, subject)


def _claim(city: City, _book: RulingBook, subject: Subject) -> _Found:
    found = _of_disposition(city, subject, Disposition.CLAIM)
    return found if isinstance(found, Text) else (_judged(found), found.amount_fen)


def _register(city: City, _book: RulingBook, subject: Subject) -> _Found:
    day, terminal, *rest = subject.parts
    found = None if rest else read_register_difference(city, date.fromisoformat(day), terminal)
    return _NOT_THERE if found is None else (list(found), 0)


def _day(city: City, _book: RulingBook, subject: Subject) -> _Found:
    """A day that can still be closed; what has to stand still is which day it follows."""
    day = date.fromisoformat(subject.parts[0])
    newest = load_newest_seal(city.database, city.scheme.name)
    if day not in city.scheme.life:
        return Text("不在规则的有效期内", "the scheme does not live on that day")
    if newest is not None and day <= newest.settlement_day:
        return Text(f"{newest.settlement_day} 已关闭", f"{newest.settlement_day} is closed already")
    return "" if newest is None else newest.seal, 0


def _read_registry(city: City, _book: RulingBook, request: Request) -> Standing:
    """The last change about each subject, and whether everybody the new ones name agrees."""
    details: Any = request.details
    held, proposed = load_changes(city.database), read_changes(details)
    about = {(each.kind, each.subject) for each in proposed}
    last: dict[tuple[str, str], str] = {}
    for each in held:
        key = each.what.kind, each.what.subject
        if key in about:
            last[key] = each.hash
    state = digest([sorted([*key, link] for key, link in last.items()), details])
    refused = check_changes(book_of(held), proposed)
    return Standing(state, len(proposed), 0, None if refused is None else refused.text)


def _case(city: City, _book: RulingBook, subject: Subject) -> _Found:
    """Money that is held for the holder of a record's card; a contradiction holds none."""
    kind, *rest = subject.parts
    if kind == CONTRADICTION:
        found = read_contradiction(city, *rest)
        return _NOT_THERE if found is None else (found, 0)
    prefix, row = rest
    held = read_decision(city, prefix, int(row))
    if held is None or not held.excess_fen:
        return Text("未为持卡人留存款项", "no money of it is held for a holder")
    return [_judged(held), held.excess_fen], held.excess_fen


def _gap(city: City, _book: RulingBook, subject: Subject) -> _Found:
    found = read_gap(city, *subject.parts)
    return _NOT_THERE if found is None else (found, 0)


def _open_load(city: City, _book: RulingBook, subject: Subject) -> _Found:
    """A load that was allowed, and that no record, log or statement has confirmed."""
    amount_fen = read_open_load(city, *subject.parts)
    return _NOT_THERE if amount_fen is None else ([], amount_fen)


def _serials(city: City, _book: RulingBook, subject: Subject) -> _Found:
    found = read_serial_gap(city, *subject.parts)
    return _NOT_THERE if found is None else (found, 0)


READERS: Mapping[RulingKind, Reader] = {
    RulingKind.GAPS_WRITE_OFF: _each(_gap),
    RulingKind.LOADS_RELEASE: _each(_open_load),
    RulingKind.SERIALS_SKIP: _each(_serials),
    RulingKind.CASES_SETTLE: _each(_case),
    RulingKind.RECORDS_RELEASE: _each(_suspended, once=False),
    RulingKind.RECORDS_RETURN: _each(_suspended_debit, once=False),
    RulingKind.CLAIMS_WRITE_OFF: _each(_claim),
    RulingKind.FILES_SKIP: _each(_sequence),
    RulingKind.FILES_SET_ASIDE: _each(_open_file, once=False),
    RulingKind.FILES_TAKE_BACK: _each(_aside_file, once=False),
    RulingKind.ALARMS_ACKNOWLEDGE: _each(_decided_record),
    RulingKind.REFUSALS_ACKNOWLEDGE: _each(_refusal),
    RulingKind.REGISTERS_ACKNOWLEDGE: _each(_register),
    RulingKind.REGISTRY_CHANGE: _read_registry,
    RulingKind.DAYS_CLOSE: _each(_day, once=False),
    RulingKind.PEOPLE_ADD: _each(_person, once=False),
    RulingKind.PEOPLE_END: _each(_held_person, once=False),
    RulingKind.PEOPLE_UNLOCK: _each(_held_person, once=False),
}
