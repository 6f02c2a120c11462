"""A worker of the bulk proof: `python -m hsm_sim.proof.worker FD`, started by `workers`.

Decides nothing. It takes shares from the connection at that file descriptor and answers each with
its mask, until the other end closes. It belongs to the key service and is hardened like it.
"""

import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from hsm_sim.hardening import harden_process
from hsm_sim.proof.shares import PARTS, Share


def answer_share(connection: Connection) -> None:
    """Take one share and answer it; its keys are let go with the call."""
    share = Share.from_parts([connection.recv_bytes() for _ in range(PARTS)])
    connection.send_bytes(share.wrong().tobytes())


if __name__ == "__main__":
    harden_process()
    # A Ctrl-C at the terminal reaches the whole group; the key service decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    # Until the key service closes its end, or is gone.
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            answer_share(connection)
