"""The socket of a service that goes and of the one that takes its place."""

import socket
import threading
from pathlib import Path

import pytest

from hsm_sim.wire.links.listeners import Listener, ListenError, listen_unix


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def test_a_stopping_service_does_not_remove_its_successors_socket(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first = listen_unix(path)
    path.unlink()  # by somebody who thought the service dead
    second = listen_unix(path)
    first.close()
    assert answers(path)
    second.close()
    assert not path.exists()


def test_a_closed_service_leaves_nothing_and_closing_twice_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first = listen_unix(path)
    first.close()
    assert not path.exists()
    second = listen_unix(path)
    first.close()
    assert answers(path)
    second.close()


def test_a_file_that_came_to_the_place_of_the_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first = listen_unix(path)
    path.replace(tmp_path / "elsewhere")
    path.write_text("somebody's")
    first.close()
    assert path.read_text() == "somebody's"


def test_of_services_that_start_at_once_over_a_leftover_one_serves_and_the_others_say_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys"
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
            killed.bind(str(path))
        made: list[Listener] = []
        refused: list[ListenError] = []

        def start(made: list[Listener] = made, refused: list[ListenError] = refused) -> None:
            try:
                made.append(listen_unix(path))
            except ListenError as error:
                refused.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(made), len(refused)) == (1, 3)
        assert answers(path)
        made[0].close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="Is the folder there"):
        listen_unix(tmp_path / "nowhere" / "keys")
