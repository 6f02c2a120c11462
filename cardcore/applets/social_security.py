"""The social security application (社会保障卡应用, LD/T 32 and LD/T 33).

Decides its files, their fields, keys and access rules in the versions 1.00, 2.00 and 3.00. Leaves
what commands do with them to `cardcore.chip.card`.

The name is "sx1.sh." and 社会保障 in GBK. EF05 (issue) and EF06 (holder) are records of tag, length
and value, read by tag or by number. Versions 1 and 2 show them to anybody; version 3 only after
the reader has looked at the card (INTERNAL AUTHENTICATE) and shown itself (EXTERNAL AUTHENTICATE,
key 0A). Everybody writes under the update key 04. The contents of DF01 to DF03 are published only
in part, so apart from residence (tags 23, 24, 28) a profile gives them as tag and bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cardcore.application import Application
from cardcore.chip.access import Access
from cardcore.chip.cardkeys import Secret
from cardcore.chip.keyfile import KeySlot, add_key_file
from cardcore.chip.package import DirectoryEntry, Package, lay_out
from cardcore.chip.tree import Contents, DedicatedFile, Structure, TreeBuilder
from cardcore.keys import Algorithm, KeyUsage
from cardcore.layouts.tagged import TAG_BYTES, ValueCoding, table
from cardcore.text import Text
from cardcore.tlv import Tlv

NAME = b"sx1.sh." + "社会保障".encode("gbk")
FID_APPLICATION = 0xDF0A
FID_ISSUE, FID_HOLDER, FID_FINGERPRINT, FID_PHOTO = 0xEF05, 0xEF06, 0xEF07, 0xEF08
FID_HOUSEHOLD, FID_EMPLOYMENT, FID_INSURANCE = 0xDF01, 0xDF02, 0xDF03
FINGERPRINT_BYTES, PHOTO_BYTES = 1024, 3072
#: Key ids as readers send them in P2 of EXTERNAL AUTHENTICATE.
READ_KEY, UPDATE_KEY = 0x0A, 0x04
#: P2 of INTERNAL AUTHENTICATE; 01 asks for the TAC over the digest of a record instead.
INTERNAL_KEY, TAC_KEY = 0x02, 0x01
_TEXT, _DIGITS, _BYTES = ValueCoding.TEXT, ValueCoding.DIGITS, ValueCoding.BYTES
#: SFI of EF05 under tag 88 of the FCI, with the three bits behind it of published cards.
_DIRECTORY_SFI = b"\x0b"
#: Version 3 also names its algorithm: 9F0C { 86 01 … }. Published: 03 for SM4. 05 is ours.
_ALGORITHM_CODES = {Algorithm.PBOC_3DES: 0x01, Algorithm.SM4: 0x03, Algorithm.AES: 0x05}

ISSUE = table(
    (0x01, "card_id", _BYTES, 16),  # 卡的识别码: region 3, D156000005, serial, check
    (0x02, "card_class", _TEXT, 1),  # 卡的类别
    (0x03, "version", _TEXT, 4),  # 规范版本
    (0x04, "organisation", _BYTES, 12),  # 初始化机构编号
    (0x05, "issued_on", _DIGITS, 4),  # 发卡日期
    (0x06, "valid_to", _DIGITS, 4),  # 卡有效期
    (0x07, "card_number", _TEXT, 9),  # 卡号
)
HOLDER = table(
    (0x08, "social_security_number", _TEXT, 18),  # 社会保障号码
    (0x09, "name", _TEXT, 30),  # 姓名
    (0x4E, "name_extension", _TEXT, 20),  # 姓名扩展
    (0x0A, "sex", _TEXT, 1),  # 性别
    (0x0B, "nation", _BYTES, 1),  # 民族
    (0x0C, "birthplace", _DIGITS, 3),  # 出生地
    (0x0D, "birth_date", _DIGITS, 4),  # 出生日期
)
#: DF01, EF06: the residence.
RESIDENCE = table(
    (0x23, "residence_region", _DIGITS, 3),
    (0x24, "residence_address", _TEXT, 80),
    (0x28, "residence_postcode", _TEXT, 6),
)
ENTRY = DirectoryEntry(NAME, "SSSE", 3)
APPLICATIONS = (
    Application(
        2,
        "social_security",
        Text("社会保障", "social security"),
        (NAME,),
        "-social",
        has_purse=False,
        authentication_index=INTERNAL_KEY,
    ),
)
KEYS = (
    KeySlot(KeyUsage.INTERNAL_AUTHENTICATION, INTERNAL_KEY),  # IRK
    KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, READ_KEY, tries_max=10),  # RK
    KeySlot(KeyUsage.EXTERNAL_AUTHENTICATION, UPDATE_KEY, tries_max=10),  # UK
    KeySlot(KeyUsage.FILE_MAINTENANCE, 1, tries_max=10),  # STK of the application
    KeySlot(KeyUsage.PIN_UNBLOCK, 1, tries_max=10),  # PUK
    KeySlot(KeyUsage.PIN_RELOAD, 1, tries_max=10),
    KeySlot(KeyUsage.TAC, TAC_KEY),  # signs settlements in which no purse moves
)


@dataclass(frozen=True, slots=True)
class SocialSecurityProfile:
    """What one card starts with: values by field name, `version` 1.00, 2.00 or 3.00 in `issue`.

    `household`, `employment` and `insurance` are records of tag and bytes in the order of the
    file; each keeps the length it is made with. `algorithm` is the suite of the application's keys.
    """

    issue: Mapping[str, str | bytes]
    holder: Mapping[str, str | bytes]
    residence: Mapping[str, str | bytes] = field(default_factory=dict)
    household: Sequence[tuple[int, bytes]] = ()
    employment: Sequence[tuple[int, bytes]] = ()
    insurance: Sequence[tuple[int, bytes]] = ()
    fingerprint: bytes = b""
    photo: bytes = b""
    algorithm: Algorithm = Algorithm.PBOC_3DES

    @property
    def is_third_generation(self) -> bool:
        """Whether reading needs authentication."""
        return is_third_generation(str(self.issue.get("version", "")))


def is_third_generation(version: str) -> bool:
    """Whether cards of that version show name and number only after authentication.

    >>> is_third_generation("3.00"), is_third_generation("2.00")
    (True, False)
    """
    return version.startswith("3")


def package(profile: SocialSecurityProfile, secrets: Sequence[Secret] = ()) -> Package:
    """The application, ready to be installed. `secrets` are all of `KEYS` and a PIN, or none.

    Raises `ValueError` for a value that does not fit, `KeyUsageError` for a key that is missing.
    """
    contents = _contents(profile)
    shown = profile.algorithm if profile.is_third_generation else None
    return Package(lay_out(_tree, shown, contents, secrets), ENTRY)


def _contents(profile: SocialSecurityProfile) -> Contents:
    for fid, size, content in (
        (FID_FINGERPRINT, FINGERPRINT_BYTES, profile.fingerprint),
        (FID_PHOTO, PHOTO_BYTES, profile.photo),
    ):
        if len(content) > size:
            raise ValueError(f"EF{fid & 0xFF:02X}: {len(content)} bytes, the file has {size}")
    return {
        (FID_APPLICATION, FID_ISSUE): ISSUE.encode(profile.issue),
        (FID_APPLICATION, FID_HOLDER): HOLDER.encode(profile.holder),
        (FID_APPLICATION, FID_FINGERPRINT): [profile.fingerprint.ljust(FINGERPRINT_BYTES, b"\x00")],
        (FID_APPLICATION, FID_PHOTO): [profile.photo.ljust(PHOTO_BYTES, b"\x00")],
        (FID_HOUSEHOLD, FID_ISSUE): _raw(profile.household),
        (FID_HOUSEHOLD, FID_HOLDER): RESIDENCE.encode(profile.residence),
        (FID_EMPLOYMENT, FID_ISSUE): _raw(profile.employment),
        (FID_INSURANCE, FID_ISSUE): _raw(profile.insurance),
    }


def _tree(shown: Algorithm | None, contents: Contents, secrets: Sequence[Secret]) -> TreeBuilder:
    """The files. `shown` is the algorithm in the FCI of version 3, where reading needs
    authentication; None in the versions before.
    """
    tree = TreeBuilder()
    proprietary = Tlv(0x88, _DIRECTORY_SFI).encode()
    read = Access.ALWAYS
    if shown is not None:
        code = bytes((_ALGORITHM_CODES[shown],))
        proprietary += Tlv(0x9F0C, Tlv(0x86, code).encode()).encode()
        read = Access.internal(INTERNAL_KEY) & Access.external(READ_KEY) | Access.CHANNEL
    application = tree.add_directory(None, FID_APPLICATION, name=NAME, proprietary=proprietary)
    add_key_file(tree, application, KEYS, secrets, has_pin=True)
    update = Access.external(UPDATE_KEY) | Access.CHANNEL
    for fid in (FID_ISSUE, FID_HOLDER):
        _add_records(tree, application, fid, contents, read, update)
    protected = Access.external(READ_KEY) | Access.CHANNEL
    for fid in (FID_FINGERPRINT, FID_PHOTO):
        tree.add_file(
            application,
            fid,
            Structure.TRANSPARENT,
            contents[FID_APPLICATION, fid],
            sfi=fid & 0x1F,
            read=protected,
            update=update,
        )
    # DF01 to DF03: the holder's own data, open to the holder's PIN or to the read key.
    read = Access.PIN | Access.external(READ_KEY) | Access.CHANNEL
    for directory_fid, fids in (
        (FID_HOUSEHOLD, (FID_ISSUE, FID_HOLDER)),
        (FID_EMPLOYMENT, (FID_ISSUE,)),
        (FID_INSURANCE, (FID_ISSUE,)),
    ):
        directory = tree.add_directory(application, directory_fid)
        for fid in fids:
            _add_records(tree, directory, fid, contents, read, update)
    return tree


def _raw(records: Sequence[tuple[int, bytes]]) -> list[bytes]:
    return [bytes((tag, len(value))) + value for tag, value in records]


def _add_records(
    tree: TreeBuilder,
    directory: DedicatedFile,
    fid: int,
    contents: Contents,
    read: Access,
    update: Access,
) -> None:
    records = contents[directory.fid, fid]
    tree.add_file(
        directory,
        fid,
        Structure.LINEAR_VARIABLE,
        records,
        sfi=fid & 0x1F,
        size=max(map(len, records), default=2),
        records_max=max(1, len(records)),
        identifier_bytes=TAG_BYTES,
        read=read,
        update=update,
    )
