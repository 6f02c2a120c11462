"""What a key is called here, and what it is called in a key block: two tables, read both ways.

Decides the letters of TR-31 for each of our usages and algorithms, and how name, state, validity
and parent travel beside a key. Leaves the bytes of a block to `tr31`, and whether a key may leave
the device at all to its callers.

The standard names fewer uses than a citizen card has, so several of ours share two letters; the
exact one is in the label block LB, which holds the key's name (`tac/shenzhen/v1`). What else there
is to say stands in block 90, and in block 91 for a master above an issuer's: identifiers of digits
are kept for whoever wants them. A block that comes from another device decides nothing: custodians
say its name and whatever gives a right (`Arrival`), and what it says of itself must fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text, shorten
from hsm_sim.device.blocks.tr31 import KeyBlockHeader
from hsm_sim.keys.masters import LEVELS_MAX
from hsm_sim.keys.vault import VERSION_MAX, KeyEntry, KeyVault, key_algorithms

LABEL_BLOCK = "LB"  # ANSI X9.143 §6.3.6: a text for people
LIFE_BLOCK = "90"  # ours: state, first day, last day, parent
LEVELS_BLOCK = "91"  # ours: levels from the key to a card's; absent: 1
LABEL_CHARACTERS_MAX = 64
NO_VERSION = "00"  # TR-31 §A.5.4: key versioning is not used for this key
_NOTHING = "-"
#: TR-31 §A.5.1 and §A.5.3: key usage and mode of use. X derives card keys, B enciphers both ways.
_LETTERS: Mapping[KeyUsage, tuple[str, str]] = {
    KeyUsage.PURCHASE: ("E6", "X"),  # chip card master key, other
    KeyUsage.LOAD: ("E6", "X"),
    KeyUsage.UNLOAD: ("E6", "X"),
    KeyUsage.OVERDRAFT: ("E6", "X"),
    KeyUsage.TAC: ("E0", "X"),  # application cryptograms
    KeyUsage.FILE_MAINTENANCE: ("E2", "X"),  # secure messaging, integrity
    KeyUsage.PIN_UNBLOCK: ("E1", "X"),  # secure messaging, confidentiality
    KeyUsage.PIN_RELOAD: ("E2", "X"),
    KeyUsage.INTERNAL_AUTHENTICATION: ("E4", "X"),  # dynamic numbers
    KeyUsage.EXTERNAL_AUTHENTICATION: ("E6", "X"),
    KeyUsage.RECORD_MAC: ("E6", "X"),
    KeyUsage.CHANNEL_ENC: ("E5", "X"),  # card personalisation
    KeyUsage.CHANNEL_MAC: ("E5", "X"),
    KeyUsage.CHANNEL_DEK: ("E5", "X"),
    KeyUsage.FILE_SIGNING: ("S0", "S"),  # asymmetric, digital signature
    KeyUsage.DATA_ENCRYPTION: ("D0", "B"),  # symmetric data encryption
    KeyUsage.DAY_SEAL: ("S0", "S"),
    KeyUsage.TRANSPORT: ("K1", "B"),  # key block protection key
}
#: TR-31 §A.5.2. The standard has no letter for SM4, and its E for elliptic curves means another
#: encoding of the key than ours; digits are kept for whoever wants them: our algorithm ids.
_ALGORITHM_LETTERS: Mapping[Algorithm, str] = {
    Algorithm.PBOC_3DES: "T",
    Algorithm.AES: "A",
    Algorithm.SM4: str(Algorithm.SM4.value),
    Algorithm.SM2: str(Algorithm.SM2.value),
    Algorithm.ED25519: str(Algorithm.ED25519.value),
}
_ALGORITHMS: Mapping[str, Algorithm] = {text: each for each, text in _ALGORITHM_LETTERS.items()}


class KeyNameError(KeyServiceError):
    """A key block's letters or names are not those of a key of ours; it says which and why."""


