"""A virtual city on disk: its chips, its collectors' journals, its terminals.

Decides where they lie and that every step of them can be repeated. Leaves the taps to the
terminals and the money to settlement. Beside the settlement folders a city folder then holds::

    world/chips.sqlite               cards and PSAMs, enciphered
    terminals/<participant>.sqlite   the journal of a participant's collector
    terminals/load-host.sqlite       the log of the load host
    outbox/<participant>/*.ocb       signed batch files, as they were sent
    outbox/load_host/*.ocl           signed files of the load host's log
"""

import fcntl
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from api.composition import PSAM_KEY_INDEX, CityKeys, refuse_real_keys
from api.simulation.chips import (
    CardAtRest,
    ChipAtRest,
    ChipDrawer,
    ImageSeal,
    NewCard,
)
from api.simulation.issuing import STATIONS, make_cards, order_card
from api.simulation.plan import Plan, PlannedCard, PlannedTap
from cardcore.apdu import CommandApdu
from cardcore.issuing.initialisation import Completion, complete
from cardcore.issuing.key_choices import with_newest_keys
from cardcore.issuing.products import Product, shipped
from cardcore.key_labels import load_host_label
from cardcore.keys import KeyUsage
from cardcore.text import Text
from settlement.city import City
from settlement.people.actions import Action, Actor, ActorKind
from settlement.registry.book import CITY_ZONE, Dated, since_ever
from settlement.registry.rows import (
    HotlistRow,
    LoadHostRow,
    NameRow,
    ParticipantRow,
    SenderRow,
    TerminalRow,
)
from settlement.service.registering import register_rows
from settlement.watching import OnStep, pass_by
from terminals.device import NO_PSAM
from terminals.errors import CardRemovedError
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.link.connection import CardConnection, InProcessConnection
from terminals.partners import PARTNERS, PSAM
from terminals.partners.ports import Authoriser, PartnerSetting
from terminals.roles import ROLES
from terminals.tap.terminal import Identity, Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapRequest, TapResult

_DEBIT_FOR_PURCHASE = 0x54
#: A passenger whose card left the field too early taps again after so long.
SECOND_TRY = timedelta(seconds=4)
CARD_LIFE = timedelta(days=365 * 10)
#: The version of the hotlist on which lost cards stand; no terminal has fetched it yet.
_HOTLIST = 1
#: Cards are kept so many at a time as they are made.
CARDS_AT_ONCE = 100
#: Who registers what a plan names, and closes its days.
SIMULATION = Actor("simulation", ActorKind.SYSTEM)


def chips_path(folder: Path) -> Path:
    """Where the chips of a city folder lie."""
    return folder / "world" / "chips.sqlite"


def journal_path(folder: Path, participant: int) -> Path:
    """Where the journal of a participant's collector lies."""
    return folder / "terminals" / f"{participant}.sqlite"


class PlanDiffersError(Exception):
    """The folder holds the chips of another plan; driving this one there would mix two cities."""


class WorldBusyError(Exception):
    """Another process drives this virtual city; two would pull the same cards two ways."""


class TornAtDebit:
    """A connection to a card that is pulled away after executing DEBIT, before its answer."""

    def __init__(self, inner: CardConnection) -> None:
        self._inner = inner

    def transmit(self, command: bytes) -> bytes:
        """See `CardConnection`."""
        response = self._inner.transmit(command)
        if CommandApdu.decode(command).ins == _DEBIT_FOR_PURCHASE:
            raise CardRemovedError(
                Text("扣款应答之前被抽走", "pulled away before the answer to DEBIT")
            )
        return response


