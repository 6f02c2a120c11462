"""Authentication: GET CHALLENGE, INTERNAL and EXTERNAL AUTHENTICATE, and what the rest asks of it.

Decides which conditions of an access rule hold, where a secret is looked for and what a wrong try
costs. Leaves the PIN to `cardcore.chip.commands.pin` and the MAC's formula to
`cardcore.chip.messaging`.

A condition holds for one directory and the ones below it. SELECT of another application forgets
it, and so does the loss of power. A wrong try is written down before the comparison.
"""

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip import messaging
from cardcore.chip.access import Condition, ConditionKind
from cardcore.chip.cardkeys import FID_KEYS, PIN_PREFIX, CardKey, Secret, key_prefix, usage_prefix
from cardcore.chip.commands import Attempt, Context, Decision, Handler, Reply
from cardcore.chip.filesystem import ApplicationState
from cardcore.chip.purse import offline as purse
from cardcore.chip.tree import DedicatedFile, ElementaryFile
from cardcore.keys import KeyUsage

_CHALLENGE_BYTES = (8, 4, 16)  # the first answers a command that does not say
#: A challenge and an answer of authentication, whatever the block of the suite is.
_PART_BYTES = 8
_DIGEST_BYTES = 32
_MAINTENANCE = usage_prefix(KeyUsage.FILE_MAINTENANCE)
_PREFIX_OF = {
    ConditionKind.EXTERNAL: KeyUsage.EXTERNAL_AUTHENTICATION,
    ConditionKind.INTERNAL: KeyUsage.INTERNAL_AUTHENTICATION,
}


class Place(NamedTuple):
    """Where a secret was found."""

    directory: int
    file: ElementaryFile
    number: int
    record: bytes


def look_up(card: Context, directory: DedicatedFile, prefix: bytes) -> Place | None:
    """The record of the key file that starts so, in the directory or the nearest one above."""
    files = card.files
    while True:
        file = files.child(directory, FID_KEYS)
        if isinstance(file, ElementaryFile):
            for number, record in enumerate(files.records(file), start=1):
                if record.startswith(prefix):
                    return Place(directory.number, file, number, record)
        if directory is files.root:
            return None
        directory = files.parent(directory)


def holds(card: Context, condition: Condition) -> bool:
    """Whether a condition other than those of secure messaging is true now."""
    if condition.kind is ConditionKind.CHANNEL:
        return card.channel is not None
    if not card.session.granted:
        return False
    prefix = PIN_PREFIX
    if condition.kind is not ConditionKind.PIN:
        usage = _PREFIX_OF.get(condition.kind)
        if usage is None:
            return False
        prefix = key_prefix(usage, condition.key_id)
    place = look_up(card, card.session.directory, prefix)
    return place is not None and (place.directory, condition) in card.session.granted


def compare(
    card: Context,
    place: Place,
    secret: Secret,
    verdict: Callable[[], bool],
    right: Callable[[dict[int, bytes]], Reply],
    *,
    wrong: StatusWord | None = None,
    condition: Condition | None = None,
) -> StatusWord | Attempt:
    """Compare under a counter of tries. `right` gets the changes that give the tries back.

    A wrong try answers `wrong`, or when it is None 63Cx with the tries that are left, 6982 for a
    key that does not count. 6983 when none is left. After a wrong try `condition` no longer holds.
    """
    if secret.blocked:
        return StatusWord.AUTHENTICATION_BLOCKED
    spend: dict[int, bytes] = {}
    restore: dict[int, bytes] = {}
    left = 0
    if secret.tries_max:
        left = (secret.tries_max if secret.tries_left is None else secret.tries_left) - 1
        spent = secret.with_tries(left)
        card.files.replace_record(place.file, place.number, spent.encode(), spend)
        full = secret.with_tries(secret.tries_max)
        card.files.replace_record(place.file, place.number, full.encode(), restore)
        if not left and place.record.startswith(_MAINTENANCE):
            _close(card, place, spend, restore)

    def decide() -> Reply:
        if verdict():
            return right(restore)
        sw = 0x63C0 | left if secret.tries_max else StatusWord.SECURITY_NOT_SATISFIED
        idle = card.session.idle()
        granted = idle.granted - {(place.directory, condition)}
        return Reply(sw=sw if wrong is None else wrong, session=idle._replace(granted=granted))

    return Attempt(spend, decide)


def _close(card: Context, place: Place, spend: dict[int, bytes], restore: dict[int, bytes]) -> None:
    """With its last try a maintenance key blocks its application, in the same commit: an issuer who
    can no longer look after an application must not leave a purse that pays (ADR 0038).
    """
    directory = card.files.directory(place.directory)
    if card.files.own_state(directory) is ApplicationState.ACTIVE:
        card.files.write_state(directory, ApplicationState.BLOCKED, spend)
        card.files.write_state(directory, ApplicationState.ACTIVE, restore)


def grant(card: Context, place: Place, condition: Condition, changes: dict[int, bytes]) -> Reply:
    """The condition is true from now on."""
    idle = card.session.idle()
    granted = idle.granted | {(place.directory, condition)}
    return Reply(session=idle._replace(granted=granted), changes=changes)


