"""Kept files, proven before anything is made of them: whole, made whole again, or set aside.

Decides what is wrong with a kept file now. The raw bytes are the only truth: facts that are damaged
are made again from them, through the very functions that made them first; a file whose raw bytes
are damaged is set aside until its sender gives it back, and the city goes on without it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cardcore.keys import KeyService, ProofReason
from cardcore.records.batch import read_records, read_registers
from cardcore.records.record import FIELD
from cardcore.text import Text
from settlement.city import City
from settlement.days.aside import AsideReason, Faults, SetAside, leave_out
from settlement.durable import make_folder, sync_folder, write_durable
from settlement.errors import StoredBytesError
from settlement.facts.cells import record_rows
from settlement.facts.columns import write_facts
from settlement.facts.proof import Proof
from settlement.intake.answers import FactFileRow, FileRow
from settlement.intake.bounds import beyond_bounds
from settlement.registry.rows import TacKeyRow
from settlement.service.proven import fact_path, hash_of, proven_bytes
from settlement.service.proving import prove_for_city
from settlement.store.files import replace_facts
from settlement.store.registry import load_changes

#: Told to whoever gave us back what we had lost.
GIVEN_BACK = Text("此处原已损坏，现已恢复", "its bytes here were damaged and are whole again")


class KeptFiles:
    """The files of a city, each proven once while one request is answered."""

    def __init__(self, city: City, key_service: KeyService) -> None:
        self._city = city
        self._key_service = key_service
        self._proven: dict[str, FileRow | AsideReason] = {}
        self._closed: list[FileRow] = []  # files of closed days that are not whole

    @property
    def faults(self) -> Faults:
        """What is wrong with files, as far as they were asked for."""
        return {
            content_hash: found
            for content_hash, found in self._proven.items()
            if isinstance(found, AsideReason)
        }

    @property
    def closed_aside(self) -> tuple[SetAside, ...]:
        """The files of closed days whose records a run would have taken up again."""
        return leave_out(self._closed, self.faults)[1]

    def prove(self, rows: Sequence[FileRow]) -> tuple[FileRow, ...]:
        """Those of the files that are whole, or are so again now, as they are kept now. Raises what
        the port raises when facts have to be made again.
        """
        return tuple(found for row in rows if isinstance(found := self._prove(row), FileRow))

    def _prove(self, row: FileRow) -> FileRow | AsideReason:
        content_hash = row.file.content_hash
        if content_hash not in self._proven:
            found = self._proven[content_hash] = self._look(row)
            if isinstance(found, AsideReason) and row.settlement_day is not None:
                self._closed.append(row)
        return self._proven[content_hash]

    def _look(self, row: FileRow) -> FileRow | AsideReason:
        fault = raw_fault(self._city, row)
        if fault is not None:
            return fault
        if all(
            hash_of(fact_path(self._city, row.file.content_hash, each.bucket)) == each.sha256
            for each in row.facts
        ):
            return row
        return self._make_facts_again(row)

    def _make_facts_again(self, row: FileRow) -> FileRow | AsideReason:
        city, content_hash = self._city, row.file.content_hash
        data = proven_bytes(city.raw_path(content_hash), content_hash)
        records = read_records(data)
        proof = prove_for_city(city, records, self._key_service)
        if row.settlement_day is None:
            facts = keep_facts(city, content_hash, records, proof.packed)
            if facts != row.facts:  # a key came or went since: the file is judged as by now
                replace_facts(city.database, content_hash, facts)
            return replace(row, facts=facts)
        # What a closed day was made of must come out as it was: as judged by now, or by the keys
        # that were registered when it came.
        sha256 = {each.bucket: each.sha256 for each in row.facts}
        for packed in _as_it_came(city, records, proof):
            with city.scratch("facts") as scratch:
                written = write_facts(records, packed, content_hash, city.bucket_count, scratch)
            if {each.bucket: each.sha256 for each in written} == sha256:
                keep_facts(city, content_hash, records, packed)
                return row
        return AsideReason.FACTS_DAMAGED


def _as_it_came(city: City, records: bytes, proof: Proof) -> Iterator[bytes]:
    """The proof as it may have been when the file came, newest first: what a key proves that was
    registered later was not known then. City and key service hold few versions of keys.
    """
    named = record_rows(records)[:, FIELD["key_version"].offset]
    for later in later_versions(city):
        answers = np.frombuffer(proof.answers, np.uint8).copy()
        answers[np.isin(named, later)] = ProofReason.UNKNOWN_VERSION
        yield replace(proof, answers=answers.tobytes()).packed


def later_versions(city: City) -> Iterator[list[int]]:
    """The versions of keys that were not registered yet, at every moment of the past: the newest
    first, when there were none.
    """
    order: dict[int, None] = {}
    for change in load_changes(city.database):
        if isinstance(change.what.row, TacKeyRow):
            order.setdefault(change.what.row.version)
    for count in range(len(order), -1, -1):
        yield list(order)[count:]


def raw_fault(city: City, row: FileRow) -> AsideReason | None:
    """What is wrong with a kept file's raw bytes; None when they are what was signed."""
    content_hash = row.file.content_hash
    try:
        data = proven_bytes(city.raw_path(content_hash), content_hash)
    except StoredBytesError:
        return AsideReason.RAW_DAMAGED
    registers = read_registers(data) if row.file.register_count else ()
    if beyond_bounds(row.file.business_day, registers, city.scheme.life) is not None:
        return AsideReason.BEYOND_BOUNDS
    return None


def give_back(city: City, content_hash: str, data: bytes) -> bool:
    """Write a kept file's raw bytes anew where they are damaged; whether they were."""
    path = city.raw_path(content_hash)
    if hash_of(path) == content_hash:
        return False
    write_durable(path, data)
    return True


def keep_facts(
    city: City, content_hash: str, records: bytes, proof: bytes
) -> tuple[FactFileRow, ...]:
    """Write a file's facts, on the disk before this returns."""
    folder = city.facts_folder(content_hash)
    make_folder(folder)
    written = write_facts(records, proof, content_hash, city.bucket_count, folder)
    sync_folder(folder)
    return tuple(
        FactFileRow(each.bucket, each.rows, each.sha256, each.unjudged) for each in written
    )
