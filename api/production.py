"""What production refuses, in one table: a rule, what is found, what to do.

Decides which conditions no city runs under. `onecard doctor --production` lists all that are found,
and whoever opens a key service, a device or a listener asks `refuse_in_production` for the first:
the same rules, so that none is told and not held, or held and not told. Leaves looking into files
to whoever fills in a `Situation`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from api.settings import (
    IN_PROCESS_REFUSED,
    Environment,
    KeyServiceKind,
    KeyServiceSettings,
    SettingsRefusedError,
    read_environment,
)
from cardcore.errors import system_words
from cardcore.keys import Algorithm, KeyDescription, KeyState
from cardcore.text import Text, text_of
from hsm_sim.device.custodians.pins import check_pin
from hsm_sim.device.errors import CustodyError
from hsm_sim.device.storage import LOG, DeviceFolder
from hsm_sim.keys.published_keys import published_descriptions, shared_descriptions
from hsm_sim.keys.strength import weakness as key_weakness
from hsm_sim.keys.vault import KeyEntry
from hsm_sim.wire.links.revocation import RevokedError, check_lists
from settlement.people.person import Person
from settlement.people.signing import PRODUCTION_COST
from settlement.rulings.book import PEOPLE_MIN

_SHOWN_MAX = 3
_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_OTHERS_READ_OR_WRITE = 0o066


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when somebody asks; what is not known is None, and nothing is said of it."""

    key_service: KeyServiceSettings | None = None
    keys: tuple[KeyDescription, ...] | None = None
    entries: tuple[KeyEntry, ...] | None = None  # of a device that is open
    is_demonstration: bool | None = None
    folder: Path | None = None  # a device's
    pins: Mapping[str, bytes] | None = None
    socket: Path | None = None  # where to serve
    serves: bool = False
    rights: Path | None = None
    host_commands: str | None = None
    tls: str | None = None
    revoked: Path | None = None
    private_key: Path | None = None  # of the service's certificate
    clients_ca: Path | None = None
    simulates: bool | None = None
    people: tuple[Person, ...] | None = None  # of a city, who may act now
    acts: Person | None = None  # one of them, who is about to


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that production refuses; `found` says what is wrong, or None."""

    name: str
    what: Text
    found: Callable[[Situation], Text | None]


def refused(situation: Situation) -> Iterator[tuple[Rule, Text]]:
    """Every rule that is broken, and how."""
    for rule in RULES:
        if (why := rule.found(situation)) is not None:
            yield rule, why


def refuse_in_production(situation: Situation, environment: Environment | None = None) -> None:
    """Raises `SettingsRefusedError` by the first rule that is broken, in production."""
    if (environment or read_environment()) is not Environment.PRODUCTION:
        return
    for _, why in refused(situation):
        raise SettingsRefusedError(why)


def _in_process(situation: Situation) -> Text | None:
    chosen = situation.key_service
    is_here = chosen is not None and chosen.kind is KeyServiceKind.IN_PROCESS
    return IN_PROCESS_REFUSED if is_here else None


def _simulation(situation: Situation) -> Text | None:
    if not situation.simulates:
        return None
    return Text(
        "生产环境不接受模拟的卡、PSAM 和随机数；请把 ONECARD_ENVIRONMENT 设为 demo 或 test，"
        "另用一个目录",
        "production refuses simulated cards, PSAMs and dice; set ONECARD_ENVIRONMENT to demo or "
        "test, and use another folder",
    )


def _public_keys(situation: Situation) -> Text | None:
    public = published_descriptions(situation.keys or ())
    if not public and not situation.is_demonstration:
        return None
    names = ", ".join(str(each.ref) for each in public[:_SHOWN_MAX])
    zh, en = (f"{names} 等共 {len(public)} 把", f"{names} and {len(public)} in all")
    if not public:
        zh, en = "设备为演示而建", "the device was made for them"
    return Text(
        f"生产环境不接受公开测试密钥，人人可算出：{zh}。请用 `onecard hsm ceremony init` 另建设备，"
        "并以密钥仪式注入真实密钥：`onecard hsm ceremony load`",
        f"production refuses public test keys, which anybody can compute: {en}. Make another "
        "device with `onecard hsm ceremony init` and load real ones: `onecard hsm ceremony load`",
    )


def _shared_keys(situation: Situation) -> Text | None:
    held = [each for each in situation.keys or () if each.state is not KeyState.DESTROYED]
    shared = shared_descriptions(held)
    if not shared:
        return None
    names = ", ".join(str(each.ref) for each in shared[:_SHOWN_MAX])
    return Text(
        f"生产环境不接受一把密钥用于多处：{names} 的检查值相同；请各用各的密钥："
        "`onecard hsm rotate`",
        f"production refuses one key for several uses: {names} have the same check value; give "
        "each a key of its own: `onecard hsm rotate`",
    )


def _weak_keys(situation: Situation) -> Text | None:
    for entry in situation.entries or ():
        if entry.value is None:
            continue
        ref, algorithm = entry.description.ref, entry.description.algorithm
        is_des = algorithm is Algorithm.PBOC_3DES
        if (why := key_weakness(entry.value, is_des=is_des, labels=(ref.label,))) is not None:
            return Text(
                f"生产环境不接受弱密钥：{ref} {why.zh}；请更换：`onecard hsm rotate`",
                f"production refuses a weak key: {ref} {why.en}; replace it: `onecard hsm rotate`",
            )
    return None


def _weak_pins(situation: Situation) -> Text | None:
    folder = situation.folder
    for role, pin in (situation.pins or {}).items():
        try:
            check_pin(role, pin, () if folder is None else (folder.name,))
        except CustodyError as error:
            why = text_of(error)
            return Text(
                f"生产环境不接受弱 PIN：{why.zh}。更换：`onecard hsm ceremony new-pin`",
                f"production refuses a weak PIN: {why.en}. Change it with `onecard hsm ceremony "
                "new-pin`",
            )
    return None


def _shared_pins(situation: Situation) -> Text | None:
    held: dict[bytes, str] = {}
    for role, pin in (situation.pins or {}).items():
        if (other := held.setdefault(pin, role)) != role:
            return Text(
                f"生产环境不接受两名保管员共用一个 PIN 或 PIN 文件：{other}、{role}；请"
                "各用各的 `--pin-file`",
                f"production refuses one PIN, or one file of it, for two custodians: {other}, "
                f"{role}; give each a `--pin-file` of his own",
            )
    return None


def _open_folder(situation: Situation) -> Text | None:
    folder = situation.folder
    if folder is None or not folder.exists() or not folder.stat().st_mode & _OTHERS:
        return None
    return Text(
        f"生产环境不接受 {folder}：他人可打开此设备目录；请用 `chmod 700` 收回权限",
        f"production refuses {folder}: others may open this device's folder; take that away with "
        "`chmod 700`",
    )


def _log(situation: Situation) -> Text | None:
    if situation.folder is None:
        return None
    try:
        DeviceFolder(situation.folder).check_appendable(LOG)
    except OSError as error:
        said = system_words(error)
        return Text(
            f"生产环境无日志不服务：{situation.folder / LOG}：{said.zh}；请腾出空间或从副本恢复"
            "该目录",
            f"production serves nothing without its log: {situation.folder / LOG}: {said.en}; make "
            "room, or restore the folder from a copy",
        )
    return None


def _no_rights(situation: Situation) -> Text | None:
    if not situation.serves or situation.rights is not None:
        return None
    return Text(
        "生产环境须有权限文件；请用 --rights 路径 写明谁可做什么",
        "production serves nobody without a rights file; say with --rights PATH who may do what",
    )


def _no_revocations(situation: Situation) -> Text | None:
    if situation.tls is None or situation.revoked is not None:
        return None
    return Text(
        "生产环境以 TLS 服务须有吊销列表；请用 --revoked 路径 给出，见 docs/keys.md",
        "production serves over TLS with a revocation list only; name it with --revoked PATH, see "
        "docs/keys.md",
    )


def _trust_files(situation: Situation) -> Text | None:
    """One rule for every file that says who is trusted: nobody else can change it, and a private
    key nobody else can read.
    """
    asked = situation.key_service
    secret = [situation.private_key, None if asked is None else asked.private_key]
    open_to_read = [situation.rights, situation.revoked, situation.clients_ca]
    open_to_read += [] if asked is None else [asked.certificate, asked.authority]
    places = [(each, _OTHERS_READ_OR_WRITE) for each in secret]
    places += [(each, _OTHERS_WRITE) for each in open_to_read]
    for path, mode in places:
        if path is None:
            continue
        try:
            status = path.stat()
        except OSError as error:
            said = system_words(error)
            return Text(
                f"生产环境不接受 {path}：{said.zh}；请另指文件",
                f"production refuses {path}: {said.en}; name another file",
            )
        if status.st_uid not in {os.geteuid(), 0}:
            return Text(
                f"生产环境不接受 {path}：属于用户 {status.st_uid}，他可以改动它；请用 `chown` 收回",
                f"production refuses {path}: it belongs to user {status.st_uid}, who could change "
                "it; take it with `chown`",
            )
        if status.st_mode & mode:
            what = Text("可写", "write")
            if not status.st_mode & _OTHERS_WRITE:
                what = Text("可读", "read")
            return Text(
                f"生产环境不接受 {path}：他人{what.zh}；请用 `chmod` 收回权限",
                f"production refuses {path}: others may {what.en} it; take that away with `chmod`",
            )
    return None


def _revocation_days(situation: Situation) -> Text | None:
    if situation.revoked is None or not situation.revoked.exists():
        return None
    try:
        check_lists(situation.revoked, datetime.now(UTC))
    except RevokedError as error:
        why = text_of(error)
        return Text(f"生产环境不接受{why.zh}", f"production refuses {why.en}")
    return None


def _few_people(situation: Situation) -> Text | None:
    if situation.people is None or len(situation.people) >= PEOPLE_MIN:
        return None
    count = len(situation.people)
    return Text(
        f"生产环境的城市须有两人在任，现有 {count} 人；请加：`onecard people add NAME --role "
        "administrator --founding`",
        f"production runs no city without two people, and {count} may act here; add them: "
        "`onecard people add NAME --role administrator --founding`",
    )


def _cheap_secrets(situation: Situation) -> Text | None:
    acts = () if situation.acts is None else (situation.acts,)
    cheap = [
        each.name
        for each in (*acts, *(situation.people or ()))
        if each.credential.cost.memory_kib < PRODUCTION_COST.memory_kib
        or each.credential.cost.passes < PRODUCTION_COST.passes
    ]
    if not cheap:
        return None
    names = ", ".join(cheap[:_SHOWN_MAX])
    return Text(
        f"生产环境不接受猜测代价过低的密语：{names}，共 {len(cheap)} 人；请各自更换：`onecard "
        "people secret`",
        f"production refuses secrets that are cheap to guess: {names}, {len(cheap)} in all; each "
        "changes theirs with `onecard people secret`",
    )


def _host_commands(situation: Situation) -> Text | None:
    if situation.host_commands is None:
        return None
    return Text(
        "生产环境不接受主机命令（--host-commands）：其密钥在主机手中；请去掉该选项",
        "production takes no host commands (--host-commands), whose keys are in the hands of "
        "hosts; leave the option out",
    )


def _open_socket(situation: Situation) -> Text | None:
    """A socket is its owner's alone, and so is the folder in which somebody could put another."""
    places = [] if situation.socket is None else [(situation.socket.parent, _OTHERS_WRITE)]
    chosen = situation.key_service
    if chosen is not None and chosen.kind is KeyServiceKind.UNIX:
        called = Path(chosen.address)
        places += [(called, _OTHERS), (called.parent, _OTHERS_WRITE)]
    for path, mode in places:
        if path.exists() and path.stat().st_mode & mode:
            return Text(
                f"生产环境不接受 {path}：他人可连接或替换此套接字；请用 `chmod` 收回权限",
                f"production refuses {path}: others may reach or replace this socket; take that "
                "away with `chmod`",
            )
    return None


