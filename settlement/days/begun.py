"""A close that was begun: kept before the key service signs, until the day is kept. Pure.

Decides what of a close must outlive a kill. The key service seals a day number once, so a close
that was cut off behind its signature has to come out byte for byte as it began: with its moment,
its people, its files and not those that came since.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from settlement.days.aside import SetAside, decode_aside
from settlement.days.closing import ClosePlan
from settlement.days.load_log import LogEnd
from settlement.days.rulings import AppliedRuling
from settlement.intake.refusals import RefusalsEnd
from settlement.people.actions import Actor
from settlement.registry.book import RegistryEnd
from settlement.rulings.log import RulingsEnd
from settlement.seal import canonical_json, digest


@dataclass(frozen=True, slots=True)
class BegunClose:
    """What a close was begun with; everything else follows from it and from what is kept."""

    number: int
    settlement_day: date
    seal: str
    key_version: int
    run_id: str
    registry_sha256: str
    review_sha256: str | None
    file_hashes: frozenset[str]
    load_logs: tuple[LogEnd, ...]
    rulings: tuple[AppliedRuling, ...]
    registry_end: RegistryEnd
    rulings_end: RulingsEnd
    refusals_end: RefusalsEnd
    closed_at: datetime
    closed_by: Actor
    confirmed_by: Actor | None
    set_aside: tuple[SetAside, ...]


def encode_begun(plan: ClosePlan, key_version: int) -> bytes:
    """A close as it is kept while it is under way."""
    content = {"document": plan.document, "seal": plan.day.seal, "key_version": key_version}
    return canonical_json(content) + b"\n"


def read_sealed(data: bytes) -> dict[str, Any] | None:
    """What stands in a file whose document its own seal covers; None for other bytes."""
    try:
        content: dict[str, Any] = json.loads(data)
        return content if digest(content["document"]) == content["seal"] else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def decode_begun(data: bytes) -> BegunClose | None:
    """What `encode_begun` wrote, or `encode_seal`; None for bytes that are neither, whole."""
    content = read_sealed(data)
    if content is None:
        return None
    try:
        document, signed = content["document"], content.get("signed", content)
        inputs, second = document["inputs"], document.get("confirmed_by")
        return BegunClose(
            number=int(document["number"]),
            settlement_day=date.fromisoformat(document["settlement_day"]),
            seal=str(content["seal"]),
            key_version=int(signed["key_version"]),
            run_id=str(document["run_id"]),
            registry_sha256=str(inputs["registry_sha256"]),
            review_sha256=inputs.get("review_sha256"),
            file_hashes=frozenset(content_hash for content_hash, _ in document["file_rows"]),
            load_logs=tuple(LogEnd(*each) for each in inputs.get("load_logs", ())),
            rulings=tuple(AppliedRuling(*each) for each in inputs.get("rulings", ())),
            registry_end=RegistryEnd(*document["registry"]),
            rulings_end=RulingsEnd(*document["audit_log"]),
            refusals_end=RefusalsEnd(*document["refusals"]),
            closed_at=datetime.fromisoformat(document["closed_at"]),
            closed_by=Actor.from_code(document["closed_by"]),
            confirmed_by=None if second is None else Actor.from_code(second),
            set_aside=decode_aside(json.dumps(document.get("set_aside", []))),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
