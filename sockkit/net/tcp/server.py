"""tcp-server with many clients: sends standard input to all of them, and writes what they send.

Three rules bound the memory. We read standard input only while all outboxes are empty. We read a
client only while nothing waits for standard output or in the client's outbox. We drop a client if
bytes wait in its outbox for too long.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from sockkit.core.merging import Part
from sockkit.core.text import Transform
from sockkit.core.units import show_size
from sockkit.errors import OutputError, OutputGone, SendError, SockkitError, TextError, raise_lost
from sockkit.events import Failure, Notice, Peer
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.client import Client, ClientOptions
from sockkit.net.tcp.listen import Listener
from sockkit.net.tcp.merged_output import MergedOutput
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.file_feed import FileFeed

CLIENTS_STAY = "stdin has ended; clients stay connected (--once ends after the first)"
MAX_RECEIVE_BYTES = 64 * 1024  # of one receive by default; about as much can wait for a client


class ServerOptions(Value):
    """`shared` transforms standard input once, before the clients' own transforms.

    `greet` and `reply` are already transformed by `shared`. `label` makes the beginning of a peer's
    lines or frames.
    """

    clients: ClientOptions
    shared: Transform | None = None
    greet: bytes = b""
    reply: bytes = b""
    label: Callable[[Peer], bytes] = lambda _: b""
    sockets: SocketOptions = SocketOptions()


class Stage(Enum):
    """QUITTING: accepts and reads nothing more, and delivers the rest. CLOSED: all is closed."""

    SERVING = auto()
    QUITTING = auto()
    CLOSED = auto()


class Totals:
    """Counts the bytes of closed clients, and losses: input not sent or not converted."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.read = 0  # bytes of standard input
        self.missed = 0  # clients that did not get all of the input
        self.refused = 0  # parts of the input that could not be encoded
        self.undecoded = 0  # clients that sent what could not be decoded

    def raise_any(self) -> None:
        """Raise an error if there are losses."""
        raise_lost(
            (self.missed, "part of the input did not reach {} of the clients", SendError),
            (self.refused, "part of the input could not be encoded", TextError),
            (self.undecoded, "what {} of the clients sent could not be decoded", TextError),
        )


class Backlog:
    """The clients with waiting bytes, and a file that is sent to some of the clients.

    The next piece of the file is sent when no bytes wait for its recipients.
    """

    def __init__(self) -> None:
        self.busy: set[Client] = set()
        self._file: FileFeed | None = None
        self._recipients: dict[Client, None] = {}  # open clients that get the file, in order

    @property
    def sends_file(self) -> bool:
        return self._file is not None

    def change(self, client: Client, waits: bool) -> None:
        """Bytes wait for `client`, or none any more: they were sent, or the client has departed."""
        (self.busy.add if waits else self.busy.discard)(client)
        if not client.connection.is_open:
            self._recipients.pop(client, None)
        if not self._file:
            return
        if self._recipients:
            self._file.resume()
        else:
            self.stop()

    def send_file(
        self, context: Context, path: str, clients: list[Client], on_end: Callable[[], None]
    ) -> None:
        """Send the file at `path` to `clients`. Raises UsageError."""
        from sockkit.net.file_feed import PIECE_BYTES, FileFeed  # few runs need it

        recipients = dict.fromkeys(clients)

        def ended() -> None:
            self._file = None
            on_end()

        self._file = FileFeed(
            context,
            path,
            PIECE_BYTES,
            ready=lambda: recipients.keys().isdisjoint(self.busy),
            send=self._send,
            on_end=ended,
        )
        self._recipients = recipients
        self._file.resume()

    def stop(self) -> None:
        """Send no more of the file."""
        if self._file:
            self._file.stop()
            self._file = None

    def _send(self, piece: bytes) -> None:
        for client in list(self._recipients):
            client.send(piece, raw=True)


