"""Keys on their way: key blocks under a transport key, and backups."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef, KeyState, KeyUsage
from hsm_sim.device import backups, transfer
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.components import combine
from hsm_sim.device.blocks.key_names import Arrival, header_of, read_name
from hsm_sim.device.blocks.tr31 import KeyBlockError, KeyBlockHeader
from hsm_sim.device.ceremony import NewKey, Rotation, derive, load, move, rotate, set_validity
from hsm_sim.device.device import Device
from hsm_sim.device.document import file_seal
from hsm_sim.device.errors import CeremonyError
from hsm_sim.device.inspection import log_lines
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.vault import check_value
from tests.hsm_sim.device.devices import (
    SHEETS,
    TAC_1,
    TAC_2,
    TODAY,
    ZMK,
    add,
    check_values,
    key_check_value,
    make,
    new_sheets,
    reopen,
)

DAY = timedelta(days=1)
ABOVE = read_name("tac/union/v1")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return make(tmp_path / "device")


def folder(tmp_path: Path) -> Path:
    return tmp_path / "device"


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
    said = Arrival(is_exportable=True, valid_from=TODAY, parent=sent.parent)
    arrived = transfer.import_block(two, f"{block}\n", ZMK, TAC_1, sent.check_value.lower(), said)
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


def test_nothing_that_gives_a_right_is_taken_from_a_block(tmp_path: Path) -> None:
    """Levels, days, parent and exportability came in as the block had them."""
    one, two = partners(tmp_path)
    claimed = KeyDescription(
        TAC_1, Algorithm.PBOC_3DES, KeyState.ACTIVE, "", TODAY, TODAY + DAY, ABOVE, 2
    )
    key, value = one.vault.key(ZMK).value, os.urandom(16)
    said = Arrival(True, 2, TODAY, TODAY + DAY, ABOVE)
    shown = check_value(Key(KeyUsage.TAC, value))

    def imported(arrival: Arrival, *, exportable: bool = True) -> KeyDescription:
        block = tr31.wrap(key, header_of(claimed, exportable=exportable), value, os.urandom)
        return transfer.import_block(two, block, ZMK, TAC_1, shown, arrival)

    for changed, reason in (
        (replace(said, levels=1), "levels to a card's key are 2 in it.*--levels 2"),
        (replace(said, valid_from=None), "its first day is 2026-09-01 in it"),
        (replace(said, valid_to=TODAY), "its last day is 2026-09-02 in it"),
        (replace(said, parent=None), "its parent is tac/union/v1 in it"),
        (Arrival(), "levels to a card's key are 2"),
    ):
        with pytest.raises(KeyServiceError, match=reason):
            imported(changed)
    with pytest.raises(KeyServiceError, match="it may not leave again"):
        imported(said, exportable=False)
    assert two.vault.refs() == (ZMK,)
    assert imported(replace(said, is_exportable=False)).state is KeyState.PREPARED
    assert not two.is_exportable(TAC_1), "the block would have let it"
    # A block that says nothing of the kind decides nothing either.
    bare, foreign = KeyRef(KeyUsage.TAC, "demo", 7), KeyBlockHeader("E0", "T", "X", "00", "E")
    block = tr31.wrap(key, foreign, value2 := os.urandom(16), os.urandom)
    expected = check_value(Key(KeyUsage.TAC, value2))
    arrived = transfer.import_block(two, block, ZMK, bare, expected, Arrival(levels=3))
    assert (arrived.levels, arrived.valid_to, two.is_exportable(bare)) == (3, None, False)


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ({"91": "2"}, "levels to a card's key are 2 in it"),
        ({"LB": str(TAC_1), "91": "2"}, "levels to a card's key are 2 in it"),
        ({"LB": "TAC MASTER", "91": "2"}, "levels to a card's key are 2 in it"),
        ({"LB": str(TAC_1), "91": "zz"}, "block 91 is not a digit"),
        ({"91": "zz"}, "block 91 is not a digit"),
        ({"90": "active/20200101/-/-"}, "its first day is 2020-01-01 in it"),
        ({"90": "active/-/20201231/-"}, "its last day is 2020-12-31 in it"),
        ({"90": "active/-/-/tac/union/v1"}, "its parent is tac/union/v1 in it"),
        ({"90": "zz"}, "block 90 is not state"),
        ({"LB": "X", "90": "zz", "91": "1"}, "block 90 is not state"),
    ],
)
def test_a_field_of_a_block_is_judged_whatever_others_are_there(
    tmp_path: Path, blocks: dict[str, str], reason: str
) -> None:
    """A scheme's master came in as an issuer's: its levels stood in the block without its days."""
    _, two = partners(tmp_path)
    value, label = os.urandom(16), blocks.get("LB")
    header = KeyBlockHeader("E0", "T", "X", "01", "E", blocks)
    block = tr31.wrap(two.vault.key(ZMK).value, header, value, os.urandom)
    said = Arrival(label=None if label == str(TAC_1) else label)
    with pytest.raises(KeyServiceError, match=reason):
        transfer.import_block(two, block, ZMK, TAC_1, check_value(Key(KeyUsage.TAC, value)), said)
    assert two.vault.refs() == (ZMK,)


LABELS = (
    "load master shenzhen v1", "LOAD KEY", "E59C88E5AD98", "shenzhen load/v1", "load", "DLK",
    "load:shenzhen", "load/shenzhen", "Load /x", "",
)  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_a_text_in_a_block_is_said_by_its_custodians_or_refused(tmp_path: Path, label: str) -> None:
    """The letters of load and purchase are the same, and a block of load came in as purchase."""
    _, two = partners(tmp_path)
    ref, value = KeyRef(KeyUsage.PURCHASE, "demo", 1), os.urandom(16)
    header = KeyBlockHeader("E6", "T", "X", "00", "E", {"LB": label})
    block = tr31.wrap(two.vault.key(ZMK).value, header, value, os.urandom)
    shown = check_value(Key(ref.usage, value))
    for said in (Arrival(), Arrival(label="another")):
        with pytest.raises(KeyServiceError, match=r"the label in it is|says that it holds"):
            transfer.import_block(two, block, ZMK, ref, shown, said)
    claims_load = label.partition("/")[0].strip().lower() == "load"
    if claims_load:  # a use of ours, and another one: no letter makes that good
        with pytest.raises(KeyServiceError, match="says that it holds"):
            transfer.import_block(two, block, ZMK, ref, shown, Arrival(label=label))
        return
    arrived = transfer.import_block(two, block, ZMK, ref, shown, Arrival(label=label))
    assert arrived.state is KeyState.PREPARED


def test_a_backup_restored_into_another_device_is_the_same_keys(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    for usage in KeyUsage:
        add(one, KeyRef(usage, "demo", 1), exportable=usage is KeyUsage.LOAD)
    rotate(one, Rotation(KeyUsage.TAC, "demo", TODAY + DAY, 3))
    add(one, read_name("tac/old/v1"))
    move(one, read_name("tac/old/v1"), KeyState.DESTROYED)
    sheets = new_sheets(one, "甲", "丙")
    document = backups.backup(one, sheets, key_check_value(sheets))
    assert backups.restore(two, document, sheets, key_check_value(sheets)) == (
        one.vault.descriptions()
    )
    assert reopen(tmp_path / "two").vault.entries() == one.vault.entries()
    assert two.is_exportable(KeyRef(KeyUsage.LOAD, "demo", 1))
    assert not two.is_exportable(TAC_1)
    assert two.storage_key != one.storage_key


def test_a_backup_of_before_sheets_were_remembered_is_restored(tmp_path: Path) -> None:
    """A device of format 3 has no other way into one of today."""
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    add(one, TAC_1)
    sheets = new_sheets(one, "甲", "丙")
    expected, left_out = key_check_value(sheets), {"seal", "epoch", "sheets"}
    document = backups.backup(one, sheets, expected)
    old = {name: value for name, value in document.items() if name not in left_out}
    old["format"] = "onecard key backup 1"
    key = combine(list(sheets.values()), KeyUsage.TRANSPORT)
    restored = backups.restore(two, {**old, "seal": file_seal(old, key)}, sheets, expected)
    assert restored == one.vault.descriptions()


def test_a_backup_that_is_not_as_it_was_written_restores_nothing(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    add(one, TAC_1)
    sheets = new_sheets(one, "甲", "丙")
    expected = key_check_value(sheets)
    document = backups.backup(one, sheets, expected)
    key = document["keys"][0]
    other_sheets = {**sheets, "丙": bytes(range(1, 33))[::-1]}
    for changed, brought, reason in (
        ({**document, "keys": [{**key, "block": altered(key["block"])}]}, sheets, "was altered"),
        ({**document, "keys": [{**key, "state": "prepared"}]}, sheets, "was altered"),
        ({**document, "keys": []}, sheets, "was altered"),
        ({**document, "epoch": 1}, sheets, "was altered"),
        ({**document, "seal": ""}, sheets, "was altered"),
        ({**document, "letter": "\ud800"}, sheets, "was altered"),
        ({**document, "format": "2"}, sheets, "not a backup"),
        ({**document, "sheets": None}, sheets, "is not one of this backup"),
        (document, other_sheets, "丙: that component is not one of this backup, .* of epoch 0"),
        (dict(list(document.items())[:-1]), other_sheets, "is not one of this backup"),
        ({**document, "sheets": ["7C87C4", "6C3B4C"]}, sheets, "is not one of this backup"),
    ):
        with pytest.raises(CeremonyError, match=reason):
            backups.restore(two, changed, brought, key_check_value(brought))
        assert two.vault.refs() == ()
    backup_key = combine(list(sheets.values()), KeyUsage.TRANSPORT)
    rest = {name: value for name, value in document.items() if name not in {"seal", "keys"}}
    with pytest.raises(CeremonyError, match="is of another version"):
        backups.restore(two, {**rest, "seal": file_seal(rest, backup_key)}, sheets, expected)
    add(two, TAC_2)
    with pytest.raises(CeremonyError, match="holds keys already"):
        backups.restore(two, document, sheets, expected)
