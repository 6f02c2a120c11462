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
from cardcore.text import Text, shorten

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
        self._refused: Text | None = None
        with _ONE_CALL_AT_A_TIME:
            self._session: pkcs11.Session | None = self._login()

    def __repr__(self) -> str:
        return f"TokenSession({self._label!r})"

    @property
    def _name(self) -> Text:
        label = shorten(self._label)
        return Text(f"令牌 {label}", f"token {label}")

    @contextmanager
    def use(self) -> Iterator[pkcs11.Session]:
        """The session, for this thread alone until the block ends. May be nested."""
        if os.getpid() != self._process:
            raise KeyServiceUnavailableError(
                Text(
                    f"{self._name.zh}：是本进程分叉之前打开的；请在本进程中打开令牌",
                    f"{self._name.en}: opened before this process was forked; open the token in "
                    "this process",
                )
            )
        with _ONE_CALL_AT_A_TIME:
            try:
                if self._session is None:
                    self._session = self._login_after_loss()
                yield self._session
            except _NOT_OFFERED as error:
                raise KeyServiceError(
                    Text(
                        f"{self._name.zh}：设备不支持此密钥所需的功能（{_named(error)}）",
                        f"{self._name.en}: the device does not offer what this key needs "
                        f"({_named(error)})",
                    )
                ) from error
            except pkcs11.PKCS11Error as error:
                self._drop()
                raise KeyServiceUnavailableError(
                    Text(
                        f"{self._name.zh}：令牌出错（{_named(error)}）；未作任何判定。请确认已连接后重试",
                        f"{self._name.en}: the token failed ({_named(error)}); nothing was "
                        "decided. See that it is connected and repeat",
                    )
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
            self._refused = Text(
                f"{self._name.zh}：令牌不接受此 PIN（{_named(error)}）；它会累计错误次数，故不再尝"
                "试。"
                "请用正确的 PIN 打开",
                f"{self._name.en}: the token refuses the PIN ({_named(error)}); it counts wrong "
                "tries and is not asked again. Open it with the right one",
            )
            raise KeyServiceUnavailableError(self._refused) from error
        except faults.NoSuchToken as error:
            raise KeyServiceUnavailableError(
                Text(
                    f"{self._name.zh}：{self._module.name} 的各槽位中没有此标签的令牌",
                    f"{self._name.en}: no token of that label is in a slot of {self._module.name}",
                )
            ) from error
        except faults.UserAlreadyLoggedIn as error:
            raise KeyServiceUnavailableError(
                Text(
                    f"{self._name.zh}：本进程已打开此令牌；请共用，或先关闭",
                    f"{self._name.en}: this process has the token open already; share it, or "
                    "close it first",
                )
            ) from error
        except pkcs11.PKCS11Error as error:
            raise KeyServiceUnavailableError(
                Text(
                    f"{self._name.zh}：令牌打不开（{_named(error)}）；请确认已连接",
                    f"{self._name.en}: the token cannot be opened ({_named(error)}); see that it "
                    "is connected",
                )
            ) from error

    def _library(self) -> "Library":
        try:
            return pkcs11.lib(str(self._module))
        except pkcs11.PKCS11Error as error:
            raise KeyServiceUnavailableError(
                Text(
                    f"无法从 {self._module} 载入 PKCS#11 库；请安装设备自带的库（SoftHSM2 的软件包"
                    "为 softhsm2）并指明其文件",
                    f"no PKCS#11 library could be loaded from {self._module}; install the one of "
                    "the "
                    "device (SoftHSM2: package softhsm2) and name its file",
                )
            ) from error


def _named(error: pkcs11.PKCS11Error) -> str:
    return type(error).__name__
