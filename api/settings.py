"""Which environment this is and what it allows. Decides that production runs on no simulator and
no public test key; leaves the wiring to `api.composition`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cardcore.text import Text, shorten

#: How long a key service may take to answer one request before it counts as absent.
KEY_SERVICE_TIMEOUT_SECONDS = 30.0

IN_PROCESS_REFUSED = Text(
    "生产环境不接受进程内密钥服务：它在内存中持有公开测试密钥。请把 ONECARD_ENVIRONMENT 设为 "
    "demo 或 test，或把 ONECARD_KEY_SERVICE 设为独立的密钥服务",
    "production refuses the in-process key service: it holds public test keys in memory. Set "
    "ONECARD_ENVIRONMENT to demo or test, or ONECARD_KEY_SERVICE to a key service of its own",
)


class Environment(StrEnum):
    """Where the engine runs; shown to people, and a reason to refuse."""

    DEMO = "demo"  # 演示
    TEST = "test"  # 测试
    PRODUCTION = "production"  # 生产


class KeyServiceKind(StrEnum):
    """Which provider stands behind the key service port."""

    IN_PROCESS = "in-process"  # public test keys in this process's memory
    UNIX = "unix"  # a key service of its own, behind a Unix socket
    TLS = "tls"  # the same, behind TLS with client certificates
    PKCS11 = "pkcs11"  # a token, through its PKCS#11 library


class SettingsRefusedError(Exception):
    """Settings that must not be used together; the message says what to change."""


@dataclass(frozen=True, slots=True)
class KeyServiceSettings:
    """Where the key service is. Written as one word: `in-process`, `unix:PATH`, `tls:HOST:PORT`,
    `pkcs11:LABEL@LIBRARY`.
    """

    kind: KeyServiceKind = KeyServiceKind.IN_PROCESS
    address: str = ""
    certificate: Path | None = None  # of this client, with its key, and who signs the server's
    private_key: Path | None = None
    authority: Path | None = None
    pin_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.kind is KeyServiceKind.IN_PROCESS) != (not self.address):
            raise SettingsRefusedError(
                Text(
                    f"ONECARD_KEY_SERVICE：{self.kind} 与地址 {shorten(self.address)} 不能并用；请"
                    "写 in-process、unix:PATH、tls:HOST:PORT 或 pkcs11:LABEL@LIBRARY",
                    f"ONECARD_KEY_SERVICE: {self.kind} and address {shorten(self.address)} do not "
                    "go together; write in-process, unix:PATH, tls:HOST:PORT or "
                    "pkcs11:LABEL@LIBRARY",
                )
            )
        if self.kind is KeyServiceKind.TLS and None in {
            self.certificate,
            self.private_key,
            self.authority,
        }:
            raise SettingsRefusedError(
                Text(
                    "TLS 后的密钥服务要知道是谁来访：请把 ONECARD_KEY_SERVICE_CERTIFICATE、"
                    "ONECARD_KEY_SERVICE_PRIVATE_KEY 和 ONECARD_KEY_SERVICE_AUTHORITY 设为 PEM 文"
                    "件",
                    "a key service behind TLS asks who calls: set ONECARD_KEY_SERVICE_CERTIFICATE, "
                    "ONECARD_KEY_SERVICE_PRIVATE_KEY and ONECARD_KEY_SERVICE_AUTHORITY to PEM "
                    "files",
                )
            )
        if self.kind is KeyServiceKind.PKCS11 and self.pin_file is None:
            raise SettingsRefusedError(
                Text(
                    "令牌要 PIN：请把 ONECARD_KEY_SERVICE_PIN_FILE 设为只有本用户可读的文件",
                    "a token asks for its PIN: set ONECARD_KEY_SERVICE_PIN_FILE to a file only "
                    "this "
                    "user can read",
                )
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process. Construction refuses what must never run."""

    environment: Environment = Environment.DEMO
    key_service: KeyServiceSettings = KeyServiceSettings()

    def __post_init__(self) -> None:
        if self.environment is Environment.PRODUCTION and (
            self.key_service.kind is KeyServiceKind.IN_PROCESS
        ):
            raise SettingsRefusedError(IN_PROCESS_REFUSED)


def read_environment(environ: Mapping[str, str] = os.environ) -> Environment:
    """`ONECARD_ENVIRONMENT` alone: a device of keys asks for no key service."""
    value = environ.get("ONECARD_ENVIRONMENT", Environment.DEMO)
    if value not in set(Environment):
        known = ", ".join(Environment)
        given = shorten(value)
        raise SettingsRefusedError(
            Text(
                f"ONECARD_ENVIRONMENT 是 {given}；须为其中之一：{known}",
                f"ONECARD_ENVIRONMENT is {given}; it must be one of {known}",
            )
        )
    return Environment(value)


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `ONECARD_ENVIRONMENT` and `ONECARD_KEY_SERVICE`, the latter with
    `_CERTIFICATE`, `_PRIVATE_KEY`, `_AUTHORITY` and `_PIN_FILE`.

    `SettingsRefusedError` on a value that is none.
    """
    environment = read_environment(environ)
    service = environ.get("ONECARD_KEY_SERVICE", KeyServiceKind.IN_PROCESS)
    kind, _, address = service.partition(":")
    if kind not in set(KeyServiceKind):
        known = ", ".join(KeyServiceKind)
        raise SettingsRefusedError(
            Text(
                f"ONECARD_KEY_SERVICE 是 {shorten(service)}；须以其中之一开头：{known}",
                f"ONECARD_KEY_SERVICE is {shorten(service)}; it must begin with one of {known}",
            )
        )

    def path(name: str) -> Path | None:
        text = environ.get(f"ONECARD_KEY_SERVICE_{name}")
        return None if text is None else Path(text)

    return Settings(
        environment,
        KeyServiceSettings(
            KeyServiceKind(kind),
            address,
            certificate=path("CERTIFICATE"),
            private_key=path("PRIVATE_KEY"),
            authority=path("AUTHORITY"),
            pin_file=path("PIN_FILE"),
        ),
    )
