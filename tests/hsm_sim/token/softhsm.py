"""A real SoftHSM2 of our own: its configuration and tokens in a folder, gone with it.

The library reads where its tokens are when it starts, so it is started anew for each; a token made
later is not seen by a library that runs. Hence every token is made first, and a test that wants an
empty one gets one that is wiped.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute

from hsm_sim.token import open_token
from hsm_sim.token.masters import TokenMasterKeys

PIN, SO_PIN = "4711-0815", "87654321"
TOKENS = ("city", "second", "third", "fourth", "fifth")
UTIL = shutil.which("softhsm2-util")


def find_module() -> Path | None:
    """The library as its Debian package installed it."""
    if UTIL is None:
        return None
    listed = subprocess.run(
        ["dpkg", "-L", "libsofthsm2"], capture_output=True, text=True, check=False
    )
    found = [Path(line) for line in listed.stdout.splitlines() if line.endswith("libsofthsm2.so")]
    return found[0] if found else None


MODULE = find_module()
needs_softhsm = pytest.mark.skipif(
    MODULE is None, reason="softhsm2 is not installed: make test installs it"
)


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """A running library with empty tokens."""

    module: Path
    folder: Path
    free: list[str]

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    def open(self, label: str, pin: str = PIN) -> TokenMasterKeys:
        return open_token(self.module, label, pin)

    @contextmanager
    def raw_session(self, label: str) -> Iterator[pkcs11.Session]:
        """What any other program with the PIN sees; while nobody else has the token open."""
        token: pkcs11.Token = pkcs11.lib(str(self.module)).get_token(token_label=label)
        with token.open(rw=True, user_pin=PIN) as session:
            yield session

    @contextmanager
    def empty_token(self) -> Iterator[TokenMasterKeys]:
        """A token without a key, logged in."""
        label = self.free.pop()
        with self.raw_session(label) as session:
            for each in list(session.get_objects({Attribute.TOKEN: True})):
                each.destroy()
        masters = self.open(label)
        try:
            yield masters
        finally:
            masters.close()
            self.free.append(label)


def run_util(*arguments: str) -> None:
    assert UTIL is not None
    subprocess.run([UTIL, *arguments], check=True, capture_output=True)


@contextmanager
def softhsm(folder: Path) -> Iterator[SoftHsm]:
    """SoftHSM2 over `folder`, until the block ends."""
    assert MODULE is not None
    (folder / "tokens").mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
        "log.level = ERROR\nslots.removable = false\n",
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", os.fspath(configuration))
        for label in TOKENS:
            run_util(
                *("--init-token", "--free", "--label", label), "--so-pin", SO_PIN, "--pin", PIN
            )
        library = pkcs11.lib(str(MODULE))
        library.reinitialize()
        try:
            yield SoftHsm(MODULE, folder, list(TOKENS))
        finally:
            library.finalize()
