"""A connection on which a program runs.

If sockkit has no need to see the bytes, the program gets the socket itself, and no byte passes
through this process: we only wait for the program's exit, and for a reset by the peer. Otherwise
the program gets pipes, and we join the connection to them.

When the program exits, the connection ends: we deliver what the program wrote, and drop what the
peer still sends. A reset, or the end of both directions, ends the program. If only the peer ends
its direction, the program's input ends.
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

EXIT_SECONDS = 0.5  # a program has so long to exit by itself after both directions have ended

# For bytes that we read and drop, because the program reads no more. All connections share it.
_drop_buffer = memoryview(bytearray(64 * 1024))


class Shared(Value):
    """What the connections of a run share.

    `make_options` makes the options of one connection's join. If it is None, programs get the
    sockets themselves.
    """

    context: Context
    programs: Programs
    closer: Closer
    make_options: Callable[[], JoinOptions] | None


class Outcome(Value):
    """How a connection with a program ended.

    `code` is the exit code of the program, None if none was started. `closed` is the event that a
    server emits. `totals` says how many bytes were moved; it is empty if that is not known.
    """

    error: SockkitError | None
    code: int | None
    closed: Closed
    totals: str


class Served(Owner):
    """One connection, `end`, and its program. Owns both.

    `on_closed` is called once, when the connection is closed and the program has exited, but not
    after `close`.
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
        """Start the program. If that fails, close the connection and report the error."""
        try:
            self._begin()
        except SockkitError as error:
            self._close(without_traceback(error))

    def close(self) -> None:
        """Close the connection at once, and report nothing. The caller ends the program."""
        self._on_closed = lambda *_: None
        if self._connection:
            self._connection.close()
        else:
            self._end.close()

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` once no process of the program's group is left."""
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
        self._shared.context.emit(ProgramEnded(self.peer, name, program.code, program.crashed))
        self._exited()
        self._review()

    def _close(self, error: SockkitError | None = None) -> None:
        """Close the connection once the peer has acknowledged everything; at once after a reset."""
        self._connection = Connection(
            self._shared.context.loop, self._end, self, self._shared.closer
        )
        if error and self._program:
            self._connection.receiving_failed(error)
        else:
            # While another process has the socket open, closing ours would not end the connection.
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
    """The program gets the socket itself."""

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
        """Without byte counts: the program has moved the bytes, so we do not know how many."""
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
    """The program gets pipes."""

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
    """A connection joined to the pipes of a program. Owns the pipes, too."""

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
        """The peer has reset. A read raises the error; but while the pipe is full, nobody reads."""
        if self._receiver.blocked or self._connection.receiving is not Direction.OPEN:
            self._connection.receiving_failed(error)

    def exited(self) -> None:
        """The program has exited: close once the peer has received its output."""
        self._has_exited = True
        if self._connection.is_open and not self._input_ended:
            self._slow.start()
        self._drain()

    def _drain(self) -> None:
        # Other processes may still have its standard output open: only what the pipe holds counts.
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
        """The program reads no more, or has exited. The connection itself has not failed."""
        if isinstance(error, SendError):
            self._drop_received()
        else:
            self.input_ended()

    def closing(self) -> None:
        super().closing()
        self._slow.stop()
        self._end.when_reset(None)
        if self._connection.error and not self._has_exited:
            self._end_program()  # before it can mistake the cut input for a complete one
        self._pipes.close()

    def closed(self, result: Result) -> None:
        self._on_closed(result)

    def _too_slow(self) -> None:
        self._connection.close(SendError("the peer accepts none of the program's output"))

    # Bytes that the program does not read.

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
    """Make two pipes, for a program's standard input and output. Raises SockkitError.

    Returns the program's input, our end of it, our end of its output, and its output. Closing
    `theirs` closes the program's two ends.
    """
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
    """The subject of the client's certificate; empty if it has shown none."""
    from sockkit.net.ends.tapped_end import TappedEnd
    from sockkit.net.ends.tls_end import TlsEnd
    from sockkit.net.tls.handshake import subject

    end = end.end if isinstance(end, TappedEnd) else end
    return subject(end).replace("\0", "") if isinstance(end, TlsEnd) else ""


def serve(shared: Shared, end: End, on_closed: Callable[[Served, Outcome], None]) -> Served:
    """Make the object that runs a program on the connection `end`. Call its `start` next."""
    return (ServedByPipes if shared.make_options else ServedOnSocket)(shared, end, on_closed)
