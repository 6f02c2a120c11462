"""The composition root: which provider stands behind each port.

Only this module, the keys of measurements (`api.bench.keys`) and the commands that are the key
service's own name the key service. Everything else receives what it needs as an argument. A city's
keys carry the name of its scheme as label; `cardcore.key_labels` has every label there is.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from api.production import Situation, refuse_in_production
from api.settings import (
    KEY_SERVICE_TIMEOUT_SECONDS,
    Environment,
    KeyServiceKind,
    KeyServiceSettings,
    Settings,
    SettingsRefusedError,
)
from cardcore.applets.catalogue import application_named
from cardcore.errors import KeyStateError, system_words
from cardcore.issuing.products import (
    APPLICATIONS,
    SHIPPED,
    application_slots,
    key_refs,
    shipped,
)
from cardcore.key_labels import (
    application_label,
    load_host_label,
    maintenance_label,
    sender_label,
)
from cardcore.keys import KeyDescription, KeyRef, KeyService, KeyState, KeyUsage
from cardcore.schemes import Scheme
from cardcore.text import Text, shorten, text_of
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import (
    issuer_key_refs,
    published_descriptions,
    published_vault,
)
from hsm_sim.keys.seal_register import SEALS, SealRegister
from hsm_sim.psam import Psam, PsamProfile, make_psam, renew_psam
from hsm_sim.token import open_token
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.links.addresses import (
    Address,
    AddressError,
    TlsAddress,
    UnixAddress,
    read_host_port,
)
from hsm_sim.wire.remote import RemotePsam
from settlement.city import City
from settlement.engine import Engine
from settlement.engine.local import LocalEngine

if TYPE_CHECKING:
    from hsm_sim.token.masters import TokenMasterKeys

KEY_VERSION = 1
PSAM_KEY_INDEX = 1
PSAM_VALID_FROM, PSAM_VALID_TO = date(2010, 1, 1), date(2099, 12, 31)


def city_key_refs(scheme: Scheme) -> tuple[KeyRef, ...]:
    """The names of every key a city needs: its cards', PSAMs', senders', its data's."""
    return tuple(
        dict.fromkeys(
            [
                *issuer_key_refs(scheme.name, KEY_VERSION),
                KeyRef(KeyUsage.DATA_ENCRYPTION, scheme.name, KEY_VERSION),
                KeyRef(KeyUsage.FILE_MAINTENANCE, maintenance_label(scheme.name), KEY_VERSION),
                *(ref for name in SHIPPED for ref in key_refs(shipped(name), scheme.name)),
                # Applications that no shipped product has: a city may have products of its own.
                *(
                    slot.ref(label, KEY_VERSION)
                    for name in APPLICATIONS
                    for label, slot in application_slots(name, scheme.name)
                ),
                KeyRef(KeyUsage.DAY_SEAL, scheme.name, KEY_VERSION),
                KeyRef(KeyUsage.FILE_SIGNING, load_host_label(scheme.name), KEY_VERSION),
                *(
                    KeyRef(KeyUsage.FILE_SIGNING, sender_label(sender), KEY_VERSION)
                    for each in scheme.participants
                    for sender in each.senders
                ),
            ]
        )
    )


class PsamMaker(Protocol):
    """Makes PSAMs whose keys come out of a key service, and renews those keys."""

    def make_psam(self, profile: PsamProfile) -> Psam | RemotePsam:
        """A new PSAM, with every purchase key of its label that is in use."""
        ...

    def renew_psam(self, image: bytes) -> Psam | RemotePsam:
        """A PSAM woken up with the keys that are in use now; its numbers go on."""
        ...


@dataclass(frozen=True, slots=True)
class LocalPsams:
    """PSAMs in this process, over master keys that this process can use."""

    masters: MasterKeys

    def make_psam(self, profile: PsamProfile) -> Psam:
        """See `PsamMaker`."""
        return make_psam(profile, self.masters)

    def renew_psam(self, image: bytes) -> Psam:
        """See `PsamMaker`."""
        return renew_psam(image, self.masters)


@dataclass(frozen=True, slots=True)
class CityKeys:
    """The key service of a city, and the PSAMs that are filled from it."""

    service: KeyService
    psams: PsamMaker

    def key_to_make(self, usage: KeyUsage, label: str) -> KeyDescription:
        """The key new cards, files and data are made with: the newest active version.

        Raises `KeyStateError` when every version is prepared, retiring or destroyed.
        """
        described = self.service.describe_keys(usage, label)
        active = [each for each in described if each.state is KeyState.ACTIVE]
        if not active:
            raise KeyStateError(
                Text(
                    f"{usage}/{label}：没有启用的版本；请启用或注入一个："
                    "`onecard hsm ceremony activate` 或 `onecard hsm ceremony load`",
                    f"{usage}/{label}: no version is active; activate or load one with "
                    "`onecard hsm ceremony activate` or `onecard hsm ceremony load`",
                )
            )
        return active[-1]

    def sender_keys(self, sender: int) -> tuple[KeyDescription, ...]:
        """The keys that prove a sender's files, old ones as well."""
        return self.signing_keys(sender_label(sender))

    def signing_keys(self, label: str) -> tuple[KeyDescription, ...]:
        """The keys under files of that label, old ones as well."""
        described = self.service.describe_keys(KeyUsage.FILE_SIGNING, label)
        return tuple(
            each for each in described if each.state in {KeyState.ACTIVE, KeyState.RETIRING}
        )

    def seal_keys(self, label: str) -> dict[KeyDescription, bytes]:
        """The keys under the days of a city, old ones as well, and their public halves."""
        described = self.service.describe_keys(KeyUsage.DAY_SEAL, label)
        proving = {KeyState.ACTIVE, KeyState.RETIRING}
        return {
            each: self.service.public_key(each.ref) for each in described if each.state in proving
        }

    def new_psam(
        self, scheme: Scheme, terminal: str, application: str = "transit"
    ) -> Psam | RemotePsam:
        """A new PSAM for a terminal (12 digits), holding the city's purchase keys of a purse."""
        ending = application_named(application).key_ending
        profile = PsamProfile(
            terminal=terminal,
            number=terminal.zfill(20),
            issuer=scheme.issuer,
            valid_from=PSAM_VALID_FROM,
            valid_to=PSAM_VALID_TO,
            key_index=PSAM_KEY_INDEX,
            key_label=application_label(scheme.name, ending),
        )
        return self.psams.make_psam(profile)


@dataclass(frozen=True, slots=True)
class OpenCity:
    """An open city and its keys."""

    city: City
    keys: CityKeys


class EngineName(StrEnum):
    """Where the tasks of a run are worked off."""

    LOCAL = "local"  # processes on this machine


def open_engine(workers: int, name: EngineName = EngineName.LOCAL) -> Engine:
    """The engine of that name with so many workers; results never depend on either."""
    assert name is EngineName.LOCAL, name
    return LocalEngine(workers)


def open_city_keys(settings: Settings, scheme: Scheme, folder: Path | None = None) -> CityKeys:
    """The key service these settings name, holding the keys of one city. In this process it keeps
    its register of day seals in the city's own `folder`; without one it has none.

    Raises `SettingsRefusedError` for settings that must not be, and
    `KeyServiceUnavailableError` when production cannot see which keys it would run on.
    """
    chosen = settings.key_service
    match chosen.kind:
        case KeyServiceKind.IN_PROCESS:
            vault = published_vault(city_key_refs(scheme))
            seals = None if folder is None else SealRegister(folder / "key-service" / SEALS)
            return CityKeys(InProcessKeyService(vault, seals=seals), LocalPsams(vault))
        case KeyServiceKind.PKCS11:
            masters = open_settings_token(chosen)
            keys = CityKeys(KeyOperations(masters), LocalPsams(masters))
        case KeyServiceKind.UNIX | KeyServiceKind.TLS:
            remote = RemoteKeyService(_address(chosen), KEY_SERVICE_TIMEOUT_SECONDS)
            keys = CityKeys(remote, remote)
    if settings.environment is Environment.PRODUCTION:
        held = tuple(keys.service.describe_keys())
        refuse_in_production(Situation(key_service=chosen, keys=held), settings.environment)
    return keys


def _address(chosen: KeyServiceSettings) -> Address:
    if chosen.kind is KeyServiceKind.UNIX:
        return UnixAddress(Path(chosen.address))
    # Settings with TLS and without these three cannot be made.
    assert chosen.certificate is not None
    assert chosen.private_key is not None
    assert chosen.authority is not None
    try:
        host, port = read_host_port(chosen.address)
    except AddressError as error:
        said = text_of(error)
        raise SettingsRefusedError(
            Text(f"ONECARD_KEY_SERVICE：{said.zh}", f"ONECARD_KEY_SERVICE: {said.en}")
        ) from error
    return TlsAddress(host, port, chosen.certificate, chosen.private_key, chosen.authority)


def open_settings_token(chosen: KeyServiceSettings) -> "TokenMasterKeys":
    """The token these settings name. The PIN is read once, from a file nobody else may read.

    Raises `SettingsRefusedError`, and `KeyServiceUnavailableError` that says what is missing.
    """
    label, at, library = chosen.address.partition("@")
    if not at or not label or not library:
        raise SettingsRefusedError(
            Text(
                f"ONECARD_KEY_SERVICE：{shorten(chosen.address)} 不是 LABEL@LIBRARY，即令牌和访问"
                "它的 PKCS#11 库",
                f"ONECARD_KEY_SERVICE: {shorten(chosen.address)} is not LABEL@LIBRARY, a token "
                "and the PKCS#11 library that reaches it",
            )
        )
    assert chosen.pin_file is not None  # settings without it cannot be made
    try:
        if chosen.pin_file.stat().st_mode & 0o077:
            raise SettingsRefusedError(
                Text(
                    f"{chosen.pin_file}：他人可读其中的 PIN；请用 chmod 600 收回权限",
                    f"{chosen.pin_file}: others may read the PIN; take that away with chmod 600",
                )
            )
        pin = chosen.pin_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        said = system_words(error)
        raise SettingsRefusedError(
            Text(
                f"{chosen.pin_file}：{said.zh}；ONECARD_KEY_SERVICE_PIN_FILE 或 --token-pin-file "
                "须指明令牌 PIN 的文件",
                f"{chosen.pin_file}: {said.en}; ONECARD_KEY_SERVICE_PIN_FILE or --token-pin-file "
                "must name a file with the token's PIN",
            )
        ) from error
    return open_token(Path(library), label, pin)


def refuse_real_keys(service: KeyService) -> None:
    """A simulated card, PSAM or city runs on public test keys, and on no others: a chip that is a
    program gives its keys to whoever reads its memory, and a card that a demonstration made under
    a city's masters would be a card of that city. So this is asked in every environment, not in
    production alone; one that nobody has set is "demo".

    Raises `SettingsRefusedError` when the key service holds any other key, and in production.
    """
    refuse_in_production(Situation(simulates=True))
    held = [each for each in service.describe_keys() if each.state is not KeyState.DESTROYED]
    public = {each.ref for each in published_descriptions(held)}
    real = [each.ref for each in held if each.ref not in public]
    if real:
        names = ", ".join(map(str, real[:3]))
        raise SettingsRefusedError(
            Text(
                f"模拟的卡和 PSAM 只用公开的测试密钥制作：密钥服务持有 {names} 等共 {len(real)} 个"
                "其他密钥；请用 ONECARD_KEY_SERVICE 指定另一个密钥服务",
                "a simulated card or PSAM is made under public test keys only: the key service "
                f"holds {names} and {len(real)} such keys in all; name another with "
                "ONECARD_KEY_SERVICE",
            )
        )
