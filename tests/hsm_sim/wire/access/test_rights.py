"""Rights of the key service's clients: what no entry of the file gives is refused, by name."""

import hashlib
import os
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardcore.errors import (
    KeyRightError,
    KeyServiceError,
    KeyServiceUnavailableError,
    UnknownKeyError,
)
from cardcore.keys import KeyRef, KeyService, KeyUsage
from cardcore.text import Text
from hsm_sim.keys.vault import CHANNEL_USAGES, KeyVault
from hsm_sim.psam import KeySlot, PsamKeyType, make_psam
from hsm_sim.psam.keys import USUAL
from hsm_sim.wire.access.claims import keys_claimed
from hsm_sim.wire.access.duties import (
    AT_TERMINALS,
    DUTIES,
    OPEN_OPERATIONS,
    WITH_PSAMS,
    WITH_RELEASES,
    Duty,
)
from hsm_sim.wire.access.rights import Peer, Rights, certificate_peer
from hsm_sim.wire.access.rights_file import RightsError, read_rights
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.values import REF, TEXT
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import TlsAddress
from hsm_sim.wire.links.listeners import Dialect, listen_tls, listen_unix
from hsm_sim.wire.links.tls import server_context
from tests.hsm_sim.psam import psams
from tests.hsm_sim.wire.key_server import (
    DATA,
    FACTOR,
    LABEL,
    SIGNING,
    a_column,
    a_key_server,
    a_vault,
    card_ref,
)
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority, Paper
from tests.support.patience import SOON_S

VAULT = a_vault()
CLEARING = Peer(
    Text("clearing-1", "clearing-1"), ("certificate:clearing-1", "subject:commonName=clearing-1")
)
TAC = card_ref(KeyUsage.TAC)
ELSEWHERE = TAC._replace(label="elsewhere")
MAINTENANCE = card_ref(KeyUsage.FILE_MAINTENANCE)
COLUMN = a_column(20)


def a_right(who: str, *duties: str, labels: tuple[str, ...] = ()) -> str:
    """One entry, for every terminal and PSAM, where its duties have to do with any."""
    lines = ["[[right]]", f'who = "{who}"', f"duties = {[str(each) for each in duties]}"]
    lines += [f"labels = {list(labels)}"] if labels else []
    lines += ['terminals = ["*"]'] if AT_TERMINALS & set(duties) else []
    lines += ['psams = ["*"]'] if WITH_PSAMS & set(duties) else []
    lines += ["keys_a_day = 1000"] if WITH_RELEASES & set(duties) else []
    return "\n".join([*lines, ""])


def gives(*duties: str, labels: tuple[str, ...] = ()) -> Rights:
    return read_rights(a_right("certificate:clearing-1", *duties, labels=labels))


def is_given(rights: Rights, operation: messages.Operation[Any], *arguments: object) -> bool:
    try:
        rights.check(CLEARING, operation, arguments)
    except KeyRightError:
        return False
    return True


def placeholders(operation: messages.Operation[Any]) -> list[object]:
    """Arguments that name no key: for what is decided by the operation alone."""
    return [None] * len(operation.parameters)


def test_every_operation_belongs_to_a_duty_or_is_open_and_never_both() -> None:
    covered = {each.name for duty in DUTIES.values() for each in duty}
    opened = {each.name for each in OPEN_OPERATIONS}
    assert covered | opened == set(messages.OPERATIONS)
    assert not covered & opened
    assert set(DUTIES) == set(Duty)


def test_a_duty_gives_its_operations_what_is_open_and_nothing_else() -> None:
    for duty, covered in DUTIES.items():
        given = {
            name
            for name, each in messages.OPERATIONS.items()
            if is_given(gives(duty), each, *placeholders(each))
        }
        assert given == {each.name for each in (*covered, *OPEN_OPERATIONS)}, duty


