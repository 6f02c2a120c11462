"""The PSAM (销售点终端安全存取模块): a secure access module, one APDU in, one APDU out.

Read it in this order::

    module.py  the module: purchases, a sequence that never repeats, its image
"""

from hsm_sim.psam.module import SEQUENCES_RESERVED, Psam, PsamProfile, make_psam

__all__ = ["SEQUENCES_RESERVED", "Psam", "PsamProfile", "make_psam"]
