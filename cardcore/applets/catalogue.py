"""Every application there is, by number and by name.

Decides that numbers and names are used once. A file beside this one that offers `APPLICATIONS` adds
to it; nothing else has to be touched.
"""

from collections.abc import Mapping

from cardcore import applets
from cardcore.application import NO_APPLICATION, Application
from cardcore.catalogues import gather


def read_applications() -> Mapping[int, Application]:
    """The applications by code, in the order of their codes.

    >>> [each.name for each in read_applications().values() if each.has_purse]
    ['transit', 'purse', 'benefit']
    """
    found: list[Application] = sorted(gather(applets, "APPLICATIONS"), key=lambda each: each.code)
    by_code = {each.code: each for each in found}
    assert len(by_code) == len({each.name for each in found}) == len(found), found
    assert NO_APPLICATION not in by_code, by_code
    # With the keys of another one, a record of this application would prove as one of that.
    for values in (
        [each.key_ending for each in found],
        [aid for each in found for aid in each.aids],
    ):
        assert len(values) == len(set(values)), values
    return by_code


APPLICATIONS = read_applications()


def application_named(name: str) -> Application:
    """The application of that name. `KeyError` when there is none.

    >>> application_named("library").code
    4
    """
    return {each.name: each for each in APPLICATIONS.values()}[name]


def city_of(label: str) -> str:
    """The city whose application has its keys under a label.

    >>> city_of("demo-purse"), city_of("demo")
    ('demo', 'demo')
    """
    endings = (each.key_ending for each in APPLICATIONS.values() if each.key_ending)
    found = next((ending for ending in endings if label.endswith(ending)), "")
    return label.removesuffix(found)
