"""Receive a file of the load host's log: prove it, keep it, answer it.

Owns the order of its two commit points: raw bytes on the disk under their hash; one SQL transaction
that makes the file and its entries visible. A file that is kept already mends its raw bytes here,
should they be damaged. Leaves the answer to `settlement.intake.load_log`.
"""

from dataclasses import replace
from datetime import datetime

from cardcore.records.load_log import decode_load_log
from settlement.city import City
from settlement.durable import write_durable
from settlement.intake.answers import Acknowledgement, FileAnswer
from settlement.intake.load_log import (
    LoadLogHistory,
    StoredLoadLog,
    place_log,
    read_log_claim,
)
from settlement.intake.signed_file import issuer_of, prove_file
from settlement.registry.book import civil_day
from settlement.service.keeping import GIVEN_BACK
from settlement.service.proven import hash_of
from settlement.store.load_logs import add_load_log, load_log_history
from settlement.store.registry import load_host_key
from settlement.watching import OnStep


def receive_load_log(city: City, data: bytes, now: datetime, on_step: OnStep) -> Acknowledgement:
    """The answer to one file; a refused one changes nothing. `now` is UTC."""
    claim = read_log_claim(data, now)
    if isinstance(claim, Acknowledgement):
        return claim
    public_key = load_host_key(city.database, issuer_of(claim), claim.key_version, civil_day(now))
    file = prove_file(data, claim, decode_load_log, public_key, now)
    if isinstance(file, Acknowledgement):
        return file
    candidate = place_log(file, len(data), load_log_history(city.database, file), now)
    if isinstance(candidate, Acknowledgement):
        path = city.load_log_path(file.content_hash)
        is_kept = candidate.answer is FileAnswer.ALREADY_RECEIVED
        if is_kept and hash_of(path) != file.content_hash:
            write_durable(path, data)
            return replace(candidate, detail=GIVEN_BACK)
        return candidate
    write_durable(city.load_log_path(file.content_hash), data)
    on_step("raw_kept")

    def place(history: LoadLogHistory) -> StoredLoadLog | Acknowledgement:
        # Another process may have kept this or another part of the log: decide on what is true now.
        decided = place_log(file, len(data), history, now)
        on_step("row_decided")
        return decided

    answer = add_load_log(city.database, place, file)
    on_step("row_kept")
    return answer
