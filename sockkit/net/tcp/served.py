"""A connection that a program has.

Where nothing has to look at the bytes or the clock, the program gets the socket itself, and no byte
passes through this process: we only wait for its exit, and for the peer's reset. Otherwise it gets
pipes, and the connection is joined to them.

Its exit ends the connection: what it wrote is delivered, and what the peer still sends is dropped.
A reset, or the end of both directions, ends the program. A peer's end alone is only the end of the
program's input.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack

from sockkit.core.programs import connection_facts
from sockkit.errors import SendError, SockkitError, reason, without_traceback
from sockkit.events import Closed, Peer, ProgramEnded, ProgramStarted
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Direction, Owner, Result, closed_with_reason
from sockkit.net.context import Context
from sockkit.net.delivery import MAX_STALL_SECONDS
from sockkit.net.ends.end import End, Kind, PeerEnd
from sockkit.net.ends.program_end import ProgramEnd
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.join import Join, JoinOptions
from sockkit.net.programs import Program, Programs
from sockkit.net.reader import Reader
from sockkit.net.tcp.client import SlowTimer
from sockkit.values import Value

EXIT_SECONDS = 0.5  # for a program to exit by itself once both directions have ended

# For what is read and dropped once a program reads no more; all connections share it.
_drop_buffer = memoryview(bytearray(64 * 1024))


class Shared(Value):
    """What the connections of a run share.

    `make_options` makes the options of one connection's join; without it programs get the sockets
    themselves.
    """

    context: Context
    programs: Programs
    closer: Closer
    make_options: Callable[[], JoinOptions] | None


class Outcome(Value):
    """How a connection with a program ended. `code` is the program's, None if none was started.

    `closed` is what a server tells of it. `totals` says how much was moved, where that is known.
    """

    error: SockkitError | None
    code: int | None
    closed: Closed
    totals: str


class Served(Owner):
    """One connection, `end`, and its program. Owns both.

    `start` begins it. `on_closed` is called once, when the connection is closed and the program has
    exited; not after `close`.
    """

    def __init__(
        self, shared: Shared, end: End, on_closed: Callable[[Served, Outcome], None]
    ) -> None:
        self._shared, self._end, self._on_closed = shared, end, on_closed
        self._program: Program | None = None
        self._result: Result | None = None
        self._connection: Connection | None = None
        self.peer: Peer = end.peer

    def start(self) -> None:
        """Start the program. If that fails, the connection is closed, and the error reported."""
        try:
            self._begin()
        except SockkitError as error:
            self._close(without_traceback(error))

    def close(self) -> None:
        """Close the connection at once, and report nothing. The run ends the program."""
        self._on_closed = lambda *_: None
        if self._connection:
            self._connection.close()
        else:
            self._end.close()

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` once nothing is left of the program and what it has started."""
        if self._program:
            self._program.when_gone(callback)
        else:
            callback()

    def closed(self, result: Result) -> None:
        self._result = result
        self._review()

    def _begin(self) -> None:
        raise NotImplementedError

    def _exited(self) -> None:
        """The program has exited."""
        raise NotImplementedError

    def _run(self, standard_input: int, standard_output: int) -> Program:
        facts = connection_facts(self._end.remote, self._end.local())
        if self._end.kind is Kind.ENCRYPTED:
            facts["TLS_SUBJECT"] = client_subject(self._end)
        programs = self._shared.programs
        program = programs.start(standard_input, standard_output, facts, self._program_exited)
        streams = "pipes" if standard_input != standard_output else "the socket itself"
        self._shared.context.emit(ProgramStarted(self.peer, programs.name, program.number, streams))
        return program

    def _program_exited(self, program: Program) -> None:
        assert program.code is not None
        name = self._shared.programs.name
        self._shared.context.emit(ProgramEnded(self.peer, name, program.code))
        self._exited()
        self._review()

    def _close(self, error: SockkitError | None = None) -> None:
        """Close it once the peer has what was sent, or at once after an error of the peer's."""
        self._connection = Connection(
            self._shared.context.loop, self._end, self, self._shared.closer
        )
        if error and self._program:
            self._connection.receiving_failed(error)
        else:
            # A close alone would tell the peer nothing while others have the socket open.
            self._connection.half_close()
            self._connection.close_lingering(error)

    def _review(self) -> None:
        code = self._program.code if self._program else None
        if self._result and (code is not None or not self._program):
            tell, self._on_closed = self._on_closed, lambda *_: None
            tell(self, self._outcome(self._result, code))

    def _outcome(self, result: Result, code: int | None) -> Outcome:
        assert self._connection
        error = result.error or (result.failure if result.undelivered else None)
        closed = closed_with_reason(self._connection, result)
        return Outcome(error, code, closed, self._connection.totals)


class ServedOnSocket(Served):
    """Its program has the socket itself."""

    _end: SocketEnd

    def _begin(self) -> None:
        self._error: SockkitError | None = None
        descriptor = self._end.lend(self._over)
        try:
            self._program = self._run(descriptor, descriptor)
        except SockkitError:
            self._end.take_back()
            raise

    def close(self) -> None:
        if not self._connection:
            self._end.take_back()
        super().close()

    def _outcome(self, result: Result, code: int | None) -> Outcome:
        """The program has moved the bytes, and how many is not known."""
        outcome = super()._outcome(result, code)
        return outcome._replace(closed=outcome.closed._replace(sent=None, received=None), totals="")

    def _over(self, error: SockkitError | None) -> None:
        assert self._program
        self._error = error
        if error:
            self._program.end()
        else:
            self._shared.context.loop.later(EXIT_SECONDS, self._program.end)

    def _exited(self) -> None:
        self._end.take_back()
        self._close(self._error)


