"""Which environment this is and what it allows. Decides that production runs on no simulator and
no public test key; leaves the wiring to `api.composition`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Environment(StrEnum):
    """Where the engine runs; shown to people, and a reason to refuse."""

    DEMO = "demo"  # 演示
    TEST = "test"  # 测试
    PRODUCTION = "production"  # 生产


class KeyServiceKind(StrEnum):
    """Which provider stands behind the key service port."""

    IN_PROCESS = "in-process"  # public test keys in this process's memory


class SettingsRefusedError(Exception):
    """Settings that must not be used together; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process. Construction refuses what must never run."""

    environment: Environment = Environment.DEMO
    key_service: KeyServiceKind = KeyServiceKind.IN_PROCESS

    def __post_init__(self) -> None:
        if self.environment is Environment.PRODUCTION and (
            self.key_service is KeyServiceKind.IN_PROCESS
        ):
            raise SettingsRefusedError(
                "production refuses the in-process key service: it holds public test keys in "
                "memory. Set ONECARD_ENVIRONMENT to demo or test."
            )


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `ONECARD_ENVIRONMENT`. `SettingsRefusedError` on a value that is none."""
    value = environ.get("ONECARD_ENVIRONMENT", Environment.DEMO)
    try:
        return Settings(Environment(value))
    except ValueError as error:
        known = ", ".join(Environment)
        raise SettingsRefusedError(
            f"ONECARD_ENVIRONMENT is {value!r}; it must be one of {known}"
        ) from error
