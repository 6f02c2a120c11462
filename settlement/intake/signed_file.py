"""What every signed file is asked first: is it whole, and did its signer sign it?

Decides the refusal of a file by its own bytes and one key, alike for batch files, for the load
host's log and for opening balances. Leaves what a head may claim and where a proven file belongs to
`decide`, `load_log` and `takeover`, the bytes to their codecs.
"""

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar

from cardcore.errors import FileFaultError
from cardcore.records.batch import BatchHeader
from cardcore.records.load_log import LoadLogHeader
from cardcore.records.openings import OpeningFaultError, OpeningHeader
from cardcore.text import Text
from settlement.intake.answers import Acknowledgement, FileAnswer

#: What a head says, not yet proven.
Claim = BatchHeader | LoadLogHeader | OpeningHeader
AnyClaim = TypeVar("AnyClaim", bound=Claim)
File = TypeVar("File")


def read_head(
    data: bytes, decode: Callable[[bytes], AnyClaim], now: datetime
) -> AnyClaim | Acknowledgement:
    """What the head claims, as its codec reads it, or a refusal."""
    try:
        return decode(data)
    except FileFaultError as error:
        return refuse_bytes(_answer(error), data, now, error.fault, None)


def prove_file(
    data: bytes,
    claim: Claim,
    decode: Callable[[bytes, bytes], File],
    public_key: bytes | None,
    now: datetime,
) -> File | Acknowledgement:
    """The file taken apart by its codec, proven by itself and by its signer's key, or a refusal.

    `public_key` is None when the signer, or its key version, is not registered.
    """
    if public_key is None:
        who, version = _signer(claim), claim.key_version
        reason = Text(f"{who.zh}，密钥版本 {version}", f"{who.en}, key version {version}")
        return refuse_bytes(FileAnswer.SENDER_UNKNOWN, data, now, reason, claim)
    try:
        return decode(data, public_key)
    except FileFaultError as error:
        return refuse_bytes(_answer(error), data, now, error.fault, claim)


def refuse_bytes(
    answer: FileAnswer, data: bytes, now: datetime, detail: Text, claim: Claim | None
) -> Acknowledgement:
    """A refusal of these bytes, of which nothing is proven."""
    return refuse(answer, hashlib.sha256(data).hexdigest(), now, detail, claim)


def refuse(
    answer: FileAnswer, content_hash: str, now: datetime, detail: Text, claim: Claim | None
) -> Acknowledgement:
    """A refusal. The sequence it names is the file's own, of a log the number of its first entry;
    what it names of a claim is as proven as the claim.
    """
    assert not answer.is_kept, answer
    sender, sequence, business_day = _place(claim)
    return Acknowledgement(
        answer=answer,
        content_hash=content_hash,
        received_at=now,
        sender=sender,
        sequence=sequence,
        business_day=business_day,
        detail=detail,
    )


def issuer_of(header: LoadLogHeader) -> str:
    """The issuer as rows name it."""
    return header.issuer.hex().upper()


def _place(claim: Claim | None) -> tuple[int | None, int | None, date | None]:
    match claim:
        case None:
            return None, None, None
        case BatchHeader():
            return claim.sender, claim.sequence, claim.business_day
        case LoadLogHeader():
            return None, claim.first_number, claim.created_at.date()
        case OpeningHeader():
            return claim.sender, None, claim.as_of.date()


def _signer(claim: Claim) -> Text:
    match claim:
        case BatchHeader() | OpeningHeader():
            return Text(f"发送方 {claim.sender}", f"sender {claim.sender}")
        case LoadLogHeader():
            issuer = issuer_of(claim)
            return Text(f"发卡机构 {issuer} 的圈存主机", f"load host of issuer {issuer}")


def _answer(error: FileFaultError) -> FileAnswer:
    if not error.entry:
        return FileAnswer[error.kind.upper()]
    is_row = isinstance(error, OpeningFaultError)
    return FileAnswer.ROW_WRONG if is_row else FileAnswer.ENTRY_WRONG
