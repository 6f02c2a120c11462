from tests.fuzz.fuzz_codecs import fuzz_one, run, seeds


def test_every_target_keeps_its_rule_on_the_inputs_that_fuzzing_starts_with() -> None:
    for data in seeds():
        fuzz_one(data)


def test_a_second_of_fuzzing_breaks_no_rule() -> None:
    tried, kept, _ = run(1.0, 7)
    assert tried > kept > len(seeds()) / 2
