"""From a published tap file to a plan. Decides what the file leaves unsaid: card numbers for
masked cards, the load each card needs, the class a fare belongs to, cards that begin inside.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from api.simulation.plan import Plan, PlannedCard, PlannedTap, PlannedTerminal
from api.simulation.taps import Tap, TapsFile, TapsFileError
from cardcore.concession import Concession
from cardcore.limits import BALANCE_MAX_FEN
from cardcore.records.kinds import RecordKind
from cardcore.schemes import Participant, ParticipantKind, Scheme
from cardcore.text import Text
from terminals.roles.bus import BUS
from terminals.roles.load_kiosk import KIOSK
from terminals.roles.metro_gate import ENTRY_EXEMPT, EXIT_EXEMPT

#: Cards are loaded in steps of fifty yuan, as kiosks take notes.
LOAD_STEP_FEN = 5_000
KIOSKS = 8
#: What every passenger of a file carries.
PRODUCT = "citizen"
#: Published taps hold entries without exits and exits without entries, so every gate runs in the
#: degraded mode 进出次序免检; a record is marked only when its order was in fact broken.
_ROLES = {
    RecordKind.ENTRY: ENTRY_EXEMPT.name,
    RecordKind.EXIT: EXIT_EXEMPT.name,
    RecordKind.PURCHASE: BUS.name,
}


@dataclass(frozen=True, slots=True)
class _Lookup:
    """What the names of a file stand for in the plan."""

    scheme: Scheme
    cards: Mapping[str, str]  # masked card to card number
    terminals: Mapping[tuple[str, int], str]  # device and operator to terminal
    codes: Mapping[str, Mapping[str, int]]  # line, station, vehicle: name to code


def plan_published(file: TapsFile, scheme: Scheme) -> Plan:
    """The plan of a file. On the eve of the first day every card is issued and loaded; then every
    row is a tap, settled on the day the file says. `TapsFileError` when a card could not hold the
    money its rows charge.
    """
    scheme = _with_operators(scheme, file.taps)
    agent = next(each for each in scheme.participants if each.kind is ParticipantKind.LOAD_AGENT)
    by_card: dict[str, list[Tap]] = defaultdict(list)
    for tap in file.taps:
        by_card[tap.masked_card].append(tap)
    numbers = _card_numbers(by_card, scheme)
    lookup = _Lookup(scheme, numbers, _terminal_ids(file.taps), _codes(file.taps))
    first = file.taps[0].time
    settled = {tap.settlement_day for tap in file.taps}
    eve = min(first.date(), *settled) - timedelta(days=1)
    kiosks = [f"{agent.code:06d}{number:06d}" for number in range(1, KIOSKS + 1)]
    return Plan(
        scheme=scheme,
        fingerprint=f"taps {file.content_hash}, whole cards",
        cards=tuple(
            PlannedCard(numbers[card], PRODUCT, eve, _inside_since(taps))
            for card, taps in by_card.items()
        ),
        terminals=(
            *(PlannedTerminal(kiosk, agent.code, KIOSK.name) for kiosk in kiosks),
            *_terminals(file.taps, lookup.terminals),
        ),
        names={
            kind: {code: text for text, code in table.items()}
            for kind, table in lookup.codes.items()
        },
        taps=(
            *_loads(by_card, numbers, eve, agent, kiosks),
            *(_planned(tap, lookup) for tap in file.taps),
        ),
    )


def _with_operators(scheme: Scheme, taps: Sequence[Tap]) -> Scheme:
    """The scheme with the operators that were taken up from the file."""
    rows = {tap.operator: tap.row for tap in reversed(taps)}
    taken = [each for each in rows if each not in scheme.participants]
    owners = {each.code: each.name for each in scheme.participants}
    for each in sorted(taken, key=_code):
        owner = owners.setdefault(each.code, each.name)
        if owner != each.name:
            said = Text(
                f"{each.name} 与 {owner} 得到同一代码", f"{each.name} and {owner} get one code"
            )
            raise TapsFileError(rows[each], "company_name", said)
    return replace(scheme, participants=(*scheme.participants, *sorted(taken, key=_code)))


def _code(participant: Participant) -> int:
    return participant.code


def _card_numbers(masked: Iterable[str], scheme: Scheme) -> dict[str, str]:
    """A card number for every masked card, the same whenever the card appears.

    The publisher masks digits as letters A to J, so the letters are read back as digits behind a
    leading 1 that keeps their count. Any other mask is hashed behind a leading 9.
    """
    prefix = f"0310{scheme.city_code}"
    numbers: dict[str, str] = {}
    taken: dict[str, str] = {}
    for card in masked:
        if re.fullmatch(r"[A-J]{1,10}", card):
            tail = "1" + card.translate(str.maketrans("ABCDEFGHIJ", "0123456789"))
        else:
            digest = hashlib.sha256(card.encode()).digest()
            tail = f"9{int.from_bytes(digest, 'big') % 10**11:011d}"
        number = prefix + tail.zfill(12)
        if taken.setdefault(number, card) != card:
            said = Text(
                f"卡 {taken[number]} 与 {card} 得到同一卡号",
                f"cards {taken[number]} and {card} get one number",
            )
            raise TapsFileError(1, "card_no", said)
        numbers[card] = number
    return numbers


def _codes(taps: Sequence[Tap]) -> dict[str, dict[str, int]]:
    """Codes for the names of lines, stations and vehicles, from 1 in the order of the names."""
    names: dict[str, set[str]] = {"line": set(), "station": set(), "vehicle": set()}
    for tap in taps:
        names["line" if tap.kind is RecordKind.PURCHASE else "station"].add(tap.place)
        names["vehicle"].add(tap.vehicle)
    return {
        kind: {text: code for code, text in enumerate(sorted(texts - {""}), start=1)}
        for kind, texts in names.items()
    }


def _terminal_ids(taps: Sequence[Tap]) -> dict[tuple[str, int], str]:
    """The terminal of each device and operator. A device number that two operators use stands for
    two devices: the second operator's gets a digit in front.
    """
    operators: dict[str, list[int]] = defaultdict(list)
    for device, operator in sorted({(tap.terminal, tap.operator.code) for tap in taps}):
        operators[device].append(operator)
    return {
        (device, operator): f"{int(device) + index * 10**11:012d}"
        for device, users in operators.items()
        for index, operator in enumerate(users)
    }


def _terminals(
    taps: Sequence[Tap], terminals: Mapping[tuple[str, int], str]
) -> list[PlannedTerminal]:
    orders = {
        terminals[tap.terminal, tap.operator.code]: PlannedTerminal(
            terminals[tap.terminal, tap.operator.code], tap.operator.code, _ROLES[tap.kind]
        )
        for tap in taps
    }
    return [orders[key] for key in sorted(orders)]


def _inside_since(taps: Sequence[Tap]) -> datetime | None:
    """When the first metro tap of a card is an exit, the card went in before the file begins."""
    for tap in taps:
        if tap.kind is RecordKind.EXIT:
            return datetime.combine(tap.time.date(), time.min)
        if tap.kind is RecordKind.ENTRY:
            return None
    return None


def _loads(
    by_card: dict[str, list[Tap]],
    numbers: dict[str, str],
    eve: date,
    agent: Participant,
    kiosks: Sequence[str],
) -> Iterable[PlannedTap]:
    """One load a card, spread over the eve from six o'clock, enough for all its rows."""
    opening = datetime.combine(eve, time(6))
    for index, (card, taps) in enumerate(by_card.items()):
        needed = sum(tap.charged_fen for tap in taps)
        amount = max(LOAD_STEP_FEN, -(-needed // LOAD_STEP_FEN) * LOAD_STEP_FEN)
        if amount > BALANCE_MAX_FEN:
            said = Text(
                f"卡 {card} 共扣 {needed} 分，超过一张卡可存的金额",
                f"card {card} is charged {needed} fen in all, more than a card may hold",
            )
            raise TapsFileError(taps[-1].row, "deal_money", said)
        yield PlannedTap(
            request=f"load {card}",
            card=numbers[card],
            time=opening + timedelta(seconds=index * 57_600 // len(by_card)),
            role=KIOSK.name,
            terminal=kiosks[index % len(kiosks)],
            participant=agent.code,
            tariff_fen=amount,
            amount_fen=amount,
            settlement_day=eve,
        )


def _planned(tap: Tap, lookup: _Lookup) -> PlannedTap:
    """The terminal charges what the row says; the class is read from the amounts."""
    codes = lookup.codes
    explained = (
        None
        if tap.kind is RecordKind.ENTRY
        else lookup.scheme.explain_fare(
            tap.kind, tap.tariff_fen, tap.charged_fen, transfer_mark=tap.transfer_mark
        )
    )
    bus = tap.kind is RecordKind.PURCHASE
    return PlannedTap(
        request=f"row {tap.row}",
        card=lookup.cards[tap.masked_card],
        time=tap.time,
        role=_ROLES[tap.kind],
        terminal=lookup.terminals[tap.terminal, tap.operator.code],
        participant=tap.operator.code,
        tariff_fen=tap.tariff_fen,
        amount_fen=tap.charged_fen,
        settlement_day=tap.settlement_day,
        concession=explained.concession if explained else Concession.ADULT,
        transfer=tap.transfer_mark,
        line=codes["line"].get(tap.place, 0) if bus else 0,
        station=0 if bus else codes["station"].get(tap.place, 0),
        vehicle=codes["vehicle"].get(tap.vehicle, 0),
        copies=tap.copies,
    )
