"""Managing the chip through its secure channel (SCP03): open it, install and delete applications.

Decides who may manage, how a package arrives in pieces and what its arrival changes. Leaves the
cryptography to `cardcore.chip.scp03` and the place of an application on the chip to
`cardcore.chip.package`.

With the master file selected, INITIALIZE UPDATE and EXTERNAL AUTHENTICATE open the channel under
the chip's CHANNEL keys. All other commands here answer 6982 outside of it:

======================= ===================== ====================================================
command                 header                data, answer
======================= ===================== ====================================================
INSTALL for load        80 E6 02 00 24        length 4, SHA-256 32; answers the next block, 2 bytes
LOAD                    80 E8 block2 Lc       that block, from number 0 in order
INSTALL for install     80 E6 0C 00           whole package: the application is there in one commit
DELETE                  80 E4 00 00 Lc        name of an application; without data the package
                                              that is on its way
PUT KEY                 80 D8 00 00 Lc        secrets into the key file of the current directory,
                                              each in place of the one with its usage and index:
                                              its record of 22 bytes (`cardcore.chip.cardkeys`). A
                                              key has its last 16 bytes enciphered under the chip's
                                              CHANNEL_DEK key (`scp03.key_wrapper`) and 3 bytes of
                                              check value behind; a PIN comes last, as its record
GET DATA, content       80 CA 00 E1           digest 32 of the current directory and all in it but
                                              keys (`cardcore.chip.content`), and behind it for
                                              each key: usage 1, index 1, version 1, check value 3
======================= ===================== ====================================================

Blocks are kept when power fails: INSTALL for load of the same package goes on where it was. A key
sent by PUT KEY is never seen, whatever the level of the channel. A PIN, and a package that has
secrets in its key files, are as open as the level lets them be: they need level 03 or 33. The
three keys of the channel itself change together in one PUT KEY, or a loss of power between them
would shut everybody out.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip import scp03
from cardcore.chip.cardkeys import (
    FID_CHANNEL,
    FID_KEYS,
    HEAD_BYTES,
    PIN_PREFIX,
    SECRET_BYTES,
    Pin,
    check_value,
    is_key_head,
    key_in,
    usage_prefix,
)
from cardcore.chip.commands import Attempt, Context, Decision, Handler, Reply, payment
from cardcore.chip.commands.security import look_up
from cardcore.chip.content import TAG_CONTENT
from cardcore.chip.package import Package, delete, is_emptied
from cardcore.chip.tree import ElementaryFile
from cardcore.errors import DecodeError
from cardcore.keys import KeyUsage
from cardcore.layouts.transit import Sfi
from cardcore.limits import PACKAGE_BYTES_MAX

#: Name of the chip's manager, which goes into the card's challenge (GlobalPlatform).
MANAGER_AID = bytes.fromhex("A000000151000000")
_FOR_LOAD, _FOR_INSTALL = 0x02, 0x0C
_CHANNEL_USAGES = (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
_NUMBER = slice(10, 20)  # the card number in EF15, by which the static keys were made
_CHANNEL_CODES = {usage_prefix(usage)[0] for usage in _CHANNEL_USAGES}
#: Cells of a package on its way: the first says what it is and how much is there.
_ARRIVAL = 0xE000
_ANNOUNCED_BYTES = 36
_BLOCKS_MAX = 0x1000
_CHECK_BYTES = 3
_SHOWN_BYTES = 3  # of a key in GET DATA, before its check value: usage, index, version
_VERSION_AT = 2  # of the record of a key
_TRIES_AT = 4  # how many tries there are, and are left


def initialize(card: Context, apdu: CommandApdu) -> Decision:
    """80 50: INITIALIZE UPDATE with the master file selected, INITIALIZE of a purse elsewhere.

    Refusals in order: 6A86, 6700, 6A88 no keys of that version, 6985 no number, 9402 counter.
    """
    if card.session.directory is not card.files.root:
        return payment.initialize(card, apdu)
    if apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != scp03.CHALLENGE_BYTES:
        return StatusWord.WRONG_LENGTH
    static = _static_keys(card, apdu.p1)
    counter = card.files.child(card.files.root, FID_CHANNEL)
    number = card.files.by_sfi(card.files.root, Sfi.PUBLIC)
    if static is None:
        return StatusWord.KEY_NOT_FOUND
    if not isinstance(counter, ElementaryFile) or number is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    sequence = int.from_bytes(card.files.body(counter), "big")
    if sequence == 0xFFFFFF:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    response, opening = scp03.open_by_card(
        static[0],
        key_version=static[1],
        diversification=card.files.body(number)[_NUMBER],
        sequence=sequence,
        aid=MANAGER_AID,
        host_challenge=apdu.data,
    )
    session = card.session.idle()._replace(opening=opening)
    return Reply(response.encode(), session=session)


def authenticate(card: Context, apdu: CommandApdu) -> Decision:
    """EXTERNAL AUTHENTICATE: the channel is open. The sequence moves on before the host's
    cryptogram is compared, so that no session is ever opened twice.
    """
    opening = card.session.opening
    counter = card.files.child(card.files.root, FID_CHANNEL)
    if opening is None or not isinstance(counter, ElementaryFile):
        return StatusWord.CONDITIONS_NOT_SATISFIED
    spend: dict[int, bytes] = {}
    card.files.write_body(counter, (opening.sequence + 1).to_bytes(3, "big"), spend)

    def compare() -> Reply:
        channel = scp03.authenticate_by_card(opening, apdu)
        if isinstance(channel, StatusWord):
            return Reply(sw=channel)
        return Reply(session=card.session.idle(), channel=channel)

    return Attempt(spend, compare)


def _static_keys(card: Context, version: int) -> tuple[scp03.StaticKeys, int] | None:
    """The chip's channel keys of a version, 00 of any, and the version they have."""
    places = [look_up(card, card.files.root, usage_prefix(usage)) for usage in _CHANNEL_USAGES]
    records = [place.record for place in places if place is not None]
    if len(records) != len(_CHANNEL_USAGES) or version not in (0, records[0][_VERSION_AT]):
        return None
    return scp03.StaticKeys(*map(key_in, records)), records[0][_VERSION_AT]


