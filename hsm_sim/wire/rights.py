"""Who may do what with which keys: the rights of the key service's clients (权限).

Decides how a client is called, which operations make a duty, what a rights file says and whether
it lets a request pass. Pure: leaves reading the file to whoever starts the server, proof of who is
there to `listeners`, and the keys' own usages and states to `operations`.

A rights file is TOML, one `[[right]]` or more. What none of them gives is refused::

    [[right]]
    who = "certificate:clearing-1"
    duties = ["settlement"]
    labels = ["shenzhen", "shenzhen-*"]

Without `labels` a right is over every key. A client may stand in several rights.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cardcore.errors import DecodeError, KeyRightError
from cardcore.key_labels import maintenance_label
from cardcore.keys import KeyRef
from cardcore.text import Text, shorten
from hsm_sim.psam import KeySlot, PsamKeyType, PsamProfile
from hsm_sim.psam.image import decode_image
from hsm_sim.wire.codec import messages

#: Any program of this machine, at the port of host commands.
LOOPBACK = "loopback"
_USER_NUMBER = re.compile("0|[1-9][0-9]{0,9}")
_KINDS_OF_NAME = ("user:", "certificate:", "subject:")
_WHO_DECIDES = Text(
    "由密钥服务的运行者在其权限文件中规定",
    "whoever runs the key service decides, in its rights file",
)
_SHOWN_MAX = 200


class RightsError(ValueError):
    """A rights file that cannot be; the message names the place in it."""


class Duty(StrEnum):
    """What a client is there for."""

    SETTLEMENT = "settlement"  # 清算: proof of TACs, record MACs and answers of cards
    ACCEPTANCE = "acceptance"  # 受理: MACs of load and purchase, PSAMs in the server
    ISSUING = "issuing"  # 制卡: card keys, secure channels
    CARD_SERVICE = "card-service"  # 卡片维护: messages to cards that are out
    FILE_SIGNING = "file-signing"  # 文件签名
    DATA = "data"  # 数据加密
    HOST_COMMANDS = "host-commands"  # 主机命令: the second dialect, whose keys the hosts hold


OPERATIONS_OF_DUTY: Mapping[Duty, tuple[messages.Operation[Any], ...]] = {
    Duty.SETTLEMENT: (*messages.PROOFS, messages.PUBLIC_KEY),
    Duty.ACCEPTANCE: (
        messages.SESSION_MAC,
        messages.VERIFY_SESSION_MAC,
        messages.PSAM_MAKE,
        messages.PSAM_WAKE,
        messages.PSAM_RENEW,
        messages.PSAM_TRANSMIT,
        messages.PSAM_RESET,
    ),
    Duty.ISSUING: (
        messages.DERIVE_CARD_KEY,
        messages.OPEN_CHANNEL,
        messages.CHANNEL_CRYPTOGRAM,
        messages.CHANNEL_COMMAND_MAC,
        messages.CHANNEL_RESPONSE_MAC,
        messages.CHANNEL_ENCIPHER,
        messages.CHANNEL_DECIPHER,
        messages.CHANNEL_WRAPPED_CARD_KEYS,
        messages.CHECK_VALUE,  # goes with a key into PUT KEY, and is read back
    ),
    Duty.CARD_SERVICE: (
        messages.MESSAGE_MAC,
        messages.ENCIPHER_MESSAGE,
        messages.AUTHENTICATE,
        messages.CHECK_VALUE,
    ),
    Duty.FILE_SIGNING: (messages.SIGN, messages.PUBLIC_KEY),
    Duty.DATA: (messages.ENCIPHER_DATA, messages.DECIPHER_DATA),
    Duty.HOST_COMMANDS: (),
}
#: For everybody whom the file names: what may be shown of keys.
OPEN_OPERATIONS = (messages.DESCRIBE_KEYS,)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is there: `shown` stands in logs, `names` are what a rights file may call him."""

    shown: Text
    names: tuple[str, ...]