class VirtualCity:
    """The chips, journals and terminals of one plan. Use as a context manager."""

    def __init__(self, city: City, keys: CityKeys, plan: Plan, on_step: OnStep = pass_by) -> None:
        refuse_real_keys(keys.service)
        self.city = city
        self._on_step = on_step
        self._keys = keys
        self._plan = plan
        silicon = keys.key_to_make(KeyUsage.DATA_ENCRYPTION, plan.scheme.name)
        seal = ImageSeal(keys.service, silicon.ref)
        self._drawer = ChipDrawer(chips_path(city.folder), seal)
        self._lock = chips_path(city.folder).with_name("driving.lock").open("w", encoding="ascii")
        self._journals: dict[int, Journal] = {}
        self._terminals: dict[tuple[str, str], Terminal] = {}
        self._partners: dict[str, Authoriser] = {}
        self._load_log: LoadLog | None = None
        #: Records, by id, of which their collectors make up another one, and its amount.
        self.forged_fen: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._close()
            raise WorldBusyError(
                Text(
                    f"另一进程正在 {self.city.folder} 中工作；请等它结束",
                    f"another process is at work in {self.city.folder}; wait for it to end",
                )
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        for journal in self._journals.values():
            journal.close()
        if self._load_log is not None:
            self._load_log.close()
        self._drawer.close()
        self._lock.close()

    def prepare(self, on_cards: Callable[[int], None] = lambda _: None) -> None:
        """Register who and what the plan names, and issue the cards that are not issued yet.
        `on_cards` hears how many more are issued.

        Raises `PlanDiffersError`, and `KeyStateError` when no key is active that cards need.
        """
        plan = self._plan
        if self._drawer.remember_once("plan", plan.fingerprint) != plan.fingerprint:
            raise PlanDiffersError(
                Text(
                    f"{self.city.folder} 中是另一座虚拟城市；请以 --data 另指目录",
                    f"{self.city.folder} holds another virtual city; name another folder with "
                    "--data",
                )
            )
        participants = (
            ParticipantRow(each.code, each.name, each.kind, each.sector)
            for each in plan.scheme.participants
            if each not in self.city.scheme.participants
        )
        senders = (
            SenderRow(
                sender,
                key.ref.version,
                each.code,
                self._keys.service.public_key(key.ref).hex(),
            )
            for each in plan.scheme.participants
            for sender in each.senders
            for key in self._keys.sender_keys(sender)
        )
        terminals = {
            order.terminal: TerminalRow(
                order.terminal, order.participant, ROLES[order.role].device_name
            )
            for order in plan.terminals
        }
        names = (
            NameRow(kind, code, text)
            for kind, texts in plan.names.items()
            for code, text in texts.items()
        )
        hosts = (
            LoadHostRow(
                plan.scheme.issuer.hex().upper(),
                key.ref.version,
                self._keys.service.public_key(key.ref).hex(),
            )
            for key in self._keys.signing_keys(load_host_label(plan.scheme.name))
        )
        register_rows(
            self.city,
            since_ever(*participants, *senders, *terminals.values(), *names, *hosts),
            Action(SIMULATION, datetime.now(UTC), "a plan names them"),
        )
        for card, since in plan.lost.items():
            # An entry binds nobody before it is told: it is told on its day.
            told = Action(SIMULATION, datetime.combine(since, time(), CITY_ZONE), "reported lost")
            register_rows(self.city, [Dated(HotlistRow(card, _HOTLIST), since)], told)
        issued = self._drawer.ids("card/")
        missing = [order for order in plan.cards if f"card/{order.number}" not in issued]
        on_cards(len(plan.cards) - len(missing))
        self._issue(missing, on_cards)

    def _issue(self, orders: Sequence[PlannedCard], on_cards: Callable[[int], None]) -> None:
        """Make cards, some at a time: what a killed process has made stays made."""
        if not orders:
            return
        label, described = self._plan.scheme.name, self._keys.service.describe_keys()
        made: dict[str, tuple[Product, Completion]] = {}
        for name in sorted({order.product for order in orders}):
            product = with_newest_keys(shipped(name), label, described)
            image = complete(product, self._keys.service, label, secrets.token_bytes)
            made[name] = product, image
        for start in range(0, len(orders), CARDS_AT_ONCE):
            batch = orders[start : start + CARDS_AT_ONCE]
            for name, (product, image) in made.items():
                planned = [each for each in batch if each.product == name]
                for first in range(0, len(planned), STATIONS):
                    side_by_side = planned[first : first + STATIONS]
                    self._drawer.add_cards(self._new_cards(side_by_side, product, image))
            on_cards(len(batch))

    def tap(self, tap: PlannedTap) -> TapResult:
        """One planned tap; a torn one is followed by the passenger's second try."""
        terminal = self._terminal(tap)
        request = TapRequest(
            request_id=tap.request,
            fare=Fare(tap.tariff_fen, tap.amount_fen, tap.concession, tap.transfer),
            place=Place(tap.line, tap.station, tap.vehicle),
            business_day=self._plan.scheme.business_day(tap.time),
            application=tap.application,
        )
        moment = tap.time
        if tap.torn:
            terminal.tap(TornAtDebit(self._card_in_field(tap.card)), request, moment)
            moment += SECOND_TRY
        return terminal.tap(self._card_in_field(tap.card), request, moment)

    def sign_records(self) -> int:
        """Let every PSAM sign what it has not signed yet; how many records were signed."""
        return sum(terminal.sign_records() for terminal in self._terminals.values())

    def journal(self, participant: int) -> Journal:
        """The journal of a participant's collector."""
        if participant not in self._journals:
            path = journal_path(self.city.folder, participant)
            path.parent.mkdir(exist_ok=True)
            self._journals[participant] = Journal.open(
                path, sender=participant, on_step=self._on_step
            )
        return self._journals[participant]

    def load_log(self) -> LoadLog:
        """The log of the city's load host."""
        if self._load_log is None:
            path = self.city.folder / "terminals" / "load-host.sqlite"
            path.parent.mkdir(exist_ok=True)
            issuer = self._plan.scheme.issuer
            self._load_log = LoadLog.open(path, issuer=issuer, on_step=self._on_step)
        return self._load_log

    def outbox(self, sender: int | str) -> Path:
        """The folder of a collector's batch files, or of the load host's log."""
        folder = self.city.folder / "outbox" / str(sender)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def participants(self) -> Iterable[int]:
        """Participants with a terminal, in order of their codes."""
        return sorted({order.participant for order in self._plan.terminals})

    def _card_in_field(self, number: str) -> InProcessConnection:
        chip_id = f"card/{number}"
        card = self._drawer.card(chip_id)
        return InProcessConnection(CardAtRest(self._drawer, chip_id, card))

    def _terminal(self, tap: PlannedTap) -> Terminal:
        key = (tap.terminal, tap.role)
        if key not in self._terminals:
            self._terminals[key] = self._start_terminal(tap)
        return self._terminals[key]

    def _start_terminal(self, tap: PlannedTap) -> Terminal:
        role, scheme = ROLES[tap.role], self._plan.scheme
        partner: CardConnection | Authoriser | None = None
        identity = Identity(tap.terminal, NO_PSAM, PSAM_KEY_INDEX)
        if role.partner == PSAM:
            purses = scheme.purses.get(role.device_name, role.applications)
            partner = self._psam(tap.terminal, purses[0])
            identity = read_psam(partner)
        elif role.partner is not None:
            partner = self._partner(role.partner)
        device = make_device(identity, scheme, tap.participant, Hotlist())
        return Terminal(role, device, self.journal(tap.participant), partner)

    def _partner(self, name: str) -> Authoriser:
        """One of each kind in a city: devices of one kind share what stands behind them."""
        if name not in self._partners:
            scheme = self._plan.scheme
            setting = PartnerSetting(self._keys.service, scheme.name, self.load_log())
            self._partners[name] = PARTNERS[name].start(setting)
        return self._partners[name]

    def _psam(self, terminal: str, application: str) -> CardConnection:
        """A PSAM holds the keys of one purse: that which the terminal's role takes first."""
        chip_id = f"psam/{terminal}"
        image = self._drawer.image(chip_id)
        if image is None:
            psam = self._keys.new_psam(self._plan.scheme, terminal, application)
        else:
            # As a terminal starts, its depot has seen to the keys of its PSAM (换钥).
            psam = self._keys.psams.renew_psam(image)
        if psam.image() != image:
            self._drawer.put(chip_id, psam.image())
        return InProcessConnection(ChipAtRest(self._drawer, chip_id, psam))

    def _new_cards(
        self, planned: Sequence[PlannedCard], product: Product, image: Completion
    ) -> list[NewCard]:
        """Whole cards, personalised over the secure channel as at a desk."""
        scheme, chip_ids = self._plan.scheme, [f"card/{each.number}" for each in planned]
        orders = [
            (
                order_card(
                    scheme,
                    product,
                    each.number,
                    each.valid_from,
                    each.valid_from + CARD_LIFE,
                    each.inside_since,
                ),
                secrets.token_bytes,
            )
            for each in planned
        ]
        cards, _ = make_cards(orders, product, scheme, self._keys.service, image)
        return [
            NewCard(chip_id, product.name, card.memory.cells())
            for chip_id, card in zip(chip_ids, cards, strict=True)
        ]
