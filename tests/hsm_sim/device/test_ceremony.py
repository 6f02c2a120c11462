"""The life of a key, from components or dice to its end, and keys on their way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.crypto import SUITES
from cardcore.errors import KeyServiceError, KeyStateError, UnknownKeyError
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from hsm_sim.device import ceremony, transfer
from hsm_sim.device.blocks.components import ComponentError, combine, component_check_value
from hsm_sim.device.blocks.key_names import read_name
from hsm_sim.device.blocks.tr31 import KeyBlockError
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
from hsm_sim.device.document import file_seal
from hsm_sim.device.errors import CeremonyError
from hsm_sim.device.inspection import log_lines, look
from hsm_sim.keys.operations import KeyOperations, state_on
from hsm_sim.keys.vault import key_algorithms
from tests.hsm_sim.device.devices import (
    SHEETS,
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


def partners(tmp_path: Path) -> tuple[Device, Device]:
    """Two devices that share a transport key, loaded in both from the same sheets."""
    pair = make(tmp_path / "one"), make(tmp_path / "two")
    for each in pair:
        load(each, NewKey(ZMK, state=KeyState.ACTIVE), SHEETS, key_check_value(SHEETS))
    return pair


def test_a_key_goes_from_one_device_to_another_with_all_that_is_known_of_it(
    tmp_path: Path,
) -> None:
    one, two = partners(tmp_path)
    add(one, read_name("tac/union/v1"), levels=2)
    new = NewKey(TAC_1, state=KeyState.ACTIVE, is_exportable=True)
    derive(one, read_name("tac/union/v1"), new, bytes(8))
    set_validity(one, TAC_1, TODAY, None)
    block = transfer.export_block(one, TAC_1, ZMK)
    sent = one.vault.describe(TAC_1)
    arrived = transfer.import_block(two, f"{block}\n", ZMK, TAC_1, sent.check_value.lower())
    assert arrived == replace(sent, state=KeyState.PREPARED)
    assert two.vault.key(TAC_1).value == one.vault.key(TAC_1).value
    assert two.is_exportable(TAC_1)


@pytest.mark.parametrize(
    ("name", "under", "reason"),
    [
        ("tac/demo/v1", "transport/bank/v1", "made to stay in this device"),
        ("tac/demo/v2", "tac/demo/v1", "is no transport key"),
        ("tac/demo/v2", "transport/old/v1", "is retiring; no key travels under it"),
        ("tac/demo/v2", "transport/none/v1", "no version of this key is held"),
        ("tac/demo/v3", "transport/bank/v1", "not held"),
        ("tac/demo/v4", "transport/bank/v1", "is destroyed"),
        ("transport/own/v1", "transport/own/v1", "cannot carry itself"),
    ],
)
def test_what_must_not_leave_does_not_leave(
    device: Device, tmp_path: Path, name: str, under: str, reason: str
) -> None:
    add(device, TAC_1)
    for each in (TAC_2, read_name("tac/demo/v4"), read_name("transport/own/v1")):
        add(device, each, exportable=True)
    add(device, ZMK)
    add(device, read_name("transport/old/v1"))
    move(device, read_name("transport/old/v1"), KeyState.RETIRING)
    move(device, read_name("tac/demo/v4"), KeyState.DESTROYED)
    with pytest.raises(KeyServiceError, match=reason):
        transfer.export_block(device, read_name(name), read_name(under))
    last = log_lines(folder(tmp_path))[-1]
    assert (last["action"], last["outcome"], last["key"]) == ("export", "refused", name)


def altered(block: str) -> str:
    return block[:-20] + ("0" if block[-20] != "0" else "1") + block[-19:]


@pytest.mark.parametrize(
    "change",
    [altered, lambda block: block[:-1], lambda _: "", str.lower],
    ids=["one character", "one less", "nothing", "small letters"],
)
def test_an_altered_block_is_refused_and_nothing_is_kept(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    one, two = partners(tmp_path)
    add(one, TAC_1, exportable=True)
    block = transfer.export_block(one, TAC_1, ZMK)
    with pytest.raises(KeyBlockError):
        transfer.import_block(two, change(block), ZMK, TAC_1, one.vault.describe(TAC_1).check_value)
    assert two.vault.refs() == (ZMK,)
    assert log_lines(tmp_path / "two")[-1]["outcome"] == "refused"


def test_a_block_under_a_name_that_holds_another_key_is_refused(tmp_path: Path) -> None:
    one, two = partners(tmp_path)
    add(one, TAC_1, exportable=True)
    add(two, TAC_1)
    before = check_values(two)
    block, sent = transfer.export_block(one, TAC_1, ZMK), one.vault.describe(TAC_1)
    with pytest.raises(KeyServiceError, match="another key is held under this name"):
        transfer.import_block(two, block, ZMK, TAC_1, sent.check_value)
    with pytest.raises(KeyServiceError, match="holds tac/demo/v1, not tac/demo/v2"):
        transfer.import_block(two, block, ZMK, TAC_2, sent.check_value)
    assert check_values(two) == before


def test_a_block_does_not_become_the_citys_keys_by_itself(tmp_path: Path) -> None:
    """It became purchase, load and TAC 200 of the city, active, and new cards were made with it."""
    one, two = partners(tmp_path)
    for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC):
        own, sent = KeyRef(usage, "demo", 1), KeyRef(usage, "demo", 200)
        add(two, own)
        add(one, sent, exportable=True)
        block, shown = transfer.export_block(one, sent, ZMK), one.vault.describe(sent).check_value
        for ref, expected, reason in (
            (sent, "123456", "not the one expected"),
            (sent, "", "not the one expected"),
            (KeyRef(KeyUsage.OVERDRAFT, "demo", 200), shown, f"holds {sent}, not overdraft"),
            (sent._replace(version=2), shown, f"holds {sent}, not {usage}/demo/v2"),
            (sent._replace(label="other"), shown, f"holds {sent}, not {usage}/other/v200"),
        ):
            with pytest.raises(KeyServiceError, match=reason):
                transfer.import_block(two, block, ZMK, ref, expected)
        assert transfer.import_block(two, block, ZMK, sent, shown).state is KeyState.PREPARED
        active = KeyOperations(two.vault, lambda: TODAY).describe_keys(usage, "demo")
        assert [each.ref for each in active if each.state is KeyState.ACTIVE] == [own]


def test_a_backup_restored_into_another_device_is_the_same_keys(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    for usage in KeyUsage:
        add(one, KeyRef(usage, "demo", 1), exportable=usage is KeyUsage.LOAD)
    rotate(one, Rotation(KeyUsage.TAC, "demo", TODAY + DAY, 3))
    add(one, read_name("tac/old/v1"))
    move(one, read_name("tac/old/v1"), KeyState.DESTROYED)
    document = transfer.backup(one, SHEETS, key_check_value(SHEETS))
    assert transfer.restore(two, document, SHEETS, key_check_value(SHEETS)) == (
        one.vault.descriptions()
    )
    assert reopen(tmp_path / "two").vault.entries() == one.vault.entries()
    assert two.is_exportable(KeyRef(KeyUsage.LOAD, "demo", 1))
    assert not two.is_exportable(TAC_1)
    assert two.storage_key != one.storage_key


def test_a_backup_that_is_not_as_it_was_written_restores_nothing(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    add(one, TAC_1)
    expected = key_check_value(SHEETS)
    document = transfer.backup(one, SHEETS, expected)
    key = document["keys"][0]
    other_sheets = {**SHEETS, "丙": bytes(range(1, 33))[::-1]}
    for changed, sheets, reason in (
        ({**document, "keys": [{**key, "block": altered(key["block"])}]}, SHEETS, "was altered"),
        ({**document, "keys": [{**key, "state": "prepared"}]}, SHEETS, "was altered"),
        ({**document, "keys": []}, SHEETS, "was altered"),
        ({**document, "seal": ""}, SHEETS, "was altered"),
        ({**document, "letter": "\ud800"}, SHEETS, "was altered"),
        ({**document, "format": "2"}, SHEETS, "not a backup"),
        (document, other_sheets, "another backup key"),
    ):
        with pytest.raises(CeremonyError, match=reason):
            transfer.restore(two, changed, sheets, key_check_value(sheets))
        assert two.vault.refs() == ()
    backup_key = combine(list(SHEETS.values()), KeyUsage.TRANSPORT)
    rest = {name: value for name, value in document.items() if name not in {"seal", "keys"}}
    with pytest.raises(CeremonyError, match="is of another version"):
        transfer.restore(two, {**rest, "seal": file_seal(rest, backup_key)}, SHEETS, expected)
    add(two, TAC_2)
    with pytest.raises(CeremonyError, match="holds keys already"):
        transfer.restore(two, document, SHEETS, expected)


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
