"""What is said in each state of a tap, and what the answer means: one file a part of `flow`.

Decides which file a state stands in: `knowing` the card, `settling` a torn tap, `paying`, and
`composite` for the records that ride along in EF1A and EF1E.
"""

from terminals.tap.learned import Steps
from terminals.tap.steps import composite, knowing, paying, settling

STEPS: Steps = {**knowing.STEPS, **settling.STEPS, **composite.STEPS, **paying.STEPS}
