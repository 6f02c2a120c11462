"""A device while it is served: what stands in its log, and what is answered when it is gone."""

from pathlib import Path

import pytest

from cardcore.errors import KeyServiceUnavailableError
from hsm_sim.device.device import destroy
from hsm_sim.device.inspection import log_lines
from hsm_sim.wire.events import Event, EventKind, plain
from hsm_sim.wire.served_device import ServedDevice
from tests.hsm_sim.device.devices import TAC_1, add, make


def test_what_a_stranger_wrote_cannot_move_the_cursor_of_who_reads_the_log(tmp_path: Path) -> None:
    """The name in a certificate, for one."""
    served = ServedDevice(make(tmp_path / "device"), lambda _: None)
    served.log(
        Event(EventKind.TURNED_AWAY, plain("tls:127.0.0.1:9443"), why=plain("CN=\x1b[2J\r\n密钥"))
    )
    reason = log_lines(tmp_path / "device")[-1]["reason"]
    assert reason == "tls:127.0.0.1:9443: CN=?[2J??密钥"


def test_a_host_command_to_a_device_that_is_gone_is_not_answered(tmp_path: Path) -> None:
    device = make(tmp_path / "device")
    add(device, TAC_1)
    served = ServedDevice(device, lambda _: None)
    assert served.host_answer(plain("somebody"), b"0001B20000") == b"0001B300"
    destroy(device)
    with pytest.raises(KeyServiceUnavailableError, match="the device cannot be read"):
        served.host_answer(plain("somebody"), b"0001B20000")
    with pytest.raises(KeyServiceUnavailableError, match="the device cannot be read"):
        served.keys()
