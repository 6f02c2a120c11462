"""`onecard hsm` in each language: every command, every slip of a person, what comes over a wire."""

import re
from pathlib import Path

import pytest

from api.cli.frame.faults import sentence_of
from api.cli.hsm import device as hsm_device
from api.cli.hsm import serve as hsm_serve
from cardcore.errors import CardcoreError, KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import KeyRef, KeyState, KeyUsage
from cardcore.text import Language, Text, text_of
from hsm_sim.device.blocks.components import ComponentFault
from hsm_sim.device.blocks.tr31 import KeyBlockFault
from hsm_sim.device.custodians import custody
from hsm_sim.device.log import read_line
from hsm_sim.host_commands.codec import ErrorCode
from hsm_sim.keys.vault import KeyVault
from hsm_sim.wire.codec.frames import decode_frame
from hsm_sim.wire.codec.messages import ERRORS, PUBLIC_KEY, decode_answer, encode_error
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import UnixAddress
from hsm_sim.wire.links.connection import Connection
from tests.api.cli.hsm.test_hsm_commands import SHEETS, Room
from tests.hsm_sim.device.devices import key_check_value
from tests.support.languages import assert_one_language

TAC = "tac/demo/v1"
#: A command or an option that is named, or what there is to choose from.
NEXT = re.compile(r"`onecard |`ls`|--[a-z]|有 .*、|may be|可用")
TODAY, BEFORE = "2030-01-02", "2030-01-01"


