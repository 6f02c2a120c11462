"""`onecard card`: what people type, over a real pcscd, and published dumps."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli.frame.program import app
from cardcore.chip.card import Card
from cardcore.text import Language, spoken
from tests.cardcore.chip.reference_terminal import ReferenceTerminal
from tests.cardcore.transit_cards import LOAD_KEY, PROFILE, PURCHASE_KEY, TAC_KEY, TRIP
from tests.cardcore.transit_cards import a_card as a_keyed_card
from tests.pcsc.slots import CARD_ATR, READERS, Slots, needs_pcscd, run, wait_until
from tests.support.patience import SLOW_S, SOON_S
from tests.support.shared import VECTORS, needs_shared

SELECT = "00 A4 04 00 08 A000000632010105 00"
PIN = "123456"
#: As at a terminal: a shell that runs the tests in the background lets them ignore Ctrl-C.
HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def onecard(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
    return CliRunner().invoke(
        app, ["card", *arguments], input=stdin, env={"COLUMNS": "200", **environment}
    )


def as_json(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    result = onecard(*arguments, "--json")
    assert result.exit_code == exit_code, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


@needs_shared
@pytest.mark.parametrize("name", ["tunion_cards", "city_cards", "tunion_trips"])
def test_published_dumps_are_parsed_whole(name: str) -> None:
    published = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    cards = as_json("parse", str(VECTORS / f"{name}.json"))["cards"]
    if name == "tunion_trips":
        assert len(cards[0]["trips"]) == len(published["records"])
        return
    entries = published.get("records") or published["cards"]
    assert [card["name"] for card in cards] == [entry["name"] for entry in entries]
    for card, entry in zip(cards, entries, strict=True):
        expected = entry.get("expect")
        if expected is None:
            continue
        assert card["serial"] == expected["serial"]
        assert card["valid_from"].replace("-", "") == expected["valid_from"]
        assert card["valid_to"].replace("-", "") == expected["valid_to"]
        assert card["balance_fen"] == expected["coreextendednfc_balance_fen"]
        assert card["available_fen"] == expected["metrodroid_balance_fen"]
        assert [row["counter"] for row in card["log"]] == [row["seq"] for row in entry["records18"]]


def test_a_damaged_dump_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text(
        json.dumps(
            {"file15": PROFILE.public.encode().hex(), "balance_p1_00": "0000zz", "rec18": ""}
        ),
        "utf-8",
    )
    (card,) = as_json("parse", str(path))["cards"]
    assert card["card_number"] == PROFILE.public.card_number
    assert card["balance_fen"] is None
    assert {problem["part"] for problem in card["problems"]} == {"balance_p1_00", "rec18"}
    assert "balance_p1_00" in onecard("parse", str(path)).stdout


@pytest.mark.parametrize("text", [None, "not json", "[]"])
def test_a_file_that_is_no_dump_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "dump.json"
    if text is not None:
        path.write_text(text, "utf-8")
    assert onecard("parse", str(path)).exit_code == 2


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_dump_of_which_nothing_is_known_is_no_success_and_says_what_was_not_read(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "app.json"
    fci = "6F318408A000000632010105A5259F0801029F0C1E"
    path.write_text(json.dumps({"tagId": "01020304", "app": [{"appFci": fci}]}), "utf-8")
    result = onecard("parse", str(path), *options)
    assert result.exit_code == 1
    assert "nothing of a card was recognised" in result.stderr
    assert "app[0].appFci" in result.stderr
    assert bool(result.stdout) is bool(options)


def test_a_file_without_a_part_of_a_card_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"name": "minutes", "keys": ["00"]}', "utf-8")
    result = onecard("parse", str(path))
    assert result.exit_code == 1
    assert str(path) in result.output


@pytest.mark.parametrize("line", [f"00 20 00 00 03 {PIN}zz", "0020"])
def test_an_apdu_that_is_none_is_refused_without_being_repeated(line: str) -> None:
    result = onecard("apdu", line)
    assert result.exit_code == 2
    assert PIN not in result.output


@pytest.mark.parametrize(
    "arguments", [("read", "nothing"), ("read", "log", "--application", "x"), ("serve",),
                  ("serve", "--vpcd", "--product", "x"), ("list", "--watch", "--json")],
)  # fmt: skip
def test_a_word_that_means_nothing_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    assert onecard(*arguments).exit_code == 2


def with_pcscd(test: Callable[..., None]) -> Callable[..., None]:
    for mark in needs_pcscd:
        test = mark(test)
    return test


class TestWithACard:
    pytestmark = needs_pcscd

    @pytest.fixture(autouse=True)
    def card(self, slots: Slots) -> Card:
        card = a_keyed_card()
        terminal = ReferenceTerminal(card.transmit, PURCHASE_KEY, LOAD_KEY, TAC_KEY)
        terminal.select()
        terminal.load(10_000)
        terminal.purchase(380, records=[("00F0", TRIP.encode())])
        slots.insert(card)
        return card

    def test_list_info_and_read_say_what_the_card_says(self) -> None:
        states = as_json("list")["readers"]
        assert [state["is_present"] for state in states] == [True, False]
        assert states[0]["atr"] == CARD_ATR.hex().upper()

        said = as_json("info", "--unmask")
        assert said["card_number"] == PROFILE.public.card_number
        assert (said["valid_from"], said["valid_to"]) == ("2018-01-01", "2040-12-31")
        assert said["balance_fen"] == 9_620
        assert [row["amount_fen"] for row in said["log"]] == [380, 10_000]
        assert [row["station"] for row in said["trips"]] == [7]
        assert [each["aid"] for each in said["applications"]] == ["A000000632010105"]
        assert said["problems"] == []

        for name in ("public", "15", "EF15", "0015"):
            content = as_json("read", name, "--unmask")["content"]
            assert content == [PROFILE.public.encode().hex().upper()], name
        log = as_json("read", "log")
        assert [fields["counter"] for fields in log["fields"]] == [0, 0]
        assert as_json("read", "trips", "--record", "1")["fields"][0]["amount_fen"] == 380
        assert as_json("read", "1D", exit_code=1)["sw"] == "6A82"
        assert as_json("read", "log", "--application", "health", exit_code=1)["sw"] == "6A82"

    def test_apdu_and_trace_speak_in_words_of_either_language(self, tmp_path: Path) -> None:
        said = as_json("apdu", SELECT, "805C000204")["exchanges"]
        assert [each["sw"] for each in said] == ["9000", "9000"]
        assert said[1]["data"] == "00002594"
        refused = onecard("apdu", "00B0950000")
        assert refused.exit_code == 1
        assert "> 00 B0 95 00 00" in refused.stdout
        assert refused.stdout.splitlines()[1] == "< 6A82 file not found"
        with spoken(Language.ZH):
            assert onecard("apdu", "00B0950000").stdout.splitlines() == [
                "> 00 B0 95 00 00  READ BINARY 读二进制",
                "< 6A82 未找到文件",
            ]

        script = tmp_path / "balance.txt"
        script.write_text(f"# balance\n{SELECT}\n80 5C 00 02 04  # EP\n", "utf-8")
        traced = onecard("trace", str(script)).stdout.splitlines()
        assert [line[0] for line in traced] == [">", "<", ">", "<"]
        assert traced[3] == "< 00 00 25 94 | 9000 ok"
        told = as_json("trace", str(script))["exchanges"]
        assert told == as_json("apdu", SELECT, "805C000204")["exchanges"]
        whole = onecard("trace").stdout
        assert "SELECT" in whole
        assert "READ RECORD" in whole

    @pytest.mark.parametrize(
        "head", ["00 20 00 00 03", "80 5E 01 00 07", "84 24 00 00 08", "84 D8 01 81 03"]
    )
    def test_a_pin_or_key_is_never_printed(self, head: str) -> None:
        line = f"{head} {PIN}"
        results = [onecard("apdu", line), onecard("apdu", line, "--json")]
        results.append(onecard("apdu", "-", stdin=line))
        for result in results:
            assert head[:5] in result.stdout
            assert PIN not in result.output.replace(" ", "")
            assert "not shown" in result.stdout

    def test_the_reader_is_chosen_by_option_or_environment(self) -> None:
        assert onecard("info", "--reader", "00 00").exit_code == 0
        assert onecard("info", ONECARD_READER="PCD 00 00").exit_code == 0
        for result in (
            onecard("info", "--reader", "omnikey"),
            onecard("info", ONECARD_READER="vir"),
        ):
            assert result.exit_code == 1
        empty = onecard("info", "--reader", READERS[1])
        assert empty.exit_code == 1
        assert "no card is on the reader" in empty.stderr
        with spoken(Language.ZH):
            assert "没有卡" in onecard("info", "--reader", READERS[1]).stderr


@pytest.fixture
def served(slots: Slots) -> Iterator[subprocess.Popen[str]]:
    program = f"{HEED}; from api.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "card", "serve", "--vpcd", "--balance", "12345"],
        stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "ONECARD_LANG": "en"},
    )  # fmt: skip
    wait_until(lambda: slots.is_present(0), "the served card is in its slot")
    yield process
    process.kill()
    process.communicate(timeout=SOON_S)
    slots.wait_empty()


@with_pcscd
def test_a_served_card_is_there_until_it_is_interrupted(
    slots: Slots, served: subprocess.Popen[str]
) -> None:
    said = as_json("info")
    assert said["balance_fen"] == 12_345
    assert len(said["applications"]) == 5
    # 3039 is 12,345: somebody else's program reads the same balance.
    other = run("opensc-tool", "-r", "0", "-s", SELECT, "-s", "80 5C 00 02 04")
    assert "00 00 30 39" in other
    assert run("opensc-tool", "-r", "0", "-a").strip() == CARD_ATR.hex(":")
    served.send_signal(signal.SIGINT)
    _, told = served.communicate(timeout=SOON_S)
    assert served.returncode == 130, told
    assert "¥123.45" in told
    assert told.splitlines()[-1].startswith("The card is out and not kept")
    slots.wait_empty()


@with_pcscd
@pytest.mark.usefixtures("slots")
def test_a_watch_that_is_interrupted_says_that_nothing_changed() -> None:
    program = f"{HEED}; from api.cli import main; main()"
    watching = subprocess.Popen(
        [sys.executable, "-c", program, "card", "list", "--watch"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert watching.stdout is not None
    assert "the reader was plugged in" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, told = watching.communicate(timeout=SOON_S)
    assert (watching.returncode, told) == (130, "Watching has ended; nothing was changed.\n")


@with_pcscd
@pytest.mark.filterwarnings("ignore::cardcore.keys.InsecureKeyServiceWarning")
@pytest.mark.usefixtures("slots")
def test_the_bench_measures_rides_over_readers_beside_bare_round_trips(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["bench", "tap", "--pcsc", "--taps", "100", "--data", str(tmp_path), "--json"]
    )
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert (measured["records"], measured["apdus"]) == (100, 6)
    assert 0 < measured["round_trip_p50_ms"] < measured["p50_ms"] <= measured["p99_ms"]
    assert measured["baseline_seconds"] < measured["seconds"]


@pytest.mark.filterwarnings("ignore::cardcore.keys.InsecureKeyServiceWarning")
def test_serving_where_no_virtual_reader_is_says_what_to_install() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        result = onecard("serve", "--vpcd", "--port", str(port))
    assert result.exit_code == 1
    assert "sudo apt install pcscd vsmartcard-vpcd" in result.stderr


@pytest.mark.filterwarnings("ignore::cardcore.keys.InsecureKeyServiceWarning")
def test_more_money_than_the_card_may_hold_is_refused_before_it_is_served() -> None:
    result = onecard("serve", "--vpcd", "--product", "anonymous", "--balance", "100001")
    assert result.exit_code == 1
    assert "beyond what the card takes" in result.stderr


def test_without_pcscd_the_command_says_how_to_start_it() -> None:
    pytest.importorskip("smartcard")
    # libpcsclite asks this name for its daemon; nobody listens there.
    program = "from api.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "card", "info"],
        env={**os.environ, "PCSCLITE_CSOCK_NAME": "/nonexistent/pcscd.comm", "ONECARD_LANG": "en"},
        capture_output=True, text=True, timeout=SLOW_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pcscd is not running" in done.stderr
    assert "sudo pcscd --foreground" in done.stderr
    assert "Traceback" not in done.stderr