def test_who_proves_tacs_makes_no_card_keys() -> None:
    """The gap this closes."""
    assert is_given(gives("proving"), messages.PROVE_TACS, LABEL, COLUMN)
    for operation, arguments in (
        (messages.DERIVE_CARD_KEY, (TAC, FACTOR)),
        (messages.AUTHENTICATE, (MAINTENANCE, FACTOR, bytes(8))),
        (messages.OPEN_CHANNEL, (LABEL, 1, FACTOR, bytes(16))),
    ):
        assert not is_given(gives("proving"), operation, *arguments)


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        ((), {"demo", "demo-psam", "demos", "dem", "", "*"}),
        (("demo",), {"demo"}),
        (("demo*",), {"demo", "demo-psam", "demos"}),
        (("demo-*",), {"demo-psam"}),
        (("dem", "demo-*"), {"dem", "demo-psam"}),
        (("*",), {"demo", "demo-psam", "demos", "dem", "", "*"}),
    ],
)
def test_labels_are_exact_or_end_in_a_star(labels: tuple[str, ...], given: set[str]) -> None:
    rights = gives("proving", labels=labels)
    asked = {"demo", "demo-psam", "demos", "dem", "", "*"}
    assert {each for each in asked if is_given(rights, messages.PROVE_TACS, each, COLUMN)} == given
    for label in asked:
        ref = SIGNING._replace(label=label)
        assert is_given(rights, messages.PUBLIC_KEY, ref) == (label in given)


def test_rights_of_one_client_add_up_and_do_not_mix() -> None:
    text = a_right("certificate:clearing-1", "proving", labels=("demo",))
    text += a_right("subject:commonName=clearing-1", "file-signing", labels=("sender-*",))
    rights = read_rights(text)
    assert is_given(rights, messages.PROVE_TACS, "demo", COLUMN)
    assert is_given(rights, messages.SIGN, SIGNING, b"file")
    assert not is_given(rights, messages.PROVE_TACS, "sender-101", COLUMN)
    assert not is_given(rights, messages.SIGN, SIGNING._replace(label="demo"), b"file")
    assert is_given(rights, messages.PUBLIC_KEY, SIGNING._replace(label="demo"))


def test_every_way_to_name_a_key_in_a_request_is_looked_at() -> None:
    """A parameter of a new form must be thought of here, or labels would not bind it."""
    profile, slots = psams.PROFILE, (KeySlot(PsamKeyType.MAC, 1, psams.STK),)
    image = make_psam(profile, psams.VAULT, slots).image()
    refs = (TAC, SIGNING._replace(label="demo"))
    maintenance, purchase = KeyUsage.FILE_MAINTENANCE, KeyUsage.PURCHASE
    values = {
        "ref": TAC,
        "refs": refs,
        "profile": profile,
        "further": slots,
        "label": LABEL,
        "image": image,
    }
    usual = {(usage, "shenzhen") for usage in USUAL}
    named = {
        "ref": {(KeyUsage.TAC, LABEL)},
        "refs": {(KeyUsage.TAC, LABEL), (KeyUsage.FILE_SIGNING, "demo")},
        "profile": {(purchase, "shenzhen")},
        "further": {(maintenance, "shenzhen-social")},
        "label": set[tuple[KeyUsage, str]](),  # its usage is the operation's: below
        "image": usual | {(maintenance, "shenzhen-social")},
    }
    of_label = {
        "open_channel": set(CHANNEL_USAGES),
        "prove_tacs": {KeyUsage.TAC},
        "prove_record_macs": {KeyUsage.RECORD_MAC},
        "prove_authentications": {KeyUsage.INTERNAL_AUTHENTICATION},
        "sealed_days": {KeyUsage.DAY_SEAL},
    }
    harmless = {
        "usage", "version", "factor", "context", "challenge", "data", "blocks", "session_input",
        "mac", "column", "message", "channel", "constant", "counter", "psam", "command",
        "generation", "seal",
    }  # fmt: skip
    for operation in messages.OPERATIONS.values():
        parameters = [parameter for parameter, _ in operation.parameters]
        assert set(parameters) <= set(named) | harmless
        arguments = [values.get(each, b"\x01" * 8) for each in parameters]
        expected = set[tuple[KeyUsage, str]]().union(
            *(named.get(each, set()) for each in parameters)
        )
        expected |= {(usage, LABEL) for usage in of_label.get(operation.name, ())}
        assert set(keys_claimed(operation, arguments)) == expected, operation.name
    kinds = {kind for each in messages.OPERATIONS.values() for name, kind in each.parameters
             if name in harmless}  # fmt: skip
    assert not {REF, TEXT} & kinds


