from tests.hsm_sim.wire.soak_wire import run


def test_twenty_clients_of_a_server_that_keeps_dying_get_no_wrong_answer() -> None:
    soak = run(3.0, 7, 20, lambda _: None)
    assert set(soak.answers) == {
        "describe_keys", "check_value", "session_mac", "sign", "prove_tacs", "open_channel",
    }  # fmt: skip
    assert soak.purchases > 0
    assert soak.unavailable > 0
    assert soak.ends.total() > 1
