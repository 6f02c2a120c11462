"""What a device wrote is on the disk when it goes on: a power cut takes none of it."""

import os
from pathlib import Path

from hsm_sim.device.storage import DeviceFolder
from tests.support.forgetful_disk import ForgetfulDisk

_LOCKS = ("lock",)


def test_a_new_device_is_there_with_every_folder_above_it(tmp_path: Path) -> None:
    with ForgetfulDisk.under(tmp_path) as disk:
        folder = DeviceFolder(tmp_path / "vault" / "device")
        with folder.making():
            folder.append("log", b"made\n")
            folder.replace("device.json", {"made": 1})
            assert disk.forgotten(*_LOCKS) == []


def test_a_document_replaced_and_a_log_grown_and_cut_are_there(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.mkdir(mode=0o700)
    folder = DeviceFolder(path)
    with ForgetfulDisk.under(tmp_path) as disk:
        for number in range(3):
            folder.replace("device.json", {"number": number})
            assert disk.forgotten() == []
            folder.append("log", b"a line\n")
            assert disk.forgotten() == []
        folder.append("log", b"not yet\n", is_durable=False)
        assert disk.forgotten() == ["device/log"]
        folder.sync("log")
        assert disk.forgotten() == []
        folder.truncate("log", 7)
        assert (path / "log").read_bytes() == b"a line\n"
        assert disk.forgotten() == []


def test_what_is_erased_is_erased_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.mkdir(mode=0o700)
    folder = DeviceFolder(path)
    with ForgetfulDisk.under(tmp_path) as disk:
        folder.replace("device.json", {"secret": "wrapped"})
        os.link(path / "device.json", tmp_path / "the bytes where they lay")
        folder.replace("device.json", {"secret": "gone"}, erase_old=True)
        old = tmp_path / "the bytes where they lay"
        assert not any(old.read_bytes())
        assert disk.content(old) == old.read_bytes()
        assert folder.read("device.json") == {"secret": "gone"}
