"""The log: whatever is changed, removed, put elsewhere or cut off is found."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cardcore.keys import KeyState
from hsm_sim.device.ceremony import move
from hsm_sim.device.errors import CustodyError, DeviceError, LogError
from hsm_sim.device.inspection import log_lines, prove_log
from hsm_sim.device.log import (
    REASON_CHARACTERS_MAX,
    DeviceLog,
    Event,
    LogEntry,
    Outcome,
    canonical,
    read_entry,
)
from hsm_sim.device.storage import DeviceFolder
from tests.hsm_sim.device.devices import OTHER_PAIR, PAIR, TAC_1, TAC_2, add, make, reopen

Lines = list[bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A device with a log of six entries."""
    device = make(tmp_path / "device")
    add(device, TAC_1)
    add(device, TAC_2)
    reopen(tmp_path / "device", OTHER_PAIR)
    with pytest.raises(CustodyError):
        reopen(tmp_path / "device", {**PAIR, "甲": b"wrong pin"})
    reopen(tmp_path / "device", PAIR)
    return tmp_path / "device"


def rewrite(path: Path, change: Callable[[Lines], Lines]) -> None:
    file = path / "log.jsonl"
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))


def changed(number: int, name: str, value: object) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        document = json.loads(lines[number])
        document[name] = value
        return [*lines[:number], json.dumps(document).encode() + b"\n", *lines[number + 1 :]]

    return change


def test_every_attempt_stands_in_the_log_with_who_and_why(path: Path) -> None:
    entries = log_lines(path)
    assert [(e["action"], e["outcome"], e["key"]) for e in entries] == [
        ("init", "done", ""),
        ("generate", "done", "tac/demo/v1"),
        ("generate", "done", "tac/demo/v2"),
        ("open", "done", ""),
        ("open", "refused", ""),
        ("open", "done", ""),
    ]
    assert (
        entries[4]["reason"]
        == "乙 and 甲: wrong PIN, whose is not known; 4 tries left. Who forgot theirs: "
        "`onecard hsm ceremony new-pin`"
    )
    assert entries[4]["roles"] == ["甲", "乙"]
    assert len(entries[1]["check_value"]) == 6


def test_a_log_nobody_touched_holds_and_is_sealed_to_its_end(path: Path) -> None:
    proof = prove_log(path)
    assert (proof.count, proof.sealed_count) == (6, 6)
    assert proof.head == log_lines(path)[-1]["hash"]
    assert prove_log(path, log_lines(path)[2]["hash"][:16]) == proof


TAMPERED: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "another key": (changed(1, "key", "tac/demo/v9"), 2),
    "refused becomes done": (changed(4, "outcome", "done"), 5),
    "another time": (changed(2, "time", "2026-09-02T00:00:00+00:00"), 3),
    "a number as text": (changed(2, "sequence", "3"), 3),
    "another hash": (changed(3, "hash", "00" * 32), 4),
    "a field more": (changed(0, "extra", 1), 1),
    "one removed": (lambda lines: lines[:2] + lines[3:], 3),
    "the first removed": (lambda lines: lines[1:], 1),
    "two exchanged": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
    "one twice": (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
    "no JSON": (lambda lines: [*lines[:2], b"not an entry\n", *lines[2:]], 3),
    "no object": (lambda lines: [*lines[:2], b"[1]\n", *lines[2:]], 3),
    "nested without end": (lambda lines: [*lines[:2], b"[" * 100_000 + b"\n", *lines[2:]], 3),
    "half a character": (changed(1, "reason", "\ud800"), 2),
    "a number that is none": (changed(1, "generation", float("inf")), 2),
    "older keys": (changed(2, "generation", 1), 3),
    "the last cut off": (lambda lines: lines[:-1], 6),
    # The third entry stands in the device's file too, and is written again before the cut is found.
    "a tail cut off": (lambda lines: lines[:2], 4),
    "nothing left": (lambda _: [], 1),
}


@pytest.mark.parametrize(("change", "first"), TAMPERED.values(), ids=TAMPERED)
def test_tampering_is_found_at_its_first_entry_and_the_device_stays_shut(
    path: Path, change: Callable[[Lines], Lines], first: int
) -> None:
    rewrite(path, change)
    with pytest.raises(LogError) as caught:
        prove_log(path)
    assert caught.value.sequence == first
    with pytest.raises(LogError):
        reopen(path)


def forged(path: Path, change: Callable[[int, Event], Event | None]) -> DeviceLog:
    """Write the log of a device anew, as whoever can hash could: a chain that holds."""
    device_id = json.loads((path / "device.json").read_text())["device_id"]
    folder = DeviceFolder(path.with_name("forged"))
    with folder.making():
        log = DeviceLog(folder, device_id)
    previous = log.head
    for number, line in enumerate(log_lines(path), 1):
        honest = read_entry(line, number, previous)
        previous = honest.hash
        event = change(number, honest.event)
        if event is not None:
            log.write(log.following(event, honest.generation))
    (path / "log.jsonl").write_bytes((folder.path / "log.jsonl").read_bytes())
    return log


