"""The composition root: which provider stands behind each port.

The only module that names the key service simulator. Everything else receives what it needs as an
argument. A city's keys carry the name of its scheme as label; its senders sign as `sender-<code>`.
"""

from dataclasses import dataclass
from datetime import date

from api.settings import KeyServiceKind, Settings
from cardcore.keys import KeyRef, KeyService, KeyUsage
from cardcore.products import SHIPPED, key_refs, shipped
from cardcore.schemes import Scheme
from hsm_sim.in_process import InProcessKeyService
from hsm_sim.psam import Psam, PsamProfile, make_psam
from hsm_sim.published_keys import issuer_key_refs, published_vault
from hsm_sim.vault import KeyVault

KEY_VERSION = 1
PSAM_KEY_INDEX = 1
PSAM_VALID_FROM, PSAM_VALID_TO = date(2010, 1, 1), date(2099, 12, 31)


def signing_key_ref(sender: int) -> KeyRef:
    """The name of the key under a sender's batch files."""
    return KeyRef(KeyUsage.FILE_SIGNING, f"sender-{sender}", KEY_VERSION)


@dataclass(frozen=True, slots=True)
class KeyRoom:
    """The key service of a city, and the PSAMs that were filled from it."""

    service: KeyService
    _vault: KeyVault

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
            *(ref for name in SHIPPED for ref in key_refs(shipped(name), scheme.name)),
            *(ref for name in SHIPPED for ref in key_refs(shipped(name), scheme.name)),
            *(signing_key_ref(each.code) for each in scheme.participants),
        ]
    )
    return KeyRoom(InProcessKeyService(vault), vault)