def test_an_image_made_up_to_hold_keys_of_another_label_wakes_up_for_nobody_without_them() -> None:
    """An image has no MAC: its keys are what counts, not the label on it."""
    stolen = replace(psams.PROFILE, key_label="shenzhen")
    image = make_psam(stolen, psams.VAULT, (KeySlot(PsamKeyType.MAC, 1, psams.STK),)).image()
    own = make_psam(stolen, psams.VAULT).image()
    rights = gives("psam-service", "psam-depot", labels=("shenzhen",))
    for operation in (messages.PSAM_WAKE, messages.PSAM_RENEW):
        assert is_given(rights, operation, own)
        assert not is_given(rights, operation, image)
        assert is_given(rights, operation, b"damaged")  # no PSAM wakes up from it
    as_a_card_key = KeySlot(PsamKeyType.CARD_MAINTENANCE, 9, psams.OWN)
    lent = make_psam(stolen, psams.VAULT, (as_a_card_key,)).image()
    assert not is_given(rights, messages.PSAM_WAKE, lent)


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ([], ()),
        ([("organizationName", "City")], ("subject:organizationName=City",)),
        (
            [("commonName", "a"), ("commonName", "b")],
            ("subject:commonName=a, commonName=b",),
        ),
        (
            [("commonName", "x, organizationName=City")],
            (
                "certificate:x, organizationName=City",
                "subject:commonName=x\\, organizationName=City",
            ),
        ),
        (
            [("commonName", "x\\"), ("organizationName", "City")],
            ("certificate:x\\", "subject:commonName=x\\\\, organizationName=City"),
        ),
    ],
)
def test_no_certificate_passes_for_another_by_what_it_is_called(
    subject: list[tuple[str, str]], names: tuple[str, ...]
) -> None:
    assert certificate_peer(subject, Text("这里", "home")).names == names


def test_a_name_is_matched_whole() -> None:
    rights = gives("proving")
    for other in (
        "certificate:clearing", "certificate:clearing-10", "certificate:Clearing-1",
        "subject:clearing-1", "user:clearing-1",
    ):  # fmt: skip
        with pytest.raises(KeyRightError, match=f"{other} is not named there"):
            rights.check_peer(Peer(Text("某方", "somebody"), (other,)))
    with pytest.raises(KeyRightError, match="somebody is not named there"):
        rights.check_peer(Peer(Text("某方", "somebody"), ()))


