"""`onecard hsm serve`: the key service as its own process.

Decides where is listened, whose rights file is believed and what is said at the terminal. Leaves
connections to `hsm_sim.wire.server`, what is kept of them to `hsm_sim.wire.served_device`, and what
a rights file gives to `hsm_sim.wire.access`.
"""

import os
import signal
import stat
import sys
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.hsm.device import DEFAULT_DEVICE, DeviceOption, PinFileOption, open_device
from api.exits import EXIT_USAGE
from api.output import refuse
from api.production import Situation, refuse_in_production
from api.settings import SettingsRefusedError
from cardcore.errors import system_words
from cardcore.text import Text, text_of, words
from hsm_sim.device.device import Device
from hsm_sim.hardening import harden_process
from hsm_sim.keys.operations import today_here
from hsm_sim.proof.workers import ProofWorkers
from hsm_sim.wire.access.budgets import BUDGETS, Budgets
from hsm_sim.wire.access.rights import Rights
from hsm_sim.wire.access.rights_file import RightsError, read_rights
from hsm_sim.wire.counters import PSAMS, PsamCounters
from hsm_sim.wire.links.addresses import AddressError, read_host_port
from hsm_sim.wire.links.listeners import (
    Dialect,
    Listener,
    ListenError,
    listen_tls,
    listen_unix,
)
from hsm_sim.wire.links.revocation import RevocationList, RevokedError
from hsm_sim.wire.links.tls import TlsSetupError, server_context
from hsm_sim.wire.psams import HostedPsams
from hsm_sim.wire.served_device import ServedDevice
from hsm_sim.wire.server import Server

SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        help=words("在本机套接字上服务，仅限本用户。", "Serve at a Unix socket, for this user."),
    ),
]
TlsOption = Annotated[
    str | None,
    typer.Option(
        metavar=words("主机:端口", "HOST:PORT"),
        help=words(
            "以 TLS 1.3 服务，须有客户端证书。", "Serve under TLS 1.3 with client certificates."
        ),
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(help=words("本服务的证书，PEM。", "This service's certificate, PEM.")),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help=words("其私钥，PEM，无口令。", "The private key of it, PEM, no password."),
    ),
]
ClientsCaOption = Annotated[
    Path | None,
    typer.Option(
        help=words("签发客户端证书的机构，PEM。", "Who signs the clients' certificates, PEM."),
    ),
]
HostCommandsOption = Annotated[
    str | None,
    typer.Option(
        metavar=words("主机:端口|路径", "HOST:PORT|PATH"),
        help=words(
            "另接受主机命令：套接字路径，或以 TLS 服务的主机:端口；生产环境不可。",
            "Also take host commands: a socket's path, or HOST:PORT under TLS; not in production.",
        ),
    ),
]
RevokedOption = Annotated[
    Path | None,
    typer.Option(
        help=words(
            "客户端证书的吊销列表（CRL），PEM；服务中换新即生效。",
            "The clients' revocation list (CRL), PEM; a new one counts at once.",
        ),
    ),
]
RightsOption = Annotated[
    Path | None,
    typer.Option(
        "--rights",
        help=words(
            "权限文件，TOML：谁可做什么；没有它，连上者都可用全部密钥。",
            "Who may do what, TOML; without it whoever is let in may do all.",
        ),
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=64,
        help=words("批量验证 TAC 的进程数。", "Processes that prove TACs in bulk."),
    ),
]


def serve(
    device: DeviceOption = DEFAULT_DEVICE,
    socket: SocketOption = None,
    tls: TlsOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    clients_ca: ClientsCaOption = None,
    revoked: RevokedOption = None,
    host_commands: HostCommandsOption = None,
    rights_file: RightsOption = None,
    workers: WorkersOption = 1,
    pin_file: PinFileOption = None,
) -> None:
    """What cannot be listened at is said before a PIN is typed."""
    has_papers = None not in (certificate, key, clients_ca)
    try:
        refuse_in_production(
            Situation(
                serves=True,
                rights=rights_file,
                host_commands=host_commands,
                socket=socket,
                tls=tls,
                revoked=revoked,
                private_key=key,
                clients_ca=clients_ca,
            )
        )
    except SettingsRefusedError as error:
        refuse(str(error), EXIT_USAGE)
    _check_options(socket, tls, host_commands, revoked, has_papers=has_papers)
    # Before the first secret is in memory.
    harden_process()
    with ExitStack() as places:
        listeners: list[Listener] = []
        # Before a PIN is typed: a port that is taken should not cost a second ceremony.
        try:
            rights = None if rights_file is None else _read_rights(rights_file)
            if socket is not None:
                listeners.append(listen_unix(socket))
            for place, dialect in (
                (tls, Dialect.FRAMES),
                (host_commands, Dialect.HOST_COMMANDS),
            ):
                if dialect is Dialect.HOST_COMMANDS and place is not None and "/" in place:
                    listeners.append(listen_unix(Path(place), dialect))
                elif place is not None and certificate and key and clients_ca:
                    host, port = read_host_port(place)
                    context = server_context(certificate, key, clients_ca)
                    listeners.append(
                        listen_tls(host, port, context, dialect, _revocations(revoked, clients_ca))
                    )
        except (AddressError, ListenError, RevokedError, RightsError, TlsSetupError) as error:
            refuse(str(error), EXIT_USAGE)
        finally:
            for listener in listeners:
                places.callback(listener.close)
        opened = places.enter_context(open_device(device, pin_file))
        held = opened.vault
        refuse_in_production(Situation(keys=held.descriptions(), entries=held.entries()))
        proofs = places.enter_context(ProofWorkers(workers))
        counters = PsamCounters(device / PSAMS)
        places.callback(counters.close)
        psams = HostedPsams(counters=counters)
        budgets = Budgets(today_here, device / BUDGETS)
        served = ServedDevice(opened, _say, proofs.prove)
        _serve(served, opened, listeners, rights, psams, budgets)