def install(card: Context, apdu: CommandApdu) -> Decision:
    """INSTALL for load (P1 02) and for install (P1 0C)."""
    if not card.in_channel:
        return StatusWord.SECURITY_NOT_SATISFIED
    if apdu.p1 not in (_FOR_LOAD, _FOR_INSTALL) or apdu.p2:
        return StatusWord.P1P2_WRONG
    if apdu.p1 == _FOR_INSTALL:
        return _install(card, apdu)
    if len(apdu.data) != _ANNOUNCED_BYTES:
        return StatusWord.WRONG_LENGTH
    if not 0 < int.from_bytes(apdu.data[:4], "big") <= PACKAGE_BYTES_MAX:
        return StatusWord.NO_SPACE
    arrival = card.files.staged(_ARRIVAL)
    if arrival[:_ANNOUNCED_BYTES] == apdu.data:
        return Reply(arrival[_ANNOUNCED_BYTES:])
    changes = {**_cleared(card), _ARRIVAL: apdu.data + bytes(2)}
    return Reply(bytes(2), changes=changes)


def load(card: Context, apdu: CommandApdu) -> Decision:
    """LOAD: one block. 6985 when it is not the next one, 6A84 when it is more than announced."""
    if not card.in_channel:
        return StatusWord.SECURITY_NOT_SATISFIED
    arrival = card.files.staged(_ARRIVAL)
    block = apdu.p1 << 8 | apdu.p2
    if not arrival or block.to_bytes(2, "big") != arrival[_ANNOUNCED_BYTES:]:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    if not apdu.data:
        return StatusWord.WRONG_LENGTH
    here = sum(len(data) for data in _blocks(card).values())
    if block >= _BLOCKS_MAX or here + len(apdu.data) > int.from_bytes(arrival[:4], "big"):
        return StatusWord.NO_SPACE
    head = arrival[:_ANNOUNCED_BYTES] + (block + 1).to_bytes(2, "big")
    return Reply(changes={_ARRIVAL + 1 + block: apdu.data, _ARRIVAL: head})


