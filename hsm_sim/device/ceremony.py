"""Ceremonies (密钥仪式): how a key comes to be in a device, goes through its life, and ends.

Decides which steps are allowed on which keys. Leaves who may take them, their log and their
durability to `device`, keys on their way between devices to `transfer`, and what is asked and
shown between steps to the command line. Every function raises `KeyServiceError` for a step that
is refused; it is in the log then, and nothing was changed.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cardcore.crypto import signatures
from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text
from hsm_sim.device.blocks.components import COMPONENTS_MIN, combine, component_check_value
from hsm_sim.device.custodians import custody
from hsm_sim.device.custodians.pins import check_pin
from hsm_sim.device.device import Device, Step, random
from hsm_sim.device.errors import CeremonyError
from hsm_sim.keys.masters import FACTOR_BYTES
from hsm_sim.keys.operations import state_on
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import (
    CARD_USAGES,
    SIGNING_USAGES,
    KeyEntry,
    KeyVault,
    check_value,
    key_algorithms,
    key_bytes,
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is said of a key before it exists. `algorithm` None: the usual one of its usage.

    `levels` lie between it and a card's key (分散级数): 2 for a master of the scheme. A derived key
    has its parent's algorithm, and one level less than it.
    """

    ref: KeyRef
    algorithm: Algorithm | None = None
    state: KeyState = KeyState.PREPARED
    is_exportable: bool = False
    levels: int = 1


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a key is followed by its next version.

    `first_day` of the new one; `overlap_days` more for the old one to make new cards too. The old
    one proves and deciphers until it is destroyed, whatever stands here.
    """

    usage: KeyUsage
    label: str
    first_day: date
    overlap_days: int = 0
    algorithm: Algorithm | None = None


def generate(device: Device, new: NewKey) -> KeyDescription:
    """Make a key of random bytes inside; nobody has ever seen it."""
    with device.step("generate", str(new.ref)) as step:
        return _install(step, new, _random_key(new.ref.usage, new.algorithm))


def take_public_test_keys(device: Device, refs: Iterable[KeyRef]) -> None:
    """Fill a device made for demonstrations with the published key of every name, active."""
    with device.step("public-test-keys") as step:
        for ref in refs:
            _install(
                step, NewKey(ref, state=KeyState.ACTIVE, is_exportable=True), published_key(ref)
            )
        step.check_value = ""
        step.detail = f"{len(step.vault.refs())} keys that anybody can compute"


def load(
    device: Device, new: NewKey, components: Mapping[str, bytes], expected: str
) -> KeyDescription:
    """Make a key of components that custodians brought, by their roles.

    `expected` is the check value the key must have, from the sheet or as confirmed.
    """
    with device.step("load", str(new.ref)) as step:
        value = combined_key(device, components, new.ref.usage, new.algorithm, expected)
        step.sheets = step.sheets.with_brought(components)
        described = _install(step, new, value)
        step.detail = f"components of {', '.join(components)}"
        return described


def derive(device: Device, parent: KeyRef, new: NewKey, factor: bytes) -> KeyDescription:
    """Make an issuer's key from a master of the scheme (一级分散); the parent is recorded.

    `factor` is 8 bytes: the issuer's number twice, or the number and FFFFFFFF (JR/T 0025).
    """
    with device.step("derive", str(new.ref)) as step:
        if len(factor) != FACTOR_BYTES:
            raise CeremonyError(
                Text(
                    f"分散因子须为 {FACTOR_BYTES} 字节，现为 {len(factor)} 字节",
                    f"a factor has {FACTOR_BYTES} bytes, not {len(factor)}",
                )
            )
        if parent.usage not in CARD_USAGES or parent.usage is not new.ref.usage:
            raise CeremonyError(
                Text(
                    f"{new.ref}：不能由 {parent} 分散：用途不同；请指同用途的上级：`onecard hsm "
                    "keys`",
                    f"{new.ref}: cannot come from {parent}: its use is another; name a parent of "
                    "the same use: `onecard hsm keys`",
                )
            )
        above = step.vault.describe(parent)
        state = state_on(above, device.today())
        if state is not KeyState.ACTIVE:
            raise CeremonyError(
                Text(
                    f"{parent}：{state.text.zh}；只能从启用的密钥分散：`onecard hsm keys`",
                    f"{parent}: is {state.text.en}; derive from an active key: `onecard hsm keys`",
                )
            )
        if new.algorithm not in {None, above.algorithm}:
            raise CeremonyError(
                Text(
                    f"{new.ref}：须与上级同为 {above.algorithm.name}",
                    f"{new.ref}: is {above.algorithm.name}, as its parent is",
                )
            )
        if above.levels == 1:
            raise CeremonyError(
                Text(
                    f"{parent}：是发卡方主密钥，其下为卡片密钥；系统主密钥以 `onecard hsm "
                    "ceremony generate --levels 2` 生成",
                    f"{parent}: is an issuer's master, below it are keys of cards; a master of the "
                    "scheme is made with `onecard hsm ceremony generate --levels 2`",
                )
            )
        value = step.vault.key_below(parent, factor)
        step.detail = f"from {parent} by {factor.hex().upper()}"
        made = replace(new, algorithm=above.algorithm, levels=above.levels - 1)
        return _install(step, made, value, parent)


def move(device: Device, ref: KeyRef, state: KeyState) -> KeyDescription:
    """Activate (启用), retire (退役) or destroy (销毁) a key. The same state again is no change.

    A key that is activated before its first day is active from that day on.
    """
    with device.step(_ACTIONS[state], str(ref)) as step:
        described = step.vault.move(ref, state)
        step.check_value = described.check_value
        return described


def set_validity(
    device: Device, ref: KeyRef, valid_from: date | None, valid_to: date | None
) -> KeyDescription:
    """Say on which days a key is active; None: no bound. A key that is over stays over, and one
    that is active today is not taken back: cards are made with it.
    """
    today = device.today()
    with device.step("validity", str(ref)) as step:
        entry = _entry(step, ref)
        state = state_on(entry.description, today)
        if state not in {KeyState.PREPARED, KeyState.ACTIVE}:
            raise CeremonyError(
                Text(
                    f"{ref}：{state.text.zh}；有效期已过；下一版本：`onecard hsm rotate`",
                    f"{ref}: is {state.text.en}; its days are over; the next version: `onecard "
                    "hsm rotate`",
                )
            )
        if valid_from is not None and valid_to is not None and valid_to < valid_from:
            raise CeremonyError(
                Text(
                    f"{ref}：末日 {valid_to} 早于首日 {valid_from}；请另写 --from 与 --until",
                    f"{ref}: its last day {valid_to} is before its first {valid_from}; say other "
                    "days with --from and --until",
                )
            )
        described = replace(entry.description, valid_from=valid_from, valid_to=valid_to)
        if state is KeyState.ACTIVE and state_on(described, today) is KeyState.PREPARED:
            raise CeremonyError(
                Text(
                    f"{ref}：已启用，不能退回待启用；自另一日起的新版本：`onecard hsm rotate --on`",
                    f"{ref}: is active and cannot become prepared again; a new version from "
                    "another day: `onecard hsm rotate --on`",
                )
            )
        step.put(KeyEntry(described, entry.value))
        step.check_value = described.check_value
        step.detail = f"{valid_from or 'any day'} to {valid_to or 'any day'}"
        return described


def rotate(
    device: Device,
    rotation: Rotation,
    components: Mapping[str, bytes] | None = None,
    expected: str = "",
) -> tuple[KeyDescription, ...]:
    """Make the next version of a key (轮换) and let those before it retire; gives what changed,
    the new one first.

    The next version is one above the highest there ever was. Its bytes are random, or from
    components as in `load`. An old version that is active makes cards until the day before
    `first_day`, or `overlap_days` longer, and goes on proving.
    """
    today = device.today()
    with device.step("rotate", f"{rotation.usage}/{rotation.label}") as step:
        held = _versions(step.vault, rotation)
        _check_rotation(rotation, held, today)
        newest = held[-1]
        algorithm = rotation.algorithm or newest.algorithm
        ref = KeyRef(rotation.usage, rotation.label, newest.ref.version + 1)
        if components is None:
            value = _random_key(rotation.usage, algorithm)
        else:
            value = combined_key(device, components, ref.usage, algorithm, expected)
            step.sheets = step.sheets.with_brought(components)
        described = _install(
            step,
            NewKey(
                ref, algorithm, KeyState.ACTIVE, device.is_exportable(newest.ref), newest.levels
            ),
            value,
            valid_from=rotation.first_day,
        )
        last_day = _last_day(rotation)
        old = [_retire(step, each, last_day, today) for each in held]
        step.detail = f"{ref} from {rotation.first_day}, the one before until {last_day}"
        return described, *(each for each in old if each is not None)


def next_algorithm(device: Device, rotation: Rotation) -> Algorithm:
    """What the next version will be: as said, or as the newest one is. `CeremonyError` when a
    rotation would be refused: better before components are typed than after.
    """
    held = _versions(device.vault, rotation)
    _check_rotation(rotation, held, device.today())
    return rotation.algorithm or held[-1].algorithm


def give_pin(device: Device, role: str, pin: bytes) -> None:
    """Give a custodian a new PIN, or his role to somebody else, and unlock him; the two who opened
    the device vouch for him. The device gets a new storage key, and every key is wrapped anew.

    Transport keys retire: who left may have brought the components of one, and could open whatever
    leaves under it from now on.
    """
    with device.step("new-pin", role) as step:
        assert step.custody is not None
        check_pin(role, pin, (device.device_id, device.path.name))
        old_key, step.storage_key = step.storage_key, random(custody.STORAGE_KEY_BYTES)
        step.custody = custody.with_new_pin(
            step.custody, role, pin, old_key, step.storage_key, random
        )
        retired = [each.ref for each in step.vault.descriptions() if _carries(each)]
        for ref in retired:
            step.vault.move(ref, KeyState.RETIRING)
        step.detail = ", ".join(("a new storage key", *(f"{ref} retires" for ref in retired)))
    device.forgive(role)


def make_component(
    device: Device, usage: KeyUsage, algorithm: Algorithm | None = None
) -> tuple[bytes, str]:
    """A random component for a custodian to carry away, and its check value."""
    with device.step("component") as step:
        value = random(key_bytes(usage))
        step.sheets = step.sheets.with_made(value)
        step.check_value = component_check_value(value, usage, algorithm)
        step.detail = f"for a {usage} key"
        return value, step.check_value


def combined_key(
    device: Device,
    components: Mapping[str, bytes],
    usage: KeyUsage,
    algorithm: Algorithm | None,
    expected: str,
    *,
    is_judged: bool = True,
) -> bytes:
    """The key out of components, each from another custodian of this device. Not judged are those
    of a key that is in use already, and of a device for public test keys.

    Raises `ComponentError`, and `CeremonyError` when its check value is not the one expected.
    """
    known = device.custodians
    if len(components) < COMPONENTS_MIN:
        raise CeremonyError(
            Text(
                f"密钥至少须由 {COMPONENTS_MIN} 名保管员的分量合成；请每人一次 --component 或 "
                "--typed-by",
                f"components of {COMPONENTS_MIN} custodians at least make a key; say --component "
                "or --typed-by once for each",
            )
        )
    if not set(components) <= set(known):
        raise CeremonyError(
            Text(
                f"分量须来自保管员：{'、'.join(known)}",
                f"components come from custodians: {', '.join(known)}",
            )
        )
    value = combine(
        list(components.values()),
        usage,
        algorithm,
        takes_published=device.is_demonstration or not is_judged,
    )
    shown = check_value(Key(usage, value), algorithm)
    if not hmac.compare_digest(shown.encode(), stated(expected)):
        raise CeremonyError(
            Text(
                f"密钥检查值为 {shown}，与预期不符；请核对分量信封后重复此命令",
                f"the key has check value {shown}, not the one expected; look at the sheets and "
                "repeat the command",
            )
        )
    return value


def _carries(key: KeyDescription) -> bool:
    """Whether keys travel under it, or could from a later day on."""
    is_over = key.state in {KeyState.RETIRING, KeyState.DESTROYED}
    return key.ref.usage is KeyUsage.TRANSPORT and not is_over


def stated(expected: str) -> bytes:
    """A check value as somebody typed it."""
    return expected.strip().upper().encode(errors="replace")


_ACTIONS = {
    KeyState.PREPARED: "prepare",
    KeyState.ACTIVE: "activate",
    KeyState.RETIRING: "retire",
    KeyState.DESTROYED: "destroy",
}


def _install(
    step: Step,
    new: NewKey,
    value: bytes,
    parent: KeyRef | None = None,
    valid_from: date | None = None,
) -> KeyDescription:
    described = step.vault.install(
        new.ref,
        value,
        new.algorithm,
        state=new.state,
        valid_from=valid_from,
        parent=parent,
        levels=new.levels,
    )
    step.exportable.setdefault(new.ref, new.is_exportable)
    step.check_value = described.check_value
    return described


def _entry(step: Step, ref: KeyRef) -> KeyEntry:
    step.vault.describe(ref)
    return next(each for each in step.vault.entries() if each.description.ref == ref)


def _random_key(usage: KeyUsage, algorithm: Algorithm | None) -> bytes:
    algorithm = algorithm or key_algorithms(usage)[0]
    value = random(key_bytes(usage))
    if usage in SIGNING_USAGES:
        # A number that is out of range for the curve is drawn again (GB/T 32918.1 §6.1).
        while not signatures.is_secret(algorithm, value):
            value = random(key_bytes(usage))
    return value


def _versions(vault: KeyVault, rotation: Rotation) -> list[KeyDescription]:
    """Every version there is or was, oldest first."""
    wanted = (rotation.usage, rotation.label)
    return [each for each in vault.descriptions() if (each.ref.usage, each.ref.label) == wanted]


def _check_rotation(rotation: Rotation, held: list[KeyDescription], today: date) -> None:
    name = f"{rotation.usage}/{rotation.label}"
    if not held:
        raise KeyServiceError(
            Text(
                f"{name}：没有任何版本；先生成或注入第一个版本：`onecard hsm ceremony generate` 或"
                " `onecard hsm ceremony load`",
                f"{name}: no version is held; make the first one with `onecard hsm ceremony "
                "generate` or `load`",
            )
        )
    if rotation.first_day < today:
        raise CeremonyError(
            Text(
                f"{name}：首日 {rotation.first_day} 已过；请用 --on 写明以后的一日",
                f"{name}: its first day {rotation.first_day} is over; say a later one with --on",
            )
        )
    if rotation.overlap_days < 0:
        raise CeremonyError(
            Text(f"{name}：重叠天数须为 0 或以上", f"{name}: an overlap is 0 days or more")
        )
    try:
        _last_day(rotation)
    except OverflowError:
        raise CeremonyError(
            Text(
                f"{name}：重叠期的末日超出日历；请减少 --overlap-days",
                f"{name}: its overlap ends on no day of the calendar; say fewer --overlap-days",
            )
        ) from None
    newest = held[-1]
    if state_on(newest, today) is KeyState.PREPARED:
        raise CeremonyError(
            Text(
                f"{newest.ref}：已是下一版本；请改为启用它：`onecard hsm ceremony activate`",
                f"{newest.ref}: is the next version already; activate it instead: `onecard hsm "
                "ceremony activate`",
            )
        )


def _last_day(rotation: Rotation) -> date:
    """Of the version before."""
    return rotation.first_day + timedelta(days=rotation.overlap_days - 1)


def _retire(step: Step, old: KeyDescription, last_day: date, today: date) -> KeyDescription | None:
    """Let an old version end on that day, or at once; None when it ended before by itself."""
    if old.state is not KeyState.ACTIVE or (old.valid_to is not None and old.valid_to <= last_day):
        return None
    if last_day < today:
        return step.vault.move(old.ref, KeyState.RETIRING)
    described = replace(old, valid_to=last_day)
    step.put(KeyEntry(described, _entry(step, old.ref).value))
    return described
