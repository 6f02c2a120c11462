"""`onecard doctor --production`: what production would refuse here, each with what to do.

Decides what is looked at: the key service of the settings, the people of a city, a device, and
how it is to be served.
Leaves what is refused to `api.production`.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.frame.session import people_of
from api.cli.hsm.device import given_pins
from api.cli.hsm.refusals import named_refusals
from api.composition import open_city_keys
from api.production import Situation, refused
from api.settings import Environment, KeyServiceKind, read_settings
from cardcore.errors import KeyRightError, KeyServiceUnavailableError
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text, text_of
from hsm_sim.device.device import Device
from hsm_sim.device.inspection import look
from settlement.city import open_city
from settlement.errors import CityError

if TYPE_CHECKING:
    from cardcore.keys import KeyDescription
    from hsm_sim.keys.vault import KeyEntry

#: A row: name of the rule, what it is about, what was found and what to do.
Finding = tuple[str, Text, Text]


def examine_for_production(
    city: Path,
    device: Path | None,
    pin_files: list[str] | None,
    *,
    socket: Path | None,
    rights: Path | None,
    host_commands: str | None,
    tls: str | None,
    revoked: Path | None,
    private_key: Path | None,
    clients_ca: Path | None,
) -> list[Finding]:
    """Everything that production would refuse, whichever environment this is."""
    settings = read_settings({**os.environ, "ONECARD_ENVIRONMENT": Environment.TEST})
    chosen = settings.key_service
    found: list[Finding] = []
    keys: list[KeyDescription] = []
    if chosen.kind is not KeyServiceKind.IN_PROCESS:
        try:
            keys += open_city_keys(settings, SCHEMES["demo"]).service.describe_keys()
        except (KeyRightError, KeyServiceUnavailableError) as error:
            found.append(("key-service", Text("密钥服务", "key service"), text_of(error)))
    entries: tuple[KeyEntry, ...] = ()
    pins: dict[str, bytes] = {}
    seen = None
    if device is not None:
        with named_refusals():
            seen = look(device)
            keys += (each.description for each in seen.keys)
            if pin_files:
                pins = given_pins(device, pin_files)
    people = None
    if (city / "city.json").exists():
        try:
            with open_city(city, to_read=True) as seen_city:
                people = people_of(seen_city)
        except CityError as error:
            found.append(("city", Text("城市", "city"), text_of(error)))
    situation = Situation(
        people=people,
        key_service=chosen,
        keys=tuple({each.ref: each for each in keys}.values()),
        is_demonstration=None if seen is None else seen.is_demonstration,
        folder=device,
        pins=pins,
        socket=socket,
        serves=device is not None,
        rights=rights,
        host_commands=host_commands,
        tls=tls,
        revoked=revoked,
        private_key=private_key,
        clients_ca=clients_ca,
        # A folder with chips in it is a virtual city.
        simulates=(city / "world" / "chips.sqlite").exists(),
    )
    told = list(refused(situation))
    if device is not None and pins and not {rule.name for rule, _ in told} & _BEFORE_OPENING:
        with named_refusals():
            opened = Device.open(device, pins)
            entries = opened.vault.entries()
            opened.close()
        told += refused(Situation(entries=entries))
    return found + [(rule.name, rule.what, why) for rule, why in told]


#: With these the device does not open at all, and a try would only count as a wrong one.
_BEFORE_OPENING = {"weak-pins", "shared-pins", "open-folder", "log"}