@pytest.fixture
def room(language: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    del language
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(hsm_device, "harden_process", lambda: None)
    monkeypatch.setattr(hsm_serve, "harden_process", lambda: None)
    made = Room(tmp_path)
    made.init()
    return made


def said(room: Room) -> str:
    """All that was said so far."""
    return room.said.decode()


def test_a_whole_ceremony_is_said_in_one_language(
    room: Room, language: Language, tmp_path: Path
) -> None:
    zmk = "transport/bank/v1"
    sheets, expected, _ = room.new_sheets("zmk")
    room.ceremony("load", zmk, *sheets, "--expect", expected, "--activate")
    value = key_check_value(SHEETS, KeyUsage.TAC)
    room.ceremony("load", TAC, *room.sheets(), "--expect", value, "--exportable")
    room.ceremony("activate", TAC)
    room.ceremony("generate", "tac/union/v1", "--activate", "--levels", "2")
    room.ceremony("derive", "tac/union/v1", "--as", "tac/issuer/v1", "--factor", "01011000FFFFFFFF")
    room.ceremony("validity", "tac/issuer/v1", "--from", "2030-01-01", "--until", "2039-12-31")
    room.say("rotate", "tac/demo", "--overlap-days", "7", *room.pins())
    room.say("export", TAC, "--under", zmk, "--out", tmp_path / "tac.block", *room.pins())
    bak, bak_expected, _ = room.new_sheets("bak")
    room.ceremony("backup", "--out", tmp_path / "all", *bak, "--expect", bak_expected)
    other = tmp_path / "other"
    room.init(at=other)
    room.ceremony("restore", tmp_path / "all", *bak, "--expect", bak_expected, at=other)
    third = tmp_path / "third"
    room.init(at=third)
    room.ceremony("load", zmk, *sheets, "--expect", expected, "--activate", at=third)
    named = ("--as", TAC, "--expect", value, "--until", room.last_day(TAC))
    block = ("import", str(tmp_path / "tac.block"), "--under", zmk, *room.pins())
    for wrong in ((*named, "--levels", "2"), (*named, "--labelled", "X"), named[:4]):
        room.say(*block, *wrong, exit_code=1, at=third)
    room.say(*block, *named, at=third)
    room.file("new.pin", "a pin for the third")
    new_pin = ("new-pin", "keeper-c", "--new-pin-file", f"keeper-c={room.folder / 'new.pin'}")
    room.ceremony(*new_pin)
    again = ("backup", "--out", str(tmp_path / "again"), *bak, "--expect", bak_expected)
    room.ceremony(*again, exit_code=1)
    room.ceremony("load", "transport/bank/v2", *sheets, "--expect", expected, exit_code=1)
    room.ceremony("retire", "tac/union/v1")
    room.ceremony("destroy", TAC, "--yes")
    room.say("keys", "--csv", tmp_path / "keys.csv")
    room.say("ceremony", "log")
    room.ceremony("log", "--verify")
    room.ceremony("destroy-device", "--yes", room.json("keys")["device"])
    assert_one_language(said(room), language)
    assert_one_language((tmp_path / "keys.csv").read_text("utf-8-sig"), language)
    assert (tmp_path / "keys.csv").read_text("utf-8-sig").count("\n") == 6


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("ceremony", "generate", "tac"), 2),
        (("ceremony", "generate", TAC, "--algorithm", "rsa"), 2),
        (("ceremony", "generate", "tac/x/v1", "--levels", "2", "--activate"), 0),
        (("ceremony", "derive", "tac/a/v1", "--as", "tac/b/v1", "--factor", "xy"), 2),
        (("ceremony", "derive", "tac/a/v1", "--as", "tac/b/v1", "--factor", "00" * 8), 1),
        (("ceremony", "derive", "tac/a/v1", "--as", "load/b/v1", "--factor", "00" * 8), 1),
        (("ceremony", "activate", "tac/nobody/v1"), 1),
        (("ceremony", "retire", "tac/held/v1"), 0),
        (("ceremony", "generate", "tac/held/v1"), 1),
        (
            (
                "ceremony",
                "validity",
                "tac/held/v1",
                "--from",
                "2030-01-02",
                "--until",
                "2030-01-01",
            ),
            1,
        ),
        (("ceremony", "destroy", "tac/held/v1"), 2),
        (("ceremony", "load", TAC), 2),
        (("ceremony", "load", TAC, "--component", "0011223344"), 2),
        (("ceremony", "load", TAC, "--component", "keeper-a=nowhere"), 2),
        (("ceremony", "restore", "nowhere"), 2),
        (("ceremony", "new-pin", "nobody", "--new-pin-file", "nobody=nowhere"), 2),
        (("ceremony", "destroy-device", "--yes", "00"), 1),
        (("rotate", "load/demo"), 1),
        (("rotate", "tac/held", "--on", "2000-01-01"), 1),
        (("rotate", "tac/held", "--expect", "00"), 2),
        (("rotate", "tac/held", "tac/x", "--from-components"), 2),
        (("import", "nowhere", "--under", "transport/bank/v1", "--as", "tac/demo/v1"), 2),
        (("export", "tac/held/v1", "--under", "transport/bank/v1", "--out", "new.block"), 1),
        (("to-token", "nonsense", "tac/held/v1"), 2),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_every_refusal_is_said_in_one_language_and_names_what_to_do(
    room: Room, language: Language, words: tuple[str, ...], exit_code: int
) -> None:
    room.ceremony("generate", "tac/held/v1")
    room.said = b""
    try:
        room.say(*words, *room.pins(), exit_code=exit_code)
    except Exception as error:
        if isinstance(error, AssertionError):
            raise
        # What the frame around commands says of it.
        room.said += str(error).encode()
    assert said(room).strip()
    assert_one_language(said(room), language)
    if exit_code:
        assert NEXT.search(said(room)), said(room)


def test_pins_are_refused_in_one_language(room: Room, language: Language, tmp_path: Path) -> None:
    command = ("ceremony", "generate", TAC)
    room.said = b""
    room.say(*command, *room.pins("keeper-a"), exit_code=1)
    room.file("keeper-b.pin", "not the pin")
    for _ in range(6):
        room.ceremony("generate", TAC, exit_code=1)
    room.say("keys")
    (room.folder / "keeper-b.pin").chmod(0o644)
    room.ceremony("generate", TAC, exit_code=2)
    room.say("keys", exit_code=1, at=tmp_path / "nowhere")
    room.say("ceremony", "init", "--custodian", "a", "--custodian", "a", exit_code=2,
             at=tmp_path / "new")  # fmt: skip
    room.say("ceremony", "init", exit_code=1)
    room.say("ceremony", "init", "--public-test-keys", "nowhere", exit_code=2)
    log = room.device / "log.jsonl"
    log.write_text(log.read_text().replace("open", "shut", 1))
    room.say("ceremony", "log", exit_code=1)
    assert_one_language(said(room), language)


