"""Receive a file: prove it, keep it, answer it.

Owns the order of the commit points of a file: raw bytes on the disk under their hash; fact files,
whose names and bytes follow from the raw file; one SQL transaction that makes the file visible. A
process killed at any of them leaves only what a repeat uses again. Leaves files of other kinds,
which their first bytes tell, to `receive_load_log` and `takeover`.
"""

from dataclasses import replace
from datetime import UTC, datetime

from cardcore.keys import KeyService
from cardcore.records import load_log, openings
from cardcore.records.batch import decode_batch
from settlement.city import City
from settlement.durable import write_durable
from settlement.facts.serials import serial_runs
from settlement.intake.answers import Acknowledgement, FileAnswer, StoredFile
from settlement.intake.decide import FileHistory, judge_bounds, place_file, read_claim
from settlement.intake.signed_file import prove_file
from settlement.people.actions import Action, Actor, ActorKind
from settlement.registry.book import civil_day
from settlement.service.keeping import GIVEN_BACK, give_back, keep_facts
from settlement.service.proving import SHOWN, prove_in_city
from settlement.service.receive_load_log import receive_load_log
from settlement.service.takeover.receive import receive_openings
from settlement.store.days import load_newest_seal
from settlement.store.files import add_file, load_history, remember_refusal
from settlement.store.registry import load_public_key
from settlement.watching import OnStep, pass_by

#: Registers the keys that show themselves in a file.
INTAKE = Actor("intake", ActorKind.SYSTEM)


def receive_file(
    city: City, data: bytes, key_service: KeyService, now: datetime, on_step: OnStep = pass_by
) -> Acknowledgement:
    """Take in one batch file, one of the load host's log or one of opening balances, and answer it.
    `now` carries its zone.

    A refused file changes nothing and is remembered in the audit; one that is kept already mends
    its raw bytes here, should they be damaged. Raises
    `KeyServiceUnavailableError`, with nothing changed, when its TACs cannot be proven now, and
    `UnknownKeyError` when the key service holds no TAC key of this city.
    """
    now = now.astimezone(UTC)
    if data.startswith(load_log.MAGIC):
        answer = receive_load_log(city, data, now, on_step)
    elif data.startswith(openings.MAGIC):
        answer = receive_openings(city, data, now, on_step)
    else:
        answer = _receive(city, data, key_service, now, on_step)
    if not answer.answer.is_kept:
        remember_refusal(city.database, answer)
    return replace(answer, newest_seal=load_newest_seal(city.database, city.scheme.name))


def _receive(
    city: City, data: bytes, key_service: KeyService, now: datetime, on_step: OnStep
) -> Acknowledgement:
    claim = read_claim(data, now)
    if isinstance(claim, Acknowledgement):
        return claim
    public_key = load_public_key(city.database, claim.sender, claim.key_version, civil_day(now))
    batch = prove_file(data, claim, decode_batch, public_key, now)
    if isinstance(batch, Acknowledgement):
        return batch
    serials = serial_runs(batch.records)
    known = load_history(city.database, batch, serials)
    candidate = place_file(batch, len(data), known, now)
    if isinstance(candidate, Acknowledgement):
        is_kept = candidate.answer is FileAnswer.ALREADY_RECEIVED
        if is_kept and give_back(city, batch.content_hash, data):
            return replace(candidate, detail=GIVEN_BACK)
        return candidate
    beyond = judge_bounds(batch, city.scheme.life, now)
    if beyond is not None:
        return beyond
    proof = prove_in_city(city, batch.records, key_service, Action(INTAKE, now, SHOWN))
    on_step("tacs_proven")
    write_durable(city.raw_path(batch.content_hash), data)
    on_step("raw_kept")
    facts = keep_facts(city, batch.content_hash, batch.records, proof.packed)
    on_step("facts_kept")

    def place(history: FileHistory) -> StoredFile | Acknowledgement:
        # What was true before the proof may have changed: decide on what is true now.
        decided = place_file(batch, len(data), history, now)
        on_step("row_decided")
        return decided

    answer = add_file(city.database, place, batch, facts, serials)
    on_step("row_kept")
    return answer
