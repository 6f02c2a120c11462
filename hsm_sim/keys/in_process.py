"""The key service in this process: every key lies in memory beside whatever else runs here.

Decides nothing; it is `KeyOperations` over a `KeyVault`, and says loudly what that means.
"""

import warnings
from collections.abc import Callable
from datetime import date

from cardcore.keys import InsecureKeyServiceWarning
from hsm_sim.keys.operations import KeyOperations, Prove, today_here
from hsm_sim.keys.seal_register import SealRegister
from hsm_sim.keys.vault import KeyVault
from hsm_sim.proof.column import prove_column


class InProcessKeyService(KeyOperations):
    """`cardcore.keys.KeyService` over a vault in this process's memory.

    For tests and the demo: whoever can read the process can read the keys, so it warns with
    `InsecureKeyServiceWarning` whenever one is made.
    """

    def __init__(
        self,
        vault: KeyVault,
        today: Callable[[], date] = today_here,
        prove: Prove = prove_column,
        seals: SealRegister | None = None,
    ) -> None:
        warnings.warn(
            "the key service holds its keys in this process's memory: tests and demos only",
            InsecureKeyServiceWarning,
            stacklevel=2,
        )
        super().__init__(vault, today, prove, seals)
