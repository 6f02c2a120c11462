"""Who may ask the bulk proofs: settlement, and nobody who holds a PSAM."""

from typing import Any

from hsm_sim.wire.access.duties import Duty
from hsm_sim.wire.codec import messages
from tests.hsm_sim.psam import psams
from tests.hsm_sim.wire.access.test_rights import gives, is_given
from tests.hsm_sim.wire.key_server import LABEL, a_mac_column, an_answer_column

Asked = tuple[messages.Operation[Any], tuple[object, ...]]


def test_a_terminals_certificate_proves_nothing_and_settlement_signs_nothing() -> None:
    """Its record MACs come out of its PSAM; whoever could ask the proof would have an oracle."""
    proofs: list[Asked] = [
        (messages.PROVE_RECORD_MACS, (LABEL, a_mac_column(5))),
        (messages.PROVE_AUTHENTICATIONS, (LABEL, an_answer_column(5))),
    ]
    of_psams: list[Asked] = [
        (messages.PSAM_TRANSMIT, (bytes(16), bytes.fromhex("807C000002"), 0)),
        (messages.PSAM_MAKE, (psams.PROFILE, ())),
    ]
    for operation, arguments in proofs:
        assert is_given(gives("proving"), operation, *arguments)
        for duty in set(Duty) - {Duty.PROVING}:
            assert not is_given(gives(duty), operation, *arguments), duty
        elsewhere = gives("proving", labels=("elsewhere",))
        assert not is_given(elsewhere, operation, *arguments)
    for operation, arguments in of_psams:
        assert is_given(gives("psam", "psam-depot"), operation, *arguments)
        assert not is_given(gives("proving"), operation, *arguments)
