"""Receive a file of opening balances: prove it, keep it, answer it.

Owns the order of its two commit points: raw bytes on the disk under their hash; one SQL transaction
that makes the file visible. Leaves the answer to `settlement.intake.takeover`.
"""

from dataclasses import replace
from datetime import datetime

from cardcore.records.openings import OpeningFile, decode_openings
from settlement.city import City
from settlement.durable import write_durable
from settlement.errors import StoredBytesError
from settlement.intake.answers import Acknowledgement, FileAnswer
from settlement.intake.signed_file import prove_file
from settlement.intake.takeover import (
    OpeningHistory,
    OpeningRules,
    Purse,
    StoredOpenings,
    place_openings,
    purse_of,
    read_opening_claim,
)
from settlement.registry.book import civil_day
from settlement.registry.placing import place_numbers
from settlement.registry.rows import ParticipantRow, SenderRow
from settlement.service.keeping import GIVEN_BACK
from settlement.service.proven import hash_of
from settlement.service.takeover.reading import kept_file
from settlement.store.registry import load_card_numbers, load_participants, load_sender
from settlement.store.takeover import add_openings, load_openings
from settlement.watching import OnStep


def receive_openings(city: City, data: bytes, now: datetime, on_step: OnStep) -> Acknowledgement:
    """The answer to one file; a refused one changes nothing. `now` is UTC."""
    claim = read_opening_claim(data, now)
    if isinstance(claim, Acknowledgement):
        return claim
    sender = load_sender(city.database, claim.sender, claim.key_version, civil_day(now))
    public_key = None if sender is None else bytes.fromhex(sender.public_key)
    file = prove_file(data, claim, decode_openings, public_key, now)
    if isinstance(file, Acknowledgement):
        return file
    rules = opening_rules(city, sender)
    kept = tuple(each for each, _ in load_openings(city.database))
    candidate = place_openings(file, len(data), _history(city, file, kept), rules, now)
    path = city.openings_path(file.content_hash)
    if isinstance(candidate, Acknowledgement):
        is_kept = candidate.answer is FileAnswer.ALREADY_RECEIVED
        if is_kept and hash_of(path) != file.content_hash:
            write_durable(path, data)
            return replace(candidate, detail=GIVEN_BACK)
        return candidate
    write_durable(path, data)
    on_step("raw_kept")

    def place(now_kept: tuple[StoredOpenings, ...]) -> StoredOpenings | Acknowledgement:
        decided: StoredOpenings | Acknowledgement = candidate
        if now_kept != kept:
            # Another process has kept a file meanwhile: decide on what is true now.
            history = _history(city, file, now_kept)
            decided = place_openings(file, len(data), history, rules, now)
        on_step("row_decided")
        return decided

    answer = add_openings(city.database, place)
    on_step("row_kept")
    return answer


def opening_rules(city: City, sender: SenderRow | None) -> OpeningRules:
    """What a file of that sender is held against."""
    who: ParticipantRow | None = None
    if sender is not None:
        found = load_participants(city.database, {sender.participant})
        who = found[0] if found else None
    numbers = tuple(place_numbers(load_card_numbers(city.database), city.scheme.name))
    return OpeningRules(who, numbers, city.scheme.life)


def _history(city: City, file: OpeningFile, kept: tuple[StoredOpenings, ...]) -> OpeningHistory:
    handed: dict[Purse, str] = {}
    for stored in kept:
        if stored.content_hash == file.content_hash:
            return OpeningHistory(same_content=stored)
    for stored in kept:
        try:
            balances = kept_file(city, stored).balances()
        except StoredBytesError:
            return OpeningHistory(damaged=stored.content_hash, file_count=len(kept))
        handed |= {purse_of(each): stored.content_hash for each in balances}
    centres = {scope: stored.centre for stored in kept for scope in stored.scopes}
    return OpeningHistory(file_count=len(kept), handed=handed, centres=centres)
