"""The attacker finds nothing while every rule holds, and something when any of them does not."""

from importlib import resources
from itertools import count
from time import process_time

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.settlement.attacker.attacker import Attacker
from tests.settlement.attacker.mutations import MUTATIONS, Mutation, switched_off
from tests.settlement.attacker.soak_attacker import SEARCH, STEPS
from tests.settlement.attacks.town import AGENT, AGENT_HOST

SEARCH_SECONDS = 60.0
RULES = {*(f"R{number}" for number in range(1, 8)), "I3"}
#: The seed of the first search: one that finds soon, the same every time.
FIRST_SEEDS = dict.fromkeys(RULES, 1) | {"R4": 0, "R5": 5, "R6": 5}
TestAttacker = Attacker.TestCase
TestAttacker.settings = settings(
    stateful_step_count=STEPS, max_examples=10, suppress_health_check=list(HealthCheck)
)


def is_found(rule: str, seconds: float) -> bool:
    """Whether the attacker is paid too much, or somebody else too little, within so many seconds
    of this process: other work on the machine takes nothing away from the search.
    """
    deadline = process_time() + seconds
    for number in count(FIRST_SEEDS[rule]):
        if process_time() > deadline:
            return False
        # The same lives every time: a search that finds is found again.
        seeded = seed(number)(type("SeededAttacker", (Attacker,), {}))
        try:
            run_state_machine_as_test(seeded, settings=SEARCH)
        except AssertionError:
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_with_a_rule_switched_off_the_attacker_finds_an_attack_within_its_minute(
    mutation: Mutation,
) -> None:
    with switched_off(mutation):
        assert is_found(mutation.rule, SEARCH_SECONDS)


def test_every_rule_is_switched_off_in_some_way() -> None:
    assert {mutation.rule for mutation in MUTATIONS} == RULES


def test_every_mutation_changes_what_stands_in_its_script() -> None:
    for mutation in MUTATIONS:
        script = resources.files("settlement.reconciliation") / "sql" / f"{mutation.script}.sql"
        assert mutation.old in script.read_text("utf-8"), mutation
        assert mutation.old != mutation.new


def test_a_logged_load_is_billed_once_a_record_of_a_later_one_comes() -> None:
    """R6: the log tells of the first, the card's TAC at the second says that its counter moved."""
    attacker = Attacker()
    attacker.build()
    try:
        attacker.load(0, 20_000)
        attacker.the_load_host_sends_its_log()
        attacker.load(0, 1_000)
        attacker.send(AGENT_HOST, [(0, ("", 0))], is_held=False)
        attacker.close()
        first, second = attacker.logged[-2:]
        assert (first.is_known, second.is_known) == (True, True)
        assert (first.is_logged, second.is_logged) == (True, False)
        assert attacker.town.money()[f"load_agent/{AGENT}"] == 81_000
    finally:
        attacker.teardown()