def letters(usage: KeyUsage, algorithm: Algorithm) -> tuple[str, str, str]:
    """Key usage, algorithm and mode of use of a key block.

    >>> letters(KeyUsage.TAC, Algorithm.PBOC_3DES)
    ('E0', 'T', 'X')
    """
    usage_letters, mode = _LETTERS[usage]
    return usage_letters, _ALGORITHM_LETTERS[algorithm], mode


def header_of(description: KeyDescription, *, exportable: bool) -> KeyBlockHeader:
    """The header of a key block of version D that carries this key with all that is known of it.

    Its version number is the key's version in two hexadecimal digits. Raises `KeyNameError` for a
    label that a block cannot hold.

    >>> ref = KeyRef(KeyUsage.TAC, "shenzhen", 26)
    >>> key = KeyDescription(ref, Algorithm.SM4, KeyState.ACTIVE, "AABBCC", date(2026, 1, 1))
    >>> header = header_of(key, exportable=True)
    >>> header.usage, header.algorithm, header.version_number, header.exportability
    ('E0', '4', '1A', 'E')
    >>> dict(header.optional_blocks)
    {'LB': 'tac/shenzhen/v26', '90': 'active/20260101/-/-'}
    """
    usage, algorithm, mode = letters(description.ref.usage, description.algorithm)
    days = (_day_text(each) for each in (description.valid_from, description.valid_to))
    parent = _NOTHING if description.parent is None else _name_text(description.parent)
    blocks = {
        LABEL_BLOCK: _name_text(description.ref),
        LIFE_BLOCK: "/".join((description.state, *days, parent)),
    }
    if description.levels != 1:
        blocks[LEVELS_BLOCK] = str(description.levels)
    return KeyBlockHeader(
        usage,
        algorithm,
        mode,
        f"{description.ref.version:02X}",
        "E" if exportable else "N",
        blocks,
    )


def entry_of(header: KeyBlockHeader, value: bytes) -> KeyEntry:
    """The key of a block that this device wrote for itself: all that is known of it stands there.

    Raises `KeyNameError` when letters, name and version number do not belong together,
    `KeyServiceError` for a value that is no key of that use.
    """
    ref = _named(header)
    if ref is None or LIFE_BLOCK not in header.optional_blocks:
        raise KeyNameError(Text("密钥块：未带密钥名", "key block: brings no name"))
    _check_version(header, ref)
    state, valid_from, valid_to, parent = _life(header.optional_blocks[LIFE_BLOCK])
    levels = _levels(header.optional_blocks.get(LEVELS_BLOCK, "1"))
    return _entry(header, value, ref, levels, (state, valid_from, valid_to, parent))


@dataclass(frozen=True, slots=True)
class Arrival:
    """What custodians say of a key that somebody sent, beside its name, by the partner's letter.

    Whoever holds the transport key could write any of it into a block, so none of it is taken from
    there. `label` is the text in the block, where it is not the key's name.
    """

    is_exportable: bool = False
    levels: int = 1
    valid_from: date | None = None
    valid_to: date | None = None
    parent: KeyRef | None = None
    label: str | None = None


def arriving_entry(
    header: KeyBlockHeader, value: bytes, ref: KeyRef, said: Arrival | None = None
) -> KeyEntry:
    """The key of a block that somebody sent, as custodians say it is: prepared (待启用), whatever
    state it claims.

    Raises `KeyNameError` when the block contradicts them in anything, `KeyServiceError` for a value
    that is no key of that use.
    """
    said = said or Arrival()
    named = _named(header)
    _check_label(header, ref, said)
    if named is not None or header.version_number != NO_VERSION:
        _check_version(header, ref)
    if said.is_exportable and header.exportability == "N":
        raise _contradiction(ref, Text("不可导出", "it may not leave again"), "--exportable")
    _check_life(header, ref, said)
    life = (KeyState.PREPARED, said.valid_from, said.valid_to, said.parent)
    return _entry(header, value, ref, said.levels, life)


