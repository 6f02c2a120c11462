"""What may stand in a proposal: one statement, of which items and details say the same (pure).

Decides which items a kind takes, which details belong to them, and in which bounds what is counted
lies. It is asked when somebody proposes, and of every entry whenever the log is read: what does not
hold was not written by this program. Leaves whether a thing is there to whoever reads the store.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from cardcore.text import Text, shorten
from settlement.people.actions import WHY_LENGTH_MAX
from settlement.people.person import NewPerson
from settlement.rulings.kinds import RulingKind
from settlement.rulings.subjects import Subject

#: A proposal speaks of so many things at most: a file of rows is the largest.
SUBJECTS_MAX = 100_000
#: Far above all the money of a city, and far below what a column of the ledger holds.
SUM_FEN_BOUND = 2**62
#: No scheme lets a proposal stand open longer.
VALID_MAX = timedelta(days=366)


class ContentError(ValueError):
    """Something cannot stand in a proposal; the message says what."""


def check_request(kind: RulingKind, subjects: Sequence[str], why: str, details: Any) -> None:  # noqa: ANN401 - as it was read
    """Raises `ContentError`, or `SubjectError` for an item that names nothing."""
    if not 0 < len(subjects) <= SUBJECTS_MAX:
        raise ContentError(
            Text(
                f"一次 1 至 {SUBJECTS_MAX:,} 件事项，不是 {len(subjects):,} 件",
                f"1 to {SUBJECTS_MAX:,} items at once, not {len(subjects):,}",
            )
        )
    if not isinstance(why, str) or len(why) > WHY_LENGTH_MAX or not why.isprintable():
        raise ContentError(
            Text(
                f"缘由应为一行文字，至多 {WHY_LENGTH_MAX} 字",
                f"a reason is one line of at most {WHY_LENGTH_MAX} characters",
            )
        )
    for each in subjects:
        if Subject.parse(each).noun != kind.rule.noun:
            said, noun = shorten(each), kind.rule.noun
            raise ContentError(
                Text(
                    f"{said}：{kind.text.zh}的事项应写作 {noun}/…",
                    f"{said}: to {kind.text.en} takes items written {noun}/…",
                )
            )
    if len(set(subjects)) != len(subjects):
        raise ContentError(Text("同一事项写了两次", "the same item stands there twice"))
    about = _items_of(kind, details)
    if about is not None and about != set(subjects):
        said = ", ".join(sorted(about ^ set(subjects))[:3])
        raise ContentError(
            Text(
                f"事项与所附内容不是同一件事：{shorten(said)}",
                f"items and details do not speak of the same: {shorten(said)}",
            )
        )


def check_amounts(count: object, sum_fen: object) -> None:
    """Raises `ContentError` for what is no count of items, or no money of theirs."""
    if type(count) is not int or not 0 <= count <= SUBJECTS_MAX:
        said = shorten(str(count))
        raise ContentError(Text(f"件数不可能是 {said}", f"{said} is no count of items"))
    if type(sum_fen) is not int or not -SUM_FEN_BOUND < sum_fen < SUM_FEN_BOUND:
        said = shorten(str(sum_fen))
        raise ContentError(Text(f"金额不可能是 {said} 分", f"{said} fen is no sum of money"))


def read_expiry(text: object, proposed_at: datetime) -> datetime:
    """Until when a proposal stands open; raises `ContentError` for what is no moment soon after it
    was made.
    """
    wrong = ContentError(
        Text(
            f"提请的有效期至多 {VALID_MAX.days} 日",
            f"a proposal expires within {VALID_MAX.days} days",
        )
    )
    try:
        expires_at = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise wrong from error
    is_utc = expires_at.utcoffset() == timedelta()
    if not is_utc or not timedelta() < expires_at - proposed_at <= VALID_MAX:
        raise wrong
    return expires_at


def _items_of(kind: RulingKind, details: Any) -> set[str] | None:  # noqa: ANN401 - as it was read
    """What details speak of, as items; None where a kind takes none."""
    match kind:
        case RulingKind.PEOPLE_ADD:
            return {f"person/{_new_person(details).name}"}
        case RulingKind.REGISTRY_CHANGE:
            if not isinstance(details, list | tuple) or not all(map(_is_change, details)):
                raise ContentError(
                    Text("所附内容不是登记簿的变更", "the details are no changes of the registry")
                )
            return {f"registry/{each['kind']}/{each['subject']}" for each in details}
        case _:
            if details is not None:
                raise ContentError(Text("此类裁定不带附加内容", "this kind takes no details"))
            return None


def _new_person(details: Any) -> NewPerson:  # noqa: ANN401 - as it was read
    try:
        new = NewPerson.from_content(details)
    except (KeyError, TypeError) as error:
        raise ContentError(Text("所附内容不是一名人员", "the details are no person")) from error
    if set(details) != set(new.content()):
        raise ContentError(Text("所附内容不是一名人员", "the details are no person"))
    return new


def _is_change(document: Any) -> bool:  # noqa: ANN401 - as it was read
    keys = {"kind", "subject", "content", "valid_from", "valid_to"}
    return (
        isinstance(document, dict)
        and set(document) == keys
        and all(isinstance(document[each], str) for each in ("kind", "subject"))
    )