def test_a_tail_written_anew_is_found_by_its_seal(path: Path) -> None:
    forged(path, lambda number, event: replace(event, reason="fine") if number == 5 else event)
    with pytest.raises(LogError, match="log entry 6: is not the one that was sealed"):
        prove_log(path)


def test_a_seal_cannot_be_forged_with_the_tail(path: Path) -> None:
    log = forged(path, lambda number, event: None if number == 5 else event)
    with pytest.raises(LogError, match="is missing, up to 6"):
        prove_log(path)
    document = json.loads((path / "device.json").read_text())
    document["log"] = {"count": log.count, "hash": log.head}
    (path / "device.json").write_text(json.dumps(document))
    assert prove_log(path).count == 5, "without the storage key the chain is all there is to see"
    with pytest.raises(DeviceError, match="the device's file was altered"):
        reopen(path)


def test_a_log_put_back_to_an_older_day_is_found_by_the_next_command(path: Path) -> None:
    """Log and seal were two files beside the keys, and both put back said that nothing was cut."""
    morning = (path / "log.jsonl").read_bytes()
    device = reopen(path)
    for number in range(5):
        device.note_quickly("serve done", Outcome.DONE, f"a key left for card {number}")
    device.seal_log()
    device.close()
    (path / "log.jsonl").write_bytes(morning)
    for command in (prove_log, reopen):
        with pytest.raises(LogError, match="is missing, up to 12: the log was cut"):
            command(path)
    assert (path / "log.jsonl").read_bytes() == morning, "nothing was added to it"


def test_keys_put_back_to_an_older_day_do_not_fit_the_log(path: Path) -> None:
    """Whoever writes in the folder, and has no PIN, brings a destroyed key back from a copy."""
    older = (path / "device.json").read_bytes()
    move(reopen(path), TAC_1, KeyState.DESTROYED)
    (path / "device.json").write_bytes(older)
    for command in (prove_log, reopen):
        with pytest.raises(LogError, match="an older file was put in its place"):
            command(path)


def test_no_entry_made_up_by_a_stranger_hides_an_older_file(path: Path) -> None:
    older = (path / "device.json").read_bytes()
    move(reopen(path), TAC_1, KeyState.DESTROYED)
    (path / "device.json").write_bytes(older)
    lines = log_lines(path)
    generation = lines[2]["generation"]
    assert [line["generation"] for line in lines] == [0, 1, 2, 2, 2, 2, 2, 3]
    event = read_entry(lines[0], 1, lines[0]["previous"]).event
    made_up = LogEntry(len(lines) + 1, generation, event, lines[-1]["hash"])
    rewrite(path, lambda whole: [*whole, canonical(made_up.document()) + b"\n"])
    with pytest.raises(LogError, match="tells of older keys than the one before"):
        reopen(path)


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", '""', '{"count": "x", "hash": 1}', '{"count": 1e999, "hash": ""}'],
)
def test_an_end_of_the_log_that_is_none_is_damage(path: Path, content: str) -> None:
    document = json.loads((path / "device.json").read_text())
    (path / "device.json").write_text(json.dumps(document | {"log": json.loads(content)}))
    with pytest.raises(DeviceError, match="the device's file was altered"):
        reopen(path)


def test_a_head_noted_in_the_minutes_that_is_not_there_tells_of_an_older_folder(path: Path) -> None:
    for noted in ("ab" * 32, "", log_lines(path)[0]["hash"][:15]):
        with pytest.raises(LogError, match="none of the entries has the hash"):
            prove_log(path, noted)


def test_a_line_cut_in_half_by_a_power_cut_is_dropped_and_the_log_goes_on(path: Path) -> None:
    with (path / "log.jsonl").open("ab") as file:
        file.write(b'{"action":"op')
    device = reopen(path)
    assert prove_log(path).count == 7
    move(device, TAC_1, device.vault.describe(TAC_1).state)
    assert prove_log(path).count == 8


def test_a_log_cut_under_a_device_that_is_open_shuts_it(path: Path) -> None:
    device = reopen(path)
    (path / "log.jsonl").write_bytes(b"")
    with pytest.raises(LogError, match="the log was cut"):
        device.note("serve")
    assert device.vault.refs() == ()
    with pytest.raises(DeviceError, match="is closed"):
        device.refresh()


def test_what_is_no_entry_is_left_out_of_a_list(path: Path) -> None:
    with (path / "log.jsonl").open("ab") as file:
        file.write(b"[1]\nrubbish\n" + b"[" * 100_000 + b"\n")
    assert len(log_lines(path)) == 6


def test_two_processes_write_one_chain(path: Path) -> None:
    first, second = reopen(path, PAIR), reopen(path, OTHER_PAIR)
    for number in range(3):
        first.note("serve", Outcome.REFUSED, reason=f"request {number}")
        second.note("serve", reason=f"client {number}")
    assert prove_log(path).count == 6 + 2 + 6


def test_a_long_reason_is_cut_and_strange_characters_do_no_harm(path: Path) -> None:
    device = reopen(path)
    device.note("serve", Outcome.REFUSED, reason="\n\x00\u2028" + "长" * 1000)
    assert prove_log(path).count == 8
    assert len(log_lines(path)[-1]["reason"]) == REASON_CHARACTERS_MAX