def _check_options(
    socket: Path | None,
    tls: str | None,
    host_commands: str | None,
    revoked: Path | None,
    *,
    has_papers: bool,
) -> None:
    """Options that contradict one another end the command."""
    if socket is None and tls is None:
        refuse(
            words(
                "没有说在何处服务；请写 --socket 路径 或 --tls 主机:端口",
                "where to serve is not said; say --socket PATH or --tls HOST:PORT",
            ),
            EXIT_USAGE,
        )
    hosts_over_tls = host_commands is not None and "/" not in host_commands
    if (tls is not None or hosts_over_tls) and not has_papers:
        refuse(
            words(
                "--tls 和 --host-commands 主机:端口须同时给出 --certificate、--key 和 "
                "--clients-ca，均为 PEM 文件",
                "--tls and --host-commands HOST:PORT need --certificate, --key and --clients-ca, "
                "PEM files",
            ),
            EXIT_USAGE,
        )
    if revoked is not None and not has_papers:
        refuse(
            words(
                "--revoked 是客户端证书的吊销列表，须与 --clients-ca 一起给出",
                "--revoked is the list of the clients' certificates; say it with --clients-ca",
            ),
            EXIT_USAGE,
        )


def _revocations(path: Path | None, authorities: Path) -> RevocationList | None:
    """What is not valid at the start would serve nobody. Raises `RevokedError`."""
    if path is None:
        return None
    revoked = RevocationList(path, authorities)
    revoked.check_all()
    return revoked


def _read_rights(path: Path) -> Rights:
    """A rights file that nobody but its owner can change. Raises `RightsError`."""
    try:
        # Not to wait at a pipe.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RightsError(Text(f"{path}：不是普通文件", f"{path}: is no plain file"))
            if status.st_uid not in {os.geteuid(), 0}:
                raise RightsError(
                    Text(
                        f"{path}：属于用户 {status.st_uid}，他可以改动它；请用 chown 收回",
                        f"{path}: belongs to user {status.st_uid}, who could change it; take it "
                        "with chown",
                    )
                )
            if status.st_mode & 0o022:
                raise RightsError(
                    Text(
                        f"{path}：他人可写；请用 `chmod go-w` 收回权限",
                        f"{path}: others may write it; take that away with chmod go-w",
                    )
                )
            text = file.read()
    except OSError as error:
        said = system_words(error)
        raise RightsError(Text(f"{path}：{said.zh}", f"{path}: {said.en}")) from None
    except UnicodeDecodeError:
        raise RightsError(
            Text(f"{path}：不是 UTF-8 文本", f"{path}: is no text in UTF-8")
        ) from None
    try:
        return read_rights(text)
    except RightsError as error:
        said = text_of(error)
        raise RightsError(Text(f"{path}：{said.zh}", f"{path}: {said.en}")) from None


def _serve(
    served: ServedDevice,
    device: Device,
    listeners: list[Listener],
    rights: Rights | None,
    psams: HostedPsams,
    budgets: Budgets,
) -> None:
    server = Server(
        served.keys,
        served.log,
        host_answer=served.host_answer,
        rights=rights,
        psams=psams,
        budgets=budgets,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: server.stop())
    places = ", ".join(f"{each} ({each.dialect})" for each in listeners)
    count = len(device.vault.refs())
    _say(
        Text(
            f"密钥服务：设备 {device.device_id}，{count} 把密钥，地址 {places}",
            f"key service: device {device.device_id}, {count} keys, at {places}",
        )
    )
    _say(
        Text(
            "没有权限文件：连上者都可用全部密钥",
            "no rights file: whoever is let in may use every key",
        )
        if rights is None
        else Text(f"权限：{rights.who}", f"rights: {rights.who}")
    )
    server.serve(listeners, lambda: _say(Text("就绪", "ready")))


def _say(line: Text) -> None:
    """One line on standard error; that nobody reads it any more must not end the service."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with suppress(OSError):
        sys.stderr.write(f"{now} {line}\n")
        sys.stderr.flush()
