"""A kept file proven again from its raw bytes, of whichever kind.

Decides whether the bytes under a file's name are still there, still hash to it and still prove
themselves. Leaves rows and facts that were made of them to whoever asks.
"""

import hashlib
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cardcore.text import Text
from settlement.city import City
from settlement.intake.answers import Acknowledgement
from settlement.intake.signed_file import Claim, File, prove_file
from settlement.verification.findings import SEND_AGAIN, Findings, Invariant, file_at

AnyClaim = TypeVar("AnyClaim", bound=Claim)
RAW_FILE = Text("原始文件", "raw file")


def prove_raw(
    city: City,
    path: Path,
    received_at: datetime,
    findings: Findings,
    read: Callable[[bytes, datetime], AnyClaim | Acknowledgement],
    decode: Callable[[bytes, bytes], File],
    load_keys: Callable[[AnyClaim], Collection[bytes]],
) -> File | None:
    """The file named by its content hash, taken apart again; None, with a finding, when it cannot
    be. `load_keys` gives every key its signer was ever registered with: revoked since, or
    registered anew, under one of them the file was right when it came.
    """
    where = file_at(RAW_FILE, path.relative_to(city.folder))
    try:
        data = path.read_bytes()
    except OSError as error:
        findings.cannot_read(Invariant.I10, where, error, SEND_AGAIN)
        return None
    found_hash = hashlib.sha256(data).hexdigest()
    if found_hash != path.stem:
        text = Text(
            f"内容的哈希为 {found_hash}，与文件名不符",
            f"its bytes hash to {found_hash}, not to its name",
        )
        findings.add(Invariant.I10, where, text, SEND_AGAIN)
    claim = read(data, received_at)
    if isinstance(claim, Acknowledgement):
        refused = claim
    else:
        for public_key in load_keys(claim) or (None,):
            file = prove_file(data, claim, decode, public_key, received_at)
            if not isinstance(file, Acknowledgement):
                return file
            refused = file
    findings.add(Invariant.I10, where, said_of(refused), SEND_AGAIN)
    return None


def said_of(refused: Acknowledgement) -> Text:
    """Why a kept file would be refused now."""
    said, detail = refused.answer.text, refused.detail
    if detail is None:
        return said
    return Text(f"{said.zh}：{detail.zh}", f"{said.en}: {detail.en}")
