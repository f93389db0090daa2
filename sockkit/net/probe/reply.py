"""Sends a question to the peer of a stream, and waits for the expected reply."""

from __future__ import annotations

from sockkit.core.replies import Question, Reply
from sockkit.core.units import show_seconds
from sockkit.errors import SockkitError, TimedOut
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.waiting import OnDone, Pending

PAUSE_SECONDS = 0.02  # how long to wait for more, before we search a reply that has grown little


def no_reply(name: str, timeout: float, *, asked: bool) -> TimedOut:
    """The error for a peer that has connected and sends nothing. `asked` is whether we have sent
    something.
    """
    told = f"{name} sent nothing within {show_seconds(timeout)}"
    other = "check what --send sends" if asked else "send something first with --send"
    hint = f"allow more time with -w, or {other}"
    return TimedOut(told, hint, kind="no reply")


class Ask(Pending):
    """Sends the question, and reads until its pattern matches the reply.

    Does not own `end`, and does not half-close it, because many servers would then drop their
    answer. Calls `on_done` with None for a match, and with an error if the reply has ended, is too
    long, or does not match within `timeout` seconds.
    """

    def __init__(
        self, loop: Loop, end: End, question: Question, timeout: float, on_done: OnDone[None]
    ) -> None:
        self._loop, self._end, self._on_done = loop, end, on_done
        self._timeout, self._reply = timeout, Reply(question.pattern)
        self._buffer = memoryview(bytearray(self._reply.space))
        self._unsent = memoryview(question.send)
        self._asks = bool(question.send)
        self._timers: list[Timer] = [loop.later(timeout, self._expire)]
        self._empty = True
        self._fault: SockkitError | None = None  # of sending
        end.when_readable(self._read)
        if self._unsent:
            end.when_writable(self._write)

    def cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._end.when_readable(None)
        self._end.when_writable(None)

    def _finish(self, outcome: SockkitError | None) -> None:
        self.cancel()
        self._on_done(outcome)

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[self._end.write(self._unsent) :]
        except BlockingIOError:
            return
        except SockkitError as error:
            self._unsent = self._unsent[:0]
            self._fault = error  # the peer may have sent something before it closed
        if not self._unsent:
            self._end.when_writable(None)

    def _read(self) -> None:
        try:
            size = self._end.read_into(self._buffer[: self._reply.space])
        except BlockingIOError:
            return
        except SockkitError as error:
            self._end_of_reply(error)
            return
        if not size:
            self._end_of_reply(self._fault)
            return
        self._empty = False
        self._reply.feed(self._buffer[:size])
        if self._reply.due:
            self._search()
        elif len(self._timers) == 1:
            self._timers.append(self._loop.later(PAUSE_SECONDS, self._search_again))

    def _search_again(self) -> None:
        self._timers.pop()
        self._search()

    def _search(self) -> None:
        try:
            if self._reply.matches():
                self._finish(None)
            elif not self._reply.space:
                self._finish(self._reply.mismatch(self._end.name))
        except SockkitError as error:
            self._finish(error)

    def _end_of_reply(self, error: SockkitError | None) -> None:
        """The peer has ended, or failed with `error`."""
        try:
            if not self._empty and self._reply.matches():
                self._finish(None)
            else:
                self._finish(error or self._reply.mismatch(self._end.name))
        except SockkitError as slow:
            self._finish(slow)

    def _expire(self) -> None:
        if self._empty:
            self._finish(no_reply(self._end.name, self._timeout, asked=self._asks))
        else:
            self._end_of_reply(None)
