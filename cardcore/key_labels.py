"""Labels of keys: every one there is.

Decides under which label a key stands. Leaves which keys stand there to products and ceremonies. A
city's own label is the name of its scheme; what belongs to a part of the city has an ending.
"""


def chip_label(city: str) -> str:
    """The keys of the city's chips: their secure channel, and the key of CARD BLOCK.

    >>> chip_label("demo")
    'demo-chip'
    """
    return f"{city}-chip"


def application_label(city: str, ending: str) -> str:
    """The keys of one application of the city's cards; `ending` is the application's own.

    >>> application_label("demo", "-purse"), application_label("demo", "")
    ('demo-purse', 'demo')
    """
    return city + ending


def indexed_label(label: str, index: int) -> str:
    """The keys of one index: every index of an application has a master of its own, the first one
    under the application's own label.

    >>> indexed_label("demo-social", 1), indexed_label("demo-social", 0x0A)
    ('demo-social', 'demo-social-0a')
    """
    return label if index == 1 else f"{label}-{index:02x}"


def maintenance_label(city: str) -> str:
    """The masters of the PSAMs' own maintenance keys.

    >>> maintenance_label("shenzhen")
    'shenzhen-psam'
    """
    return f"{city}-psam"


def load_host_label(city: str) -> str:
    """The keys under the log files of the city's load host.

    >>> load_host_label("demo")
    'demo-load-host'
    """
    return f"{city}-load-host"


def sender_label(sender: int) -> str:
    """The keys under a sender's batch files.

    >>> sender_label(101)
    'sender-101'
    """
    return f"sender-{sender}"
