"""The records that ride along with a composite purchase: EF1A of gates, EF1E of gates and buses.

Decides what is read of them, and when they are written into the card's cache. Their bytes are
decided in `decisions`; the card writes them together with its purse.
"""

from cardcore.layouts.transit import RECORD_METRO, TransitRecord
from terminals.tap import commands, decisions
from terminals.tap.actions import Action, Reply, ToCard
from terminals.tap.flow import Signal, State
from terminals.tap.learned import Learned, Steps, known, response_of
from terminals.taps import TapOutcome


def ask_transit(_: Learned) -> Action:
    """The metro's record of EF1A."""
    return ToCard(commands.read_transit())


def take_transit(tap: Learned, reply: Reply) -> Signal:
    """Whether entry and exit follow one another."""
    response, role = response_of(reply), tap.context.role
    if not response.ok:
        return tap.refuse(TapOutcome.CARD_UNREADABLE)
    tap.transit = TransitRecord.decode(response.data)
    if tap.transit.record_id != RECORD_METRO:
        return tap.refuse(TapOutcome.CARD_UNREADABLE)
    broken = decisions.broken_sequence(role.kind, tap.transit)
    tap.sequence_broken = broken is not None
    if broken is not None and not role.sequence_exempt:
        return tap.refuse(broken)
    return Signal.GOOD


def ask_write_transit(tap: Learned) -> Action:
    """EF1A as it will be."""
    context = tap.context
    record = decisions.transit_record(
        context.role,
        context.device,
        context.request,
        known(tap.initialised),
        known(tap.transit),
        context.time,
    )
    return ToCard(commands.write_transit(record))


def ask_write_trip(tap: Learned) -> Action:
    """The trip that EF1E gains."""
    context = tap.context
    record = decisions.trip_record(
        context.role, context.device, context.request, known(tap.initialised), context.time
    )
    return ToCard(commands.write_trip(record))


def take_write(tap: Learned, reply: Reply) -> Signal:
    """The card keeps it until DEBIT."""
    return Signal.GOOD if response_of(reply).ok else tap.refuse(TapOutcome.CARD_REFUSED)


STEPS: Steps = {
    State.READING_TRANSIT: (ask_transit, take_transit),
    State.WRITING_TRANSIT: (ask_write_transit, take_write),
    State.WRITING_TRIP: (ask_write_trip, take_write),
}
