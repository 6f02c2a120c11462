"""A kept file proven again from its raw bytes, of whichever kind.

Decides whether the bytes under a file's name are still there, still hash to it and still prove
themselves. Leaves rows and facts that were made of them to whoever asks.
"""

import hashlib
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from settlement.city import City
from settlement.intake.answers import Acknowledgement
from settlement.intake.signed_file import Claim, File, prove_file
from settlement.verification.findings import Findings, Invariant

AnyClaim = TypeVar("AnyClaim", bound=Claim)


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
    where = f"raw file {path.relative_to(city.folder)}"
    try:
        data = path.read_bytes()
    except OSError as error:
        findings.add(Invariant.I10, where, f"cannot be read: {error.strerror}")
        return None
    found_hash = hashlib.sha256(data).hexdigest()
    if found_hash != path.stem:
        findings.add(Invariant.I10, where, f"its bytes hash to {found_hash}, not to its name")
    claim = read(data, received_at)
    if isinstance(claim, Acknowledgement):
        refused = claim
    else:
        for public_key in load_keys(claim) or (None,):
            file = prove_file(data, claim, decode, public_key, received_at)
            if not isinstance(file, Acknowledgement):
                return file
            refused = file
    findings.add(Invariant.I10, where, f"{refused.answer.text.en}: {refused.detail}")
    return None
