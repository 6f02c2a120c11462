"""What follows from an approval at once, in its own transaction: the registry's changes.

Everything else that is ruled is read where it matters: by the intake, by a close, by the next run.
"""

from collections.abc import Callable
from typing import Any

from settlement.people.actions import Action, Actor
from settlement.registry.proposed import read_changes
from settlement.rulings.book import Proposal
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import NewEntry
from settlement.store.database import Transaction
from settlement.store.registry import add_changes

Effect = Callable[[Transaction, NewEntry], None]


def effect_of(proposal: Proposal) -> Effect | None:
    """What approving a proposal makes beside the entry of the log; None: nothing."""
    if proposal.kind is RulingKind.REGISTRY_CHANGE:
        return lambda connection, entry: _change_registry(connection, proposal, entry)
    return None


def _change_registry(connection: Transaction, proposal: Proposal, entry: NewEntry) -> None:
    """In the name of whoever proposed; the log says who approved."""
    details: Any = proposal.details
    action = Action(Actor(proposal.proposed_by), entry.at, proposal.why)
    add_changes(connection, read_changes(details), action)
