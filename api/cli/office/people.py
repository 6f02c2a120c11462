"""`onecard people`: who acts in the office, in which role.

Decides how people are asked for and shown. Leaves every answer to settlement: the first two found
the office, everybody else is added and ended by two.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.session import ByOption, open_to_read, open_to_rule
from api.cli.office.acting import (
    NewSecretFileOption,
    SecretFileOption,
    WhyOption,
    new_secret,
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
    say,
)
from api.tables import Column, Count, Table
from cardcore.text import Text, words
from settlement.city import City
from settlement.people.actions import ActorError
from settlement.people.names import check_person_name
from settlement.people.person import NewPerson
from settlement.people.roles import Role
from settlement.people.signing import (
    PRODUCTION_COST,
    SALT_BYTES,
    Credential,
    SigningKey,
    make_credential,
)
from settlement.reports.ruling.people import PersonStanding, are_too_few, read_people
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Refused, Request
from settlement.service.ruling.people import found_office, renew_secret

app = noun(
    Text("人员：各有角色与自己的密语。", "People, each with a role and a secret of their own.")
)
_NOBODY = Text(
    "尚无人员；最初两人：`onecard people add NAME --role administrator --founding`，再加一名"
    " security-officer",
    "nobody yet; the first two: `onecard people add NAME --role administrator --founding`, then "
    "one security-officer",
)
_TOO_FEW = Text(
    "能增减人员的只有两人：其中一人忘记密语便无人能增减；请再增加一名 administrator 或 "
    "security-officer：`onecard people add`",
    "Only two can add people: if one of them forgets a secret, nobody can. Add another "
    "administrator or security officer: `onecard people add`",
)
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help=words("姓名。", "Name of the person."))
]
RoleOption = Annotated[Role, typer.Option("--role", help=words("角色。", "The role."))]
FoundingOption = Annotated[
    bool,
    typer.Option(
        "--founding",
        help=words(
            "最初两人之一，无须批准：一名系统管理员、一名安全员。",
            "One of the first two, whom nobody approves: an administrator and a security officer.",
        ),
    ),
]


@command(
    app,
    "add",
    Text(
        "增加人员；其本人输入自己的密语，由他人提请并批准。",
        "Add a person, who types a secret of their own; one proposes it, another approves.",
    ),
)
def add(
    name: NameArgument,
    role: RoleOption,
    why: Annotated[
        str, typer.Option("--why", help=words("缘由，一句话。", "The reason, in a sentence."))
    ] = "",
    founding: FoundingOption = False,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    new_secret_file: NewSecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """The name is looked at before a secret is typed."""
    _check_name(name)
    now = datetime.now(UTC)
    with open_to_rule(data, about_people=True) as city:
        if founding:
            _refuse_secret_of_nobody(secret_file)
            _found(city, name, role, new_secret_file, now, as_json=as_json)
            return
        said = reason(why)
        shown = show(city, by, secret_file, now)
        _, credential = _enrol(name, new_secret_file)
        details = NewPerson(name, role, credential).content()
        request = Request(RulingKind.PEOPLE_ADD, (f"person/{name}",), said, details)
        tell_proposed(propose_for(city, request, shown, now), as_json=as_json)


@command(
    app,
    "end",
    Text(
        "终止人员：此后不能再办理；由他人提请并批准。",
        "Let a person act no more; one proposes it, another approves.",
    ),
)
def end(
    name: NameArgument,
    why: WhyOption,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """What they did stays as it is."""
    _propose(RulingKind.PEOPLE_END, name, why, by, secret_file, data, as_json=as_json)


@command(
    app,
    "unlock",
    Text(
        "解锁多次输错密语的人员；由他人提请并批准。",
        "Let a person try again who is locked; one proposes it, another approves.",
    ),
)
def unlock(
    name: NameArgument,
    why: WhyOption,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Their secret stays the same."""
    _propose(RulingKind.PEOPLE_UNLOCK, name, why, by, secret_file, data, as_json=as_json)


