"""`onecard approvals`: what one person proposes and another answers.

Decides how proposals are asked for and shown. Leaves every answer to settlement.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.pages import (
    PAGE_SIZE,
    PageSizeOption,
    WholeOrPageOption,
    nothing_there,
    page_of,
    tell_page_of,
)
from api.cli.frame.session import ByOption, open_to_read, open_to_rule
from api.cli.office.acting import (
    SecretFileOption,
    WhyOption,
    proposal_document,
    propose_for,
    reason,
    refuse_answer,
    show,
    tell_proposed,
)
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    print_json,
    print_table,
    refuse,
    refuse_choice,
    say,
)
from api.tables import Column, Count, Fen, Table
from cardcore.text import Text, text_of, words
from settlement.reports.ruling.proposals import (
    ProposalReport,
    ProposalStanding,
    describe_details,
    read_proposal,
    read_proposals,
)
from settlement.rulings.contents import SUBJECTS_MAX
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import (
    Answer,
    Refused,
    Request,
    Standing,
    describe_answer,
)
from settlement.rulings.subjects import Subject, SubjectError
from settlement.service.ruling.acting import approve as approve_proposal
from settlement.service.ruling.acting import decline as decline_proposal
from settlement.service.ruling.standings import READERS

app = noun(Text("提请与批准：双人办理。", "What one proposes and another approves."))
#: What says itself what it needs: asked for by commands of their own.
_ELSEWHERE = {RulingKind.REGISTRY_CHANGE, RulingKind.PEOPLE_ADD}
_KINDS = [each.value for each in READERS if each not in _ELSEWHERE]
_NONE_OPEN = Text(
    "没有待批的提请；全部：`onecard approvals list --all`",
    "nothing waits to be approved; all there ever was: `onecard approvals list --all`",
)
NumberArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", help=words("提请的编号。", "Number of the proposal."))
]


@command(app, "list", Text("待批的提请。", "What waits to be approved."))
def list_(
    everything: Annotated[
        bool,
        typer.Option("--all", help=words("也列出已答复与过期的。", "Answered and expired, too.")),
    ] = False,
    page: WholeOrPageOption = None,
    per_page: PageSizeOption = PAGE_SIZE,
    data: DataOption = DEFAULT_DATA,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """In the order in which they were made."""
    with open_to_read(data) as city:
        reports = read_proposals(city, datetime.now(UTC))
    asked = [each for each in reports if everything or each.standing is ProposalStanding.OPEN]
    shown = page_of(asked, page, per_page)
    if as_json:
        print_json({"count": len(asked), "proposals": [_document(each) for each in shown]})
        return
    table = Table(
        Text("提请", "Proposals"),
        [
            Column(Text("编号", "no"), right=True),
            Column(Text("种类", "kind")),
            Column(Text("件数", "count"), right=True),
            Column(Text("金额", "sum"), right=True),
            Column(Text("提请人", "by")),
            Column(Text("到期（UTC）", "until (UTC)")),
            Column(Text("状态", "standing")),
            Column(Text("缘由", "why"), words=True),
        ],
    )
    for each in shown:
        made = each.proposal
        table.add(
            str(made.number), made.kind.text, Count(made.count), _money(each), made.proposed_by,
            _moment(made.expires_at), each.standing.value, made.why,
        )  # fmt: skip
    tell_page_of(len(asked), page, per_page)
    print_table(table, csv, nothing_there(len(asked), page, _NONE_OPEN))


@command(
    app,
    "show",
    Text("一份提请：事项、缘由、现状。", "One proposal: what it is about, and as it is now."),
)
def show_one(
    number: NumberArgument, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Whoever approves reads this first."""
    with open_to_read(data) as city:
        found = read_proposal(city, number, datetime.now(UTC))
    if found is None:
        refuse_answer(Refused(Answer.UNKNOWN_PROPOSAL, Text(str(number), str(number))))
    report, standing = found
    changed = _changed(report, standing)
    if as_json:
        print_json(_document(report) | {"changed_since": changed is not None})
        return
    made = report.proposal
    facts: list[tuple[Text, object]] = [
        (Text("编号", "number"), made.number),
        (Text("种类", "kind"), f"{made.kind.text} ({made.kind.value})"),
        (Text("件数", "count"), Count(made.count)),
        (Text("金额", "sum"), _money(report)),
        (Text("缘由", "why"), made.why),
        (Text("提请", "proposed"), f"{made.proposed_by} {_moment(made.proposed_at)} UTC"),
        (Text("到期", "until"), f"{_moment(made.expires_at)} UTC"),
        (Text("状态", "standing"), _standing(report)),
    ]
    for name, value in facts:
        said = "–" if value is None else value
        say(words(f"{name}：{said}", f"{name}: {said}"))
    table = Table(Text("事项", "Items"), [Column(Text("事项", "item"))])
    for item in made.subjects:
        table.add(item)
    print_table(table)
    for line in describe_details(made):
        say(str(line))
    if changed is not None:
        say(str(changed), style="yellow")


