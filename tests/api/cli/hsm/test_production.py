"""Production: everything it refuses is listed by `onecard doctor --production`, and refused.

One table of conditions, a row for each rule of `api.production`: set up the condition, see it
listed, see the operation itself refused.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.frame.program import app
from api.cli.hsm import device as hsm_device
from api.cli.hsm import serve as hsm_serve
from api.composition import open_city_keys
from api.production import RULES
from api.settings import SettingsRefusedError, read_settings
from cardcore.keys import InsecureKeyServiceWarning, KeyRef, KeyState, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Language, spoken
from hsm_sim.device import device as devices
from hsm_sim.device.ceremony import NewKey, generate
from hsm_sim.device.custodians import custody
from hsm_sim.device.device import Device
from settlement.rulings.proposals import Refused
from settlement.service.ruling.people import found_office
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority, Paper
from tests.settlement.device_files import make_office
from tests.settlement.rulings.crew import ADA, BO, MONDAY, enrolled, new_person, secret_of
from tests.support.languages import assert_one_language

PINS = {"keeper-a": b"first pin 11", "keeper-b": b"second pin 22"}
GENERATE = ("hsm", "ceremony", "generate", "tac/demo/v9")


@dataclass(frozen=True)
class Tls:
    """What a key service over TLS trusts."""

    authority: Authority
    paper: Paper
    revoked: Path

    @property
    def words(self) -> list[str]:
        return [
            *("--key", str(self.paper.private_key)),
            *("--clients-ca", str(self.authority.path)),
            *("--revoked", str(self.revoked)),
        ]


@dataclass
class Desk:
    """A device of a city and what lies about it, good in production until a case spoils it."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    pins: dict[str, bytes] = field(default_factory=PINS.copy)

    @property
    def device(self) -> Path:
        return self.folder / "device"

    def pin_files(self) -> list[str]:
        said = []
        for role, pin in self.pins.items():
            path = self.folder / f"{role}.pin"
            path.write_bytes(pin)
            path.chmod(0o600)
            said += ["--pin-file", f"{role}={path}"]
        return said

    def rights(self) -> list[str]:
        path = self.folder / "rights.toml"
        path.write_text('[[right]]\nwho = "certificate:clearing"\nduties = ["proving"]\n')
        path.chmod(0o644)
        return ["--rights", str(path)]

    def socket(self) -> Path:
        return self.folder / "keys.socket"

    def tls(self) -> Tls:
        """Papers of a service over TLS, good in production."""
        (self.folder / "tls").mkdir()
        authority = Authority(self.folder / "tls", "city")
        made = Tls(authority, authority.issue("keys", usages=SERVICE), self.folder / "revoked.pem")
        authority.revoke(made.revoked)
        made.paper.private_key.chmod(0o600)
        for each in (made.revoked, authority.path, made.paper.certificate):
            each.chmod(0o644)
        return made

    def put(self, *values: bytes) -> None:
        """Keys in the device that no ceremony would take in."""
        opened = Device.open(self.device, PINS)
        with self.monkeypatch.context() as patch:
            patch.setattr(devices, "check_strength", lambda *_, **__: None)
            with opened.step("load") as step:
                for number, value in enumerate(values, 1):
                    ref = KeyRef(KeyUsage.TAC, f"city-{number}", 1)
                    step.vault.install(ref, value, None, state=KeyState.ACTIVE)


@dataclass(frozen=True)
class Asked:
    """How doctor is asked, and what is refused then."""

    doctor: list[str]
    operation: Callable[[], Result]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refusal(done: Result) -> str:
    """A refusal and nothing else: not a fault, and not a thing done."""
    assert done.exit_code != 0
    assert done.exception is None or isinstance(done.exception, SettingsRefusedError | SystemExit)
    return done.stderr + str(done.exception)


def of_device(desk: Desk) -> Asked:
    words = ["--device", str(desk.device), *desk.pin_files()]
    return Asked([*words, *desk.rights()], lambda: run(*GENERATE, *words))


def of_serving(desk: Desk, *more: str, rights: bool = True) -> Asked:
    words = ["--device", str(desk.device), *desk.pin_files(), "--socket", str(desk.socket())]
    words += [*(desk.rights() if rights else ()), *more]
    return Asked(words, lambda: run("hsm", "serve", *words))


def in_process(desk: Desk) -> Asked:
    desk.monkeypatch.delenv("ONECARD_KEY_SERVICE")
    return Asked([], lambda: run("city", "keys", "--data", desk.folder))


def simulation(desk: Desk) -> Asked:
    world = desk.folder / "world"
    world.mkdir()
    (world / "chips.sqlite").touch()
    # The key service of this environment, whose keys are public; the wish is what is refused.
    with desk.monkeypatch.context() as patch:
        patch.delenv("ONECARD_ENVIRONMENT")
        patch.delenv("ONECARD_KEY_SERVICE")
        with pytest.warns(InsecureKeyServiceWarning):
            keys = open_city_keys(read_settings(), SCHEMES["demo"])
    desk.monkeypatch.setattr("api.bench.cards.open_city_keys", lambda *_: keys)
    return Asked(["--data", str(desk.folder)], lambda: run("bench", "personalise", "--cards", "1"))


