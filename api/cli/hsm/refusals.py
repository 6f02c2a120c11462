"""What a key device refuses, said in a sentence with what to do next.

Decides what to do where the kind of refusal tells it. Leaves everything else to the refusal itself:
it says the next step where only it can know.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from api.cli.frame.faults import with_next_step
from api.output import refuse
from cardcore.errors import KeyServiceError
from cardcore.text import Text
from hsm_sim.device.blocks.components import ComponentError
from hsm_sim.device.blocks.key_names import KeyNameError
from hsm_sim.device.blocks.tr31 import KeyBlockError
from hsm_sim.device.errors import LogError
from hsm_sim.keys.strength import WeakKeyError

_NEXT_STEPS: Mapping[type[KeyServiceError], Text] = {
    ComponentError: Text(
        "请照分量信封重新键入，或另生成一个：`onecard hsm ceremony component`",
        "type what the sheet says, or make another: `onecard hsm ceremony component`",
    ),
    KeyBlockError: Text(
        "请对方重新发来密钥块，再 `onecard hsm import`",
        "have the partner send the block again, then `onecard hsm import`",
    ),
    KeyNameError: Text("密钥名见 `onecard hsm keys`", "`onecard hsm keys` lists the names"),
    WeakKeyError: Text(
        "请换一把：`onecard hsm ceremony generate`，或用新的分量",
        "take another: `onecard hsm ceremony generate`, or new components",
    ),
    LogError: Text(
        "请与会议纪要核对（`onecard hsm ceremony log`），并从副本恢复设备目录",
        "compare it with the minutes (`onecard hsm ceremony log`), and restore the device's folder "
        "from a copy",
    ),
}


@contextmanager
def named_refusals() -> Iterator[None]:
    """What the device refuses is said in a sentence, and the command ends."""
    try:
        yield
    except KeyServiceError as error:
        refuse(with_next_step(error, _NEXT_STEPS))