class Server:
    """Owns its clients, but neither the listener nor the standard streams."""

    def __init__(self, context: Context, listener: Listener, options: ServerOptions) -> None:
        self.context = context
        self.buffer = memoryview(bytearray(options.sockets.buffer_size or MAX_RECEIVE_BYTES))
        self.closer = Closer(context.loop)
        self._listener, self._options = listener, options
        self._clients: dict[int, Client] = {}
        self._closing: set[Client] = set()  # departed, but not closed yet
        self._backlog = Backlog()
        self._stage, self._totals = Stage.SERVING, Totals()
        self._input_ended = False
        self._on_typed: Callable[[bytes], None] | None = None
        self._done: OnDone[None] = lambda _: None
        self._output = MergedOutput(
            context,
            options.label,
            framed=bool(options.clients.frame),
            on_empty=self._output_empty,
            on_fail=self._output_failed,
        )

    def run(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Serve until `quit`. Raises SockkitError, also for a signal.

        With `on_typed`, standard input goes there instead of to the clients.
        """
        self._on_typed = on_typed
        try:
            wait_for(self.context.loop, self._start)
            self._totals.raise_any()
        except OutputGone:
            raise
        except SockkitError as error:
            unsent = sum(
                client.connection.unsent for client in (*self._clients.values(), *self._closing)
            )
            lost = [f"{show_size(unsent)} of the input not sent"] if unsent else []
            self._close()
            error.so_far = ", ".join([*lost, *filter(None, [self._output.lost()])])
            raise
        finally:
            self._close()

    def _start(self, done: OnDone[None]) -> Pending:
        self._done = done
        self._watch_input()
        self.context.stdio.output.when_gone(done)
        self._listener.accept(self._accepted)
        return Done()

    def _close(self) -> None:
        """Close everything. The unfinished lines of clients are still written."""
        self._stage = Stage.CLOSED
        self._backlog.stop()
        self._listener.close()
        for client in list(self._clients.values()):
            client.connection.close()
        self.closer.close_all()
        self._output.stop()

    def _accepted(self, end: End) -> None:
        self.closer.make_space()
        client = Client(self, end, self._options.clients)
        self._clients[client.peer.number] = client
        if self._input_ended:
            client.end_input()
        client.start()
        client.send(self._options.greet)
        self._watch_input()

    # For the operator's console.

    def peers(self) -> list[tuple[Peer, str]]:
        return [(client.peer, client.connection.totals) for client in list(self._clients.values())]

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        clients = list(self._clients.values()) if number is None else [self._clients[number]]
        self._send(data, clients, raw=raw, whole=True)

    def send_file(self, number: int | None, path: str) -> None:
        clients = list(self._clients.values()) if number is None else [self._clients[number]]
        self._backlog.send_file(self.context, path, clients, on_end=self._watch_input)
        self._watch_input()

    def kick(self, number: int) -> None:
        self._clients[number].connection.close_lingering()

    def quit(self) -> None:
        """Read nothing more. `run` ends once everything that was read is delivered."""
        self._stage = Stage.QUITTING
        self._backlog.stop()
        self._listener.close()
        self._watch_input()
        for client in list(self._clients.values()):
            client.connection.close_lingering()
        self._review_quit()

    def moved(self) -> tuple[int, int]:
        """The bytes sent to all clients so far, and received from them."""
        there = [client.connection for client in (*self._clients.values(), *self._closing)]
        sent = self._totals.sent + sum(connection.bytes_sent for connection in there)
        received = self._totals.received + sum(connection.bytes_received for connection in there)
        return sent, received

    def _review_quit(self) -> None:
        waiting = self._clients or self._closing or self._output.waits
        if self._stage is Stage.QUITTING and not waiting:
            self._done(None)

    # What clients report.

    def has_space(self) -> bool:
        return not self._output.waits and self._stage is Stage.SERVING

    def received(self, client: Client, parts: list[Part]) -> None:
        self._output.received(client, parts)

    def reply(self, client: Client) -> None:
        if self._options.reply:
            client.send(self._options.reply, whole=True)

    def busy(self, client: Client, waits: bool) -> None:
        self._backlog.change(client, waits)
        self._watch_input()

    def held_up(self) -> bool:
        return bool(self._backlog.busy)

    def departed(self, client: Client) -> None:
        self._clients.pop(client.peer.number, None)
        self._closing.add(client)
        self._output.departed(client)
        self.busy(client, False)

    def closed(self, client: Client, *, missed: bool) -> None:
        self._totals.missed += missed
        self._totals.undecoded += client.undecoded
        self._totals.sent += client.connection.bytes_sent
        self._totals.received += client.connection.bytes_received
        self._closing.discard(client)
        self._review_quit()
        self._listener.released()

    def _output_empty(self) -> None:
        self._review_quit()
        for client in self._clients.values():
            client.resume()

    def _output_failed(self, error: SockkitError) -> None:
        if self._stage is not Stage.CLOSED:  # otherwise the run is ending already
            if isinstance(error, OutputError):
                for client in list(self._clients.values()):
                    client.connection.reset()  # a regular end would say that all was taken
            self._done(error)

    # Standard input.

    def _watch_input(self) -> None:
        backlog = self._backlog
        wanted = not backlog.sends_file if self._on_typed else self._clients and not backlog.busy
        wanted = wanted and not self._input_ended and self._stage is Stage.SERVING
        self.context.stdio.input.when_readable(self._read_input if wanted else None)

    def _read_input(self) -> None:
        try:
            size = self.context.stdio.input.read_into(self.buffer)
        except BlockingIOError:
            return
        except SockkitError as error:
            self._done(error)
            return
        data = bytes(self.buffer[:size])
        if self._on_typed:
            self._on_typed(data)
        else:
            self._send(data, list(self._clients.values()))
        self._totals.read += size
        if not size:
            self._end_input()

    def _send(
        self, data: bytes, clients: list[Client], *, raw: bool = False, whole: bool = False
    ) -> None:
        """Send part of the input. No `data` means its end, which flushes `shared`."""
        problems = []
        if (shared := self._options.shared) and not raw:
            try:
                data = shared.feed(data) + (b"" if data and not whole else shared.flush())
            except TextError as error:
                data = b"" if whole else error.before
                problems.append(str(error))
        for client in clients:
            try:
                client.send(data, raw=raw, whole=whole)
            except TextError as error:
                problems.append(str(error))
        for problem in dict.fromkeys(problems):
            self._totals.refused += 1
            self.context.emit(Failure(f"part of the input was not sent: {problem}"))

    def _end_input(self) -> None:
        self._input_ended = True
        self._watch_input()
        if self._totals.read and not self._on_typed:  # a service is often started with no input
            self.context.emit(Notice(CLIENTS_STAY))
        for client in list(self._clients.values()):
            client.end_input()
