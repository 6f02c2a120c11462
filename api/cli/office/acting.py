"""Who acts, the secret they show, and what is said when nothing was changed.

Decides what to do next about each refusal. Leaves every refusal to settlement.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from api.cli.frame.secrets import ask_secret, read_secret_file
from api.cli.frame.session import acting, refuse_cheap_secret
from api.exits import EXIT_USAGE
from api.output import print_json, refuse, say
from cardcore.text import Text, words
from settlement.city import City
from settlement.people.actions import Action, Actor, ActorError
from settlement.people.signing import secret_problem
from settlement.rulings.book import Proposal
from settlement.rulings.proposals import Answer, Refused, Request
from settlement.service.ruling.acting import Proposed, propose
from settlement.service.ruling.showing import Shown, show_secret

SecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        help=words(
            "从仅本人可读的文件取密语；否则键入。",
            "Your secret from a file that only you can read; else it is typed.",
        ),
    ),
]
NewSecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--new-secret-file",
        help=words(
            "新密语取自仅本人可读的文件；否则键入两次。",
            "The new secret from a file that only its owner can read; else it is typed twice.",
        ),
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", help=words("缘由，一句话。", "The reason, in a sentence."))
]

_LIST_PEOPLE = Text("见 `onecard people list`", "see `onecard people list`")
_LIST_PROPOSALS = Text("见 `onecard approvals list`", "see `onecard approvals list`")
_ANOTHER = Text(
    "请另一人办理；各人的角色见 `onecard people list`",
    "another person does it; `onecard people list` says who has which role",
)
_PROPOSE_ANEW = Text(
    "请核对后重新提请：`onecard approvals propose`",
    "look again, then propose it anew: `onecard approvals propose`",
)
#: What to do about each refusal.
_NEXT: Mapping[Answer, Text] = {
    Answer.UNKNOWN_PERSON: _LIST_PEOPLE,
    Answer.PERSON_ENDED: _LIST_PEOPLE,
    Answer.PERSON_LOCKED: _LIST_PEOPLE,
    Answer.WAIT_TO_TRY: Text("届时重复此命令", "repeat the command then"),
    Answer.SECRET_WRONG: Text(
        "请重复此命令并重新输入；忘记者由他人终止后重新增加：`onecard people end`",
        "repeat the command and type it again; whoever forgot it is ended by others and added "
        "again: `onecard people end`",
    ),
    Answer.CLOCK_BEHIND: Text(
        "请将此机时钟对准后重复此命令",
        "set the clock of this machine right, then repeat the command",
    ),
    Answer.UNKNOWN_PROPOSAL: _LIST_PROPOSALS,
    Answer.NO_RIGHT: _ANOTHER,
    Answer.ANSWERED_ALREADY: _LIST_PROPOSALS,
    Answer.EXPIRED: _PROPOSE_ANEW,
    Answer.SAME_PERSON: _ANOTHER,
    Answer.PROPOSER_ENDED: _PROPOSE_ANEW,
    Answer.NOT_TO_RULE_ON: Text(
        "事项照各清单的 `item` 栏写", "write the item as the list shows it, in its column `item`"
    ),
    Answer.CHANGED_SINCE: _PROPOSE_ANEW,
    Answer.PROPOSED_ALREADY: Text(
        "如同意请批准：`onecard approvals approve`", "approve it: `onecard approvals approve`"
    ),
    Answer.NAME_TAKEN: _LIST_PEOPLE,
    Answer.KEY_TAKEN: Text(
        "请另选密语：`onecard people add`", "choose another secret: `onecard people add`"
    ),
    Answer.NOBODY_LEFT: Text(
        "请先增加接替的人：`onecard people add`", "add whoever follows first: `onecard people add`"
    ),
    Answer.FOUNDED_ALREADY: Text(
        "请不用 --founding，由一人提请、另一人批准",
        "leave out --founding: one proposes it, another approves",
    ),
    Answer.NO_FOUNDER: Text(
        "其余的人由最初两人增加：`onecard people add`",
        "those two add everybody else: `onecard people add`",
    ),
}
assert set(_NEXT) == set(Answer)


def show(
    city: City,
    by: str | None,
    secret_file: Path | None,
    now: datetime,
    *,
    renews: bool = False,
) -> Shown:
    """Whoever acts, with their secret; anybody else ends the command. Production takes one that is
    cheap to guess from whoever `renews` it, and for nothing else.
    """
    name = acting(by).name
    if not renews:
        refuse_cheap_secret(city, name)
    shown = show_secret(city, name, _secret(name, secret_file), now)
    if isinstance(shown, Refused):
        refuse_answer(shown)
    return shown


def new_secret(name: str, file: Path | None) -> str:
    """A secret that somebody chooses, typed twice; one that will not do ends the command."""
    if file is not None:
        secret = read_secret_file(file, "--new-secret-file")
    else:
        secret = ask_secret(Text(f"{name} 的新密语", f"New secret of {name}"), "--new-secret-file")
        if ask_secret(Text("再次输入", "The same again"), "--new-secret-file") != secret:
            refuse(
                words(
                    "两次输入不同；未作任何更改，请重新执行",
                    "the two differ; nothing was changed, give the command again",
                ),
                EXIT_USAGE,
            )
    problem = secret_problem(secret)
    if problem is not None:
        refuse(
            words(
                f"{problem.zh}；未作任何更改，请另选一个",
                f"{problem.en}; nothing was changed, choose another",
            ),
            EXIT_USAGE,
        )
    return secret


def reason(why: str) -> str:
    """Why something is asked for; a reason that cannot be kept ends the command."""
    try:
        Action(Actor("-"), datetime.now(UTC), why)
    except ActorError as error:
        refuse(words(f"--why 缘由：{error}", f"--why: {error}"), EXIT_USAGE)
    if not why:
        refuse(
            words("--why 缘由：请用一句话写明", "--why: a reason is needed, in a sentence"),
            EXIT_USAGE,
        )
    return why


def propose_for(city: City, request: Request, shown: Shown, now: datetime) -> Proposed:
    """Ask for a ruling; a refusal ends the command."""
    made = propose(city, request, shown, now)
    if isinstance(made, Refused):
        refuse_answer(made)
    return made


def tell_proposed(made: Proposed, *, as_json: bool) -> None:
    """That something stands open, and what comes next."""
    proposal = made.proposal
    if as_json:
        print_json(proposal_document(proposal) | {"is_new": made.is_new})
        return
    number, until = proposal.number, f"{proposal.expires_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    begun = Text("提请", "Proposed") if made.is_new else Text("早已提请", "Proposed before")
    approve = f"`onecard approvals approve {number}`"
    say(
        words(
            f"{begun.zh} {number}：待另一人于 {until}（UTC）前批准：{approve}",
            f"{begun.en}, number {number}. Until {until} UTC another person approves it: {approve}",
        )
    )


def proposal_document(proposal: Proposal) -> dict[str, object]:
    """A proposal as one JSON object."""
    return {
        "number": proposal.number,
        "kind": proposal.kind.value,
        "items": list(proposal.subjects),
        "why": proposal.why,
        "count": proposal.count,
        "sum_fen": proposal.sum_fen,
        "state": proposal.state,
        "details": proposal.details,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "expires_at": proposal.expires_at,
    }


def refuse_answer(refused: Refused) -> NoReturn:
    """Nothing was changed: why, and what to do."""
    todo = _NEXT[refused.answer]
    refuse(
        words(
            f"{refused.text}。未作任何更改；{todo}", f"{refused.text}. Nothing was changed; {todo}"
        )
    )


def _secret(name: str, file: Path | None) -> str:
    if file is not None:
        return read_secret_file(file, "--secret-file")
    return ask_secret(Text(f"{name} 的密语", f"Secret of {name}"), "--secret-file")
