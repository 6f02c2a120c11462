"""The rights file (权限文件): what stands in it, and what is refused there.

Decides the form of the file. Leaves what a right gives to `rights`, and reading the file from the
disk to whoever starts the server.

A rights file is TOML, one `[[right]]` or more. What none of them gives is refused::

    [[right]]
    who = "certificate:bus-7"
    duties = ["psam"]
    labels = ["shenzhen"]
    terminals = ["0409*"]
    psams = ["000000000409*"]

Without `labels` a right is over every key. Terminals and PSAMs must be named where a duty has to do
with them: a client chooses none but its own. A client may stand in several rights.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from cardcore.text import Text, shorten
from hsm_sim.wire.access.duties import AT_TERMINALS, WITH_PSAMS, WITH_RELEASES, Duty
from hsm_sim.wire.access.rights import Right, Rights

_USER_NUMBER = re.compile("0|[1-9][0-9]{0,9}")
_KINDS_OF_NAME = ("user:", "certificate:", "subject:", "fingerprint:")
_FINGERPRINT = re.compile("[0-9a-f]{64}")
#: What a name of a terminal, of a PSAM may be, exact or the beginning of several.
_TERMINALS = re.compile(r"[0-9A-F]{12}|[0-9A-F]{0,11}\*")
_PSAMS = re.compile(r"[0-9]{20}|[0-9]{0,19}\*")
_KEYS_A_DAY_MAX = 100_000_000
_FIELDS_OF_DUTIES: Mapping[str, frozenset[Duty]] = {
    "terminals": AT_TERMINALS,
    "psams": WITH_PSAMS,
    "keys_a_day": WITH_RELEASES,
}
_FIELDS = {"who", "duties", "labels", *_FIELDS_OF_DUTIES}


class RightsError(ValueError):
    """A rights file that cannot be; the message names the place in it."""


def read_rights(text: str) -> Rights:
    r"""What a rights file says. Raises `RightsError`, which names the line or the entry.

    >>> read_rights('[[right]]\nwho = "user:990"\nduties = ["proving"]').who
    'user:990'
    >>> read_rights("")
    Traceback (most recent call last):
    hsm_sim.wire.access.rights_file.RightsError: no [[right]] is in it, so nobody could do anything
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
    _only(entry, _FIELDS, Text(place, place))
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
    for field in _FIELDS_OF_DUTIES:
        _check_field(field, entry, duties, place)
    labels = None
    if "labels" in entry:
        if Duty.HOST_COMMANDS in duties:
            raise RightsError(
                Text(
                    f"{place}, labels：主机命令的密钥没有标签；请分开写",
                    f"{place}, labels: keys of host commands have none; give them apart",
                )
            )
        labels = _names(entry, "labels", place)
    return Right(
        who,
        duties,
        labels,
        _names(entry, "terminals", place, _TERMINALS),
        _names(entry, "psams", place, _PSAMS),
        _keys_a_day(entry.get("keys_a_day", 0), place),
    )


def _check_field(
    field: str, entry: Mapping[str, object], duties: Collection[Duty], place: str
) -> None:
    """A bound is there where a duty asks for it, and nowhere else."""
    those = _FIELDS_OF_DUTIES[field]
    asking = sorted(those & set(duties))
    if (field in entry) == bool(asking):
        return
    if field in entry:
        named = ", ".join(sorted(those))
        raise RightsError(
            Text(
                f"{place}, {field}：只用于职责 {named}；请去掉它",
                f"{place}, {field}: goes with the duties {named} only; leave it out",
            )
        )
    raise RightsError(
        Text(
            f"{place}：职责 {', '.join(asking)} 须写明 {field}",
            f"{place}: the duty {', '.join(asking)} needs {field}",
        )
    )


def _names(
    entry: Mapping[str, Any], field: str, place: str, form: re.Pattern[str] | None = None
) -> tuple[str, ...]:
    """Names, each whole or the beginning of several; none where the field is not there."""
    if field not in entry:
        return ()
    names = _words(entry[field], f"{place}, {field}")
    for each in names:
        if "*" in each[:-1]:
            raise RightsError(
                Text(
                    f"{place}, {field}：{shorten(each)}：`*` 只能在末尾",
                    f"{place}, {field}: {shorten(each)}: `*` stands at the end only",
                )
            )
        if form is not None and not form.fullmatch(each):
            raise RightsError(
                Text(
                    f"{place}, {field}：{shorten(each)}：终端为 12 位大写十六进制数字，PSAM 为"
                    " 20 位数字，或以 `*` 结尾的开头",
                    f"{place}, {field}: {shorten(each)}: a terminal has 12 hexadecimal digits, "
                    "capital, a PSAM 20 digits; or the beginning of it and `*`",
                )
            )
    return names


def _keys_a_day(value: object, place: str) -> int:
    if type(value) is not int or not 0 <= value <= _KEYS_A_DAY_MAX:
        raise RightsError(
            Text(
                f"{place}, keys_a_day：须为 0 至 {_KEYS_A_DAY_MAX} 的整数",
                f"{place}, keys_a_day: not a whole number from 0 to {_KEYS_A_DAY_MAX}",
            )
        )
    return value


def _who(value: object, place: str) -> str:
    kind = next((k for k in _KINDS_OF_NAME if isinstance(value, str) and value.startswith(k)), "")
    if not isinstance(value, str) or not kind or value == kind:
        raise RightsError(
            Text(
                f"{place}：{shorten(str(value))} 不是 user:NUMBER、certificate:COMMON_NAME、"
                f"subject:SUBJECT 或 fingerprint:SHA-256",
                f"{place}: {shorten(str(value))} is not user:NUMBER, certificate:COMMON_NAME, "
                f"subject:SUBJECT or fingerprint:SHA-256",
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
    if kind == "fingerprint:" and not _FINGERPRINT.fullmatch(number):
        raise RightsError(
            Text(
                f"{place}：{shorten(value)}：指纹为 64 位小写十六进制数字",
                f"{place}: {shorten(value)}: a fingerprint has 64 hexadecimal digits, small ones",
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