WHO = 'who = "user:990"\n'
SIGNS = 'duties = ["file-signing"]\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"no \[\[right\]\]"),
        ("right = []", r"no \[\[right\]\]"),
        ("right = 7", r"no \[\[right\]\]"),
        ("right = [7]", "right 1: not a table"),
        ("[[right]\n", "line 1"),
        ("[[right]]\nwho = 'user:990'\nduties = [\n'file-signing' 'data']", "line 4"),
        ("[right]\n" + WHO + SIGNS, r"no \[\[right\]\]"),
        ("[[rights]]\n" + WHO + SIGNS, "the file: rights is not known"),
        ("[[right]]\n" + SIGNS, "right 1, who: None"),
        ("[[right]]\nwho = 990\n" + SIGNS, "right 1, who: 990"),
        ("[[right]]\nwho = 'user:'\n" + SIGNS, "right 1, who: user:"),
        ("[[right]]\nwho = 'clearing'\n" + SIGNS, "is not user:NUMBER, certificate:COMMON_NAME"),
        ("[[right]]\nwho = 'user:root'\n" + SIGNS, "the number that `id -u` says"),
        ("[[right]]\nwho = 'user:0990'\n" + SIGNS, "the number that `id -u` says"),
        ("[[right]]\nwho = 'user:٩'\n" + SIGNS, "the number that `id -u` says"),
        ("[[right]]\n" + WHO, "right 1, duties: not a list"),
        ("[[right]]\n" + WHO + "duties = []", "right 1, duties: not a list"),
        ("[[right]]\n" + WHO + "duties = 'data'", "right 1, duties: not a list"),
        ("[[right]]\n" + WHO + "duties = [1]", "right 1, duties: an entry"),
        ("[[right]]\n" + WHO + "duties = ['Data']", "Data is none of proving, load, psam"),
        ("[[right]]\n" + WHO + SIGNS + "label = ['demo']", "right 1: label is not known"),
        ("[[right]]\n" + WHO + SIGNS + "labels = []", "right 1, labels: not a list"),
        ("[[right]]\n" + WHO + SIGNS + "labels = ['']", "right 1, labels: an entry"),
        ("[[right]]\n" + WHO + SIGNS + "labels = ['d*o']", "stands at the end only"),
        ("[[right]]\n" + WHO + SIGNS + "labels = ['demo**']", "stands at the end only"),
        ("[[right]]\n" + WHO + SIGNS + "[[right]]\n" + SIGNS, "right 2, who"),
        ("[[right]]\n" + WHO + "duties = ['load']", "the duty load needs terminals"),
        ("[[right]]\n" + WHO + "duties = ['psam']\nterminals = ['*']", "duty psam needs psams"),
        ("[[right]]\n" + WHO + "duties = ['key-release']", "key-release needs keys_a_day"),
        ("[[right]]\n" + WHO + SIGNS + "terminals = ['*']", "leave it out"),
        ("[[right]]\n" + WHO + "duties = ['load']\nterminals = ['0f*']", "12 hexadecimal digits"),
        ("[[right]]\n" + WHO + "duties = ['load']\nterminals = ['040900']", "12 hexadecimal dig"),
        ("[[right]]\n" + WHO + "duties = ['load']\nterminals = ['0*9*']", "at the end only"),
        (
            "[[right]]\n" + WHO + "duties = ['psam']\nterminals = ['*']\npsams = ['1']",
            "a PSAM 20 digits",
        ),
        ("[[right]]\n" + WHO + "duties = ['key-release']\nkeys_a_day = true", "not a whole number"),
        ("[[right]]\n" + WHO + "duties = ['key-release']\nkeys_a_day = -1", "not a whole number"),
        ("[[right]]\nwho = 'fingerprint:AB'\n" + SIGNS, "64 hexadecimal digits"),
        (
            "[[right]]\n" + WHO + "duties = ['host-commands']\nlabels = ['demo']",
            "keys of host commands have none",
        ),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused_whole(text: str, why: str) -> None:
    with pytest.raises(RightsError, match=why):
        read_rights(text)


def by_user(*duties: str, labels: tuple[str, ...] = ()) -> Rights:
    """Rights of whoever runs the tests."""
    return read_rights(a_right(f"user:{os.geteuid()}", *duties, labels=labels))


REFUSED: list[Callable[[KeyService], object]] = [
    lambda keys: keys.derive_card_key(TAC, FACTOR),
    lambda keys: keys.open_channel(LABEL, 1, FACTOR, bytes(16)),
    lambda keys: keys.check_value(TAC, FACTOR),
    lambda keys: keys.sign(SIGNING, b"file"),
    lambda keys: keys.encipher_data(DATA, b"name", b"row"),
    lambda keys: keys.derive_card_key(ELSEWHERE, FACTOR),
]


