"""Programs as the targets of a relay: it starts one for each client, with pipes.

A program's exit ends the pair: the client gets what the program wrote, and what the client still
sends is dropped. When the client is gone, the program and its process group are ended. When both
directions have ended, the program has some time to exit by itself.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from sockkit.core.programs import connection_facts
from sockkit.core.records import Stream
from sockkit.errors import SockkitError, without_traceback
from sockkit.events import Peer, ProgramEnded, ProgramStarted
from sockkit.net.context import Context
from sockkit.net.ends.end import Callback, Kind, PeerEnd, PeerExited
from sockkit.net.ends.program_end import ProgramEnd
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop
from sockkit.net.programs import Program, Programs
from sockkit.net.tcp.served import EXIT_SECONDS, client_subject, program_pipes
from sockkit.net.waiting import Done, OnDone, Pending


class ProgramTarget(ProgramEnd):
    """The end of a program that runs for a client. Closing it ends the program.

    When the program has exited, its output ends with the bytes in the pipe, even if another process
    has the pipe open. Input that the program did not read is dropped; this does not count as a
    reset.
    """

    def __init__(self, loop: Loop, standard_input: int, standard_output: int, peer: Peer) -> None:
        super().__init__(loop, standard_input, standard_output, peer)
        self._loop = loop
        self._program: Program | None = None
        self._has_exited = self._output_ended = False
        self._readable, self._exit = Watch(loop, self._is_over), Watch(loop, self._is_over)
        self.when_readable, self.write = self._when_readable, self._write

    def belongs_to(self, program: Program) -> None:
        self._program = program

    def _is_over(self) -> bool:
        return self._has_exited and not self._closed

    def exited(self) -> None:
        """The program has exited."""
        self._has_exited = True
        self.source.when_readable(None)  # a read does not block any more
        self._readable.wake()
        self._exit.wake()

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        told = PeerExited(f"{self.name} has exited")
        self._exit.callback = (lambda: callback(told)) if callback else None
        self._exit.wake()

    def _when_readable(self, callback: Callback | None) -> None:
        self._readable.callback = callback
        if self._has_exited:
            self._readable.wake()
        else:
            self.source.when_readable(callback)

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            size = self.source.read_into(buffer)
        except BlockingIOError:
            if not self._has_exited:
                raise
            size = 0
        self._output_ended |= not size
        return size

    def _write(self, data: bytes | memoryview, /) -> int:
        try:
            return self.sink.write(data)
        except SockkitError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == errno.EPIPE and not self._closed:
                return len(data)
            raise

    def undelivered(self, queued: int | None = None) -> int:
        """Always 0: unread input of a program does not count as a loss."""
        return 0

    def close(self) -> None:
        if self._program and not self._closed and not self._has_exited:
            if self._output_ended and self.sink.descriptor < 0:
                self._loop.later(EXIT_SECONDS, self._program.end)
            else:
                self._program.end()  # before it can mistake the cut input for a complete one
        super().close()

    def abort(self) -> None:
        if self._program:
            self._program.end()
        super().close()

    def _reset(self) -> None:
        return None


class ProgramTargets:
    """Starts a program for each client, at most `most` at a time. Other clients wait.

    Owns `programs`. `code` is the exit code of the program that exited last.
    """

    def __init__(self, context: Context, programs: Programs, most: int) -> None:
        self._context, self._programs, self._most = context, programs, most
        self._waiting: list[_Start] = []
        self._running = 0  # programs that have not exited
        self._when_exited: Callback = lambda: None
        self.code = 0

    def dial(self, client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        """Call `on_done` with the end of a program for `client`, or with the error."""
        start = _Start(client, on_done)
        self._waiting.append(start)
        self._context.loop.call_soon(self._start_next)
        return start

    def when_exited(self, on_done: OnDone[None]) -> Pending:
        """Call `on_done` once all programs have exited."""
        self._when_exited = lambda: None if self._running else on_done(None)
        self._when_exited()
        return Done()

    def close(self) -> None:
        """End all programs."""
        self._waiting.clear()
        self._programs.close()

    def _start_next(self) -> None:
        while self._waiting and len(self._programs) < self._most:
            start = self._waiting.pop(0)
            if start.cancelled:
                continue
            try:
                end = self._start(start.client)
            except SockkitError as error:
                start.on_done(without_traceback(error))
            else:
                start.on_done(end)

    def _start(self, client: PeerEnd) -> PeerEnd:
        programs, loop = self._programs, self._context.loop
        facts = connection_facts(client.remote, client.local())
        if client.kind is Kind.ENCRYPTED:
            facts["TLS_SUBJECT"] = client_subject(client)
        with ExitStack() as theirs:
            its_input, our_input, our_output, its_output = program_pipes(theirs)
            peer = Peer(client.peer.number, programs.name)
            target = ProgramTarget(loop, our_input, our_output, peer)
            exited = partial(self._exited, target, client.peer)
            try:
                program = programs.start(its_input, its_output, facts, exited)
            except SockkitError:
                target.close()
                raise
        self._running += 1
        target.belongs_to(program)
        program.when_gone(self._start_next)
        self._context.emit(ProgramStarted(client.peer, programs.name, program.number, "pipes"))
        return self._watched(target, client)

    def _exited(self, target: ProgramTarget, client: Peer, program: Program) -> None:
        assert program.code is not None
        self.code, self._running = program.code, self._running - 1
        ended = ProgramEnded(client, self._programs.name, program.code, program.crashed)
        self._context.emit(ended)
        target.exited()
        self._when_exited()

    def _watched(self, target: ProgramTarget, client: PeerEnd) -> PeerEnd:
        views = self._context.views
        if not views:
            return target
        from sockkit.net.ends.tapped_end import TappedEnd

        local = client.remote.word if client.remote else "unix"
        name = self._programs.name
        stream = Stream(client.peer.number, "program", local, name, dialled=True)
        return TappedEnd(target, views, views.tap(stream))


class _Start(Pending):
    """A client that is waiting for its program."""

    def __init__(self, client: PeerEnd, on_done: OnDone[PeerEnd]) -> None:
        self.client, self.on_done = client, on_done
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