def _install(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    """Refusals in order: 6700, 6985 not all of it is there, 6A80 the digest or the package is
    wrong, 6982 a PIN in the clear, then those of `Package.install`.
    """
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    arrival = card.files.staged(_ARRIVAL)
    data = b"".join(_blocks(card).values())
    if not arrival or len(data) != int.from_bytes(arrival[:4], "big"):
        return StatusWord.CONDITIONS_NOT_SATISFIED
    if not hmac.compare_digest(hashlib.sha256(data).digest(), arrival[4:_ANNOUNCED_BYTES]):
        return StatusWord.DATA_WRONG
    try:
        package = Package.decode(data)
    except DecodeError:
        return StatusWord.DATA_WRONG
    if package.has_secrets and not _is_enciphered(card):
        return StatusWord.SECURITY_NOT_SATISFIED
    changes = package.install(card.files)
    if isinstance(changes, StatusWord):
        return changes
    return Reply(changes={**_cleared(card), **changes}, new_tree=True)


def _is_enciphered(card: Context) -> bool:
    return card.channel is not None and bool(card.channel.level & scp03.Level.C_ENC)


def put_key(card: Context, apdu: CommandApdu) -> Decision:
    """PUT KEY. Refusals in order: 6982 no channel, 6A86, 6700, 6A82 no key file, 6982 a PIN in the
    clear, 6A80 no secret, a wrong check value or a part of the channel's keys, 6A84 the key file
    is full.
    """
    if not card.in_channel:
        return StatusWord.SECURITY_NOT_SATISFIED
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    count, rest = divmod(len(apdu.data), SECRET_BYTES + _CHECK_BYTES)
    end = len(apdu.data) - rest
    keys, pin = apdu.data[:end], apdu.data[end:]
    if not apdu.data or (pin and (rest != SECRET_BYTES or not pin.startswith(PIN_PREFIX))):
        return StatusWord.WRONG_LENGTH
    file = card.files.child(card.session.directory, FID_KEYS)
    place = look_up(card, card.files.root, usage_prefix(KeyUsage.CHANNEL_DEK))
    if not isinstance(file, ElementaryFile) or place is None:
        return StatusWord.FILE_NOT_FOUND
    if pin and not _is_enciphered(card):
        return StatusWord.SECURITY_NOT_SATISFIED
    records = _opened_keys(keys, scp03.key_unwrapper(key_in(place.record))) if keys else []
    if pin:
        count += 1
        records += _opened_pin(pin)
    channel = _CHANNEL_CODES.intersection([record[0] for record in records])
    if len(records) < count or len(channel) not in (0, len(_CHANNEL_CODES)):
        return StatusWord.DATA_WRONG
    changes: dict[int, bytes] = {}
    if not _put(card, file, records, changes):
        return StatusWord.NO_SPACE
    return Reply(changes=changes)


def _put(
    card: Context, file: ElementaryFile, records: Sequence[bytes], changes: dict[int, bytes]
) -> bool:
    """Each secret in place of the one with its usage and index, or behind the last one."""
    places = {old[:2]: number for number, old in enumerate(card.files.records(file), start=1)}
    added: dict[bytes, bytes] = {}
    for record in records:
        number = places.get(record[:2])
        if number is None:
            added[record[:2]] = record
        else:
            card.files.replace_record(file, number, record, changes)
    # No two secrets of a key file have the same usage and index, so these are all of them.
    if len(places) + len(added) > file.records_max:
        return False
    if added:
        card.files.extend(file, list(added.values()), changes)
    return True


def _opened_pin(data: bytes) -> list[bytes]:
    """The record of a PIN with all its tries; none when it is no PIN."""
    try:
        pin = Pin.decode(data)
        return [Pin.fresh(pin.value, pin.tries_max).encode()]
    except (DecodeError, ValueError):
        return []


def _opened_keys(data: bytes, unwrap: Callable[[bytes], bytes]) -> list[bytes]:
    """The records of keys in the clear, with all their tries; without those that are no keys or of
    which the check value does not hold.
    """
    records = []
    for at in range(0, len(data), SECRET_BYTES + _CHECK_BYTES):
        end = at + SECRET_BYTES
        head = data[at : at + HEAD_BYTES]
        if is_key_head(head):
            tries = head[_TRIES_AT : _TRIES_AT + 1]
            record = head[:_TRIES_AT] + tries + tries + unwrap(data[at + HEAD_BYTES : end])
            if check_value(record) == data[end : end + _CHECK_BYTES]:
                records.append(record)
    return records


def remove(card: Context, apdu: CommandApdu) -> Decision:
    """DELETE. 6A82 no such application, 6985 there is money in it, or it is no application."""
    if not card.in_channel:
        return StatusWord.SECURITY_NOT_SATISFIED
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if not apdu.data:
        return Reply(changes=_cleared(card))
    found = [file for file in card.files.named(apdu.data) if file.name == apdu.data]
    if not found:
        return StatusWord.FILE_NOT_FOUND
    application = found[0]
    if not is_emptied(card.files, application):
        return StatusWord.CONDITIONS_NOT_SATISFIED
    root = card.session.entered(card.files.root, frozenset())
    return Reply(session=root, changes=delete(card.files, application), new_tree=True)


def get_data(card: Context, apdu: CommandApdu) -> Decision:
    """GET DATA 00E1: the digest of all that is in the current directory but keys, and what keys it
    has, each recognisable and none readable.
    """
    if not card.in_channel:
        return StatusWord.SECURITY_NOT_SATISFIED
    if apdu.p1 << 8 | apdu.p2 != TAG_CONTENT:
        return StatusWord.KEY_NOT_FOUND
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    directory = card.session.directory
    file = card.files.child(directory, FID_KEYS)
    records = card.files.records(file) if isinstance(file, ElementaryFile) else ()
    shown = [
        record[:_SHOWN_BYTES] + check_value(record)
        for record in records
        if not record.startswith(PIN_PREFIX)
    ]
    return Reply((card.files.digest(directory) + b"".join(shown))[: card.room])


def _blocks(card: Context) -> dict[int, bytes]:
    """The blocks that are there, by cell and in order."""
    arrival = card.files.staged(_ARRIVAL)
    count = int.from_bytes(arrival[_ANNOUNCED_BYTES:], "big")
    cells = range(_ARRIVAL + 1, _ARRIVAL + 1 + count)
    return {cell: card.files.staged(cell) for cell in cells}


def _cleared(card: Context) -> dict[int, bytes]:
    """The changes that forget a package on its way."""
    return dict.fromkeys([_ARRIVAL, *_blocks(card)], b"") if card.files.staged(_ARRIVAL) else {}


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x80, 0x50): initialize,
    (0x84, 0x82): authenticate,
    (0x80, 0xE6): install,
    (0x80, 0xE8): load,
    (0x80, 0xE4): remove,
    (0x80, 0xD8): put_key,
    (0x80, 0xCA): get_data,
}
