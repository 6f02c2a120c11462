"""The load host (圈存主机) of one issuer: it holds both halves of a load, through the key service.

Decides what is checked before money goes onto a card, and what is signed then. Leaves what a load
looks like in a record to the kiosk.
"""

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.crypto.cryptograms import load_mac1_message, load_mac2_message, load_session_input
from cardcore.digits import encode_time
from cardcore.errors import CryptogramError, KeyServiceUnavailableError, UnknownKeyError
from cardcore.key_labels import application_label
from cardcore.keys import KeyRef, KeyService, KeyUsage
from cardcore.records.record import TransactionType
from cardcore.text import Text
from terminals.partners.ports import HostAnswer, LoadQuestion, Partner, PartnerSetting
from terminals.taps import TapOutcome

LOAD_HOST = "load_host"


class LoadHost:
    """The load host of one issuer; `city` is the label of the issuer's keys."""

    def __init__(self, keys: KeyService, city: str) -> None:
        self._keys = keys
        self._city = city

    def authorise(self, question: LoadQuestion) -> HostAnswer:
        """Check MAC1 and give MAC2, or refuse: CARD_FORGED, CARD_KEY_UNKNOWN, HOST_UNAVAILABLE."""
        ending = APPLICATIONS[question.application].key_ending
        label = application_label(self._city, ending)
        ref = KeyRef(KeyUsage.LOAD, label, question.key_version)
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


def _start(setting: PartnerSetting) -> LoadHost:
    return LoadHost(setting.keys, setting.city)


PARTNERS = (Partner(LOAD_HOST, Text("圈存主机", "load host"), _start),)