def _check_label(header: KeyBlockHeader, ref: KeyRef, said: Arrival) -> None:
    """Two letters stand for several uses, so a text that people would read in a block counts."""
    text = header.optional_blocks.get(LABEL_BLOCK)
    if text is None and said.label is None:
        return
    named, claimed = _named(header), (text or "").partition("/")[0].strip().lower()
    if (named is not None and named != ref) or (claimed in set(KeyUsage) and claimed != ref.usage):
        raise KeyNameError(
            Text(
                f"密钥块：其中写明 {shorten(text or '')}，不是 {ref}",
                f"key block: says that it holds {shorten(text or '')}, not {ref}",
            )
        )
    if text not in ({str(ref)} if said.label is None else {said.label}):
        raise KeyNameError(
            Text(
                f"密钥块：{ref}：其中的标签是 {shorten(text or '-')}；对方的函件也这样写时，请加 "
                "--labelled 标签",
                f"key block: {ref}: the label in it is {shorten(text or '-')}; if the partner's "
                "letter says so, add --labelled LABEL",
            )
        )


def _check_life(header: KeyBlockHeader, ref: KeyRef, said: Arrival) -> None:
    """What a block says of days, parent and levels. Each field that is there is judged, whatever
    others are: one left out would else take another with it.
    """
    blocks = header.optional_blocks
    if LEVELS_BLOCK in blocks or LIFE_BLOCK in blocks:
        levels = _levels(blocks.get(LEVELS_BLOCK, "1"))
        if levels != said.levels:
            what = Text(f"分散级数是 {levels}", f"levels to a card's key are {levels} in it")
            raise _contradiction(ref, what, f"--levels {levels}")
    if LIFE_BLOCK not in blocks:
        return
    _, valid_from, valid_to, parent = _life(blocks[LIFE_BLOCK])
    for brought, theirs, name, option in (
        (valid_from, said.valid_from, Text("首日", "its first day"), "--from"),
        (valid_to, said.valid_to, Text("末日", "its last day"), "--until"),
        (parent, said.parent, Text("上级密钥", "its parent"), "--parent"),
    ):
        if brought is not None and brought != theirs:
            what = Text(f"{name.zh}是 {brought}", f"{name.en} is {brought} in it")
            raise _contradiction(ref, what, f"{option} {brought}")


def _contradiction(ref: KeyRef, what: Text, option: str) -> KeyNameError:
    return KeyNameError(
        Text(
            f"密钥块：{ref}：其中写明{what.zh}，与所说不符；请与对方的函件核对（{option}）",
            f"key block: {ref}: {what.en}, which is not what was said; compare it with the "
            f"partner's letter ({option})",
        )
    )


_Life = tuple[KeyState, date | None, date | None, KeyRef | None]


def _entry(header: KeyBlockHeader, value: bytes, ref: KeyRef, levels: int, life: _Life) -> KeyEntry:
    """A vault of its own judges length, algorithm and value as the one it goes to will."""
    state, valid_from, valid_to, parent = life
    described = KeyVault({}).install(
        ref,
        value,
        _algorithm(header, ref),
        state=state,
        valid_from=valid_from,
        valid_to=valid_to,
        parent=parent,
        levels=levels,
    )
    return KeyEntry(described, value)


def _named(header: KeyBlockHeader) -> KeyRef | None:
    """The name of ours that a block brings."""
    label = header.optional_blocks.get(LABEL_BLOCK)
    return None if label is None else _name(label)


def _check_version(header: KeyBlockHeader, ref: KeyRef) -> None:
    if header.version_number != f"{ref.version:02X}":
        raise KeyNameError(
            Text(
                f"密钥块：{ref}：其版本号属于另一版本",
                f"key block: {ref}: its version number is of another version",
            )
        )


