"""The cinema chain, as a file of `terminals.partners`: it sells whole tickets only."""

from cardcore.text import Text
from terminals.partners.load_host import LoadHost
from terminals.partners.ports import HostAnswer, LoadQuestion, Partner, PartnerSetting
from terminals.taps import TapOutcome

TICKET_FEN = 4_000


class Chain:
    """Asks the load host for the money of whole tickets."""

    def __init__(self, setting: PartnerSetting) -> None:
        self._host = LoadHost(setting.keys, setting.city, setting.load_log)

    def authorise(self, question: LoadQuestion) -> HostAnswer:
        """See `Authoriser`."""
        if question.amount_fen % TICKET_FEN:
            return HostAnswer(refusal=TapOutcome.CARD_LIMIT)
        return self._host.authorise(question)


PARTNERS = (Partner("cinema-chain", Text("院线", "cinema chain"), Chain),)
