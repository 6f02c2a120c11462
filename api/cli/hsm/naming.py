"""Names of keys and of algorithms as people write them.

Decides what is said of a name that is none. Leaves which keys there are to the device.
"""

from api.exits import EXIT_USAGE
from api.output import refuse
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from cardcore.text import Text, shorten, words
from hsm_sim.device.blocks.key_names import KeyNameError, read_name
from hsm_sim.keys.vault import key_algorithms

_SEE_NAMES = Text("见 `onecard hsm keys`", "`onecard hsm keys` lists the names")


def key_name(text: str, asked: str | None = None) -> KeyRef:
    """The name of a key; anything else ends the command with usage. `asked` is what was written,
    where a version is added to it.
    """
    try:
        return read_name(text)
    except KeyNameError as error:
        named = shorten(text if asked is None else asked)
        if asked is None:
            refuse(
                words(f"{named}：{error}；{_SEE_NAMES}", f"{named}: {error}; {_SEE_NAMES}"),
                EXIT_USAGE,
            )
        refuse(
            words(
                f"{named}：应为用途与标签，不带版本，例如 tac/demo；{_SEE_NAMES}",
                f"{named}: a usage and a label are wanted, without a version, as in tac/demo; "
                f"{_SEE_NAMES}",
            ),
            EXIT_USAGE,
        )


def algorithm_name(text: str | None, usage: KeyUsage) -> Algorithm | None:
    """An algorithm as people write it: `pboc-3des` for PBOC_3DES."""
    if text is None:
        return None
    allowed = {each.label: each for each in key_algorithms(usage)}
    if text.lower() not in allowed:
        refuse(
            words(
                f"--algorithm：{usage.use.zh}密钥可用 {'、'.join(allowed)}，不能用 {shorten(text)}",
                f"--algorithm: a {usage.use.en} key may be {', '.join(allowed)}, not "
                f"{shorten(text)}",
            ),
            EXIT_USAGE,
        )
    return allowed[text.lower()]
