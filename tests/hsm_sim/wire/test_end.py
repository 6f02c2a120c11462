"""The end of a serving process: a signal is never missed, whichever thread it finds."""

import subprocess
import sys
from pathlib import Path

from tests.support.patience import SLOW_S
from tests.support.shared import REPOSITORY

CHILD = """
import signal, sys, threading, time
from pathlib import Path
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.vault import KeyVault
from hsm_sim.wire.dispatch import ServedKeys
from hsm_sim.wire.links.listeners import listen_unix
from hsm_sim.wire.server import Server
vault = KeyVault({})
server = Server(lambda: ServedKeys(KeyOperations(vault), vault), lambda event: None)
signal.signal(signal.SIGTERM, lambda *_: server.stop())
def late():
    time.sleep(0.3)  # the main thread waits by now, and this one takes the signal
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(60)
server.serve([listen_unix(Path(sys.argv[1]))], threading.Thread(target=late, daemon=True).start)
print("ended")
"""


def test_a_signal_taken_by_another_thread_ends_the_service(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "keys.socket")],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=SLOW_S,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr
