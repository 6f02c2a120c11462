"""The composition root: which provider stands behind each port.

The only module that names the key service simulator. Everything else receives what it needs as an
argument. A city's keys carry the name of its scheme as label; its senders sign as `sender-<code>`.
"""

from dataclasses import dataclass
from datetime import date

from api.settings import KeyServiceKind, Settings
from cardcore.errors import KeyStateError
from cardcore.keys import KeyDescription, KeyRef, KeyService, KeyState, KeyUsage
from cardcore.products import SHIPPED, key_refs, shipped
from cardcore.schemes import Scheme
from hsm_sim.in_process import InProcessKeyService
from hsm_sim.psam import Psam, PsamProfile, make_psam
from hsm_sim.published_keys import issuer_key_refs, published_vault
from hsm_sim.vault import KeyVault

KEY_VERSION = 1
PSAM_KEY_INDEX = 1
PSAM_VALID_FROM, PSAM_VALID_TO = date(2010, 1, 1), date(2099, 12, 31)


def sender_label(sender: int) -> str:
    """The label of the keys under a sender's batch files."""
    return f"sender-{sender}"


@dataclass(frozen=True, slots=True)
class KeyRoom:
    """The key service of a city, and the PSAMs that were filled from it."""

    service: KeyService
    _vault: KeyVault

    def key_to_make(self, usage: KeyUsage, label: str) -> KeyDescription:
        """The key new cards, files and data are made with: the newest active version.

        Raises `KeyStateError` when every version is prepared, retiring or destroyed.
        """
        described = self.service.describe_keys(usage, label)
        active = [each for each in described if each.state is KeyState.ACTIVE]
        if not active:
            raise KeyStateError(f"{usage}/{label}: no version is active; activate or load one")
        return active[-1]

    def sender_keys(self, sender: int) -> tuple[KeyDescription, ...]:
        """The keys that prove a sender's files, old ones as well."""
        described = self.service.describe_keys(KeyUsage.FILE_SIGNING, sender_label(sender))
        return tuple(
            each for each in described if each.state in {KeyState.ACTIVE, KeyState.RETIRING}
        )

    def new_psam(self, scheme: Scheme, terminal: str) -> Psam:
        """A new PSAM for a terminal (12 digits), holding the city's purchase keys."""
        profile = PsamProfile(
            terminal=terminal,
            number=terminal.zfill(20),
            issuer=scheme.issuer,
            valid_from=PSAM_VALID_FROM,
            valid_to=PSAM_VALID_TO,
            key_index=PSAM_KEY_INDEX,
            key_label=scheme.name,
        )
        return make_psam(profile, self._vault)

    def wake_psam(self, image: bytes) -> Psam:
        """A PSAM after power came back."""
        return Psam.from_image(image, self._vault)


def open_key_room(settings: Settings, scheme: Scheme) -> KeyRoom:
    """The key service these settings name, holding the keys of one city."""
    assert settings.key_service is KeyServiceKind.IN_PROCESS
    vault = published_vault(
        [
            *issuer_key_refs(scheme.name, KEY_VERSION),
            KeyRef(KeyUsage.DATA_ENCRYPTION, scheme.name, KEY_VERSION),
            *(ref for name in SHIPPED for ref in key_refs(shipped(name), scheme.name)),
            *(
                KeyRef(KeyUsage.FILE_SIGNING, sender_label(each.code), KEY_VERSION)
                for each in scheme.participants
            ),
        ]
    )
    return KeyRoom(InProcessKeyService(vault), vault)
