"""The load host (圈存主机) of one issuer: it holds both halves of a load, through the key service.

Decides what is checked before money goes onto a card, what is signed then, and that it is in the
log before it is given away. Leaves what a load looks like in a record to the kiosk, and keeping the
log to whoever has a disk.
"""

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.crypto.cryptograms import load_mac1_message, load_mac2_message, load_session_input
from cardcore.digits import encode_time
from cardcore.errors import (
    CryptogramError,
    KeyServiceUnavailableError,
    KeyStateError,
    UnknownKeyError,
)
from cardcore.key_labels import application_label
from cardcore.keys import KeyRef, KeyService, KeyUsage
from cardcore.records.kinds import TransactionType
from cardcore.records.load_log import AllowedLoad
from cardcore.text import Text
from terminals.errors import JournalFullError
from terminals.partners.ports import HostAnswer, LoadLog, LoadQuestion, Partner, PartnerSetting
from terminals.taps import TapOutcome

LOAD_HOST = "load_host"


class LoadHost:
    """The load host of one issuer; `city` is the label of the issuer's keys."""

    def __init__(self, keys: KeyService, city: str, log: LoadLog) -> None:
        self._keys = keys
        self._city = city
        self._log = log

    def authorise(self, question: LoadQuestion) -> HostAnswer:
        """Check MAC1 and give MAC2, or refuse: CARD_FORGED, CARD_KEY_UNKNOWN, HOST_UNAVAILABLE.

        MAC2 is in the log by then. A load that was allowed and did not come about is in the log
        too: the card's next MAC1 with the same counter says so.
        """
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
            mac2 = self._keys.session_mac(ref, question.factor, session_input, mac2_message)
            self._log.append(_allowed(question, mac2))
            return HostAnswer(mac2=mac2)
        except CryptogramError:
            return HostAnswer(refusal=TapOutcome.CARD_FORGED)
        except (UnknownKeyError, KeyStateError):
            return HostAnswer(refusal=TapOutcome.CARD_KEY_UNKNOWN)
        except (KeyServiceUnavailableError, JournalFullError):
            return HostAnswer(refusal=TapOutcome.HOST_UNAVAILABLE)


def _allowed(question: LoadQuestion, mac2: bytes) -> AllowedLoad:
    """The entry of the log; its number is given there."""
    funding = question.funding
    return AllowedLoad(
        number=0,
        application=question.application,
        card_number=question.card_number,
        key_version=question.key_version,
        random=question.random,
        online_counter=question.online_counter,
        balance_before_fen=question.balance_before_fen,
        amount_fen=question.amount_fen,
        terminal=question.terminal,
        time=question.time,
        mac1=question.mac1,
        mac2=mac2,
        funding=funding.funding,
        debit_terminal=funding.debit_terminal,
        debit_serial=funding.debit_serial,
    )


def _start(setting: PartnerSetting) -> LoadHost:
    return LoadHost(setting.keys, setting.city, setting.load_log)


PARTNERS = (Partner(LOAD_HOST, Text("圈存主机", "load host"), _start),)
