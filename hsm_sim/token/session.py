"""One login to one token: the library loaded, one call at a time, and what went wrong.

Decides what a fault of PKCS#11 means to a caller. Nothing was decided and the call may come again:
`KeyServiceUnavailableError`, and the next call logs in anew. The device has no such mechanism:
`KeyServiceError`, because repeating cannot help.

The library is initialised without locks and sessions are not for two threads (PKCS#11 2.40 §2.6),
so one lock serves every token of the process. A process forked from this one must open the token
itself (the same, §2.5.2).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pkcs11
from pkcs11 import exceptions as faults

from cardcore.errors import KeyServiceError, KeyServiceUnavailableError

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - a class

_ONE_CALL_AT_A_TIME = threading.RLock()
#: The device cannot do what is asked, now or later.
_NOT_OFFERED = (
    faults.MechanismInvalid,
    faults.MechanismParamInvalid,
    faults.FunctionNotSupported,
    faults.KeyTypeInconsistent,
    faults.KeySizeRange,
)
_PIN_REFUSED = (
    faults.PinIncorrect,
    faults.PinInvalid,
    faults.PinLenRange,
    faults.PinExpired,
    faults.PinLocked,
)


class TokenSession:
    """A session with a token, logged in as its user; opened again by itself after a fault.

    Raises `KeyServiceUnavailableError` when library, token or PIN do not do.
    """

    def __init__(self, module: Path, token_label: str, pin: str) -> None:
        self._module = module
        self._label = token_label
        self._pin = pin
        self._process = os.getpid()
        self._refused: str | None = None
        with _ONE_CALL_AT_A_TIME:
            self._session: pkcs11.Session | None = self._login()

    def __repr__(self) -> str:
        return f"TokenSession({self._label!r})"

    def __str__(self) -> str:
        return f"token {self._label!r}"

    @contextmanager
    def use(self) -> Iterator[pkcs11.Session]:
        """The session, for this thread alone until the block ends. May be nested."""
        if os.getpid() != self._process:
            raise KeyServiceUnavailableError(
                f"{self}: opened before this process was forked; open the token in this process"
            )
        with _ONE_CALL_AT_A_TIME:
            try:
                if self._session is None:
                    self._session = self._login_after_loss()
                yield self._session
            except _NOT_OFFERED as error:
                raise KeyServiceError(
                    f"{self}: the device does not offer what this key needs ({_named(error)})"
                ) from error
            except pkcs11.PKCS11Error as error:
                self._drop()
                raise KeyServiceUnavailableError(
                    f"{self}: the token failed ({_named(error)}); nothing was decided. "
                    "See that it is connected and repeat"
                ) from error

    def check_present(self, session: pkcs11.Session) -> None:
        """Raises when the token is gone: a lost token finds no objects, as an empty one does."""
        session.token.slot.get_token()

    def close(self) -> None:
        """Log out. The next use logs in again."""
        with _ONE_CALL_AT_A_TIME:
            self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            with suppress(pkcs11.PKCS11Error):
                self._session.close()
        self._session = None

    def _login_after_loss(self) -> pkcs11.Session:
        try:
            return self._login()
        except KeyServiceUnavailableError:
            if self._refused is not None:
                raise
        # Some libraries see a token that went and came only after they start anew; other tokens
        # of this process lose their sessions by it and log in again at their next call.
        self._library().reinitialize()
        return self._login()

    def _login(self) -> pkcs11.Session:
        if self._refused is not None:
            raise KeyServiceUnavailableError(self._refused)
        library = self._library()
        try:
            token: pkcs11.Token = library.get_token(token_label=self._label)
            return token.open(rw=True, user_pin=self._pin)
        except _PIN_REFUSED as error:
            self._refused = (
                f"{self}: the token refuses the PIN ({_named(error)}); it counts wrong tries and "
                "is not asked again. Open it with the right one"
            )
            raise KeyServiceUnavailableError(self._refused) from error
        except faults.NoSuchToken as error:
            raise KeyServiceUnavailableError(
                f"{self}: no token of that label is in a slot of {self._module.name}"
            ) from error
        except faults.UserAlreadyLoggedIn as error:
            raise KeyServiceUnavailableError(
                f"{self}: this process has the token open already; share it, or close it first"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise KeyServiceUnavailableError(
                f"{self}: the token cannot be opened ({_named(error)}); see that it is connected"
            ) from error

    def _library(self) -> "Library":
        try:
            return pkcs11.lib(str(self._module))
        except pkcs11.PKCS11Error as error:
            raise KeyServiceUnavailableError(
                f"no PKCS#11 library could be loaded from {self._module}; install the one of the "
                "device (SoftHSM2: package softhsm2) and name its file"
            ) from error


def _named(error: pkcs11.PKCS11Error) -> str:
    return type(error).__name__
