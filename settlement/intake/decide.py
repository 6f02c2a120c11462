"""What the office answers to a batch file: new, in sequence, within bounds?

Decides the answer to a proven file from what is known of its sender. Leaves the proof to
`settlement.intake.signed_file`; loading, keeping and TAC proof to `settlement.service.receive`.
Whether a kept file is ready, i.e. every earlier file of its sender is there, is never stored: it is
asked of the files present, so the order of arrival cannot matter.

A file copied under another sender or sequence needs no answer of its own: both stand under the
signature, so such a copy has another content hash and fails as altered.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from cardcore.records.batch import FILE_BYTES_MAX, Batch, BatchHeader, decode_header
from cardcore.records.record import VERSION
from cardcore.schemes import Life
from cardcore.text import Text
from settlement.intake.answers import Acknowledgement, FileAnswer, SequenceRange, StoredFile
from settlement.intake.bounds import beyond_bounds
from settlement.intake.signed_file import read_head, refuse, refuse_bytes


@dataclass(frozen=True, slots=True)
class FileHistory:
    """What the store knows that bears on one file."""

    same_content: StoredFile | None
    same_sequence: str | None  # content hash of the sender's file with this sequence
    missing: tuple[SequenceRange, ...]  # sequences below this one that are not there
    #: A terminal of this file that sent a newer version of records before, and from which serial.
    went_back: tuple[str, int] | None = None


def read_claim(data: bytes, now: datetime) -> BatchHeader | Acknowledgement:
    """What the first 64 bytes claim, not yet proven, or a refusal."""
    header = read_head(data, decode_header, now)
    if isinstance(header, Acknowledgement):
        return header
    if header.sequence < 1:
        reason = Text("序号从 1 起", "sequences count from 1")
        return refuse_bytes(FileAnswer.NOT_A_BATCH, data, now, reason, header)
    if len(data) > FILE_BYTES_MAX:
        reason = Text(
            f"{len(data)} 字节，至多 {FILE_BYTES_MAX} 字节",
            f"{len(data)} bytes, at most {FILE_BYTES_MAX}",
        )
        return refuse_bytes(FileAnswer.TOO_LARGE, data, now, reason, header)
    return header


def place_file(
    batch: Batch, size_bytes: int, history: FileHistory, now: datetime
) -> StoredFile | Acknowledgement:
    """The row to keep for a proven file, or the answer when nothing is to be kept."""
    header = batch.header
    if history.same_content is not None:
        first = history.same_content.acknowledgement()
        return replace(first, answer=FileAnswer.ALREADY_RECEIVED, first_answer=first.answer)
    if history.same_sequence is not None:
        return refuse(
            FileAnswer.SEQUENCE_CONFLICT,
            batch.content_hash,
            now,
            Text(
                f"序号 {header.sequence} 是文件 {history.same_sequence}",
                f"sequence {header.sequence} is file {history.same_sequence}",
            ),
            header,
        )
    if history.went_back is not None:
        terminal, serial = history.went_back
        return refuse(
            FileAnswer.VERSION_WENT_BACK,
            batch.content_hash,
            now,
            Text(
                f"终端 {terminal} 自流水号 {serial} 起已用版本 {VERSION}；本文件以版本 "
                f"{header.version} 上送其更晚的流水。请用新程序上送",
                f"terminal {terminal} has sent version {VERSION} from serial {serial} on; this "
                f"file has later serials of it in version {header.version}. Send them with its new "
                "program",
            ),
            header,
        )
    return StoredFile(
        content_hash=batch.content_hash,
        sender=header.sender,
        sequence=header.sequence,
        key_version=header.key_version,
        business_day=header.business_day,
        created_at=header.created_at,
        received_at=now,
        size_bytes=size_bytes,
        record_count=header.record_count,
        register_count=header.register_count,
        debit_fen=batch.totals.debit_fen,
        load_fen=batch.totals.load_fen,
        hash_total=f"{batch.totals.hash_total:016x}",
        version=header.version,
        answer=FileAnswer.WAITING_FOR_GAP if history.missing else FileAnswer.ACCEPTED,
        missing=history.missing,
    )


def judge_bounds(batch: Batch, life: Life, now: datetime) -> Acknowledgement | None:
    """A refusal of a proven file that no run could hold; None for one that any run can."""
    fault = beyond_bounds(batch.header.business_day, batch.registers, life)
    if fault is None:
        return None
    detail = Text(f"{fault.zh}。请在该处更正", f"{fault.en}. Mend it there")
    return refuse(FileAnswer.BEYOND_BOUNDS, batch.content_hash, now, detail, batch.header)