def public_keys(desk: Desk) -> Asked:
    other = desk.folder / "demo"
    with desk.monkeypatch.context() as patch:
        patch.delenv("ONECARD_ENVIRONMENT")
        made = Device.create(other, PINS, is_demonstration=True)
    made.close()
    words = ["--device", str(other), *desk.pin_files()]
    doctor = [*words, *desk.rights()]
    return Asked(doctor, lambda: run(*GENERATE, *words))


def shared_keys(desk: Desk) -> Asked:
    value = bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")
    desk.put(value, value)
    return of_serving(desk)


def weak_keys(desk: Desk) -> Asked:
    desk.put(bytes.fromhex("0101010101010101E15B3C98F2067AD4"))
    return of_serving(desk)


def weak_pins(desk: Desk) -> Asked:
    desk.pins = {"keeper-a": b"123456", "keeper-b": PINS["keeper-b"]}
    asked = of_device(desk)
    init = ("--custodian", "keeper-a", "--custodian", "keeper-b", "--device", desk.folder / "new")
    return Asked(asked.doctor, lambda: run("hsm", "ceremony", "init", *init, *desk.pin_files()))


def shared_pins(desk: Desk) -> Asked:
    desk.pins = dict.fromkeys(PINS, PINS["keeper-a"])
    asked = of_device(desk)
    init = ("--custodian", "keeper-a", "--custodian", "keeper-b", "--device", desk.folder / "new")
    return Asked(asked.doctor, lambda: run("hsm", "ceremony", "init", *init, *desk.pin_files()))


def open_folder(desk: Desk) -> Asked:
    desk.device.chmod(0o750)
    return of_device(desk)


def log(desk: Desk) -> Asked:
    (desk.device / "log.jsonl").rename(desk.folder / "log.away")
    return of_device(desk)


def no_rights(desk: Desk) -> Asked:
    return of_serving(desk, rights=False)


def no_revocations(desk: Desk) -> Asked:
    return of_serving(desk, "--tls", "127.0.0.1:0")


def host_commands(desk: Desk) -> Asked:
    return of_serving(desk, "--host-commands", "127.0.0.1:0")


def open_socket(desk: Desk) -> Asked:
    desk.folder.chmod(0o777)
    return of_serving(desk)


def of_tls(desk: Desk, spoil: Callable[[Tls], None], *words: str) -> Asked:
    """Serving over TLS with everything in order but what is spoilt."""
    papers = desk.tls()
    spoil(papers)
    said = ["--tls", "127.0.0.1:0", *papers.words, *words]
    asked = of_serving(desk, *said, "--certificate", str(papers.paper.certificate))
    doctor = [*asked.doctor[:-2], *words]
    return Asked(doctor, asked.operation)


def trust_files(desk: Desk) -> Asked:
    return of_tls(desk, lambda papers: papers.paper.private_key.chmod(0o644))


def revocation_days(desk: Desk) -> Asked:
    return of_tls(desk, lambda papers: papers.authority.revoke(papers.revoked, hours=-1))


def people(desk: Desk, *names: str) -> Asked:
    """A city with so many people, each with a secret that is cheap to guess."""
    folder = desk.folder / "city"
    with make_office(folder, bucket_count=1) as city:
        for name in names:
            key, _ = enrolled(name)
            assert not isinstance(found_office(city, new_person(name), key, MONDAY), Refused)
    words = ["--data", str(folder)]
    return Asked(words, lambda: run("city", "keys", *words))


def few_people(desk: Desk) -> Asked:
    return people(desk)


def cheap_secrets(desk: Desk) -> Asked:
    return people(desk, ADA, BO)


