"""Parallel clients of a key service that is killed again and again: no wrong answer, ever.

    python -m tests.hsm_sim.wire.soak_wire --seconds 600 --seed 1 --clients 20

Clients ask for everything the port has and compare each answer with the one in process. The
server is killed, stopped for a while, or told to end, at random moments. What a client may see is
the right answer, the right refusal, or `KeyServiceUnavailableError`; a PSAM may skip sequence
numbers and never repeats one.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cardcore.apdu import ResponseApdu
from cardcore.errors import CardcoreError, KeyServiceUnavailableError
from cardcore.keys import KeyService, KeyUsage, TacColumn
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.remote import RemotePsam
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.psam.psams import PROFILE, VAULT, card_mac2, credit, initialise, sequence_of
from tests.hsm_sim.wire.key_server import LABEL, SIGNING, a_column, a_vault, card_ref
from tests.hsm_sim.wire.serving import KeyServiceProcess

TIMEOUT_SECONDS = 2.0
PAUSE_SECONDS = 0.01


def a_true_column(rows: int) -> TacColumn:
    """Without those that do not hold: over hours they would be a day's guesses of their cards."""
    column = a_column(rows)
    reasons = KeyOperations(a_vault()).prove_tacs(LABEL, column)
    kept = [column.part(row, row + 1) for row, reason in enumerate(reasons) if reason in (0, 2)]
    fields = [b"".join(each) for each in zip(*(each.parts for each in kept), strict=True)]
    names = tuple(column.row_bytes)
    return replace(column, **dict(zip(names, fields, strict=True))) if kept else column  # type: ignore[arg-type]


COLUMNS = [a_true_column(rows) for rows in (0, 30, 700)]

Act = Callable[[KeyService], object]


def an_act(dice: random.Random) -> tuple[str, Act]:
    """Something to ask for, and its name."""
    factor, data = dice.randbytes(8), dice.randbytes(dice.randrange(60))
    version = dice.choice((1, 1, 1, 4, 5, 6, 7, 8, 9))
    tac, column = card_ref(KeyUsage.TAC, version), dice.choice(COLUMNS)
    load = card_ref(KeyUsage.LOAD, dice.choice((1, 4, 5)))
    counter, blocks = dice.randbytes(16), dice.randbytes(16 * dice.randrange(1, 4))

    def personalise(keys: KeyService) -> object:
        channel = keys.open_channel(LABEL, 1, factor, counter)
        enciphered = channel.encipher(counter, blocks)
        assert channel.decipher(counter, enciphered) == blocks
        return (
            channel.cryptogram(1), channel.command_mac(data), channel.response_mac(enciphered),
            channel.wrapped_card_keys((card_ref(KeyUsage.TAC),), factor),
        )  # fmt: skip

    return dice.choice(
        (
            ("describe_keys", lambda keys: keys.describe_keys(KeyUsage.TAC)),
            ("check_value", lambda keys: keys.check_value(tac, factor)),
            ("session_mac", lambda keys: keys.session_mac(load, factor, factor, data)),
            ("sign", lambda keys: keys.sign(SIGNING, data)),
            ("prove_tacs", lambda keys: keys.prove_tacs(LABEL, column)),
            ("open_channel", personalise),
        )
    )


def outcome(act: Act, keys: KeyService) -> object:
    """An answer or a refusal; `KeyServiceUnavailableError` goes through."""
    try:
        return act(keys)
    except KeyServiceUnavailableError:
        raise
    except CardcoreError as error:
        return type(error), str(error)


@dataclass
class Soak:
    """What happened so far."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unavailable: int = 0
    purchases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    over: bool = False

    def client(self, service: RemoteKeyService, local: KeyService, seed: int) -> None:
        dice = random.Random(seed)
        while not self.over:
            name, act = an_act(dice)
            expected = outcome(act, local)
            try:
                found = outcome(act, service)
            except KeyServiceUnavailableError:
                self.unavailable += 1
                time.sleep(PAUSE_SECONDS)
                continue
            self.answers[name] += 1
            if found != expected:
                self.wrong.append(f"{name}: {found!r} instead of {expected!r}")

    def terminal(self, psam: RemotePsam) -> None:
        """Purchases at one PSAM, whatever becomes of its server."""
        last = 0
        while not self.over:
            try:
                sequence = sequence_of(ResponseApdu.decode(psam.transmit(initialise().encode())))
                if sequence <= last:
                    self.wrong.append(f"PSAM: sequence {sequence} after {last}")
                last = sequence
                status = psam.transmit(credit(card_mac2(sequence)).encode())
            except KeyServiceUnavailableError:
                self.unavailable += 1
                time.sleep(PAUSE_SECONDS)
                continue
            # A power cut between the two commands loses the transaction, and nothing else.
            if status.hex() not in {"9000", "6985"}:
                self.wrong.append(f"PSAM: {status.hex()} for a genuine card")
            self.purchases += status.hex() == "9000"

    def strike(self, process: KeyServiceProcess, dice: random.Random) -> None:
        """One mishap of the server."""
        kind = dice.choice(("SIGKILL", "SIGKILL", "SIGTERM", "SIGSTOP"))
        self.ends[kind] += 1
        if kind == "SIGSTOP":
            with process.paused():
                time.sleep(dice.uniform(0, TIMEOUT_SECONDS / 4))
        else:
            process.restart(signal.Signals[kind])


def run(seconds: float, seed: int, clients: int, report: Callable[[str], object]) -> Soak:
    """Soak for that long; raises `AssertionError` for a wrong answer."""
    soak, dice = Soak(), random.Random(seed)
    vault = a_vault()
    for entry in VAULT.entries():
        vault.restore(entry)
    local = KeyOperations(vault)
    # Fewer places than clients: they are also taken from each other.
    limits = ServerLimits(connections_a_client=max(4, clients // 2))
    with (
        tempfile.TemporaryDirectory(prefix="onecard-") as folder,
        KeyServiceProcess(vault, Path(folder), limits=limits) as process,
    ):
        service = process.service(TIMEOUT_SECONDS)
        threads = [
            threading.Thread(target=soak.client, args=(service, local, seed + number))
            for number in range(clients)
        ]
        # Each a number of its own: two of one number would be copies.
        threads += [
            threading.Thread(target=soak.terminal, args=(service.make_psam(profile),))
            for profile in (PROFILE, replace(PROFILE, number=f"{2:020}"))
        ]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not soak.wrong:
                time.sleep(dice.uniform(0.1, 0.8))
                soak.strike(process, dice)
                report(f"{soak.answers.total():>10,} answers  {soak.unavailable:>6,} unavailable")
        finally:
            soak.over = True
            for thread in threads:
                thread.join()
            service.close()
    assert not soak.wrong, soak.wrong[:3]
    return soak


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=20)
    chosen = parser.parse_args()
    soak = run(
        chosen.seconds, chosen.seed, chosen.clients, lambda line: sys.stderr.write(line + "\n")
    )
    answers = ", ".join(f"{name} {count:,}" for name, count in soak.answers.most_common())
    ends = ", ".join(f"{name} {count}" for name, count in soak.ends.most_common())
    sys.stdout.write(
        f"{soak.answers.total():,} answers, {soak.purchases:,} purchases, none wrong; "
        f"{soak.unavailable:,} times unavailable; {ends}; seed {chosen.seed}\n{answers}\n"
    )


if __name__ == "__main__":
    main()