def test_over_the_wire_a_refusal_has_its_name_and_stands_in_the_log(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT, rights=by_user("proving", labels=(LABEL,))) as served:
        service = served.service()
        for number, act in enumerate(REFUSED, 1):
            with pytest.raises(
                KeyRightError, match="whoever runs the key service decides"
            ) as error:
                act(service)
            assert not isinstance(error.value, KeyServiceUnavailableError | UnknownKeyError)
            event = served.wait_for(EventKind.REFUSED, number)
            assert event.who.en.startswith("user ")
            assert "KeyRightError: user:" in event.why.en
        with pytest.raises(KeyRightError, match="may not do prove_tacs with keys of label elsewh"):
            service.prove_tacs("elsewhere", COLUMN)
        assert len(service.prove_tacs(LABEL, COLUMN)) == len(COLUMN)
        assert len(service.describe_keys()) > 10
        service.close()
        assert len(served.said(EventKind.CONNECTED)) <= 2  # `open_channel` has one of its own


def test_a_channel_opened_by_right_wraps_no_key_of_another_label(tmp_path: Path) -> None:
    vault = KeyVault({ref: bytes(range(16)) for ref in (ELSEWHERE,)})
    for entry in VAULT.entries():
        vault.restore(entry)
    with a_key_server(
        tmp_path, vault, rights=by_user("personalisation", labels=(LABEL,))
    ) as served:
        service = served.service()
        channel = service.open_channel(LABEL, 1, FACTOR, bytes(16))
        assert len(channel.cryptogram(0)) == 8
        assert len(channel.wrapped_card_keys((TAC,), FACTOR)) == 19
        with pytest.raises(KeyRightError, match="label elsewhere;"):
            channel.wrapped_card_keys((ELSEWHERE,), FACTOR)
        service.close()


def test_a_psam_in_the_server_is_for_who_has_that_duty(tmp_path: Path) -> None:
    rights = by_user("psam", "psam-depot", labels=("shenzhen",))
    with a_key_server(tmp_path, psams.VAULT, rights=rights) as served:
        service = served.service()
        psam = service.make_psam(psams.PROFILE)
        assert psam.transmit(psams.initialise().encode())[-2:] == b"\x90\x00"
        assert service.wake_psam(psam.image()).image() == psam.image()
        with pytest.raises(KeyRightError, match="label shenzhen-social"):
            service.make_psam(psams.PROFILE, psams.FURTHER)
        with pytest.raises(KeyServiceError, match="not an image") as error:
            service.wake_psam(b"damaged")
        assert not isinstance(error.value, KeyRightError)
        service.close()


def test_whom_the_file_does_not_name_is_refused_at_his_first_request(tmp_path: Path) -> None:
    rights = gives(*(each for each in Duty if each is not Duty.HOST_COMMANDS))
    with a_key_server(tmp_path, VAULT, rights=rights) as served:
        service = served.service()
        with pytest.raises(KeyRightError, match=r"user:\d+ is not named there, so may do nothing"):
            service.describe_keys()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect(str(served.path))
            stream.sendall(
                messages.encode_request(1, messages.SIGN, [SIGNING, b""]).replace(
                    b"sign", b"what", 1
                )
            )
            assert b"KeyRightError" in stream.recv(2000)
        service.close()


def test_under_tls_a_client_is_who_its_certificate_says(tmp_path: Path) -> None:
    city = Authority(tmp_path, "city")
    server = city.issue("keys", usages=SERVICE)
    clearing, bureau = (city.issue(name) for name in ("clearing-1", "bureau"))
    context = server_context(server.certificate, server.private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context)
    text = a_right("certificate:clearing-1", "proving")
    text += a_right("subject:commonName=bureau", "key-release")
    with a_key_server(tmp_path, VAULT, further=(listener,), rights=read_rights(text)):
        services = [
            RemoteKeyService(
                TlsAddress(
                    "127.0.0.1", listener.port, paper.certificate, paper.private_key, city.path
                ),
                5,
            )
            for paper in (clearing, bureau, city.issue("somebody"))
        ]
        proves, issues, nothing = services
        assert len(proves.prove_tacs(LABEL, COLUMN)) == len(COLUMN)
        with pytest.raises(KeyRightError, match="certificate:clearing-1 may not do derive_card_"):
            proves.derive_card_key(TAC, FACTOR)
        assert issues.derive_card_key(TAC, FACTOR).usage is KeyUsage.TAC
        with pytest.raises(KeyRightError, match="bureau may not do prove_tacs, the duty proving"):
            issues.prove_tacs(LABEL, COLUMN)
        with pytest.raises(KeyRightError, match="certificate:somebody or subject:commonName=some"):
            nothing.describe_keys()
        for service in services:
            service.close()


