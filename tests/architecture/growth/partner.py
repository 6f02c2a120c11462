"""The swimming club, as a file of `terminals.partners`: nobody pays for more than ten visits."""

from cardcore.text import Text
from terminals.partners.load_host import LoadHost
from terminals.partners.ports import HostAnswer, LoadQuestion, Partner, PartnerSetting
from terminals.taps import TapOutcome

TEN_VISITS_FEN = 30_000


class Club:
    """Looks at what a member would have, and asks the load host for the money."""

    def __init__(self, setting: PartnerSetting) -> None:
        self._host = LoadHost(setting.keys, setting.city, setting.load_log)

    def authorise(self, question: LoadQuestion) -> HostAnswer:
        """See `Authoriser`."""
        if question.balance_before_fen + question.amount_fen > TEN_VISITS_FEN:
            return HostAnswer(refusal=TapOutcome.CARD_LIMIT)
        return self._host.authorise(question)


PARTNERS = (Partner("swimming-club", Text("游泳俱乐部", "swimming club"), Club),)
