"""Plays one side of a recording: what it sends, and what must have been received before.

A player is fed the records in order, and what is received now. The records of its own side
become steps to take. Those of the other side say what to wait for and compare with.
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
    """How to play: as the client or `serving`, and all peers or only `peers`.

    `speed` is how much faster than recorded, None for no pauses. In `lockstep`, which ignores
    `speed`, each step waits for what was received before it in the recording. `verify` compares.
    """

    serving: bool = False
    peers: frozenset[int] = frozenset()
    speed: float | None = 1.0
    lockstep: bool = False
    verify: bool = False


class Conversation:
    """One connection, or the datagrams of one peer, as it was recorded and as it is now.

    `recorded` and `received` count the bytes, or datagrams, that the other side sent then and now.
    `recorded_end` and `ended` say whether it ended its side then and now. `reset` says that it
    reset the connection then.
    """

    def __init__(self, stream: Stream, opened: int, comparison: Comparison | None) -> None:
        self.stream, self.opened = stream, opened
        self.datagrams = stream.datagrams
        self.comparison = comparison
        self.recorded = self.received = 0
        self.recorded_end = self.ended = self.reset = False

    @property
    def waits(self) -> bool:
        """Whether less was received now than up to this point of the recording."""
        return self.received < self.recorded

    @property
    def so_far(self) -> str:
        """How much of what was recorded has been received, in words."""
        if self.datagrams:
            return f"{self.received:,} of {show_count(self.recorded, 'datagram')}"
        return f"{self.received:,} of {show_size(self.recorded)}"

    def count(self, data: bytes) -> int:
        return 1 if self.datagrams else len(data)


class Do(Enum):
    """An action. CLOSE waits until all is received, RESET until all is sent."""

    OPEN = auto()
    SEND = auto()
    END = auto()
    CLOSE = auto()
    RESET = auto()


class Step(Value):
    """The next action of our side, and its recorded time. `first` marks the first step of a run."""

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
        self._waiting: set[Conversation] = set()  # that are behind the recording
        self._expected_ahead = self._received_ahead = 0
        self._begun = 0  # when the first conversation of a run was opened
        self._last = 0
        self._fresh = True  # whether no conversation of this run was opened yet
        self.difference: tuple[Conversation, Difference] | None = None
        self.met = 0  # how many conversations there were

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
        """The run ends here, and all open conversations are closed."""
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

    # What is received now.

    def received(self, conversation: Conversation, data: bytes) -> None:
        conversation.received += conversation.count(data)
        if not conversation.waits:
            self._waiting.discard(conversation)
        if comparison := conversation.comparison:
            self._compare(conversation, comparison, data, expected=False)

    def ended(self, conversation: Conversation) -> None:
        """Report that the other side has ended its direction, or the whole connection."""
        conversation.ended = True

    def closed(self, conversation: Conversation) -> None:
        """Report that both sides are over. If one side is longer, that is a difference."""
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
        """What we wait for and compare, in words for a message."""
        number = conversation.stream.number
        if self.options.serving:
            return f"what client {number} sent" if number else "what the client sent"
        return f"the answer to client {number}" if number else "the answer"

    # When to act.

    @property
    def wants_records(self) -> bool:
        """Whether to read more of the recording. If not, it is too far ahead of the network."""
        return self._expected_ahead <= MAX_AHEAD_BYTES

    def wants(self, conversation: Conversation) -> bool:
        """Whether to receive more. If not, what was received is too far ahead of the recording."""
        comparison = conversation.comparison
        ahead = comparison and comparison.expected_ahead
        return bool(ahead) or self._received_ahead <= MAX_AHEAD_BYTES

    def offset(self, step: Step) -> float:
        """When `step` is due, in seconds after the first step of its run."""
        if self.options.lockstep or not self.options.speed or self.failed(step.conversation):
            return 0.0
        return max(step.time - self._begun, 0) / 1_000_000 / self.options.speed

    def failed(self, conversation: Conversation) -> bool:
        """Whether it has ended too early, so that only the difference remains to be reported."""
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
        """Whether we serve a client that has ended, so that there is nothing more to wait for."""
        return self.options.serving and not self.options.verify and conversation.ended

    def complete(self, conversation: Conversation) -> bool:
        """Whether a conversation that is to be closed has received all that was recorded."""
        if conversation.ended:
            return True
        if self.options.serving and not self.options.verify:
            return True
        return not conversation.waits and not conversation.recorded_end and not conversation.reset
