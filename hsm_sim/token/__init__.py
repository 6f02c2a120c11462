"""Master keys in a PKCS#11 token: a network device, a card, or SoftHSM2.

`hsm_sim.keys.operations.KeyOperations` over `TokenMasterKeys` is the key service; what usage and
state allow is decided there, as for every provider. Masters and signing keys are objects of the
token, sensitive and not extractable, and no call gives one out. What PKCS#11 2.40 cannot compute
inside, this process computes from a derived value, which leaves the token and is forgotten with the
call:

========================================  =====================================================
leaves the token                          for as long as
========================================  =====================================================
a card's own key                          `derive_card_key` and `wrapped_card_keys`: on its way
                                          into that card; the folded key of RELOAD PIN in a
                                          PSAM, for one command
the TAC keys of the cards of a column     `prove_tacs`: folding two halves, and one MAC a row
                                          by the million, are not mechanisms of a token
a chip's three channel keys               `open_channel` makes session keys of them; those and
                                          the chip's DEK stay until the channel is dropped
a session key of suite `aes`              `session_mac`: CMAC is no key derivation in PKCS#11
========================================  =====================================================

Everything else stays inside: a card's key is derived there as an object of the session, made for
one operation and destroyed after it; session MACs and MACs of messages of `pboc-3des`, answers to
challenges, check values, signatures and data encryption never show a key to this process.
SM4 and SM2 are not mechanisms of PKCS#11 2.40: such a key is refused. The token should be ours
alone; objects of other programs in it are left as they are.

The extra `hsm` (python-pkcs11) lives in this folder only. Read it in this order::

    session.py    the library, the login, one call at a time, and what went wrong
    objects.py    which objects a key is in a token, and its description beside it
    masters.py    the master keys of a token: install, move on, use
    card_keys.py  one card's key, derived inside for one operation
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cardcore.errors import KeyServiceUnavailableError
from cardcore.text import Text

if TYPE_CHECKING:
    from hsm_sim.token.masters import TokenMasterKeys


def open_token(module: Path, token_label: str, pin: str) -> "TokenMasterKeys":
    """Log into the token of that label, through the vendor's PKCS#11 library at `module`.

    The PIN stays in memory, to log in again after the token was lost. It is tried once: a wrong
    one is never repeated, because the token counts and locks.

    Raises `KeyServiceUnavailableError` that says what is missing: the extra, the library, the
    token, the PIN.
    """
    try:
        from hsm_sim.token.masters import TokenMasterKeys  # noqa: PLC0415 - needs the extra
        from hsm_sim.token.session import TokenSession  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        if error.name != "pkcs11":
            raise
        raise KeyServiceUnavailableError(
            Text(
                "使用 PKCS#11 令牌须安装 `hsm` 扩展：`pip install 'onecard[hsm]'`",
                "keys in a PKCS#11 token need the extra `hsm`: `pip install 'onecard[hsm]'`",
            )
        ) from error
    return TokenMasterKeys(TokenSession(module, token_label, pin))
