"""The three providers of the key service, over the same keys."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from cardcore.keys import (
    Algorithm,
    InsecureKeyServiceWarning,
    KeyRef,
    KeyService,
    KeyState,
    KeyUsage,
)
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from hsm_sim.psam import KeySlot, PsamProfile, make_psam
from hsm_sim.psam.keys import USUAL
from hsm_sim.token.masters import TokenMasterKeys
from tests.hsm_sim.token.softhsm import SoftHsm
from tests.hsm_sim.wire.serving import serving

#: PKCS#11 2.40 has no mechanism of these.
NOT_IN_TOKENS = frozenset({Algorithm.SM4, Algorithm.SM2})


@dataclass(frozen=True, slots=True)
class Given:
    """A key to be held: its bytes, the published ones when none are given, and its life."""

    value: bytes | None = None
    algorithm: Algorithm | None = None
    state: KeyState = KeyState.ACTIVE
    valid_from: date | None = None
    valid_to: date | None = None
    parent: KeyRef | None = None
    levels: int = 1


Keys = Mapping[KeyRef, Given]


class Psam(Protocol):
    """What a terminal has in its second slot."""

    def transmit(self, command: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Provider:
    """A key service that holds `keys`, and PSAMs whose keys live where its own do."""

    service: KeyService
    new_psam: Callable[[PsamProfile], Psam]
    keys: Keys


def fill(masters: KeyVault | TokenMasterKeys, keys: Keys) -> None:
    """Install every key; a destroyed one was there before."""
    for ref, key in keys.items():
        destroyed = key.state is KeyState.DESTROYED
        masters.install(
            ref,
            key.value or published_key(ref),
            key.algorithm,
            state=KeyState.ACTIVE if destroyed else key.state,
            valid_from=key.valid_from,
            valid_to=key.valid_to,
            parent=key.parent,
            levels=key.levels,
        )
        if destroyed:
            masters.move(ref, KeyState.DESTROYED)


def a_vault(keys: Keys) -> KeyVault:
    vault = KeyVault({})
    fill(vault, keys)
    return vault


@contextmanager
def in_process(keys: Keys) -> Iterator[Provider]:
    vault = a_vault(keys)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        service = InProcessKeyService(vault)
    yield Provider(service, lambda profile: make_psam(profile, vault), keys)


@contextmanager
def over_socket(keys: Keys) -> Iterator[Provider]:
    """The server in another process, and the client here."""
    live = {KeyState.ACTIVE, KeyState.RETIRING}
    with serving(a_vault(keys)) as service:

        def new_psam(profile: PsamProfile) -> Psam:
            """There a PSAM has purchase keys, and what is named beside them."""
            further = [
                KeySlot(USUAL[ref.usage], ref.version, ref)
                for ref, key in keys.items()
                if ref.label == profile.key_label and key.state in live and ref.usage in USUAL
            ]
            purchase = KeyUsage.PURCHASE
            return service.make_psam(profile, [s for s in further if s.ref.usage is not purchase])

        yield Provider(service, new_psam, keys)


@contextmanager
def in_token(keys: Keys, tokens: SoftHsm) -> Iterator[Provider]:
    """SoftHSM2, without the keys that PKCS#11 knows no mechanism for."""
    held = {ref: key for ref, key in keys.items() if key.algorithm not in NOT_IN_TOKENS}
    with tokens.empty_token() as masters:
        fill(masters, held)
        yield Provider(KeyOperations(masters), lambda profile: make_psam(profile, masters), held)