def test_the_log_is_in_english_whoever_writes_it(room: Room) -> None:
    room.ceremony("activate", "tac/nobody/v1", exit_code=1)
    lines = [read_line(line) for line in (room.device / "log.jsonl").read_bytes().splitlines()]
    (refused,) = [line for line in lines if line and line["outcome"] == "refused"]
    assert refused["reason"] == "tac/nobody/v1: no version of this key is held"


def test_a_key_service_is_not_begun_in_one_language(
    room: Room, language: Language, tmp_path: Path
) -> None:
    room.said = b""
    rights = tmp_path / "rights.toml"
    rights.write_text("[[right]]\nwho = 'nobody'\n")
    for words in (
        (),
        ("--tls", "127.0.0.1:0"),
        ("--socket", tmp_path / "absent" / "keys.socket"),
        ("--socket", tmp_path / ("x" * 120)),
        ("--socket", tmp_path / "s", "--host-commands", "0.0.0.0:1500"),
        ("--socket", tmp_path / "s", "--host-commands", "nonsense"),
        ("--socket", tmp_path / "s", "--rights", rights),
        ("--socket", tmp_path / "s", "--rights", tmp_path),
        ("--socket", tmp_path / "s", "--rights", tmp_path / "absent"),
        ("--tls", "127.0.0.1:0", "--certificate", rights, "--key", rights, "--clients-ca", rights),
    ):
        room.say("serve", *words, exit_code=2)
    assert_one_language(said(room), language)
    assert len(said(room).splitlines()) >= 10


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_what_a_key_service_refuses_is_said_in_the_language_of_the_client(
    language: Language, kind: type[CardcoreError]
) -> None:
    """What travels is English; the client says the kind of it, and of which key."""
    frame = decode_frame(encode_error(7, kind("tac/demo/v9: some reason of the service"))[4:])
    with pytest.raises(kind) as told:
        decode_answer(frame, 7, PUBLIC_KEY)
    assert "tac/demo/v9" in str(told.value)
    assert_one_language(str(told.value), language)
    assert text_of(told.value).en == "tac/demo/v9: some reason of the service"
    if isinstance(told.value, KeyServiceError | KeyServiceUnavailableError):
        sentence = sentence_of(told.value)
        assert sentence
        assert_one_language(sentence, language)


def test_a_refusal_travels_in_english_whatever_the_service_speaks(language: Language) -> None:
    del language
    with pytest.raises(KeyServiceError) as told:
        KeyVault({}).describe(KeyRef(KeyUsage.TAC, "demo", 1))
    frame = decode_frame(encode_error(1, told.value)[4:])
    assert frame.header["message"] == "tac/demo/v1: no version of this key is held"


def test_nobody_at_an_address_is_said_in_one_language(language: Language, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path / ("x" * 120), tmp_path):
        with pytest.raises(KeyServiceUnavailableError) as told:
            Connection(UnixAddress(path), 1)
        assert_one_language(str(told.value), language)


KINDS = [
    *(each.use for each in KeyUsage),
    *(each.text for each in KeyState),
    *(each.text for each in EventKind),
    *(each.text for each in ComponentFault),
    *(each.text for each in KeyBlockFault),
]


@pytest.mark.parametrize("said", KINDS, ids=[f"{number}" for number in range(len(KINDS))])
def test_every_kind_has_its_words(said: Text) -> None:
    assert_one_language(said.zh, Language.ZH)
    assert_one_language(said.en, Language.EN)


def test_every_code_of_a_host_command_has_its_words() -> None:
    for each in ErrorCode:
        assert_one_language(each.words_zh, Language.ZH)