@command(
    app,
    "propose",
    Text("提请一项裁定；由另一人批准。", "Ask for a ruling, which another person approves."),
)
def propose(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=words(f"种类：{'、'.join(_KINDS)}。", f"One of {', '.join(_KINDS)}."),
        ),
    ],
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="ITEM...",
            help=words("事项，照清单所示。", "What it is about, as lists show it."),
        ),
    ],
    why: WhyOption,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """The same again by the same person is the same proposal."""
    if kind not in _KINDS:
        refuse_choice("KIND", Text("种类", "kind"), kind, _KINDS)
    request = Request(RulingKind(kind), _items(RulingKind(kind), items), reason(why))
    now = datetime.now(UTC)
    with open_to_rule(data) as city:
        shown = show(city, by, secret_file, now)
        tell_proposed(propose_for(city, request, shown, now), as_json=as_json)


@command(app, "approve", Text("批准他人的提请。", "Approve what somebody else proposed."))
def approve(
    number: NumberArgument,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Refused when what it is about has changed since it was proposed."""
    now = datetime.now(UTC)
    with open_to_rule(data, answers=number) as city:
        approved = approve_proposal(city, number, show(city, by, secret_file, now), now)
    if isinstance(approved, Refused):
        refuse_answer(approved)
    ruling = approved.ruling
    if as_json:
        print_json(
            {
                "number": ruling.number,
                "kind": ruling.kind.value,
                "items": list(ruling.subjects),
                "proposed_by": ruling.proposed_by,
                "approved_by": ruling.approved_by,
                "approved_at": ruling.approved_at,
                "is_new": approved.is_new,
            }
        )
        return
    said, first, second = ruling.kind.text, ruling.proposed_by, ruling.approved_by
    if approved.is_new:
        say(
            words(
                f"已裁定：{said.zh}，{first} 提请，{second} 批准",
                f"Ruled: {said.en}, proposed by {first}, approved by {second}",
            )
        )
        if ruling.kind.rule.moves_money:
            say(
                words(
                    "下次关闭时入账：`onecard close`",
                    "It is posted when a day is closed next: `onecard close`",
                )
            )
        return
    at = _moment(ruling.approved_at)
    say(
        words(
            f"早已由 {second} 于 {at}（UTC）批准；未作任何更改",
            f"Approved by {second} before, at {at} UTC; nothing was changed",
        )
    )


@command(
    app,
    "decline",
    Text(
        "否决提请；提请人以此撤回自己的提请。",
        "Let nothing follow from a proposal; whoever proposed takes it back so.",
    ),
)
def decline(
    number: NumberArgument,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """It can be proposed anew."""
    now = datetime.now(UTC)
    with open_to_rule(data, answers=number) as city:
        declined = decline_proposal(city, number, show(city, by, secret_file, now), now)
    if isinstance(declined, Refused):
        refuse_answer(declined)
    if as_json:
        print_json(proposal_document(declined.proposal) | {"declined": True})
    else:
        say(words(f"提请 {number} 已否决", f"Proposal {number} is declined"))


def _items(kind: RulingKind, items: Sequence[str]) -> tuple[str, ...]:
    """What a proposal is about, each once."""
    read = []
    for item in items:
        try:
            subject = Subject.parse(item)
        except SubjectError as error:
            said = text_of(error)
            refuse(
                words(
                    f"ITEM 事项：{said.zh}；事项照各清单的 `item` 栏写",
                    f"ITEM: {said.en}; write it as lists show it in their column `item`",
                ),
                EXIT_USAGE,
            )
        if subject.noun != kind.rule.noun:
            refuse(
                words(
                    f"ITEM 事项：{kind.value} 的事项以 {kind.rule.noun}/ 开头",
                    f"ITEM: an item of {kind.value} begins with {kind.rule.noun}/",
                ),
                EXIT_USAGE,
            )
        read.append(str(subject))
    once = tuple(dict.fromkeys(read))
    if len(once) > SUBJECTS_MAX:
        refuse(
            words(
                f"ITEM 事项：一次至多 {SUBJECTS_MAX:,} 件，现有 {len(once):,} 件；请分次提请",
                f"ITEM: at most {SUBJECTS_MAX:,} at once, not {len(once):,}; propose them in parts",
            ),
            EXIT_USAGE,
        )
    return once


def _changed(report: ProposalReport, standing: Standing | None) -> Text | None:
    """Whether approving it would be refused for what its subjects are now."""
    if standing is None:
        return None
    if standing.hinders is not None:
        said = standing.hinders
        return Text(f"现已不能批准：{said.zh}", f"cannot be approved any more: {said.en}")
    return None if standing.state == report.proposal.state else Answer.CHANGED_SINCE.text


def _standing(report: ProposalReport) -> Text:
    answered = report.answered
    return report.standing.value if answered is None else describe_answer(answered)


def _money(report: ProposalReport) -> Fen | None:
    """Only where money is meant."""
    made = report.proposal
    return Fen(made.sum_fen) if made.sum_fen or made.kind.rule.moves_money else None


def _document(report: ProposalReport) -> dict[str, object]:
    answered = report.answered
    return proposal_document(report.proposal) | {
        "standing": report.standing.name.lower(),
        "answered_by": None if answered is None else answered.by,
        "answered_at": None if answered is None else answered.at,
    }


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