def read_name(text: str) -> KeyRef:
    """A key's name as it is written: usage, label, version.

    Raises `KeyNameError` for a usage that is none, a label with other characters than letters,
    digits and hyphens, and a version that does not fit one byte.

    >>> read_name("tac/shenzhen/v1")
    KeyRef(usage=<KeyUsage.TAC: 'tac'>, label='shenzhen', version=1)
    """
    ref = _name(text)
    if ref is None:
        raise KeyNameError(
            Text(
                "不是密钥名：应为用途、由字母数字和连字符组成的标签、版本，例如 tac/shenzhen/v1",
                "not the name of a key: a usage, a label of letters, digits and hyphens, and a "
                "version as in tac/shenzhen/v1",
            )
        )
    return ref


def _name(text: str) -> KeyRef | None:
    usage, _, rest = text.partition("/")
    label, _, version = rest.partition("/v")
    if usage not in set(KeyUsage) or not (version.isascii() and version.isdecimal()):
        return None
    if len(version) > len(str(VERSION_MAX)):
        return None
    ref = KeyRef(KeyUsage(usage), label, int(version))
    return ref if _is_writable(ref) and str(ref) == text else None


def _is_writable(ref: KeyRef) -> bool:
    """Whether the name can be written so that it reads the same again."""
    label = ref.label.replace("-", "")
    return (
        label.isascii()
        and label.isalnum()
        and len(ref.label) <= LABEL_CHARACTERS_MAX
        and 0 <= ref.version <= VERSION_MAX
    )


def _name_text(ref: KeyRef) -> str:
    if not _is_writable(ref):
        raise KeyNameError(
            Text(
                f"{ref.usage.use.zh}密钥：密钥块中的标签只能由字母、数字和连字符组成，至多 "
                f"{LABEL_CHARACTERS_MAX} 个字符，版本至多 {VERSION_MAX}",
                f"{ref.usage} key: a key block holds labels of letters, digits and "
                f"hyphens, {LABEL_CHARACTERS_MAX} at most, and versions up to {VERSION_MAX}",
            )
        )
    return str(ref)


def _algorithm(header: KeyBlockHeader, ref: KeyRef) -> Algorithm:
    algorithm = _ALGORITHMS.get(header.algorithm)
    found = (header.usage, header.algorithm, header.mode_of_use)
    if algorithm not in key_algorithms(ref.usage) or found != letters(ref.usage, algorithm):
        wanted = " or ".join(
            "".join(letters(ref.usage, each)) for each in key_algorithms(ref.usage)
        )
        raise KeyNameError(
            Text(
                f"密钥块：{ref}：标为 {''.join(found)}；该用途的密钥应为 "
                f"{wanted.replace(' or ', ' 或 ')}",
                f"key block: {ref}: is {''.join(found)}; a key of that use is {wanted}",
            )
        )
    return algorithm


def _day_text(day: date | None) -> str:
    return _NOTHING if day is None else day.isoformat().replace("-", "")


def _life(text: str) -> _Life:
    parts = text.split("/", 3)
    if len(parts) == 4 and parts[0] in set(KeyState) - {KeyState.DESTROYED}:
        state, first, last, parent = parts
        named = None if parent == _NOTHING else _name(parent)
        try:
            days = [None if day == _NOTHING else _day(day) for day in (first, last)]
        except ValueError:
            days = []
        if days and (parent == _NOTHING or named is not None):
            return KeyState(state), days[0], days[1], named
    raise KeyNameError(
        Text(
            f"密钥块：可选块 {LIFE_BLOCK} 不是状态、首日、末日、上级密钥",
            f"key block: block {LIFE_BLOCK} is not state, first day, last day, parent",
        )
    )


def _levels(text: str) -> int:
    if len(text) != 1 or not "1" <= text <= str(LEVELS_MAX):
        raise KeyNameError(
            Text(
                f"密钥块：可选块 {LEVELS_BLOCK} 不是 1 至 {LEVELS_MAX} 的一位数字",
                f"key block: block {LEVELS_BLOCK} is not a digit from 1 to {LEVELS_MAX}",
            )
        )
    return int(text)


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    if _day_text(day) != text:
        raise ValueError(text)
    return day
