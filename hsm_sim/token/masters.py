"""The master keys of a token: put in, moved on in their life, used.

Decides which objects a name means, and that whatever is said of a key is read from the token.
Leaves usage and state to `operations`, formulas to `card_keys`, faults to `session`.

What the token holds is looked up once and kept as handles; descriptions are read again at every
use, so that what another process did to a key is seen. A description is never removed, only
followed by a later one; a token that shows fewer than before has lost something, and that is a
fault and no verdict that a key is unknown.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import cast

import numpy as np
import pkcs11
from pkcs11 import Attribute, GCMParams, Mechanism, ObjectClass
from pkcs11 import exceptions as faults

from cardcore.crypto import signatures
from cardcore.errors import (
    CryptogramError,
    KeyServiceError,
    KeyServiceUnavailableError,
    KeyStateError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState
from cardcore.text import Text
from hsm_sim.keys.masters import (
    FACTOR_BYTES,
    CardKeyHandle,
    check_factor,
    check_levels,
    sealing_factor,
)
from hsm_sim.keys.vault import (
    CHANNEL_USAGES,
    CHECK_VALUE_BYTES,
    check_key_bytes,
    check_key_levels,
    check_same_levels,
    checked_algorithm,
    moved_description,
)
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.derivation import factor_blocks, key_halves
from hsm_sim.token.card_keys import AesCardKey, Pboc3DesCardKey, channel_key
from hsm_sim.token.objects import (
    APPLICATION,
    CIPHERS,
    ED25519,
    TokenKey,
    check_offered,
    decode_description,
    description_template,
    is_offered,
    point_of,
    private_template,
    public_of,
    public_template,
    secret_template,
)
from hsm_sim.token.session import TokenSession

#: Cards whose keys are made in one C_Encrypt: 1 MiB in, 1 MiB out.
_CARDS_A_CALL = 1 << 16
_TAG_BYTES = 16
_STATES = tuple(KeyState)
_KEY_CLASSES = (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)


@dataclass(slots=True)
class _Held:
    """The objects under one name, as handles of one session."""

    descriptions: list[pkcs11.Object] = field(default_factory=list)
    secret: TokenKey | None = None
    public: pkcs11.Object | None = None


class TokenMasterKeys:
    """`hsm_sim.keys.masters.MasterKeys` in a PKCS#11 token.

    Whatever a device refuses or fails at arrives as `KeyServiceError` or
    `KeyServiceUnavailableError` (see `session`), beside the errors of the protocol.
    """

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self._looked_up_in: pkcs11.Session | None = None
        self._held: dict[str, _Held] = {}
        with session.use() as opened:
            self._look_up(opened)
            # A destruction that was cut short is finished: the key has no right to be there.
            for each in self.descriptions():
                if each.state is KeyState.DESTROYED:
                    self._remove_keys(opened, each.ref)

    def __repr__(self) -> str:
        return f"TokenMasterKeys({self._session!r})"

    def close(self) -> None:
        """Log out of the token."""
        self._session.close()

    def can_hold(self, algorithm: Algorithm) -> bool:
        """Whether a token can have keys of that algorithm."""
        return is_offered(algorithm)

    def install(
        self,
        ref: KeyRef,
        value: bytes,
        algorithm: Algorithm | None = None,
        *,
        state: KeyState = KeyState.ACTIVE,
        valid_from: date | None = None,
        valid_to: date | None = None,
        parent: KeyRef | None = None,
        levels: int = 1,
    ) -> KeyDescription:
        """Put a key of a ceremony into the token. The same key again changes nothing.

        Raises `KeyServiceError` as `KeyVault.install` does, and for SM4 and SM2.
        """
        algorithm = checked_algorithm(ref, algorithm)
        check_key_bytes(ref, algorithm, value)
        check_key_levels(ref, levels)
        check_offered(ref, algorithm)
        with self._session.use() as session:
            known = self._known(session, ref)
            if known is not None:
                if known.algorithm is algorithm and self._is_the_same(session, known, value):
                    check_same_levels(known, levels)
                    return known
                raise KeyServiceError(
                    Text(
                        f"{ref}：此名称下持有或曾持有另一把密钥；请另取版本：`onecard hsm keys`",
                        f"{ref}: another key is held under this name, or was; take another "
                        "version: `onecard hsm keys`",
                    )
                )
            self._remove_keys(session, ref)  # of an installation that was cut short
            if algorithm in CIPHERS:
                template = secret_template(ref, algorithm)
                made = session.create_object(template | {Attribute.VALUE: value})
            else:
                secret = {Attribute.EC_PARAMS: ED25519, Attribute.VALUE: value}
                session.create_object(private_template(ref) | secret)
                point = point_of(signatures.public_key(algorithm, value))
                made = session.create_object(public_template(ref) | {Attribute.EC_POINT: point})
            described = KeyDescription(
                ref, algorithm, state, "", valid_from, valid_to, parent, levels
            )
            return self._describe_new(session, made, described)

    def move(self, ref: KeyRef, state: KeyState) -> KeyDescription:
        """Move a key on in its life; destroying it removes its objects from the token.

        Raises `KeyStateError` for a way back.
        """
        with self._session.use() as session:
            moved = moved_description(self.describe(ref), state)
            superseded = self._held[str(ref)].descriptions
            session.create_object(description_template(moved))
            if state is KeyState.DESTROYED:
                self._remove_keys(session, ref)
            for each in superseded:
                with suppress(faults.ObjectHandleInvalid):  # another process was quicker
                    each.destroy()
            self._look_up(session, str(ref))
        return moved

    def descriptions(self) -> tuple[KeyDescription, ...]:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._session.use() as session:
            self._look_up(session)
            found = (_description(held) for held in self._held.values())
            return tuple(sorted((each for each in found if each), key=lambda each: each.ref))

    def describe(self, ref: KeyRef) -> KeyDescription:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._session.use() as session:
            known = self._known(session, ref)
        if known is not None:
            return known
        versions = tuple(
            each.ref.version
            for each in self.descriptions()
            if (each.ref.usage, each.ref.label) == (ref.usage, ref.label)
            and each.state is not KeyState.DESTROYED
        )
        if versions:
            raise UnknownKeyVersionError(
                Text(
                    f"{ref}：未持有此版本；持有的版本：{'、'.join(map(str, versions))}",
                    f"{ref}: not held, versions held are {versions}",
                )
            )
        raise UnknownKeyError(
            Text(f"{ref}：没有此密钥的任何版本", f"{ref}: no version of this key is held")
        )

    def card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._key(ref) as (key, described):
            check_factor(described, factor)
            if ref.usage in CHANNEL_USAGES:
                return channel_key(key, ref.usage, factor)
        return self._derived(described, factor)

    def sealing_key(self, ref: KeyRef, number: str) -> CardKeyHandle:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._key(ref) as (_, described):
            return self._derived(described, sealing_factor(number, described.levels))

    def _derived(self, described: KeyDescription, factor: bytes) -> CardKeyHandle:
        ref = described.ref
        made = Pboc3DesCardKey if described.algorithm is Algorithm.PBOC_3DES else AesCardKey
        return made(lambda: self._master(ref), factor)

    def card_key_column(self, ref: KeyRef, factors: Words) -> Words:
        """See `hsm_sim.keys.masters.MasterKeys`. Keys leave the token, until the call returns."""
        derived = [np.empty((0, 2), np.uint64)]
        with self._key(ref) as (key, described):
            check_levels(described, FACTOR_BYTES)
            ecb = CIPHERS[described.algorithm].ecb
            for start in range(0, len(factors), _CARDS_A_CALL):
                blocks = factor_blocks(factors[start : start + _CARDS_A_CALL])
                sealed = key.encrypt(blocks, mechanism=ecb, buffer_size=len(blocks))
                derived.append(key_halves(sealed))
        return np.concatenate(derived)

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._key(ref) as (key, _):
            return key.sign(message, mechanism=Mechanism.EDDSA)

    def public_key(self, ref: KeyRef) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._key(ref):
            return self._public(ref)

    def encipher_data(self, ref: KeyRef, nonce: bytes, data: bytes, context: bytes) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._key(ref) as (key, _):
            return key.encrypt(data, **_gcm(nonce, context))

    def decipher_data(self, ref: KeyRef, nonce: bytes, data: bytes, context: bytes) -> bytes:
        """See `hsm_sim.keys.masters.MasterKeys`."""
        with self._key(ref) as (key, described):
            try:
                if len(data) >= _TAG_BYTES:
                    return key.decrypt(data, **_gcm(nonce, context))
            except (faults.GeneralError, faults.EncryptedDataInvalid) as error:
                # SoftHSM says of a wrong tag what it says of a lost token. Only a key that still
                # works has really judged the data; this raises when it does not.
                _check_value(key, described)
                cause: Exception | None = error
            else:
                cause = None
        raise CryptogramError(
            Text(f"{ref}：数据不是当初加密的数据", f"{ref}: the data are not what was enciphered")
        ) from cause

    @contextmanager
    def _master(self, ref: KeyRef) -> Iterator[TokenKey]:
        with self._key(ref) as (key, _):
            yield key

    @contextmanager
    def _key(self, ref: KeyRef) -> Iterator[tuple[TokenKey, KeyDescription]]:
        """The key object under a name, with the session for this thread alone."""
        with self._session.use():
            described = self.describe(ref)
            if described.state is KeyState.DESTROYED:
                raise KeyStateError(Text(f"{ref}：已销毁", f"{ref}: is destroyed"))
            key = self._held[str(ref)].secret
            if key is None:
                raise KeyServiceUnavailableError(
                    Text(
                        f"{ref}：令牌有其说明，却没有密钥",
                        f"{ref}: the token describes it and shows no key",
                    )
                )
            yield key, described

    def _public(self, ref: KeyRef) -> bytes:
        public = self._held[str(ref)].public
        if public is None:
            raise KeyServiceUnavailableError(
                Text(f"{ref}：令牌没有其公钥", f"{ref}: the token shows no public key of it")
            )
        return _public_bytes(public)

    def _known(self, session: pkcs11.Session, ref: KeyRef) -> KeyDescription | None:
        """What the token says of a key now; None for a name it does not hold."""
        if session is not self._looked_up_in:
            self._look_up(session)
        held = self._held.get(str(ref))
        if held is not None:
            with suppress(faults.ObjectHandleInvalid):  # another process moved it on
                return _description(held)
        held = self._look_up(session, str(ref)).get(str(ref))
        return _description(held) if held else None

    def _look_up(self, session: pkcs11.Session, name: str | None = None) -> Mapping[str, _Held]:
        """Find the objects of one name or of all; make sure that the token was there to be asked.

        Raises `KeyServiceUnavailableError` when a name known before is gone.
        """
        found: dict[str, _Held] = {}
        keys: list[tuple[ObjectClass, str, pkcs11.Object]] = []
        for each in _objects(session, name):
            kind, label = each[Attribute.CLASS], str(each[Attribute.LABEL])
            if kind is not ObjectClass.DATA:
                keys.append((kind, label, each))
            elif each[Attribute.APPLICATION] == APPLICATION:
                found.setdefault(label, _Held()).descriptions.append(each)
        for kind, label, each in keys:
            if label in found and kind is ObjectClass.PUBLIC_KEY:
                found[label].public = each
            elif label in found and kind in {ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY}:
                found[label].secret = cast("TokenKey", each)
        self._session.check_present(session)
        looked_for = self._held.keys() if name is None else self._held.keys() & {name}
        missing = sorted(looked_for - found.keys())
        if missing:
            raise KeyServiceUnavailableError(
                Text(
                    f"{missing[0]} 曾在令牌中，现在没有了（共 {len(missing)} 把）；密钥不会无痕消"
                    "失。若现在是另一个令牌，请重新打开",
                    f"{missing[0]} was in the token and is not any more "
                    f"({len(missing)} in all); keys are never removed without a trace. If it is "
                    "another token now, open it anew",
                )
            )
        self._held = found if name is None else self._held | found
        self._looked_up_in = session
        return found

    def _remove_keys(self, session: pkcs11.Session, ref: KeyRef) -> None:
        for each in _objects(session, str(ref)):
            if each[Attribute.CLASS] in _KEY_CLASSES:
                each.destroy()

    def _describe_new(
        self, session: pkcs11.Session, made: pkcs11.Object, described: KeyDescription
    ) -> KeyDescription:
        """Write what is to be known of a key just made. Only then does it exist."""
        if isinstance(made, pkcs11.PublicKey):
            digest = hashlib.sha256(_public_bytes(made)).digest()
            shown = digest[:CHECK_VALUE_BYTES].hex().upper()
        else:
            shown = _check_value(cast("TokenKey", made), described)
        described = replace(described, check_value=shown)
        session.create_object(description_template(described))
        self._look_up(session, str(described.ref))
        return described

    def _is_the_same(self, session: pkcs11.Session, known: KeyDescription, value: bytes) -> bool:
        """Whether the key held enciphers, or verifies, as these bytes would."""
        held = self._held[str(known.ref)].secret
        if held is None:
            return False
        if known.algorithm not in CIPHERS:
            return self._public(known.ref) == signatures.public_key(known.algorithm, value)
        template = secret_template(known.ref, known.algorithm, stored=False)
        offered = cast("TokenKey", session.create_object(template | {Attribute.VALUE: value}))
        ecb, probe = CIPHERS[known.algorithm].ecb, bytes(range(32))
        try:
            return held.encrypt(probe, mechanism=ecb) == offered.encrypt(probe, mechanism=ecb)
        finally:
            offered.destroy()


def _objects(session: pkcs11.Session, label: str | None = None) -> list[pkcs11.Object]:
    wanted: dict[Attribute, object] = {Attribute.TOKEN: True}
    if label is not None:
        wanted[Attribute.LABEL] = label
    return list(session.get_objects(wanted))


def _description(held: _Held) -> KeyDescription | None:
    """Of several, which a cut may leave, the one furthest down the key's life."""
    read = (decode_description(cast("bytes", each[Attribute.VALUE])) for each in held.descriptions)
    return max(read, key=lambda each: _STATES.index(each.state), default=None)


def _public_bytes(public: pkcs11.Object) -> bytes:
    return public_of(cast("bytes", public[Attribute.EC_POINT]))


def _check_value(key: TokenKey, described: KeyDescription) -> str:
    """As `hsm_sim.keys.vault.check_value`, enciphered inside the token."""
    cipher = CIPHERS[described.algorithm]
    byte = b"\x01" if described.ref.usage in CHANNEL_USAGES else b"\x00"
    shown = key.encrypt(byte * cipher.block_bytes, mechanism=cipher.ecb)
    return shown[:CHECK_VALUE_BYTES].hex().upper()


def _gcm(nonce: bytes, context: bytes) -> dict[str, object]:
    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce, context, 128)}