def certificate_peer(subject: Sequence[tuple[str, str]], where: Text) -> Peer:
    r"""A client that showed a certificate, by the attributes of its subject in their order.

    It is called by its common name, if it has exactly one, and by its whole subject, in which
    a comma or a backslash inside a value has a backslash before it.

    >>> subject = [("organizationName", "A, B"), ("commonName", "clearing")]
    >>> certificate_peer(subject, Text("", "")).names
    ('certificate:clearing', 'subject:organizationName=A\\, B, commonName=clearing')
    """
    if not subject:
        return Peer(
            Text(f"{where.zh} 没有主体的证书", f"certificate without a subject at {where.en}"), ()
        )
    parts = [f"{key}={value}" for key, value in subject]
    escaped = (part.replace("\\", "\\\\").replace(",", "\\,") for part in parts)
    common = [value for key, value in subject if key == "commonName"]
    names = [f"certificate:{common[0]}"] if len(common) == 1 else []
    # A name is the authority's word; it is cut to what a line of a log holds.
    shown = ", ".join(parts)[:_SHOWN_MAX]
    return Peer(
        Text(f"{shown}（{where.zh}）", f"{shown} at {where.en}"),
        (*names, f"subject:{', '.join(escaped)}"),
    )


@dataclass(frozen=True, slots=True)
class Right:
    """One entry of the file. `labels` are exact or end in `*`; None is every key."""

    who: str
    duties: frozenset[Duty]
    labels: tuple[str, ...] | None

    def holds_for(self, label: str) -> bool:
        """Whether keys of a label are among its keys."""
        return self.labels is None or any(
            label.startswith(each[:-1]) if each.endswith("*") else label == each
            for each in self.labels
        )


@dataclass(frozen=True, slots=True)
class Rights:
    """What a rights file gives, and nothing else."""

    rights: tuple[Right, ...]

    @property
    def who(self) -> str:
        """Everybody whom it names."""
        return ", ".join(sorted({each.who for each in self.rights}))

    def check_peer(self, peer: Peer) -> None:
        """Raises `KeyRightError` for a client whom the file does not name."""
        self._of(peer)

    def check(
        self, peer: Peer, operation: messages.Operation[Any], arguments: Sequence[object]
    ) -> None:
        """Raises `KeyRightError` for a request that no right of this client gives."""
        mine = self._of(peer)
        if operation in OPEN_OPERATIONS:
            return
        duties = [duty for duty, covered in OPERATIONS_OF_DUTY.items() if operation in covered]
        fitting = _with_duty(mine, duties, Text(operation.name, operation.name))
        for label in labels_of(operation, arguments):
            if not any(right.holds_for(label) for right in fitting):
                raise KeyRightError(
                    Text(
                        f"{mine[0].who} 不得对标签 {label} 的密钥执行 {operation.name}；"
                        f"{_WHO_DECIDES.zh}",
                        f"{mine[0].who} may not do {operation.name} with keys of label {label}; "
                        f"{_WHO_DECIDES.en}",
                    )
                )

    def check_host_commands(self, peer: Peer) -> None:
        """Raises `KeyRightError` for a client who may not speak that dialect."""
        _with_duty(self._of(peer), [Duty.HOST_COMMANDS], Text("主机命令", "host commands"))

    def _of(self, peer: Peer) -> list[Right]:
        mine = [each for each in self.rights if each.who in peer.names]
        if not mine:
            names = [each[:_SHOWN_MAX] for each in peer.names]
            named = Text(" 或 ".join(names), " or ".join(names)) if names else peer.shown
            raise KeyRightError(
                Text(
                    f"那里没有写 {named.zh}，故什么都不得做；{_WHO_DECIDES.zh}",
                    f"{named.en} is not named there, so may do nothing; {_WHO_DECIDES.en}",
                )
            )
        return mine


def _with_duty(mine: Sequence[Right], duties: Collection[Duty], what: Text) -> list[Right]:
    fitting = [each for each in mine if not each.duties.isdisjoint(duties)]
    if not fitting:
        raise KeyRightError(
            Text(
                f"{mine[0].who} 不得执行 {what.zh}（职责 {' 或 '.join(duties)}）；"
                f"{_WHO_DECIDES.zh}",
                f"{mine[0].who} may not do {what.en}, the duty {' or '.join(duties)}; "
                f"{_WHO_DECIDES.en}",
            )
        )
    return fitting


def labels_of(operation: messages.Operation[Any], arguments: Sequence[object]) -> Iterator[str]:
    """The labels of all keys that a request names. One to a channel or to a PSAM that is there
    names none: its keys were chosen when it was made.
    """
    for (parameter, _), value in zip(operation.parameters, arguments, strict=True):
        match value:
            case KeyRef():
                yield value.label
            case PsamProfile():
                yield value.key_label
            case str() if parameter == "label":
                yield value
            case tuple():
                yield from (slot.ref.label for slot in value if isinstance(slot, KeySlot))
                yield from (ref.label for ref in value if isinstance(ref, KeyRef))
            case bytes() if parameter == "image":
                yield from _image_labels(value)


def _image_labels(image: bytes) -> Iterator[str]:
    """Nothing for a damaged image, which no PSAM wakes up from."""
    try:
        read = decode_image(image)
    except DecodeError:
        return
    yield read.profile.key_label
    own = (PsamKeyType.MAINTENANCE, maintenance_label(read.profile.key_label))
    for slot, _ in read.keys:
        # Its own maintenance key comes with every PSAM of the label.
        if (slot.kind, slot.ref.label) != own:
            yield slot.ref.label


def read_rights(text: str) -> Rights:
    r"""What a rights file says. Raises `RightsError`, which names the line or the entry.

    >>> read_rights('[[right]]\nwho = "user:990"\nduties = ["issuing"]').who
    'user:990'
    >>> read_rights("")
    Traceback (most recent call last):
    hsm_sim.wire.rights.RightsError: no [[right]] is in it, so nobody could do anything
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise RightsError(Text(f"不是 TOML：`{error}`", f"is no TOML: {error}")) from None
    _only(document, {"right"}, Text("文件", "the file"))
    entries = document.get("right")
    if not isinstance(entries, list) or not entries:
        raise RightsError(
            Text(
                "其中没有 [[right]]，谁都不能做任何事",
                "no [[right]] is in it, so nobody could do anything",
            )
        )
    return Rights(tuple(_right(each, f"right {n}") for n, each in enumerate(entries, 1)))


def _right(entry: object, place: str) -> Right:
    if not isinstance(entry, dict):
        raise RightsError(
            Text(f"{place}：不是表；请写 [[right]]", f"{place}: not a table; write [[right]]")
        )
    _only(entry, {"who", "duties", "labels"}, Text(place, place))
    who = _who(entry.get("who"), f"{place}, who")
    named = _words(entry.get("duties"), f"{place}, duties")
    for each in named:
        if each not in set(Duty):
            raise RightsError(
                Text(
                    f"{place}, duties：{shorten(each)} 不是其中之一：{', '.join(Duty)}",
                    f"{place}, duties: {shorten(each)} is none of {', '.join(Duty)}",
                )
            )
    duties = frozenset(map(Duty, named))
    if "labels" not in entry:
        return Right(who, duties, None)
    if Duty.HOST_COMMANDS in duties:
        raise RightsError(
            Text(
                f"{place}, labels：主机命令的密钥没有标签；请分开写",
                f"{place}, labels: keys of host commands have none; give them apart",
            )
        )
    labels = _words(entry["labels"], f"{place}, labels")
    for each in labels:
        if "*" in each[:-1]:
            raise RightsError(
                Text(
                    f"{place}, labels：{shorten(each)}：`*` 只能在末尾",
                    f"{place}, labels: {shorten(each)}: `*` stands at the end only",
                )
            )
    return Right(who, duties, labels)


def _who(value: object, place: str) -> str:
    if value == LOOPBACK:
        return LOOPBACK
    kind = next((k for k in _KINDS_OF_NAME if isinstance(value, str) and value.startswith(k)), "")
    if not isinstance(value, str) or not kind or value == kind:
        raise RightsError(
            Text(
                f"{place}：{shorten(str(value))} 不是 user:NUMBER、certificate:COMMON_NAME、"
                f"subject:SUBJECT 或 {LOOPBACK}",
                f"{place}: {shorten(str(value))} is not user:NUMBER, certificate:COMMON_NAME, "
                f"subject:SUBJECT or {LOOPBACK}",
            )
        )
    number = value.removeprefix(kind)
    if kind == "user:" and not _USER_NUMBER.fullmatch(number):
        raise RightsError(
            Text(
                f"{place}：{shorten(value)}：用户以 `id -u` 所示的数字命名",
                f"{place}: {shorten(value)}: a user is named by the number that `id -u` says",
            )
        )
    return value


def _words(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise RightsError(
            Text(
                f"{place}：不是至少含一个词的列表",
                f"{place}: not a list of words with at least one in it",
            )
        )
    words = tuple(each for each in value if isinstance(each, str) and each)
    if len(words) != len(value):
        raise RightsError(
            Text(f"{place}：列表中有一项不是词", f"{place}: an entry of the list is not a word")
        )
    return words


def _only(table: Mapping[str, object], known: Collection[str], place: Text) -> None:
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise RightsError(
            Text(
                f"{place.zh}：没有 {shorten(unknown[0])}，只有 {', '.join(sorted(known))}",
                f"{place.en}: {shorten(unknown[0])} is not known, only {', '.join(sorted(known))}",
            )
        )
