"""`onecard hsm serve`: the key service as its own process.

Decides where is listened, whose rights file is believed and what is said at the terminal. Leaves
connections to `hsm_sim.wire.server`, what is kept of them to `hsm_sim.wire.served_device`, and what
a rights file gives to `hsm_sim.wire.rights`.
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
from api.output import EXIT_USAGE, refuse
from hsm_sim.device.device import Device
from hsm_sim.hardening import harden_process
from hsm_sim.proof.workers import ProofWorkers
from hsm_sim.wire.counters import PSAMS, PsamCounters
from hsm_sim.wire.links.addresses import AddressError, read_host_port
from hsm_sim.wire.links.listeners import (
    Dialect,
    Listener,
    ListenError,
    listen_loopback,
    listen_tls,
    listen_unix,
)
from hsm_sim.wire.links.tls import TlsSetupError, server_context
from hsm_sim.wire.psams import HostedPsams
from hsm_sim.wire.rights import Rights, RightsError, read_rights
from hsm_sim.wire.served_device import ServedDevice
from hsm_sim.wire.server import Server


def serve(
    device: DeviceOption = DEFAULT_DEVICE,
    socket: Annotated[
        Path | None,
        typer.Option("--socket", help="Serve at a Unix socket, for this user. 本机套接字。"),
    ] = None,
    tls: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve under TLS 1.3 with client certificates."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="This service's certificate, PEM. 服务端证书。")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The private key of it, PEM, no password.")
    ] = None,
    clients_ca: Annotated[
        Path | None, typer.Option(help="Who signs the clients' certificates, PEM. 客户端 CA。")
    ] = None,
    host_commands: Annotated[
        str | None,
        typer.Option(
            metavar="PORT|PATH",
            help="Also take host commands: 127.0.0.1:1500 (any program of this machine) or a path.",
        ),
    ] = None,
    rights_file: Annotated[
        Path | None,
        typer.Option(
            "--rights",
            help="Who may do what, TOML; without it whoever is let in may do all. 权限文件。",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that prove TACs in bulk. 批量验证进程数。")
    ] = 1,
    pin_file: PinFileOption = None,
) -> None:
    """Serve the keys of a device to other processes, until stopped. 启动密钥服务。"""
    if socket is None and tls is None:
        refuse("serve where 在何处服务? Say --socket PATH, or --tls HOST:PORT", EXIT_USAGE)
    if tls is not None and None in (certificate, key, clients_ca):
        refuse("--tls needs --certificate, --key and --clients-ca, PEM files", EXIT_USAGE)
    # Before the first secret is in memory.
    harden_process()
    with ExitStack() as places:
        listeners: list[Listener] = []
        # Before a PIN is typed: a port that is taken should not cost a second ceremony.
        try:
            rights = None if rights_file is None else _read_rights(rights_file)
            if socket is not None:
                listeners.append(listen_unix(socket))
            if tls is not None and certificate and key and clients_ca:
                context = server_context(certificate, key, clients_ca)
                listeners.append(listen_tls(*read_host_port(tls), context))
            if host_commands is not None:
                listeners.append(_listen_for_host_commands(host_commands))
        except (AddressError, ListenError, RightsError, TlsSetupError) as error:
            refuse(str(error), EXIT_USAGE)
        finally:
            for listener in listeners:
                places.callback(listener.close)
        opened = places.enter_context(open_device(device, pin_file))
        proofs = places.enter_context(ProofWorkers(workers))
        counters = PsamCounters(device / PSAMS)
        places.callback(counters.close)
        psams = HostedPsams(counters=counters)
        _serve(ServedDevice(opened, _say, proofs.prove), opened, listeners, rights, psams)


def _listen_for_host_commands(place: str) -> Listener:
    """A port of this machine, or a path: whatever has a slash in it."""
    if "/" in place:
        return listen_unix(Path(place), Dialect.HOST_COMMANDS)
    return listen_loopback(*read_host_port(place))


def _read_rights(path: Path) -> Rights:
    """A rights file that nobody but its owner can change. Raises `RightsError`."""
    try:
        # Not to wait at a pipe.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RightsError(f"{path}: is no file")
            if status.st_uid not in {os.geteuid(), 0}:
                raise RightsError(f"{path}: belongs to user {status.st_uid}, who could change it")
            if status.st_mode & 0o022:
                raise RightsError(f"{path}: others may write it; take that away with chmod go-w")
            text = file.read()
    except OSError as error:
        raise RightsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RightsError(f"{path}: is no text in UTF-8") from None
    try:
        return read_rights(text)
    except RightsError as error:
        raise RightsError(f"{path}: {error}") from None


def _serve(
    served: ServedDevice,
    device: Device,
    listeners: list[Listener],
    rights: Rights | None,
    psams: HostedPsams,
) -> None:
    server = Server(
        served.keys, served.log, host_answer=served.host_answer, rights=rights, psams=psams
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: server.stop())
    places = ", ".join(f"{each} ({each.dialect})" for each in listeners)
    count = len(device.vault.refs())
    _say(f"key service 密钥服务: device {device.device_id}, {count} keys, at {places}")
    _say(str(rights or "no rights file 未设权限: whoever is let in may use every key"))
    server.serve(listeners, lambda: _say("ready 就绪"))


def _say(line: str) -> None:
    """One line on standard error; that nobody reads it any more must not end the service."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with suppress(OSError):
        sys.stderr.write(f"{now} {line}\n")
        sys.stderr.flush()