def messaged(
    card: Context,
    apdu: CommandApdu,
    prefix: bytes,
    proceed: Callable[[bytes, dict[int, bytes]], StatusWord | Reply],
    *,
    enciphered: bool,
    directory: DedicatedFile | None = None,
    is_counted: bool = True,
) -> StatusWord | Attempt:
    """Check the MAC of a command and go on with its plain data. One that is not counted asks for no
    tries and costs none: it goes on when the key is used up.

    Refusals in order: 6700 no room for a MAC, 6A88 no such key, 6983 the key is used up, 6984 no
    challenge, 6988 the MAC is wrong, 6A80 the data cannot be deciphered.
    """
    if len(apdu.data) < messaging.MAC_BYTES:
        return StatusWord.WRONG_LENGTH
    place = look_up(card, directory or card.session.directory, prefix)
    if place is None:
        return StatusWord.KEY_NOT_FOUND
    key = CardKey.decode(place.record)
    if not is_counted:
        key = replace(key, tries_max=0)
    if key.blocked:
        return StatusWord.AUTHENTICATION_BLOCKED
    challenge = card.session.challenge
    if len(challenge) not in (4, 8):
        return StatusWord.NO_CHALLENGE

    def right(restore: dict[int, bytes]) -> Reply:
        data: bytes | None = apdu.data[: -messaging.MAC_BYTES]
        if enciphered:
            data = messaging.decipher(data or b"", key)
        result = StatusWord.DATA_WRONG if data is None else proceed(data, dict(restore))
        return Reply(sw=result, changes=restore) if isinstance(result, StatusWord) else result

    return compare(
        card,
        place,
        key,
        lambda: messaging.take_off(apdu, key, challenge) is not None,
        right,
        wrong=StatusWord.MAC_WRONG,
    )


def get_challenge(card: Context, apdu: CommandApdu) -> Decision:
    """GET CHALLENGE (取随机数): 4, 8 or 16 random bytes, good for the next command only."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    challenge = card.random(apdu.le if apdu.le in _CHALLENGE_BYTES else _CHALLENGE_BYTES[0])
    return Reply(challenge, session=card.session.idle()._replace(challenge=challenge))


def internal_authenticate(card: Context, apdu: CommandApdu) -> Decision:
    """INTERNAL AUTHENTICATE (内部认证): the card proves that it holds a key.

    A key has one form, whoever asks: an authentication key takes a challenge of 8 bytes and
    answers 8. Diversification is the cipher itself (JR/T 0025), so if the same key were also
    diversified by a factor that a reader sends, the answers to that factor and to its complement
    would be the key that comes out (ADR 0038). A TAC key takes 32 bytes: the digest, by its suite,
    of a record of a sector where no money moves; the answer is its TAC. A purse's TAC key never
    signs what a reader chooses.
    """
    if apdu.p1:
        return StatusWord.P1P2_WRONG
    directory = card.session.directory
    place = look_up(card, directory, key_prefix(KeyUsage.INTERNAL_AUTHENTICATION, apdu.p2))
    if place is None:
        return _sign_digest(card, apdu)
    if len(apdu.data) != _PART_BYTES:
        return StatusWord.WRONG_LENGTH
    key = CardKey.decode(place.record)
    granted = grant(card, place, Condition(ConditionKind.INTERNAL, apdu.p2), {})
    return granted._replace(data=key.suite.authenticate(key.key.value, apdu.data))


def _sign_digest(card: Context, apdu: CommandApdu) -> StatusWord | Reply:
    directory = card.session.directory
    place = look_up(card, directory, key_prefix(KeyUsage.TAC, apdu.p2))
    if place is None or place.directory != directory.number:
        return StatusWord.KEY_NOT_FOUND
    if any(card.files.child(directory, fid) is not None for fid in purse.PurseKind):
        return StatusWord.SECURITY_NOT_SATISFIED
    if len(apdu.data) != _DIGEST_BYTES:
        return StatusWord.WRONG_LENGTH
    key = CardKey.decode(place.record)
    return Reply(key.suite.tac(key.key.value, apdu.data))


def external_authenticate(card: Context, apdu: CommandApdu) -> Decision:
    """EXTERNAL AUTHENTICATE (外部认证): the reader proves that it holds a key.

    The answer to a challenge of 8 bytes (JR/T 0025), in the one form of 8 bytes, as in INTERNAL
    AUTHENTICATE. One of 4 bytes is for a MAC alone: of so many one comes again
    after some 65,000, with its answer. Refusals in order: 6A86, 6700, 6A88, 6983, 6984, 63Cx.
    """
    if apdu.p1:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != _PART_BYTES:
        return StatusWord.WRONG_LENGTH
    prefix = key_prefix(KeyUsage.EXTERNAL_AUTHENTICATION, apdu.p2)
    place = look_up(card, card.session.directory, prefix)
    if place is None:
        return StatusWord.KEY_NOT_FOUND
    key = CardKey.decode(place.record)
    if key.blocked:
        return StatusWord.AUTHENTICATION_BLOCKED
    challenge = card.session.challenge
    if len(challenge) != _PART_BYTES:
        return StatusWord.NO_CHALLENGE
    condition = Condition(ConditionKind.EXTERNAL, apdu.p2)
    expected = key.suite.authenticate(key.key.value, challenge)
    return compare(
        card,
        place,
        key,
        lambda: hmac.compare_digest(expected, apdu.data),
        lambda restore: grant(card, place, condition, restore),
        condition=condition,
    )


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x00, 0x84): get_challenge,
    (0x00, 0x88): internal_authenticate,
    (0x00, 0x82): external_authenticate,
}
