"""Plays one side of a recording over lines: carries out the steps of the player when they are due.

It does so strictly in the order of the recording, even if steps belong to different connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from sockkit.core.player import Conversation, Do, Player, Step
from sockkit.core.units import show_seconds
from sockkit.errors import Differs, SockkitError, TimedOut
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.loop import Callback, Loop, Timer
from sockkit.net.outbox import Outbox
from sockkit.net.replay.lines import Line
from sockkit.net.waiting import Done, OnDone, Pending
from sockkit.values import Value

MAX_LINES = 1000  # open at the same time; each takes a descriptor
MAX_STEPS_PER_TURN = 64  # then the loop serves others
MAX_OUTPUT_BYTES = 64 * 1024  # while more wait for standard output, nothing is received
DELIVERY_CHECK_SECONDS = 0.01  # between checks whether a line may be reset
CHECKS_PER_SILENCE = 8
MIN_CHECK_SECONDS = 0.01
MAX_PAUSE_SECONDS = 3600.0  # of one timer: a forged time may be too large for the system

# Opens the line of a conversation.
OpenLine: TypeAlias = Callable[["Playing", Conversation, OnDone[Line]], Pending]


class PlayingOptions(Value):
    """Received bytes are written to `output`, if there is one.

    After `idle` seconds of silence we stop waiting for the peer; None means never.
    """

    output: Outbox | None = None
    idle: float | None = None


class Playing(Pending):
    """Plays `steps`. Calls `on_done` with None when all is played, or with the error."""

    def __init__(
        self,
        context: Context,
        steps: Iterator[Step | None],
        player: Player,
        open_line: OpenLine,
        options: PlayingOptions,
        on_done: OnDone[None],
    ) -> None:
        self.loop, self._emit = context.loop, context.emit
        self._steps: Iterator[Step | None] | None = steps  # None at the end of the recording
        self._player, self._options = player, options
        self._open_line, self._on_done = open_line, on_done
        self._lines = _Lines()
        self._step: Step | None = None  # the next one, which waits
        self._opening: Pending | None = None
        self._clock = _Clock(self.loop, self._advance)
        self._base = 0.0  # when the first step of the run was taken
        self._over = False
        self._silence = _Silence(self.loop, options.idle, self._check_silence)
        self._clock.soon()

    def cancel(self) -> None:
        """Close all lines at once."""
        self._on_done = lambda _: None
        self._end(None)

    # For the lines.

    def wants(self, conversation: Conversation) -> bool:
        output = self._options.output
        room = not output or output.size <= MAX_OUTPUT_BYTES
        wanted = room and self._player.wants(conversation)
        self._lines.held_back |= not wanted
        return wanted

    def received(self, conversation: Conversation, data: bytes) -> None:
        self._lines.moved(conversation, self.loop.now)
        self._player.received(conversation, data)
        if self._options.output:
            self._options.output.put(data)
        self.wake()

    def ended(self, conversation: Conversation) -> None:
        self._player.ended(conversation)
        self.wake()

    def wake(self) -> None:
        """Bytes were sent or received, or standard output has room again."""
        self._silence.moved()
        self._clock.soon()

    def closed(self, conversation: Conversation, error: SockkitError | None) -> None:
        if self._over:
            return
        finished = self._lines.remove(conversation)
        self._player.ended(conversation)
        if finished:
            self._player.closed(conversation)
        if error and not conversation.reset:
            # The recording may say later that the peer has reset it.
            self._lines.failures[conversation] = error
            if finished or self._player.options.lockstep:
                self._end(error)
                return
        self.wake()

    # The steps.

    def _advance(self) -> None:
        try:
            for _ in range(MAX_STEPS_PER_TURN):
                if self._over or not self._take_next():
                    break
            else:
                self._clock.soon()
            self._review()
        except SockkitError as error:
            self._end(error)

    def _take_next(self) -> bool:
        """Carry out the next step, if it is due. Returns whether it was."""
        self._check_difference()
        step = self._step or self._next_step()
        self._step = step
        if not step or self._waits(step):
            return False
        self._step = None
        self._silence.moved()
        self._take(step)
        return True

    def _next_step(self) -> Step | None:
        if not self._steps or not self._player.wants_records:
            return None
        try:
            step = next(self._steps)
        except StopIteration:
            self._steps = None
            return None
        if not step:
            self._clock.soon()
        return step

    def _waits(self, step: Step) -> bool:
        """Whether `step` must wait. If so, the loop calls `_advance` again later."""
        if self._opening:
            return True
        if self._is_early(step):
            self._clock.at(self._due(step))
            return True
        if awaited := self._player.awaited(step):
            self._check_short(awaited)
            return True
        return self._opening_waits(step) if step.do is Do.OPEN else self._line_waits(step)

    def _due(self, step: Step) -> float:
        return self._base + self._player.offset(step)

    def _is_early(self, step: Step) -> bool:
        return not step.first and self.loop.now < self._due(step)

    def _opening_waits(self, step: Step) -> bool:
        if self._lines.still_open >= MAX_LINES:
            raise SockkitError(f"more than {MAX_LINES:,} recorded connections are open at a time")
        return len(self._lines) >= MAX_LINES or (step.first and len(self._lines) > 0)

    def _line_waits(self, step: Step) -> bool:
        line = self._lines.get(step.conversation)
        if not line:
            return False
        if step.do is Do.RESET and line.undelivered:
            self._clock.at(self.loop.now + DELIVERY_CHECK_SECONDS)
            return True
        return line.clogged if step.do is Do.SEND else step.do is Do.END and bool(line.waiting)

    def _take(self, step: Step) -> None:
        conversation = step.conversation
        if step.do is Do.OPEN:
            self._begin_opening(step)
            return
        line = self._lines.get(conversation)
        if not line:
            self._check_failure(step)
        elif step.do is Do.CLOSE or self._player.failed(conversation):
            self._lines.finish(conversation, self.loop.now)
        elif step.do is Do.SEND:
            line.send(step.data)
        elif step.do is Do.END:
            line.half_close()
        else:
            self._lines.finish(conversation, self.loop.now)
            line.reset()

    def _begin_opening(self, step: Step) -> None:
        begun = self._opening = Done()
        opening = self._open_line(self, step.conversation, partial(self._opened, step))
        if self._opening is begun:  # it is not open yet
            self._opening = opening

    def _opened(self, step: Step, outcome: Line | SockkitError) -> None:
        self._opening = None
        if isinstance(outcome, SockkitError):
            self._end(outcome)
            return
        if step.first:
            self._base = self.loop.now
        self._lines.add(step.conversation, outcome)
        outcome.start()
        self.wake()

    # What may go wrong.

    def _check_difference(self) -> None:
        if found := self._player.difference:
            conversation, difference = found
            error = Differs(f"{self._player.subject(conversation)} {difference.what}")
            error.dumps = difference.dumps
            raise error

    def _check_failure(self, step: Step) -> None:
        """Raise the error that ended the line early, unless it is the reset that was recorded."""
        failure = self._lines.failures.pop(step.conversation, None)
        if step.do is Do.CLOSE:
            self._player.closed(step.conversation)
        if failure and not (step.do is Do.CLOSE and step.conversation.reset):
            raise failure

    def _check_short(self, awaited: Conversation) -> None:
        """Raise an error if the peer has ended and the awaited bytes cannot come any more."""
        if not awaited.ended:
            return
        self._player.closed(awaited)
        self._check_difference()
        told = f"{self._player.subject(awaited)} ended after {awaited.so_far}"
        raise self._lines.failures.get(awaited) or SockkitError(told)

    def _check_silence(self, seconds: float) -> None:
        """Nothing was received for `seconds`: stop waiting for the peer.

        Without --verify and --lockstep, end a conversation whose answer is incomplete with a
        notice. If the peer does not cause the silence, as in a recorded pause, go on waiting.
        """
        told = f"nothing was received for {show_seconds(seconds)}"
        strict = self._player.options.verify or self._player.options.lockstep
        for conversation in self._lines.silent(self.loop.now - seconds):
            subject = f"{self._player.subject(conversation)} has {conversation.so_far}"
            if strict:
                self._end(TimedOut(f"{told}: {subject}"))
                return
            self._emit(Notice(f"{told}: {subject}"))
            self._player.ended(conversation)
            self._clock.soon()
        if self._opening or (self._step and self._is_early(self._step)):
            self._silence.moved()  # we do not wait for the peer
        elif (self._step or not self._player.wants_records) and self._silence.exceeded:
            self._end(TimedOut(f"{told}: {self._what_blocks()}"))

    def _what_blocks(self) -> str:
        awaited = self._player.awaited(self._step) if self._step else None
        if awaited:
            return f"{self._player.subject(awaited)} has {awaited.so_far}"
        return "the peer accepts no more data" if self._step else "the answer is incomplete"

    # The end.

    def _review(self) -> None:
        """Close the lines that are complete. After the last one, end."""
        if self._over:
            return
        for conversation in self._lines.to_finish(self._player.complete):
            self._player.closed(conversation)
            self._check_difference()
            if line := self._lines.get(conversation):
                line.finish()
        if self._lines.held_back:
            self._lines.held_back = False
            for line in self._lines.all():
                line.resume()
        output = self._options.output
        if not (self._steps or self._step or self._opening or len(self._lines)):
            if failure := next(iter(self._lines.failures.values()), None):
                raise failure
            if not (output and output.size):
                self._end(None)

    def _end(self, outcome: SockkitError | None) -> None:
        if self._over:
            return
        self._over = True
        self._clock.stop()
        self._silence.stop()
        if self._opening:
            self._opening.cancel()
        for line in self._lines.all():
            line.stop()
        self._on_done(outcome)


class _Lines:
    """The lines that are open, by conversation. `failures` ended some of them early.

    `held_back` is whether a line has stopped receiving because there was no room.
    """

    def __init__(self) -> None:
        self._open: dict[Conversation, Line] = {}
        self._finishing: dict[Conversation, float] = {}  # and when they last received something
        self._closing: set[Conversation] = set()
        self.failures: dict[Conversation, SockkitError] = {}
        self.held_back = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def still_open(self) -> int:
        """How many lines the recording has not closed yet."""
        return len(self._open) - len(self._finishing) - len(self._closing)

    def add(self, conversation: Conversation, line: Line) -> None:
        self._open[conversation] = line

    def get(self, conversation: Conversation) -> Line | None:
        return self._open.get(conversation)

    def all(self) -> list[Line]:
        return list(self._open.values())

    def moved(self, conversation: Conversation, now: float) -> None:
        if conversation in self._finishing:
            self._finishing[conversation] = now

    def finish(self, conversation: Conversation, now: float) -> None:
        """Mark the line of `conversation` to be closed once it is complete."""
        if conversation not in self._closing:
            self._finishing[conversation] = now

    def to_finish(self, complete: Callable[[Conversation], bool]) -> list[Conversation]:
        """The marked conversations that are complete now. Each is returned once."""
        found = [each for each in self._finishing if complete(each)]
        for each in found:
            del self._finishing[each]
            self._closing.add(each)
        return found

    def silent(self, since: float) -> list[Conversation]:
        """The marked conversations that have received nothing since that time."""
        return [each for each, moved_at in self._finishing.items() if moved_at <= since]

    def remove(self, conversation: Conversation) -> bool:
        """Remove a closed line. Returns whether the recording had closed it."""
        self._open.pop(conversation, None)
        closing = conversation in self._closing or conversation in self._finishing
        self._closing.discard(conversation)
        self._finishing.pop(conversation, None)
        return closing


class _Clock:
    """Calls `callback` in the next turn, or at the earliest of the times set; perhaps too early."""

    def __init__(self, loop: Loop, callback: Callback) -> None:
        self._loop, self._callback = loop, callback
        self._timer: Timer | None = None
        self._is_soon = False

    def soon(self) -> None:
        if not self._is_soon:
            self._is_soon = True
            self._loop.call_soon(self._call)

    def at(self, when: float) -> None:
        when = min(when, self._loop.now + MAX_PAUSE_SECONDS)
        if not self._timer or self._timer.when > when:
            self.stop()
            self._timer = self._loop.at(when, self._expire)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _call(self) -> None:
        self._is_soon = False
        self._callback()

    def _expire(self) -> None:
        self._timer = None
        self._callback()


class _Silence:
    """Calls `callback(seconds)` CHECKS_PER_SILENCE times in each period of `seconds`.

    `exceeded` is whether no bytes have moved for so long.
    """

    def __init__(
        self, loop: Loop, seconds: float | None, callback: Callable[[float], None]
    ) -> None:
        self._loop, self._seconds, self._callback = loop, seconds, callback
        self._moved_at = loop.now
        self._timer: Timer | None = None
        self._plan()

    @property
    def exceeded(self) -> bool:
        return self._seconds is not None and self._loop.now >= self._moved_at + self._seconds

    def moved(self) -> None:
        self._moved_at = self._loop.now

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _plan(self) -> None:
        if self._seconds is not None:
            pause = max(self._seconds / CHECKS_PER_SILENCE, MIN_CHECK_SECONDS)
            self._timer = self._loop.later(pause, self._check)

    def _check(self) -> None:
        assert self._seconds is not None
        self._plan()
        self._callback(self._seconds)
