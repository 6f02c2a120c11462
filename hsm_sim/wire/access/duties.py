"""Duties of the key service's clients (职责): which operations, with keys of which usages.

Decides what makes a duty, and nothing else: a right is a duty over labels, and over terminals and
PSAMs where the duty has to do with them (`rights`); what a request names is read by `claims`.

A client that may do an operation with one usage may not do it with another: a desk that has answers
of cards made has no MAC made of a load. No duty gives a `transport` key, nor a `record-mac` key but
to be proven: one PSAM's own comes with that PSAM.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from cardcore.keys import KeyUsage
from cardcore.text import Text
from hsm_sim.keys.vault import CARD_USAGES, CHANNEL_USAGES
from hsm_sim.wire.codec import messages

Operation = messages.Operation[Any]


class Duty(StrEnum):
    """What a client is there for."""

    PROVING = "proving"
    LOAD = "load"
    PSAM = "psam"
    PSAM_READER = "psam-reader"
    PSAM_SERVICE = "psam-service"
    PSAM_DEPOT = "psam-depot"
    PERSONALISATION = "personalisation"
    KEY_RELEASE = "key-release"
    CARD_MAINTENANCE = "card-maintenance"
    CARD_AUTHENTICATION = "card-authentication"
    FILE_SIGNING = "file-signing"
    DAY_SEALING = "day-sealing"
    DATA = "data"
    HOST_COMMANDS = "host-commands"

    @property
    def text(self) -> Text:
        """For people."""
        return Text(_NAMES_ZH[self], str(self))


_NAMES_ZH = {
    Duty.PROVING: "验证",
    Duty.LOAD: "圈存",
    Duty.PSAM: "终端 PSAM",
    Duty.PSAM_READER: "读持卡人 PSAM",
    Duty.PSAM_SERVICE: "网点 PSAM",
    Duty.PSAM_DEPOT: "PSAM 制作与换钥",
    Duty.PERSONALISATION: "个人化",
    Duty.KEY_RELEASE: "导出卡片密钥明文",
    Duty.CARD_MAINTENANCE: "卡片维护",
    Duty.CARD_AUTHENTICATION: "卡片认证",
    Duty.FILE_SIGNING: "文件签名",
    Duty.DAY_SEALING: "日封存",
    Duty.DATA: "数据加密",
    Duty.HOST_COMMANDS: "主机命令",
}

#: Where PSAMs are made and their keys renewed; and where they are used.
PSAM_MAKING = (messages.PSAM_MAKE, messages.PSAM_RENEW)
PSAM_USE = (messages.PSAM_WAKE, messages.PSAM_TRANSMIT, messages.PSAM_RESET)
#: What gives a PSAM power, in the keys it has: counted and logged.
PSAM_POWER = (*PSAM_MAKING, messages.PSAM_WAKE)
#: What goes through a channel whose keys were chosen when it was opened.
_IN_CHANNEL = (
    messages.CHANNEL_CRYPTOGRAM,
    messages.CHANNEL_COMMAND_MAC,
    messages.CHANNEL_RESPONSE_MAC,
    messages.CHANNEL_ENCIPHER,
    messages.CHANNEL_DECIPHER,
)
#: What gives a card's key out, in clear or enciphered for its chip: counted, capped and logged.
RELEASES = (messages.DERIVE_CARD_KEY, messages.CHANNEL_WRAPPED_CARD_KEYS)
_SESSION_MACS = (messages.SESSION_MAC, messages.VERIFY_SESSION_MAC)

Usages = frozenset[KeyUsage]
_SIGNING: Usages = frozenset({KeyUsage.FILE_SIGNING})
_SEALING: Usages = frozenset({KeyUsage.DAY_SEAL})
_DATA: Usages = frozenset({KeyUsage.DATA_ENCRYPTION})
_MAINTENANCE: Usages = frozenset({KeyUsage.FILE_MAINTENANCE})
_PINS: Usages = frozenset({KeyUsage.PIN_UNBLOCK, KeyUsage.PIN_RELOAD})
_INTERNAL: Usages = frozenset({KeyUsage.INTERNAL_AUTHENTICATION})
_EXTERNAL: Usages = frozenset({KeyUsage.EXTERNAL_AUTHENTICATION})
#: What a terminal needs of its PSAM: a purchase. A card's answers could be made up with the
#: internal key, a card blocked with the maintenance key, and with the external one the holder's
#: name and number are read (docs/adr/0038-card-rights.md): that is a duty of its own.
_IN_TERMINALS: Usages = frozenset({KeyUsage.PURCHASE})
_IN_READERS = _IN_TERMINALS | _EXTERNAL
#: A PSAM at a service counter does what a citizen comes for there, too.
_AT_COUNTERS = _IN_READERS | _INTERNAL | _MAINTENANCE | _PINS

DUTIES: Mapping[Duty, Mapping[Operation, Usages]] = {
    Duty.PROVING: {
        messages.PROVE_TACS: frozenset({KeyUsage.TAC}),
        messages.PROVE_RECORD_MACS: frozenset({KeyUsage.RECORD_MAC}),
        messages.PROVE_AUTHENTICATIONS: _INTERNAL,
        messages.PUBLIC_KEY: _SIGNING | _SEALING,
        messages.SEALED_DAYS: _SEALING,
    },
    Duty.LOAD: dict.fromkeys(_SESSION_MACS, frozenset({KeyUsage.LOAD})),
    Duty.PSAM: dict.fromkeys(PSAM_USE, _IN_TERMINALS),
    Duty.PSAM_READER: dict.fromkeys(PSAM_USE, _IN_READERS),
    Duty.PSAM_SERVICE: dict.fromkeys(PSAM_USE, _AT_COUNTERS),
    Duty.PSAM_DEPOT: dict.fromkeys(PSAM_MAKING, _AT_COUNTERS),
    Duty.PERSONALISATION: {
        messages.OPEN_CHANNEL: CHANNEL_USAGES,
        **dict.fromkeys(_IN_CHANNEL, CHANNEL_USAGES),
        messages.CHANNEL_WRAPPED_CARD_KEYS: CARD_USAGES,
        messages.CHECK_VALUE: CARD_USAGES,  # of a key that an initialised chip has already
    },
    Duty.KEY_RELEASE: {messages.DERIVE_CARD_KEY: CARD_USAGES, messages.CHECK_VALUE: CARD_USAGES},
    Duty.CARD_MAINTENANCE: {messages.MESSAGE_MAC: _MAINTENANCE},
    Duty.CARD_AUTHENTICATION: {messages.AUTHENTICATE: _INTERNAL | _EXTERNAL},
    Duty.FILE_SIGNING: dict.fromkeys((messages.SIGN, messages.PUBLIC_KEY), _SIGNING),
    Duty.DAY_SEALING: dict.fromkeys(
        (messages.SEAL_DAY, messages.SEALED_DAYS, messages.PUBLIC_KEY), _SEALING
    ),
    Duty.DATA: dict.fromkeys((messages.ENCIPHER_DATA, messages.DECIPHER_DATA), _DATA),
    Duty.HOST_COMMANDS: {},  # the second dialect, whole: its keys are in the hosts' hands
}
#: For everybody whom the file names: what may be shown of keys.
OPEN_OPERATIONS = (messages.DESCRIBE_KEYS,)

#: Duties that must say for which terminals they are, for which PSAMs, and how many keys a day.
WITH_PSAMS = frozenset({Duty.PSAM, Duty.PSAM_READER, Duty.PSAM_SERVICE, Duty.PSAM_DEPOT})
AT_TERMINALS = frozenset({Duty.LOAD}) | WITH_PSAMS
WITH_RELEASES = frozenset({Duty.PERSONALISATION, Duty.KEY_RELEASE})


def duties_with(operation: Operation, usage: KeyUsage | None = None) -> tuple[Duty, ...]:
    """The duties that give an operation, with keys of that usage if one is named.

    >>> [str(each) for each in duties_with(messages.SESSION_MAC, KeyUsage.LOAD)]
    ['load']
    """
    return tuple(
        duty
        for duty, given in DUTIES.items()
        if operation in given and (usage is None or usage in given[operation])
    )


def matrix() -> Iterator[str]:
    """Duty, operations, usages and what a right of it must say, as lines of a table: docs/keys.md
    has these and no others.
    """
    yield "| duty | operations | with keys of usage | a right of it says |"
    yield "|---|---|---|---|"
    for duty, given in DUTIES.items():
        by_usages: dict[Usages, list[str]] = {}
        for operation, usages in given.items():
            by_usages.setdefault(usages, []).append(f"`{operation.name}`")
        for usages, names in by_usages.items():
            shown = " ".join(f"`{each}`" for each in KeyUsage if each in usages)
            yield f"| `{duty}` {duty.text.zh} | {' '.join(names)} | {shown} | {_bounds(duty)} |"
        if not given:
            yield f"| `{duty}` {duty.text.zh} | the second dialect, whole | of the hosts | – |"


def _bounds(duty: Duty) -> str:
    bounds = ["labels"]
    bounds += ["terminals"] if duty in AT_TERMINALS else []
    bounds += ["psams"] if duty in WITH_PSAMS else []
    bounds += ["keys_a_day"] if duty in WITH_RELEASES else []
    return " ".join(f"`{each}`" for each in bounds)