@command(app, "secret", Text("更换自己的密语。", "Change a secret of your own."))
def secret(
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    new_secret_file: NewSecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Takes nobody else: whoever knows the old one says the new one."""
    now = datetime.now(UTC)
    with open_to_rule(data, about_people=True) as city:
        shown = show(city, by, secret_file, now, renews=True)
        _, credential = _enrol(shown.name, new_secret_file)
        kept = renew_secret(city, shown, credential, now)
    if isinstance(kept, Refused):
        refuse_answer(kept)
    if as_json:
        print_json({"name": shown.name, "number": kept.number})
    else:
        say(words(f"{shown.name}：密语已更换", f"{shown.name} has another secret now"))


@command(app, "list", Text("人员及其角色。", "Everybody, with their roles."))
def list_(
    data: DataOption = DEFAULT_DATA, csv: CsvOption = None, as_json: JsonOption = False
) -> None:
    """Those who act no more are listed too."""
    with open_to_read(data) as city:
        people, too_few = read_people(city, datetime.now(UTC)), are_too_few(city)
    if as_json:
        print_json(
            {
                "people": [
                    {
                        "name": each.person.name,
                        "role": each.person.role.value,
                        "standing": each.standing.name.lower(),
                        "wrong_secrets": each.wrong_secrets,
                        "public_key": each.person.credential.public_key,
                        "since": each.person.since,
                        "ended": each.person.ended,
                    }
                    for each in people
                ]
            }
        )
        return
    table = Table(
        Text("人员", "People"),
        [
            Column(Text("姓名", "name")),
            Column(Text("角色", "role")),
            Column(Text("状态", "standing")),
            Column(Text("密语错误", "wrong secrets"), right=True),
            Column(Text("自日志第几条", "since entry"), right=True),
        ],
    )
    for each in people:
        person, is_well = each.person, each.standing is PersonStanding.ACTIVE
        table.add(
            person.name, person.role.text, each.standing.value, Count(each.wrong_secrets),
            Count(person.since), style="" if is_well else "yellow",
        )  # fmt: skip
    print_table(table, csv, _NOBODY)
    if too_few:
        say(str(_TOO_FEW), style="yellow")


def _refuse_secret_of_nobody(secret_file: Path | None) -> None:
    """Of the first two nobody acts for them: their own secret is a new one."""
    if secret_file is not None:
        refuse(
            words(
                "--founding 没有经办人的密语；本人的新密语用 --new-secret-file",
                "--founding takes nobody's secret; one's own new one comes by --new-secret-file",
            ),
            EXIT_USAGE,
        )


def _found(
    city: City, name: str, role: Role, file: Path | None, now: datetime, *, as_json: bool
) -> None:
    key, credential = _enrol(name, file)
    kept = found_office(city, NewPerson(name, role, credential), key, now)
    if isinstance(kept, Refused):
        refuse_answer(kept)
    if as_json:
        print_json({"name": name, "role": role.value, "number": kept.number})
        return
    said = role.text
    say(words(f"{name} 现为{said.zh}", f"{name} acts now as {said.en}"))


def _propose(
    kind: RulingKind,
    name: str,
    why: str,
    by: str | None,
    secret_file: Path | None,
    data: Path,
    *,
    as_json: bool,
) -> None:
    _check_name(name)
    request = Request(kind, (f"person/{name}",), reason(why))
    now = datetime.now(UTC)
    with open_to_rule(data, about_people=True) as city:
        shown = show(city, by, secret_file, now)
        tell_proposed(propose_for(city, request, shown, now), as_json=as_json)


def _enrol(name: str, file: Path | None) -> tuple[SigningKey, Credential]:
    """A secret that somebody chooses, and what is kept of it."""
    salt = secrets.token_bytes(SALT_BYTES)
    return make_credential(new_secret(name, file), salt, PRODUCTION_COST)


def _check_name(name: str) -> None:
    try:
        check_person_name(name)
    except ActorError as error:
        refuse(words(f"NAME 姓名：{error}", f"NAME: {error}"), EXIT_USAGE)
