"""Names of keys in key blocks: what leaves under one name arrives under the same."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage
from hsm_sim.device.blocks.key_names import (
    LABEL_BLOCK,
    LEVELS_BLOCK,
    LIFE_BLOCK,
    Arrival,
    KeyNameError,
    arriving_entry,
    entry_of,
    header_of,
    letters,
    read_name,
)
from hsm_sim.device.blocks.tr31 import KeyBlockHeader
from hsm_sim.keys.vault import CARD_USAGES, KeyEntry, KeyVault, key_algorithms, key_bytes

TAC_1 = KeyRef(KeyUsage.TAC, "shenzhen", 1)
ABOVE = KeyRef(KeyUsage.TAC, "union", 1)
VALUE = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}", fullmatch=True)
refs = st.builds(KeyRef, st.sampled_from(KeyUsage), labels, st.integers(0, 255))


def entry(ref: KeyRef, algorithm: Algorithm | None = None, **life: object) -> KeyEntry:
    value = b"\x01" + bytes(key_bytes(ref.usage) - 1)
    made = KeyVault({}).install(ref, value, algorithm, **life)  # type: ignore[arg-type]
    return KeyEntry(made, value)


@given(
    refs,
    st.data(),
    st.sampled_from([each for each in KeyState if each is not KeyState.DESTROYED]),
    st.none() | st.dates(),
    st.none() | st.dates(),
    st.none() | refs,
    st.integers(1, 3),
)
def test_a_key_arrives_as_it_left(
    ref: KeyRef,
    data: st.DataObject,
    state: KeyState,
    first: date | None,
    last: date | None,
    parent: KeyRef | None,
    levels: int,
) -> None:
    levels = levels if ref.usage in CARD_USAGES else 1
    algorithm = data.draw(st.sampled_from(key_algorithms(ref.usage)))
    days = {"valid_from": first, "valid_to": last}
    left = entry(ref, algorithm, state=state, parent=parent, levels=levels, **days)
    assert left.value is not None
    assert entry_of(header_of(left.description, exportable=True), left.value) == left


@pytest.mark.parametrize("usage", KeyUsage)
def test_every_usage_and_algorithm_has_letters_of_its_own_algorithm(usage: KeyUsage) -> None:
    found = [letters(usage, algorithm) for algorithm in key_algorithms(usage)]
    assert len(set(found)) == len(found)


def test_exportability_is_what_the_device_says() -> None:
    described = entry(TAC_1).description
    assert header_of(described, exportable=True).exportability == "E"
    assert header_of(described, exportable=False).exportability == "N"


def test_a_block_of_another_device_is_named_by_the_custodians_and_arrives_prepared() -> None:
    foreign = KeyBlockHeader("E0", "T", "X", "00", "E", {"LB": "Zone 7", "KS": "00"})
    with pytest.raises(KeyNameError, match="brings no name"):
        entry_of(foreign, VALUE)
    with pytest.raises(KeyNameError, match="the label in it is Zone 7"):
        arriving_entry(foreign, VALUE, TAC_1)
    arrived = arriving_entry(foreign, VALUE, TAC_1, Arrival(label="Zone 7")).description
    assert (arrived.ref, arrived.state) == (TAC_1, KeyState.PREPARED)
    assert arrived.check_value == "8BAF47"


@pytest.mark.parametrize("change", [{"usage": "E6"}, {"algorithm": "A"}, {"mode_of_use": "N"}])
def test_a_key_of_another_use_cannot_be_given_this_name(change: dict[str, str]) -> None:
    header = header_of(entry(KeyRef(KeyUsage.LOAD, "shenzhen", 1)).description, exportable=True)
    with pytest.raises(KeyNameError):
        arriving_entry(header, VALUE, TAC_1)
    foreign = replace(KeyBlockHeader("E0", "T", "X"), **change)  # type: ignore[arg-type]
    expected = Algorithm.AES if change == {"algorithm": "A"} else None
    if expected is None:
        with pytest.raises(KeyNameError, match=r"tac/shenzhen/v1.*E0TX"):
            arriving_entry(foreign, VALUE, TAC_1)
    else:
        assert arriving_entry(foreign, VALUE, TAC_1).description.algorithm is expected


def test_letters_and_name_in_one_block_must_agree() -> None:
    header = header_of(entry(TAC_1).description, exportable=True)
    blocks = {**header.optional_blocks, LABEL_BLOCK: "data-encryption/shenzhen/v1"}
    with pytest.raises(KeyNameError):
        entry_of(replace(header, optional_blocks=blocks), VALUE)
    with pytest.raises(KeyNameError, match="another version"):
        entry_of(replace(header, version_number="02"), VALUE)


@pytest.mark.parametrize(
    "life",
    [
        "",
        "active",
        "active/-/-",
        "asleep/-/-/-",
        "destroyed/-/-/-",
        "active/20260230/-/-",
        "active/2026-01-01/-/-",
        "active/2026W011/-/-",
        "active/-/-/mother",
        "active/-/-/-/-",
    ],
)
def test_a_life_that_cannot_be_read_is_refused(life: str) -> None:
    header = header_of(entry(TAC_1).description, exportable=True)
    blocks = {**header.optional_blocks, LIFE_BLOCK: life}
    with pytest.raises(KeyNameError, match=LIFE_BLOCK):
        entry_of(replace(header, optional_blocks=blocks), VALUE)


@pytest.mark.parametrize("levels", ["", "0", "4", "12", "-1", " 2", "two"])
def test_levels_that_cannot_be_read_are_refused(levels: str) -> None:
    header = header_of(entry(TAC_1).description, exportable=True)
    blocks = {**header.optional_blocks, LEVELS_BLOCK: levels}
    with pytest.raises(KeyNameError, match=LEVELS_BLOCK):
        entry_of(replace(header, optional_blocks=blocks), VALUE)


def test_a_block_says_its_levels_itself_and_custodians_say_those_of_another_device() -> None:
    one, two = entry(TAC_1), entry(TAC_1, levels=2)
    blocks = [header_of(each.description, exportable=True) for each in (one, two)]
    assert [header.optional_blocks.get(LEVELS_BLOCK) for header in blocks] == [None, "2"]
    for header, levels in zip(blocks, (1, 2), strict=True):
        said = Arrival(levels=levels)
        assert arriving_entry(header, VALUE, TAC_1, said).description.levels == levels
        with pytest.raises(KeyNameError, match=f"levels to a card's key are {levels} in it"):
            arriving_entry(header, VALUE, TAC_1, Arrival(levels=3))
    # Without a name and days its levels are judged all the same.
    foreign = KeyBlockHeader("E0", "T", "X", "00", "E", {LEVELS_BLOCK: "3"})
    with pytest.raises(KeyNameError, match="levels to a card's key are 3 in it"):
        arriving_entry(foreign, VALUE, TAC_1)
    foreign = KeyBlockHeader("E0", "T", "X", "00", "E")
    assert arriving_entry(foreign, VALUE, TAC_1).description.levels == 1
    assert arriving_entry(foreign, VALUE, TAC_1, Arrival(levels=2)).description.levels == 2


def test_a_block_that_contradicts_the_custodians_is_refused() -> None:
    """One labelled purchase came in as load: their letters in a block are the same."""
    load, purchase = KeyRef(KeyUsage.LOAD, "shenzhen", 1), KeyRef(KeyUsage.PURCHASE, "shenzhen", 1)
    ours = header_of(entry(purchase).description, exportable=True)
    named_only = replace(ours, optional_blocks={LABEL_BLOCK: str(purchase)})
    in_words = replace(ours, version_number="00", optional_blocks={LABEL_BLOCK: "Purchase/Zone 7"})
    for header in (ours, named_only, in_words):
        with pytest.raises(KeyNameError, match=r"says that it holds .*urchase.*, not load"):
            arriving_entry(header, VALUE, load)
        said = Arrival(label="Purchase/Zone 7" if header is in_words else None)
        assert arriving_entry(header, VALUE, purchase, said).description.ref == purchase
    for version in ("02", "c1", "XX"):
        with pytest.raises(KeyNameError, match="its version number is of another version"):
            arriving_entry(KeyBlockHeader("E6", "T", "X", version), VALUE, purchase)
    for version in ("00", "01"):
        arriving_entry(KeyBlockHeader("E6", "T", "X", version), VALUE, purchase)


@pytest.mark.parametrize("state", sorted(set(KeyState) - {KeyState.DESTROYED}))
def test_whatever_state_a_block_claims_its_key_arrives_prepared(state: KeyState) -> None:
    first = date(2026, 1, 1)
    header = header_of(
        entry(TAC_1, state=state, valid_from=first, parent=ABOVE).description, exportable=True
    )
    said = Arrival(valid_from=first, parent=ABOVE)
    arrived = arriving_entry(header, VALUE, TAC_1, said).description
    assert arrived.state is KeyState.PREPARED
    assert (arrived.valid_from, arrived.parent) == (first, ABOVE)


@pytest.mark.parametrize("value", [b"", bytes(15), bytes(24)])
def test_a_value_that_is_no_key_of_that_use_is_refused(value: bytes) -> None:
    header = header_of(entry(TAC_1).description, exportable=True)
    with pytest.raises(KeyServiceError, match="bytes"):
        entry_of(header, value)


@given(refs)
def test_a_name_is_read_as_it_is_written(ref: KeyRef) -> None:
    assert read_name(str(ref)) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tac",
        "tac/shenzhen",
        "tac/shenzhen/1",
        "tac/shenzhen/v",
        "tac/shenzhen/v256",
        "tac/shenzhen/v01",
        "tac/shenzhen/v１",
        "tac/shenzhen/v-1",
        "tac/shen zhen/v1",
        "tac/深圳/v1",
        "tac//v1",
        "tac/../v1",
        "toc/shenzhen/v1",
        "tac/shenzhen/v1/v2",
        "tac/" + "x" * 65 + "/v1",
        "tac/shenzhen/v" + "9" * 5000,
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(KeyNameError):
        read_name(text)


@pytest.mark.parametrize("label", ["深圳", "shen/zhen", "", "a b", "x" * 65])
def test_a_label_that_a_block_cannot_hold_is_refused_when_it_leaves(label: str) -> None:
    with pytest.raises(KeyNameError):
        header_of(entry(KeyRef(KeyUsage.TAC, label, 1)).description, exportable=True)
