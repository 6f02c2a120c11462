from tests.cardcore.chip.walks.soak_apdus import run


def test_a_second_of_random_commands_breaks_nothing() -> None:
    soak = run(1.0, 7, lambda _: None)
    assert soak.sent > 4_096
    assert {0x9000, 0x6700, 0x6A86, 0x6982, 0x6E00} <= set(soak.words)
