"""The load kiosk (充值机): takes money and puts it on the card, with the load host's consent.

Decides what a load looks like, and what the load host checks and signs. The kiosk holds no key:
the host does both halves through the key service.
"""

from cardcore.crypto.cryptograms import load_mac1_message, load_mac2_message, load_session_input
from cardcore.digits import encode_time
from cardcore.errors import CryptogramError, KeyServiceUnavailableError, UnknownKeyError
from cardcore.keys import KeyRef, KeyService, KeyUsage
from cardcore.records.record import RecordKind, Sector, TransactionType
from terminals.tap.actions import HostAnswer, LoadQuestion
from terminals.tap.flow import Flow, Role
from terminals.taps import TapOutcome

KIOSK = Role(
    name="kiosk",
    flow=Flow.LOAD,
    kind=RecordKind.LOAD,
    sector=Sector.CARD_SERVICE,
    transaction_type=TransactionType.LOAD,
)


class LoadHost:
    """The load host (圈存主机) of one issuer; `label` names the issuer's keys."""

    def __init__(self, keys: KeyService, label: str) -> None:
        self._keys = keys
        self._label = label

    def authorise(self, question: LoadQuestion) -> HostAnswer:
        """Check MAC1 and give MAC2, or refuse: CARD_FORGED, CARD_KEY_UNKNOWN, HOST_UNAVAILABLE."""
        ref = KeyRef(KeyUsage.LOAD, self._label, question.key_version)
        terminal = bytes.fromhex(question.terminal)
        amount, kind = question.amount_fen, TransactionType.LOAD
        session_input = load_session_input(question.random, question.online_counter)
        mac1_message = load_mac1_message(question.balance_before_fen, amount, kind, terminal)
        mac2_message = load_mac2_message(amount, kind, terminal, encode_time(question.time))
        try:
            self._keys.verify_session_mac(
                ref, question.factor, session_input, mac1_message, question.mac1
            )
            return HostAnswer(
                mac2=self._keys.session_mac(ref, question.factor, session_input, mac2_message)
            )
        except CryptogramError:
            return HostAnswer(refusal=TapOutcome.CARD_FORGED)
        except UnknownKeyError:
            return HostAnswer(refusal=TapOutcome.CARD_KEY_UNKNOWN)
        except KeyServiceUnavailableError:
            return HostAnswer(refusal=TapOutcome.HOST_UNAVAILABLE)
