"""Who may do what with which keys: the rights of the key service's clients (权限).

Decides how a client is called and whether its rights let a request pass. Pure: leaves what makes a
duty to `duties`, what a request names to `claims`, how a rights file is written to `rights_file`,
proof of who is there to `listeners`, and the keys' own usages and states to `operations`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cardcore.errors import KeyRightError
from cardcore.keys import KeyUsage
from cardcore.text import Text
from hsm_sim.wire.access.claims import NoSuchMessage, Place, keys_claimed, place_claimed
from hsm_sim.wire.access.duties import (
    DUTIES,
    OPEN_OPERATIONS,
    RELEASES,
    Duty,
    Operation,
    duties_with,
)

_WHO_DECIDES = Text(
    "由密钥服务的运行者在其权限文件中规定",
    "whoever runs the key service decides, in its rights file",
)
_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is there: `shown` stands in logs, `names` are what a rights file may call him."""

    shown: Text
    names: tuple[str, ...]

    @property
    def client(self) -> str:
        """What its connections are counted by, and its name where no rights file gives one."""
        return self.names[0] if self.names else self.shown.en


def certificate_peer(
    subject: Sequence[tuple[str, str]], where: Text, fingerprint: str = ""
) -> Peer:
    r"""A client that showed a certificate, by the attributes of its subject in their order.

    It is called by its common name, if it has exactly one, by its whole subject, in which a comma
    or a backslash inside a value has a backslash before it, and by the SHA-256 of the certificate.

    >>> subject = [("organizationName", "A, B"), ("commonName", "clearing")]
    >>> certificate_peer(subject, Text("", "")).names
    ('certificate:clearing', 'subject:organizationName=A\\, B, commonName=clearing')
    """
    printed = (f"fingerprint:{fingerprint}",) if fingerprint else ()
    if not subject:
        return Peer(
            Text(f"{where.zh} 没有主体的证书", f"certificate without a subject at {where.en}"),
            printed,
        )
    parts = [f"{key}={value}" for key, value in subject]
    escaped = (part.replace("\\", "\\\\").replace(",", "\\,") for part in parts)
    common = [value for key, value in subject if key == "commonName"]
    names = [f"certificate:{common[0]}"] if len(common) == 1 else []
    # A name is the authority's word; it is cut to what a line of a log holds.
    shown = ", ".join(parts)[:_SHOWN_MAX]
    return Peer(
        Text(f"{shown}（{where.zh}）", f"{shown} at {where.en}"),
        (*names, f"subject:{', '.join(escaped)}", *printed),
    )


@dataclass(frozen=True, slots=True)
class Right:
    """One entry of the file. `labels`, `terminals` and `psams` are exact or end in `*`; labels None
    are every key, and the others none of them where no duty asks for them.
    """

    who: str
    duties: frozenset[Duty]
    labels: tuple[str, ...] | None
    terminals: tuple[str, ...] = ()
    psams: tuple[str, ...] = ()
    keys_a_day: int = 0

    def gives(self, operation: Operation, usage: KeyUsage) -> bool:
        """Whether one of its duties is that operation with keys of that usage."""
        return any(usage in DUTIES[duty].get(operation, ()) for duty in self.duties)

    def holds_for(self, label: str) -> bool:
        """Whether keys of a label are among its keys."""
        return self.labels is None or _is_among(label, self.labels)

    def holds_at(self, place: Place) -> bool:
        """Whether it is for that terminal and that PSAM."""
        at_terminal = place.terminal is None or _is_among(place.terminal, self.terminals)
        return at_terminal and (place.psam is None or _is_among(place.psam, self.psams))

    @property
    def allowance(self) -> "Allowance":
        """What keys that it gives out are counted by."""
        labels = "*" if self.labels is None else ", ".join(self.labels)
        return Allowance(f"{', '.join(sorted(self.duties))}: {labels}", self.keys_a_day)


def _is_among(name: str, named: Collection[str]) -> bool:
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in named)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many keys one right gives out in a day, and what it is called in the count of the day."""

    right: str
    keys_a_day: int


@dataclass(frozen=True, slots=True)
class Permit:
    """What a request may do that was let pass: `client` asks, and of each key that would leave,
    the rights that give it; none where nothing leaves or no rights file binds anybody.
    """

    client: str
    allowances: tuple[tuple[Allowance, ...], ...] = ()


def open_permit(peer: Peer) -> Permit:
    """Where no rights file binds anybody."""
    return Permit(peer.client)


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

    def check(self, peer: Peer, operation: Operation, arguments: Sequence[object]) -> Permit:
        """Raises `KeyRightError` for a request that no right of this client gives.

        Every key that the request names must be given by one right as a whole: its operation, its
        usage, its label, and the terminal and PSAM it is for.
        """
        mine = self._of(peer)
        client = mine[0].who
        if operation in OPEN_OPERATIONS:
            return Permit(client)
        name = Text(operation.name, operation.name)
        fitting = _with_duty(mine, duties_with(operation), name)
        place = place_claimed(operation, arguments)
        if isinstance(place, NoSuchMessage):
            raise _refused(
                client,
                Text(
                    f"对 {place.data_bytes} 字节执行 {name.zh}：圈存或消费没有这样的报文",
                    f"do {name.en} over {place.data_bytes} bytes: no message of a load or of a "
                    "purchase is that long",
                ),
            )
        place = place or Place()
        giving = [
            _giving(client, fitting, operation, usage, label, place)
            for usage, label in keys_claimed(operation, arguments)
        ]
        if operation not in RELEASES:
            return Permit(client)
        return Permit(client, tuple(tuple(each.allowance for each in key) for key in giving))

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
        raise _refused(
            mine[0].who,
            Text(
                f"执行 {what.zh}（职责 {' 或 '.join(duties)}）",
                f"do {what.en}, the duty {' or '.join(duties)}",
            ),
        )
    return fitting


def _giving(
    client: str,
    fitting: Sequence[Right],
    operation: Operation,
    usage: KeyUsage,
    label: str,
    place: Place,
) -> list[Right]:
    """The rights that give a key as a whole. Raises `KeyRightError` when there is none."""
    given = [each for each in fitting if each.gives(operation, usage)]
    name = operation.name
    if not given:
        duties = duties_with(operation, usage)
        duty = Text("任何职责都不给", "no duty gives that")
        if duties:
            duty = Text(f"职责 {' 或 '.join(duties)}", f"the duty {' or '.join(duties)}")
        raise _refused(
            client,
            Text(
                f"以{usage.use.zh}密钥执行 {name}（{duty.zh}）",
                f"do {name} with {usage} keys, {duty.en}",
            ),
        )
    given = [each for each in given if each.holds_for(label)]
    if not given:
        raise _refused(
            client,
            Text(f"对标签 {label} 的密钥执行 {name}", f"do {name} with keys of label {label}"),
        )
    given = [each for each in given if each.holds_at(place)]
    if not given:
        psam = Text("", "")
        if place.psam is not None:
            psam = Text(f"、PSAM {place.psam}", f" with PSAM {place.psam}")
        raise _refused(
            client,
            Text(
                f"为终端 {place.terminal}{psam.zh} 执行 {name}",
                f"do {name} for terminal {place.terminal}{psam.en}",
            ),
        )
    return given


def _refused(client: str, what: Text) -> KeyRightError:
    return KeyRightError(
        Text(
            f"{client} 不得{what.zh}；{_WHO_DECIDES.zh}",
            f"{client} may not {what.en}; {_WHO_DECIDES.en}",
        )
    )