class ServedByPipes(Served):
    """Its program has pipes."""

    _end: PeerEnd

    def _begin(self) -> None:
        with ExitStack() as theirs:
            its_input, our_input, our_output, its_output = program_pipes(theirs)
            loop, name = self._shared.context.loop, self._shared.programs.name
            pipes = ProgramEnd(loop, our_input, our_output, Peer(self.peer.number, name))
            try:
                self._program = self._run(its_input, its_output)
            except SockkitError:
                pipes.close()
                raise
        self._join = _ProgramJoin(self._shared, self._end, pipes, self._program.end, self.closed)
        self._connection = self._join.connection
        self._join.start()

    def closed(self, result: Result) -> None:
        if self._program and self._program.code is None:
            if result.error or result.failure:
                self._program.end()
            else:
                self._shared.context.loop.later(EXIT_SECONDS, self._program.end)
        super().closed(result)

    def _exited(self) -> None:
        self._join.exited()


class _ProgramJoin(Join):
    """A connection joined to the pipes of a program, which it owns as well."""

    def __init__(
        self,
        shared: Shared,
        end: PeerEnd,
        pipes: ProgramEnd,
        end_program: Callable[[], None],
        on_closed: Callable[[Result], None],
    ) -> None:
        assert shared.make_options
        options = shared.make_options()
        super().__init__(shared.context, end, (pipes.source, pipes.sink), shared.closer, options)
        self._end, self._end_program = end, end_program
        self._pipes, self._on_closed, self._loop = pipes, on_closed, shared.context.loop
        self._has_exited = self._input_ended = False
        self._slow = SlowTimer(self._loop, self._connection, MAX_STALL_SECONDS, self._too_slow)

    @property
    def connection(self) -> Connection:
        return self._connection

    def start(self) -> None:
        super().start()
        if self._connection.is_open:
            self._end.when_reset(self._was_reset)

    def _was_reset(self, error: SockkitError) -> None:
        """Whoever reads the connection meets the error itself. But a full pipe may stop it."""
        if self._receiver.blocked or self._connection.receiving is not Direction.OPEN:
            self._connection.receiving_failed(error)

    def exited(self) -> None:
        """The program has exited: close once the peer has what it wrote."""
        self._has_exited = True
        if self._connection.is_open and not self._input_ended:
            self._slow.start()
        self._drain()

    def _drain(self) -> None:
        # Others may still have its standard output open: what it holds now is the rest.
        if not self._connection.is_open:
            return
        if self._input_ended:
            self._connection.close_lingering()
        elif not self._pipes.has_bytes():
            self._sender.finish()

    def sent(self) -> None:
        super().sent()
        if self._has_exited:
            self._drain()

    def input_ended(self) -> None:
        self._input_ended = True
        if self._has_exited:
            self._drain()
        else:
            super().input_ended()

    def end_sink(self) -> None:
        self._pipes.half_close()

    def other_failed(self, error: SockkitError) -> None:
        """The program reads no more, or has exited: neither is the connection's failure."""
        if isinstance(error, SendError):
            self._drop_received()
        else:
            self.input_ended()

    def closing(self) -> None:
        super().closing()
        self._slow.stop()
        self._end.when_reset(None)
        if self._connection.error and not self._has_exited:
            self._end_program()  # before it could take a cut input for a whole one
        self._pipes.close()

    def closed(self, result: Result) -> None:
        self._on_closed(result)

    def _too_slow(self) -> None:
        self._connection.close(SendError("the peer takes nothing of what the program wrote"))

    # What the program does not read.

    def _drop_received(self) -> None:
        reader = Reader(self._loop, self._connection, self, _drop_buffer)
        reader.bytes_read = self._receiver.bytes_read
        self._connection.receiver = reader
        reader.start()

    def wants_more(self) -> bool:
        return True

    def received(self, data: bytes) -> None:
        pass


def program_pipes(theirs: ExitStack) -> tuple[int, int, int, int]:
    """Two pipes, a program's standard input and output; its ends are closed with `theirs`."""
    made: list[int] = []
    try:
        made += os.pipe()
        made += os.pipe()
    except OSError as error:
        for descriptor in made:
            os.close(descriptor)
        told = f"could not make pipes for a program: {reason(error)}"
        raise SockkitError(told, kind=told) from error
    theirs.callback(os.close, made[0])
    theirs.callback(os.close, made[3])
    return made[0], made[1], made[2], made[3]


def client_subject(end: End) -> str:
    """The subject of the certificate that a client has shown; empty without one."""
    from sockkit.net.ends.tapped_end import TappedEnd
    from sockkit.net.ends.tls_end import TlsEnd
    from sockkit.net.tls.handshake import subject

    end = end.end if isinstance(end, TappedEnd) else end
    return subject(end).replace("\0", "") if isinstance(end, TlsEnd) else ""


def serve(shared: Shared, end: End, on_closed: Callable[[Served, Outcome], None]) -> Served:
    """The connection `end` with a program, which its `start` starts."""
    return (ServedByPipes if shared.make_options else ServedOnSocket)(shared, end, on_closed)
