"""Plays one side of a recording: what it sends, and what must have been received before.

A player gets the records in their order, and what is received now. It makes steps of the records
of its own side. Those of the other side are what is awaited and compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from sockkit.core.comparison import (
    ByteComparison,
    Comparison,
    DatagramComparison,
    Difference,
)
from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Injected,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.core.units import show_count, show_size
from sockkit.values import Value

MAX_AHEAD_BYTES = 16 * 1024 * 1024  # held of all conversations, in either direction


class PlayOptions(Value):
    """How to play: as the client, or `serving`; of all peers, or of these.

    `speed` is how much faster than recorded, None for no pauses. In `lockstep` each step waits for
    what was received before it in the recording; then there is no speed.
    """

    serving: bool = False
    peers: frozenset[int] = frozenset()
    speed: float | None = 1.0
    lockstep: bool = False
    verify: bool = False


class Conversation:
    """One connection, or the datagrams of one peer, as it was recorded and as it is now.

    `recorded` and `received` count what the other side had sent and sends: bytes, or datagrams.
    `recorded_end` and `ended` say whether it had ended its side and does. `reset` says that it had
    reset the connection.
    """

    def __init__(self, stream: Stream, opened: int, comparison: Comparison | None) -> None:
        self.stream, self.opened = stream, opened
        self.datagrams = stream.datagrams
        self.comparison = comparison
        self.recorded = self.received = 0
        self.recorded_end = self.ended = self.reset = False

    @property
    def waits(self) -> bool:
        """Whether less has been received than the recording has by now."""
        return self.received < self.recorded

    @property
    def so_far(self) -> str:
        """What has been received of what was recorded."""
        if self.datagrams:
            return f"{self.received:,} of {show_count(self.recorded, 'datagram')}"
        return f"{self.received:,} of {show_size(self.recorded)}"

    def count(self, data: bytes) -> int:
        return 1 if self.datagrams else len(data)


class Do(Enum):
    """CLOSE: once all is received. RESET: once all is sent."""

    OPEN = auto()
    SEND = auto()
    END = auto()
    CLOSE = auto()
    RESET = auto()


class Step(Value):
    """What our side does next, and at which recorded time. `first` is the first of a run."""

    time: int
    do: Do
    conversation: Conversation
    data: bytes = b""
    first: bool = False


class Player:
    """Makes steps of records. `difference` is the first one found, if `options` ask for it."""

    def __init__(self, options: PlayOptions) -> None:
        self.options = options
        self._open: dict[int, Conversation] = {}
        self._waiting: set[Conversation] = set()  # for what the recording has received by now
        self._expected_ahead = self._received_ahead = 0
        self._begun = 0  # when the first conversation of a run was opened
        self._last = 0
        self._fresh = True  # until then
        self.difference: tuple[Conversation, Difference] | None = None
        self.met = 0  # conversations

    # The recording.

    def feed(self, record: Record) -> Iterator[Step]:
        """The steps of our side that `record` stands for."""
        if isinstance(record, Begun | Exit | Injected | Listening):
            if isinstance(record, Begun):
                yield from self.finish()
            return
        stream = record.stream
        if self.options.peers and stream.number not in self.options.peers:
            return
        self._last = record.time
        conversation = self._open.get(stream.number)
        if not conversation or isinstance(record, Opened):
            if conversation:
                yield self._close(conversation, record.time)
            conversation = self._new(stream, record.time)
            yield Step(record.time, Do.OPEN, conversation, first=self._fresh)
            self._fresh = False
        yield from self._passed(conversation, record)

    def finish(self) -> Iterator[Step]:
        """The run ends here, and with it all that is open."""
        for conversation in list(self._open.values()):
            yield self._close(conversation, self._last)
        self._fresh = True

    def _new(self, stream: Stream, time: int) -> Conversation:
        comparison: Comparison | None = None
        if self.options.verify:
            comparison = DatagramComparison() if stream.datagrams else ByteComparison()
        made = self._open[stream.number] = Conversation(stream, time, comparison)
        self.met += 1
        if self._fresh:
            self._begun = time
        return made

    def _passed(self, conversation: Conversation, record: Record) -> Iterator[Step]:
        if isinstance(record, Message):
            if self._is_ours(conversation, record.direction):
                yield Step(record.time, Do.SEND, conversation, record.data)
            else:
                self._expect(conversation, record.data)
        elif isinstance(record, Ended):
            if self._is_ours(conversation, record.direction):
                yield Step(record.time, Do.END, conversation)
            else:
                conversation.recorded_end = True
        elif isinstance(record, Closed):
            yield self._close(conversation, record.time, record.reset)

    def _is_ours(self, conversation: Conversation, direction: Direction) -> bool:
        """Whether the side that we play has sent in this direction."""
        by_client = (direction == "sent") == conversation.stream.dialled
        return by_client != self.options.serving

    def _close(self, conversation: Conversation, time: int, reset: Direction | str = "") -> Step:
        del self._open[conversation.stream.number]
        if reset == "sent" or reset == "received":
            if self._is_ours(conversation, reset):  # type: ignore[arg-type]
                return Step(time, Do.RESET, conversation)
            conversation.reset = True
        return Step(time, Do.CLOSE, conversation)

    def _expect(self, conversation: Conversation, data: bytes) -> None:
        conversation.recorded += conversation.count(data)
        if conversation.waits:
            self._waiting.add(conversation)
        if comparison := conversation.comparison:
            self._compare(conversation, comparison, data, expected=True)

    # What comes now.

    def received(self, conversation: Conversation, data: bytes) -> None:
        conversation.received += conversation.count(data)
        if not conversation.waits:
            self._waiting.discard(conversation)
        if comparison := conversation.comparison:
            self._compare(conversation, comparison, data, expected=False)

    def ended(self, conversation: Conversation) -> None:
        """The other side has ended its direction, or the whole connection."""
        conversation.ended = True

    def closed(self, conversation: Conversation) -> None:
        """It is over on both sides: what is there on one side only is a difference."""
        self._waiting.discard(conversation)
        if comparison := conversation.comparison:
            self._note(conversation, comparison.end())
            self._expected_ahead -= comparison.expected_ahead
            self._received_ahead -= comparison.received_ahead
            conversation.comparison = None

    def _compare(
        self, conversation: Conversation, comparison: Comparison, data: bytes, *, expected: bool
    ) -> None:
        self._expected_ahead -= comparison.expected_ahead
        self._received_ahead -= comparison.received_ahead
        compare = comparison.expect if expected else comparison.receive
        self._note(conversation, compare(data))
        self._expected_ahead += comparison.expected_ahead
        self._received_ahead += comparison.received_ahead

    def _note(self, conversation: Conversation, difference: Difference | None) -> None:
        if difference and not self.difference:
            self.difference = conversation, difference

    def subject(self, conversation: Conversation) -> str:
        """What is awaited and compared, in words."""
        number = conversation.stream.number
        if self.options.serving:
            return f"what client {number} sent" if number else "what the client sent"
        return f"the answer to client {number}" if number else "the answer"

    # When.

    @property
    def wants_records(self) -> bool:
        """Whether the recording may be read on. If not, too much of it is ahead of what comes."""
        return self._expected_ahead <= MAX_AHEAD_BYTES

    def wants(self, conversation: Conversation) -> bool:
        """Whether to receive. If not, too much has come ahead of the recording."""
        comparison = conversation.comparison
        ahead = comparison and comparison.expected_ahead
        return bool(ahead) or self._received_ahead <= MAX_AHEAD_BYTES

    def offset(self, step: Step) -> float:
        """How many seconds after the first step of its run it is due."""
        if self.options.lockstep or not self.options.speed or self.failed(step.conversation):
            return 0.0
        return max(step.time - self._begun, 0) / 1_000_000 / self.options.speed

    def failed(self, conversation: Conversation) -> bool:
        """Whether it has ended too early, so that only the difference remains to be told."""
        return self.options.verify and conversation.ended and conversation.waits

    def awaited(self, step: Step) -> Conversation | None:
        """A conversation in which something must be received before `step`."""
        last = step.conversation
        if step.do is Do.RESET and self.options.verify and last.waits:
            return last
        if not self.options.lockstep:
            return None
        return next((each for each in self._waiting if not self._excused(each)), None)

    def _excused(self, conversation: Conversation) -> bool:
        """A client that has ended has said all that a server could wait for."""
        return self.options.serving and not self.options.verify and conversation.ended

    def complete(self, conversation: Conversation) -> bool:
        """Whether a conversation that is to be closed has received all that it had."""
        if conversation.ended:
            return True
        if self.options.serving and not self.options.verify:
            return True
        return not conversation.waits and not conversation.recorded_end and not conversation.reset
