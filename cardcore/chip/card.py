"""The card operating system: one APDU in, one APDU out, a commit or no trace.

Decides which command the bytes are, whether the card's state allows it and which status word
answers bytes that are no command. Leaves what each command does to `cardcore.chip.commands`, power
failures to `cardcore.chip.memory` and the product's files to the applets.

A handler only decides: it returns a `Reply` with the answer, the next session and the changes to
memory. `transmit` then checks Le, commits the changes and only then moves the session on, so a
command that is refused, also for a wrong Le, has changed nothing.
"""

from collections.abc import Callable, Mapping

from cardcore.apdu import STATUS_BYTES, CommandApdu, ResponseApdu, StatusWord
from cardcore.chip import scp03
from cardcore.chip.commands import (
    Attempt,
    Context,
    Reply,
    Session,
    blocking,
    files,
    manage,
    payment,
    pin,
    security,
    store,
    update,
)
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.memory import Memory
from cardcore.errors import DecodeError, PowerLossError
from cardcore.limits import RESPONSE_BYTES_MAX

#: Answer to reset of a contactless card without historical bytes, as PC/SC part 3 makes it up.
ATR = bytes.fromhex("3B80800101")


class Card:
    """A card made of its memory and a source of random bytes.

    `transmit` answers any byte string with data and a status word. Only a loss of power
    (`memory.power`, fault injection) is an exception: `PowerLossError`, until `reset`.
    """

    __slots__ = ("_channel", "_files", "_powered", "_random", "_session", "_stale", "memory")

    atr = ATR

    def __init__(
        self, memory: Memory, random: Callable[[int], bytes], like: FileSystem | None = None
    ) -> None:
        """`like` are the files of a card that has the same ones, to save reading them."""
        memory.power_up()
        self.memory = memory
        self._random = random
        self._files = FileSystem(memory, like)
        self._stale = False
        self._session = Session(self._files.root)
        #: Open until a command comes outside of it.
        self._channel: scp03.Channel | None = None
        self._powered = True

    @classmethod
    def from_image(cls, image: bytes, random: Callable[[int], bytes]) -> "Card":
        """The card whose memory is in the image; `DecodeError` when the image is damaged."""
        return cls(Memory.from_image(image), random)

    def image(self) -> bytes:
        """The memory in canonical form, also of a card that has just lost power."""
        return self.memory.image()

    @property
    def generation(self) -> int:
        """How many times the card has changed for good."""
        return self.memory.generation

    def reset(self) -> bytes:
        """Power cycle: forget the session, finish or forget unfinished writes. Returns the ATR."""
        self._powered = False
        self.memory.power_up()
        self._read_tree()
        self._session = Session(self._files.root)
        self._channel = None
        self._powered = True
        return self.atr

    def transmit(self, command: bytes) -> bytes:
        """One command, one answer: data and two bytes of status word."""
        if not self._powered:
            raise PowerLossError("the card has no power until it is reset")
        if self._channel is not None and command and command[0] & scp03.SECURE:
            return self._transmit_in_channel(self._channel, command)
        try:
            apdu = CommandApdu.decode(command)
        except DecodeError:
            return self._finish(None, Reply(sw=StatusWord.WRONG_LENGTH)).encode()
        # A command that is not protected closes the channel, and is carried out.
        self._channel = None
        context = Context(self._files, self._session, self._random)
        return self._finish(apdu, self._decide(context, apdu)).encode()

    def _transmit_in_channel(self, channel: scp03.Channel, command: bytes) -> bytes:
        """A protected command while the secure channel is open. One that is wrongly protected
        closes it.
        """
        try:
            opened = scp03.unwrap_command(channel, command)
        except DecodeError:
            return self._finish(None, Reply(sw=StatusWord.WRONG_LENGTH)).encode()
        if isinstance(opened, StatusWord):
            self._channel = None
            return self._finish(None, Reply(sw=opened)).encode()
        apdu, channel = opened
        self._channel = channel
        context = Context(self._files, self._session, self._random, channel)
        response = self._finish(apdu, self._decide(context, apdu))
        answer = scp03.wrap_response(channel, response)
        if len(answer) > RESPONSE_BYTES_MAX + STATUS_BYTES:
            return ResponseApdu(b"", StatusWord.WRONG_LENGTH).encode()
        return answer

    def _decide(self, context: Context, apdu: CommandApdu) -> Reply:
        """What the command comes to. A try is written down before a secret is compared."""
        refused = blocking.refusal(context, apdu)
        if refused is not None:
            return Reply(sw=refused)
        handler = _HANDLERS.get((apdu.cla, apdu.ins))
        if handler is None:
            known = apdu.cla in _CLASSES and apdu.ins not in _INSTRUCTIONS
            sw = StatusWord.INS_NOT_SUPPORTED if known else StatusWord.CLA_NOT_SUPPORTED
            return Reply(sw=sw)
        decision = handler(context, apdu)
        if isinstance(decision, Attempt):
            if decision.spend:
                self._commit(decision.spend)
            decision = decision.compare()
        return Reply(sw=decision) if isinstance(decision, StatusWord) else decision

    def _finish(self, apdu: CommandApdu | None, reply: Reply) -> ResponseApdu:
        """Check Le, commit, move the session on, answer."""
        data, sw, session, changes, new_tree, channel = reply
        if session is None and (apdu is None or (apdu.cla, apdu.ins) not in payment.CONTINUING):
            # JR/T 0025: from INITIALIZE to its end a transaction is not interrupted; a challenge
            # is good for one command.
            session = self._session.idle()
        if data and apdu is not None and apdu.le not in (None, 256, len(data)):
            return ResponseApdu(b"", StatusWord.LE_WRONG | len(data) & 0xFF)
        self._stale |= new_tree
        if changes:
            self._commit(changes)
        if session is not None:
            self._session = session
        if channel is not None:
            self._channel = channel
        if self._stale:
            self._read_tree()
            self._session = Session(self._files.root)
        return ResponseApdu(data, sw)

    def _read_tree(self) -> None:
        """Look at the files anew when some may have come or gone."""
        if self._stale:
            self._files = FileSystem(self.memory)
            self._stale = False

    def _commit(self, changes: Mapping[int, bytes]) -> None:
        try:
            self.memory.commit(changes)
        except PowerLossError:
            self._powered = False
            raise


_HANDLERS = {
    **files.HANDLERS,
    **update.HANDLERS,
    **store.HANDLERS,
    **security.HANDLERS,
    **pin.HANDLERS,
    **blocking.HANDLERS,
    **payment.HANDLERS,
    **manage.HANDLERS,
}
_CLASSES = {cla for cla, _ in _HANDLERS}
_INSTRUCTIONS = {ins for _, ins in _HANDLERS}