#: In the order in which they are told.
RULES = (
    Rule("in-process", Text("进程内密钥", "keys in process"), _in_process),
    Rule("simulation", Text("模拟", "simulation"), _simulation),
    Rule("public-test-keys", Text("公开测试密钥", "public test keys"), _public_keys),
    Rule("shared-keys", Text("共用的密钥", "shared keys"), _shared_keys),
    Rule("weak-keys", Text("弱密钥", "weak keys"), _weak_keys),
    Rule("weak-pins", Text("弱 PIN", "weak PINs"), _weak_pins),
    Rule("shared-pins", Text("共用的 PIN", "shared PINs"), _shared_pins),
    Rule("open-folder", Text("设备目录", "device folder"), _open_folder),
    Rule("log", Text("日志", "log"), _log),
    Rule("no-rights", Text("权限文件", "rights file"), _no_rights),
    Rule("no-revocations", Text("吊销列表", "revocation list"), _no_revocations),
    Rule("host-commands", Text("主机命令", "host commands"), _host_commands),
    Rule("open-socket", Text("套接字权限", "socket modes"), _open_socket),
    Rule("trust-files", Text("信任文件", "trust files"), _trust_files),
    Rule("revocation-days", Text("吊销列表期限", "days of revocation lists"), _revocation_days),
    Rule("few-people", Text("人员", "people"), _few_people),
    Rule("cheap-secrets", Text("人员的密语", "secrets of people"), _cheap_secrets),
)