def test_a_client_may_be_named_by_its_very_certificate(tmp_path: Path) -> None:
    """Another certificate of the same name, issued by mistake, is somebody else."""
    city = Authority(tmp_path, "city")
    server, mine = city.issue("keys", usages=SERVICE), city.issue("clearing-1")
    printed = ssl.PEM_cert_to_DER_cert(mine.certificate.read_text())
    context = server_context(server.certificate, server.private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context)
    rights = read_rights(a_right(f"fingerprint:{hashlib.sha256(printed).hexdigest()}", "proving"))
    with a_key_server(tmp_path, VAULT, further=(listener,), rights=rights):

        def client(paper: Paper) -> RemoteKeyService:
            return RemoteKeyService(
                TlsAddress(
                    "127.0.0.1", listener.port, paper.certificate, paper.private_key, city.path
                ),
                5,
            )

        first = client(mine)
        assert len(first.prove_tacs(LABEL, COLUMN)) == len(COLUMN)
        first.close()
        second = client(city.issue("clearing-1"))
        with pytest.raises(KeyRightError, match="is not named there"):
            second.prove_tacs(LABEL, COLUMN)
        second.close()


@pytest.mark.parametrize("dialect_is_given", [True, False])
def test_host_commands_are_a_duty_of_their_own(tmp_path: Path, *, dialect_is_given: bool) -> None:
    unix = listen_unix(tmp_path / "host.socket", Dialect.HOST_COMMANDS)
    duty = "host-commands" if dialect_is_given else "key-release"
    rights = read_rights(a_right(f"user:{os.geteuid()}", duty))
    asked: list[bytes] = []

    def answer(_: Text, message: bytes) -> bytes:
        asked.append(message)
        return b"answer"

    with a_key_server(
        tmp_path, VAULT, further=(unix,), host_answer=answer, rights=rights
    ) as served:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(SOON_S)
            stream.connect(str(tmp_path / "host.socket"))
            try:
                stream.sendall(struct.pack(">H", 6) + b"0000NC")
                said = stream.recv(100)[2:]
            except (BrokenPipeError, ConnectionResetError):
                said = b""  # what was sent is thrown away unread
        assert said == (b"answer" if dialect_is_given else b"")
        if not dialect_is_given:
            assert "may not do host commands" in served.wait_for(EventKind.TURNED_AWAY).why.en
    assert len(asked) == (1 if dialect_is_given else 0)


def test_the_rights_in_force_are_said_when_it_starts(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT, rights=gives("proving")) as served:
        assert served.said(EventKind.STARTED)[0].what.en == "rights: certificate:clearing-1"


def test_without_a_rights_file_everybody_let_in_may_do_everything(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT) as served:
        service = served.service()
        assert service.derive_card_key(TAC, FACTOR).usage is KeyUsage.TAC
        assert len(service.prove_tacs(LABEL, COLUMN)) == len(COLUMN)
        service.close()


def test_the_right_of_a_key_is_refused_before_it_is_said_whether_there_is_one(
    tmp_path: Path,
) -> None:
    unknown = KeyRef(KeyUsage.TAC, "no-such-city", 1)
    with a_key_server(tmp_path, VAULT, rights=by_user("key-release", labels=(LABEL,))) as served:
        service = served.service()
        with pytest.raises(KeyRightError):
            service.derive_card_key(unknown, FACTOR)
        with pytest.raises(UnknownKeyError):
            service.derive_card_key(TAC._replace(version=9), FACTOR)
        service.close()