#: A row for each rule: whoever adds one there is told to drive it here.
CASES: dict[str, Callable[[Desk], Asked]] = {
    "in-process": in_process,
    "simulation": simulation,
    "public-test-keys": public_keys,
    "shared-keys": shared_keys,
    "weak-keys": weak_keys,
    "weak-pins": weak_pins,
    "shared-pins": shared_pins,
    "open-folder": open_folder,
    "log": log,
    "no-rights": no_rights,
    "no-revocations": no_revocations,
    "host-commands": host_commands,
    "open-socket": open_socket,
    "trust-files": trust_files,
    "revocation-days": revocation_days,
    "few-people": few_people,
    "cheap-secrets": cheap_secrets,
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(hsm_device, "harden_process", lambda: None)
    monkeypatch.setattr(hsm_serve, "harden_process", lambda: None)
    made = Device.create(tmp_path / "device", PINS)
    generate(made, NewKey(KeyRef(KeyUsage.PURCHASE, "demo", 1), state=KeyState.ACTIVE))
    monkeypatch.setenv("ONECARD_ENVIRONMENT", "production")
    monkeypatch.setenv("ONECARD_KEY_SERVICE", f"unix:{tmp_path / 'nobody.socket'}")
    return Desk(tmp_path, monkeypatch)


def listed(done: Result) -> set[str]:

    return {each["rule"] for each in json.loads(done.stdout)["refused"]}


def test_every_rule_of_production_is_driven() -> None:
    assert list(CASES) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", CASES)
def test_what_doctor_lists_is_refused(desk: Desk, name: str) -> None:
    asked = CASES[name](desk)
    done = run("doctor", "--production", "--json", *asked.doctor)
    assert done.exit_code == 1, done.exception
    # Nobody answers at the socket of the settings, which is told as well.
    assert listed(done) - {"key-service"} == {name}
    for language in Language:
        with spoken(language):
            told = run("doctor", "--production", *asked.doctor)
            assert_one_language(told.stdout + told.stderr, language, [str(desk.folder), ADA, BO])
            said = refusal(asked.operation())
        expected = {Language.EN: "production ", Language.ZH: "生产环境"}[language]
        assert expected in said
    assert not desk.socket().exists()
    assert not (desk.folder / "new").exists()


@pytest.mark.parametrize(
    ("spoil", "rule", "why"),
    [
        (lambda it: it.paper.private_key.chmod(0o640), "trust-files", "others may read it"),
        (lambda it: it.paper.private_key.chmod(0o620), "trust-files", "others may write it"),
        (lambda it: it.authority.path.chmod(0o664), "trust-files", "others may write it"),
        (lambda it: it.revoked.chmod(0o646), "trust-files", "others may write it"),
        (lambda it: it.revoked.unlink(), "trust-files", "no such file"),
        (lambda it: it.revoked.write_text("none"), "revocation-days", "damaged"),
        (
            lambda it: it.authority.revoke(it.revoked, hours=24 * 365 * 100),
            "revocation-days",
            "good for more than 90 days",
        ),
    ],
    ids=["key read", "key written", "CA", "list", "no list", "damaged list", "a century"],
)
def test_what_says_who_is_trusted_is_nobody_elses_and_ends_soon(
    desk: Desk, spoil: Callable[[Tls], None], rule: str, why: str
) -> None:
    """A list of revoked certificates that anybody could write, or that was good for ever."""
    asked = of_tls(desk, spoil)
    done = run("doctor", "--production", "--json", *asked.doctor)
    assert listed(done) - {"key-service"} == {rule}
    assert why in done.stdout
    assert why in refusal(asked.operation())
    assert not desk.socket().exists()


def test_a_rights_file_that_others_may_write_is_listed_too(desk: Desk) -> None:
    words = desk.rights()
    Path(words[1]).chmod(0o666)
    done = run("doctor", "--production", "--json", "--device", desk.device, *words)
    assert listed(done) - {"key-service"} == {"trust-files"}


def test_people_come_into_order_in_production_and_nobody_acts_before(desk: Desk) -> None:
    """A city ran in production with nobody in it, or with secrets that a day's guessing opens."""
    people(desk, ADA, BO)
    data = ("--data", str(desk.folder / "city"))
    secrets = {}
    for name in (ADA, BO):
        secrets[name] = desk.folder / f"{name}.secret"
        secrets[name].write_text(secret_of(name))
        secrets[name].chmod(0o600)
    by_bo = ("--by", BO, "--secret-file", str(secrets[BO]), *data)
    asked = ("days.close", "day/2018-09-03", "--why", "late")
    for command in (
        ("approvals", "propose", *asked, *by_bo),
        ("approvals", "approve", "9", *by_bo),
        ("people", "end", ADA, "--why", "gone", *by_bo),
    ):
        assert "cheap to guess" in refusal(run(*command))
    for name in (ADA, BO):
        words = ("--by", name, "--secret-file", secrets[name], "--new-secret-file", secrets[name])
        assert run("people", "secret", *words, *data).exit_code == 0
    proposed = run("people", "end", ADA, "--why", "gone", *by_bo)
    assert "cheap to guess" not in proposed.stderr + str(proposed.exception)
    assert listed(run("doctor", "--production", "--json", *data)) == {"key-service"}


def test_a_good_device_is_refused_by_nothing(desk: Desk) -> None:
    asked = of_serving(desk)
    done = run("doctor", "--production", "--json", *asked.doctor)
    assert listed(done) == {"key-service"}
    assert run(*GENERATE, *of_device(desk).doctor[:6]).exit_code == 0


def test_what_belongs_to_production_alone_is_said_to_go_with_it(desk: Desk) -> None:
    done = run("doctor", "--device", desk.device)
    assert done.exit_code == 2
    assert "go with --production" in done.stderr
