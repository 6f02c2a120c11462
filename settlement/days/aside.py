"""Files that a run goes on without (搁置), pure.

Decides which ready files are left out when some cannot be judged, and why: the sender's later files
wait, as they would for a gap. Leaves finding out which cannot be judged to
`settlement.service.keeping`. Nothing of this is stored with a file: it stays unsettled, and is
looked at again before the next run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cardcore.text import Text
from settlement.intake.answers import FileRow
from settlement.seal import canonical_json


class AsideReason(StrEnum):
    """Why a file was set aside."""

    RAW_DAMAGED = "raw_damaged"  # its bytes here are not those that were signed
    FACTS_DAMAGED = "facts_damaged"  # of a closed day, and cannot be made again as they were
    BEYOND_BOUNDS = "beyond_bounds"  # taken in before such files were refused
    EARLIER_SET_ASIDE = "earlier_set_aside"  # waits for one of those, of the same sender
    LOG_DAMAGED = "log_damaged"  # of a load host's log, whose bytes here are not what was signed
    OPENINGS_DAMAGED = "openings_damaged"  # the same of a file of opening balances

    @property
    def text(self) -> Text:
        """For people: what is wrong, and what to do."""
        return _TEXTS[self]


_TEXTS = {
    AsideReason.RAW_DAMAGED: Text(
        "原始文件已损坏，请发送方重传同一文件",
        "its bytes here are damaged; have its sender send this very file again",
    ),
    AsideReason.FACTS_DAMAGED: Text(
        "事实文件已损坏且无法照原样重建，请从备份恢复",
        "its facts are damaged and cannot be made again as they were; restore them from a copy",
    ),
    AsideReason.BEYOND_BOUNDS: Text(
        "内容超出可处理范围", "it says what no run can hold; its sender has to answer for it"
    ),
    AsideReason.EARLIER_SET_ASIDE: Text(
        "等待同一发送方的前一文件", "waits for an earlier file of its sender that was set aside"
    ),
    AsideReason.LOG_DAMAGED: Text(
        "圈存授权日志文件已损坏，其后的条目暂不读取，请圈存主机重传同一文件",
        "its bytes here are damaged and nothing behind it is read; have the load host send this "
        "very file of its log again",
    ),
    AsideReason.OPENINGS_DAMAGED: Text(
        "期初余额文件已损坏，其中的卡暂未开户，请原中心重传同一文件",
        "its bytes here are damaged and its cards stay unopened; have the old centre send this "
        "very file again",
    ),
}
assert set(_TEXTS) == set(AsideReason)

#: What is wrong with files, by content hash.
Faults = Mapping[str, AsideReason]


@dataclass(frozen=True, slots=True, order=True)
class SetAside:
    """A file that a run went on without. A file of a load host's log has no sender (0), and its
    sequence is the number of its first entry; one of opening balances has no sequence (0).
    """

    sender: int
    sequence: int
    content_hash: str
    why: AsideReason


def leave_out(
    ready: Sequence[FileRow], faults: Faults
) -> tuple[tuple[FileRow, ...], tuple[SetAside, ...]]:
    """The files that a run may be made of, in their order, and those that were set aside, by sender
    and sequence.
    """
    first: dict[int, int] = {}
    for row in ready:
        if row.file.content_hash in faults:
            sender, sequence = row.file.sender, row.file.sequence
            first[sender] = min(sequence, first.get(sender, sequence))
    left: list[FileRow] = []
    aside: list[SetAside] = []
    for row in ready:
        file = row.file
        if file.sequence < first.get(file.sender, file.sequence + 1):
            left.append(row)
            continue
        why = faults.get(file.content_hash, AsideReason.EARLIER_SET_ASIDE)
        aside.append(SetAside(file.sender, file.sequence, file.content_hash, why))
    return tuple(left), tuple(sorted(aside))


def encode_aside(files: Sequence[SetAside]) -> str:
    """Files set aside as the store keeps them.

    >>> encode_aside([SetAside(7, 3, "ab", AsideReason.RAW_DAMAGED)])
    '[[7,3,"ab","raw_damaged"]]'
    """
    return canonical_json([aside_content(each) for each in files]).decode()


def decode_aside(text: str | None) -> tuple[SetAside, ...]:
    """What `encode_aside` wrote; none where nothing stands.

    >>> decode_aside('[[7,3,"ab","raw_damaged"]]')[0].why.name
    'RAW_DAMAGED'
    """
    rows = [] if text is None else json.loads(text)
    return tuple(
        SetAside(sender, sequence, content_hash, AsideReason(why))
        for sender, sequence, content_hash, why in rows
    )


def aside_content(each: SetAside) -> list[str | int]:
    """How a sealed document names a file that was set aside."""
    return [each.sender, each.sequence, each.content_hash, each.why.value]
