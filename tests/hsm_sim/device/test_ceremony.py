"""The life of a key, from components or dice to its end."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.crypto import SUITES
from cardcore.errors import KeyServiceError, KeyStateError, UnknownKeyError
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from hsm_sim.device import ceremony
from hsm_sim.device.blocks.components import ComponentError, component_check_value
from hsm_sim.device.blocks.key_names import read_name
from hsm_sim.device.ceremony import (
    NewKey,
    Rotation,
    derive,
    generate,
    load,
    make_component,
    move,
    next_algorithm,
    rotate,
    set_validity,
)
from hsm_sim.device.device import Device
from hsm_sim.device.errors import CeremonyError
from hsm_sim.device.inspection import log_lines, look
from hsm_sim.keys.operations import state_on
from hsm_sim.keys.vault import key_algorithms
from tests.hsm_sim.device.devices import (
    TAC_1,
    TAC_2,
    TODAY,
    ZMK,
    add,
    check_values,
    files_with,
    key_check_value,
    make,
    reopen,
)

DAY = timedelta(days=1)
#: Sixteen bytes that could be dice.
DICE = bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")
OTHER = bytes.fromhex("5D0C4A1B7F92E63841D8B3FC20961E57")
THIRD = bytes.fromhex("0F61A7D4923E58CB1DE6347A8BF0259C")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return make(tmp_path / "device")


def folder(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.mark.parametrize("usage", KeyUsage)
def test_a_key_of_every_use_and_algorithm_is_made_kept_and_found_again(
    device: Device, tmp_path: Path, usage: KeyUsage
) -> None:
    for version, algorithm in enumerate(key_algorithms(usage)):
        generate(device, NewKey(KeyRef(usage, "demo", version), algorithm))
    held = device.vault.entries()
    assert reopen(folder(tmp_path)).vault.entries() == held
    assert {each.description.state for each in held} == {KeyState.PREPARED}


def test_two_keys_made_inside_differ(device: Device) -> None:
    add(device, TAC_1)
    add(device, TAC_2)
    assert device.vault.key(TAC_1) != device.vault.key(TAC_2)


def test_a_key_of_components_is_their_xor_and_has_the_value_on_the_sheet(device: Device) -> None:
    parts = {"甲": DICE, "乙": OTHER, "丙": THIRD}
    expected = key_check_value(parts, KeyUsage.TAC)
    described = load(device, NewKey(TAC_1), parts, expected.lower())
    assert described.check_value == expected
    assert device.vault.key(TAC_1).value == bytes(
        a ^ b ^ c for a, b, c in zip(DICE, OTHER, THIRD, strict=True)
    )
    assert load(device, NewKey(TAC_1), parts, expected) == described, "the same again is no change"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"甲": b"\x01" * 16}, "components of 2 custodians at least"),
        ({"甲": b"\x01" * 16, "somebody": b"\x02" * 16}, "components come from custodians"),
        ({"甲": b"\x01" * 16, "乙": b"\x02" * 15}, "length"),
        ({"甲": DICE, "乙": bytes(16)}, "all zero"),
        ({"甲": DICE, "乙": DICE}, "repeated"),
        ({"甲": DICE, "乙": OTHER}, "has check value"),
    ],
)
def test_a_wrong_component_is_refused_and_no_key_is_made(
    device: Device, tmp_path: Path, parts: dict[str, bytes], reason: str
) -> None:
    with pytest.raises((CeremonyError, ComponentError), match=reason):
        load(device, NewKey(TAC_1), parts, "123456")
    assert device.vault.refs() == ()
    assert log_lines(folder(tmp_path))[-1]["outcome"] == "refused"


def test_an_issuers_key_is_derived_from_the_scheme_and_remembers_it(device: Device) -> None:
    scheme, factor = read_name("tac/union/v1"), bytes.fromhex("01011000FFFFFFFF")
    add(device, scheme, levels=2)
    described = derive(device, scheme, NewKey(TAC_1, state=KeyState.ACTIVE), factor)
    suite = SUITES[Algorithm.PBOC_3DES]
    master = device.vault.key(scheme).value
    assert device.vault.key(TAC_1).value == suite.diversify(master, factor)
    assert (described.parent, described.levels) == (scheme, 1)
    card = bytes(range(8))
    two_levels = device.vault.card_key(scheme, card + factor).value()
    assert device.vault.card_key(TAC_1, card).value() == two_levels


@pytest.mark.parametrize(
    ("parent", "name", "factor", "reason"),
    [
        ("tac/union/v1", "load/demo/v1", bytes(8), "its use is another"),
        ("tac/union/v1", "tac/demo/v1", bytes(7), "a factor has 8 bytes"),
        ("transport/bank/v1", "transport/x/v1", bytes(8), "its use is another"),
        ("tac/union/v2", "tac/demo/v1", bytes(8), "derive from an active key"),
        ("tac/union/v3", "tac/demo/v1", bytes(8), "not held"),
        ("tac/city/v1", "tac/demo/v1", bytes(8), "is an issuer's master, below it are keys"),
    ],
)
def test_a_derivation_that_makes_no_sense_is_refused(
    device: Device, parent: str, name: str, factor: bytes, reason: str
) -> None:
    add(device, read_name("tac/union/v1"), levels=2)
    add(device, read_name("tac/city/v1"))
    add(device, ZMK)
    generate(device, NewKey(read_name("tac/union/v2"), levels=2))
    before = check_values(device)
    with pytest.raises(KeyServiceError, match=reason):
        derive(device, read_name(parent), NewKey(read_name(name)), factor)
    assert check_values(device) == before


def test_an_issuers_key_has_its_parents_algorithm(device: Device) -> None:
    scheme = read_name("tac/union/v1")
    generate(device, NewKey(scheme, Algorithm.SM4, KeyState.ACTIVE, levels=2))
    with pytest.raises(CeremonyError, match="is SM4, as its parent is"):
        derive(device, scheme, NewKey(TAC_1, Algorithm.AES), bytes(8))
    assert derive(device, scheme, NewKey(TAC_1), bytes(8)).algorithm is Algorithm.SM4


def test_a_number_that_is_no_key_for_the_curve_is_drawn_again(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([b"\xff" * 32, bytes(32), DICE + OTHER])
    monkeypatch.setattr(ceremony, "random", lambda _: next(drawn))
    ref = read_name("file-signing/sender-1/v1")
    generate(device, NewKey(ref, Algorithm.SM2))
    assert device.vault.key(ref).value == DICE + OTHER


def test_states_go_down_and_never_up(device: Device) -> None:
    generate(device, NewKey(TAC_1))
    order = list(KeyState)
    for state in order:
        assert move(device, TAC_1, state).state is state
        for earlier in order[: order.index(state)]:
            with pytest.raises(KeyStateError, match="again"):
                move(device, TAC_1, earlier)


def test_a_destroyed_key_leaves_its_name_and_no_byte(device: Device, tmp_path: Path) -> None:
    add(device, TAC_1)
    add(device, TAC_2)
    value, block = device.vault.key(TAC_1).value, look(folder(tmp_path)).keys[0].block
    assert block is not None
    check_value = move(device, TAC_1, KeyState.DESTROYED).check_value
    for secret in (value, block.encode(), block[-96:].encode()):
        assert files_with(secret, folder(tmp_path)) == []
    opened = reopen(folder(tmp_path))
    assert check_values(opened)["tac/demo/v1"] == ("destroyed", check_value)
    with pytest.raises(KeyStateError, match="is destroyed"):
        opened.vault.key(TAC_1)
    with pytest.raises(KeyServiceError, match="another key is held under this name, or was"):
        generate(opened, NewKey(TAC_1))


def test_days_of_validity_are_kept_and_checked(device: Device, tmp_path: Path) -> None:
    generate(device, NewKey(TAC_1))
    set_validity(device, TAC_1, TODAY + DAY, TODAY + 3 * DAY)
    move(device, TAC_1, KeyState.ACTIVE)
    held = reopen(folder(tmp_path)).vault.describe(TAC_1)
    states = [str(state_on(held, TODAY + n * DAY)) for n in (0, 1, 3, 4)]
    assert states == ["prepared", "active", "active", "retiring"]
    with pytest.raises(CeremonyError, match="is before its first"):
        set_validity(device, TAC_1, TODAY, TODAY - DAY)
    move(device, TAC_1, KeyState.RETIRING)
    with pytest.raises(CeremonyError, match="its days are over"):
        set_validity(device, TAC_1, None, None)


def test_days_take_no_key_back_up_its_life(tmp_path: Path) -> None:
    """An active key is not prepared again, and one whose last day is over stays over."""
    device = make(tmp_path / "device")
    add(device, TAC_1)
    with pytest.raises(CeremonyError, match="cannot become prepared again"):
        set_validity(device, TAC_1, TODAY + DAY, None)
    set_validity(device, TAC_1, TODAY, TODAY)
    set_validity(device, TAC_1, None, TODAY + DAY)
    set_validity(device, TAC_1, None, TODAY - DAY)
    with pytest.raises(CeremonyError, match="is retiring; its days are over"):
        set_validity(device, TAC_1, None, None)


def states_on(changed: tuple[KeyDescription, ...], day: date) -> list[str]:
    return [f"v{each.ref.version} {state_on(each, day)}" for each in changed]


def test_a_rotation_at_once_retires_the_old_version(device: Device) -> None:
    add(device, TAC_1)
    changed = rotate(device, Rotation(KeyUsage.TAC, "demo", TODAY))
    assert states_on(changed, TODAY) == ["v2 active", "v1 retiring"]


@pytest.mark.parametrize("overlap_days", [0, 1, 5])
def test_a_rotation_on_a_day_overlaps_as_long_as_said(device: Device, overlap_days: int) -> None:
    add(device, TAC_1)
    first_day = TODAY + 10 * DAY
    changed = rotate(device, Rotation(KeyUsage.TAC, "demo", first_day, overlap_days))
    assert states_on(changed, first_day - DAY) == ["v2 prepared", "v1 active"]
    last_day = first_day + (overlap_days - 1) * DAY
    assert states_on(changed, last_day)[1] == "v1 active"
    assert states_on(changed, last_day + DAY) == ["v2 active", "v1 retiring"]


def test_the_next_version_is_one_above_any_there_ever_was(device: Device) -> None:
    add(device, TAC_1)
    add(device, read_name("tac/demo/v9"))
    move(device, read_name("tac/demo/v9"), KeyState.DESTROYED)
    new, old = rotate(device, Rotation(KeyUsage.TAC, "demo", TODAY, algorithm=Algorithm.SM4))
    assert (new.ref.version, new.algorithm, old.ref) == (10, Algorithm.SM4, TAC_1)


def test_a_rotation_from_components_takes_exactly_those(device: Device) -> None:
    add(device, TAC_1, exportable=True)
    parts = {"甲": DICE, "乙": OTHER}
    rotation = Rotation(KeyUsage.TAC, "demo", TODAY)
    assert next_algorithm(device, rotation) is Algorithm.PBOC_3DES
    rotate(device, rotation, parts, key_check_value(parts, KeyUsage.TAC))
    assert device.vault.key(TAC_2).value == bytes(a ^ b for a, b in zip(DICE, OTHER, strict=True))
    assert device.is_exportable(TAC_2), "as the one before"


@pytest.mark.parametrize(
    ("rotation", "reason"),
    [
        (Rotation(KeyUsage.LOAD, "demo", TODAY), "no version is held"),
        (Rotation(KeyUsage.TAC, "demo", TODAY - DAY), "is over"),
        (Rotation(KeyUsage.TAC, "demo", TODAY, -1), "an overlap is 0 days or more"),
        (Rotation(KeyUsage.TAC, "demo", TODAY, 10**12), "ends on no day of the calendar"),
        (Rotation(KeyUsage.TAC, "demo", date.max, 2), "ends on no day of the calendar"),
        (Rotation(KeyUsage.TAC, "full", TODAY), "a version is 0 to 255"),
        (Rotation(KeyUsage.TAC, "next", TODAY), "is the next version already"),
    ],
)
def test_a_rotation_that_cannot_be_is_refused(
    device: Device, rotation: Rotation, reason: str
) -> None:
    add(device, TAC_1)
    add(device, read_name("tac/full/v255"))
    generate(device, NewKey(read_name("tac/next/v1")))
    before = check_values(device)
    with pytest.raises(KeyServiceError, match=reason):
        rotate(device, rotation)
    assert check_values(device) == before


def test_a_component_made_here_is_random_and_recognised(device: Device, tmp_path: Path) -> None:
    value, shown = make_component(device, KeyUsage.TRANSPORT)
    assert shown == component_check_value(value, KeyUsage.TRANSPORT)
    assert value != make_component(device, KeyUsage.TRANSPORT)[0]
    value, shown = make_component(device, KeyUsage.TAC, Algorithm.SM4)
    assert shown == component_check_value(value, KeyUsage.TAC, Algorithm.SM4)
    assert files_with(value, folder(tmp_path)) == []


def test_an_unknown_key_has_no_life(device: Device) -> None:
    with pytest.raises(UnknownKeyError):
        move(device, TAC_1, KeyState.ACTIVE)
    with pytest.raises(UnknownKeyError):
        set_validity(device, TAC_1, None, None)
