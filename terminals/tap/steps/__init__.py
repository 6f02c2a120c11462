"""What is said in each state of a tap, and what the answer means: one file a part of `flow`.

Decides which file a state stands in. Read it in this order::

    knowing.py    which purse the card has, whether a tap of it was torn here, whether it may pass
    settling.py   a torn tap: proven, recorded, voided, lapsed or forged
    paying.py     from INITIALIZE to the record
    composite.py  the records that ride along in EF1A and EF1E
"""

from terminals.tap.learned import Steps
from terminals.tap.steps import composite, knowing, paying, settling

STEPS: Steps = {**knowing.STEPS, **settling.STEPS, **composite.STEPS, **paying.STEPS}
