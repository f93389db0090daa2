"""chat join: a client of a chat room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockkit.apps.prepare import secure_dialling
from sockkit.apps.shown import chat_view
from sockkit.core.address import Address
from sockkit.core.chat.protocol import MARK
from sockkit.core.chat.view import ChatView
from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, Errors, TextOptions
from sockkit.core.units import show_seconds
from sockkit.errors import (
    ConnectError,
    ProxyError,
    ReceiveError,
    SendError,
    SockkitError,
    TimedOut,
    UsageError,
)
from sockkit.events import Notice, Peer
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Timer
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.session import Session, SessionOptions
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tls.options import ClientTls

RECONNECT_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # the last one is repeated
MAX_TYPED_BYTES = 64 * 1024  # kept of what is typed while not connected
QUIT = b"/quit"


class ChatJoin(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    name: str | None = None
    password: str | None = None
    encoding: str = "utf-8"
    errors: Errors | None = None
    timestamps: bool = False
    reconnect: bool = False
    udp: bool = False
    tls: ClientTls | None = None
    idle: float | None = None


def run(config: ChatJoin, context: Context) -> None:
    """Return when the user or the room has ended it and all is delivered. Raises SockkitError."""
    if config.udp:
        from sockkit.apps.chat_join_udp import run as run_udp

        return run_udp(config, context)
    if config.password is not None:
        from sockkit.core.chat.admission import check_password

        check_password(config.password, config.encoding)
    connect = secure_dialling(context, config.connect, config.address, config.tls)
    join = _Join(config._replace(connect=connect), context)
    try:
        wait_for(context.loop, join.start)
    except SockkitError as error:
        join.record_progress(error)
        raise
    finally:
        join.close()


class _Join:
    """Joins the room; with --reconnect again, after a pause, each time the connection is lost.

    What is typed at a terminal while not connected is sent once connected, unless it is QUIT.
    """

    def __init__(self, config: ChatJoin, context: Context) -> None:
        self._config, self._context = config, context
        self._view = chat_view(context, timestamps=config.timestamps)
        self._on_done: OnDone[None] = lambda _: None
        self._dialling: Pending = Done()
        self._timer: Timer | None = None
        self._session: Session | None = None
        self._failures = 0  # in a row
        self._lost = False  # whether lines that were sent may be lost
        self._typed = b""  # while not connected
        self._offered = False  # the commands of the Ctrl-] prompt
        context.stdio.assist(self._view)

    def start(self, on_done: OnDone[None]) -> Pending:
        self._on_done = on_done
        self._context.stdio.output.when_gone(on_done)
        self._dial()
        return Done()  # `close` cancels it

    def close(self) -> None:
        self._dialling.cancel()
        if self._timer:
            self._timer.cancel()
        if self._session:
            self._session.close()

    def record_progress(self, error: SockkitError) -> None:
        if self._session and not error.so_far:
            self._session.record_progress(error)

    def peers(self) -> list[tuple[Peer, str]]:
        return self._session.peers() if self._session else []

    def say(self, data: bytes) -> None:
        if not self._session:
            raise UsageError("not connected")
        self._session.say(data)

    def _offer_commands(self) -> None:
        from sockkit.apps.prompt import member_commands, offer_commands

        self._offered = True
        offer_commands(self._context, member_commands(self._context, self))

    def _dial(self) -> None:
        config = self._config
        self._dialling = dial(
            self._context, config.address, config.connect, config.sockets, self._dialled
        )

    def _dialled(self, outcome: End | SockkitError) -> None:
        if isinstance(outcome, SockkitError):
            self._ended(outcome)
            return
        self._failures = 0
        if self._context.stdio.offer and not self._offered:
            self._offer_commands()
        self._context.stdio.input.when_readable(None)
        options = _session_options(self._config, self._context.stdio, self._view)
        options = options._replace(greet=self._typed)
        self._typed = b""
        self._session = Session(self._context, outcome, options, self._config.sockets)
        self._session.start(
            lambda error: self._context.loop.call_soon(lambda: self._session_over(error))
        )

    def _session_over(self, error: SockkitError | None) -> None:
        session, self._session = self._session, None
        assert session
        session.close()
        self._context.stdio.output.when_gone(self._on_done)
        self._view.disconnected()  # an unfinished line does not belong to the next connection
        if not (error or session.input_ended or self._view.room_closes):
            error = ReceiveError("the room has closed")
        if error and session.sent_input and not self._context.stdio.input.terminal:
            self._lost = True
        self._ended(error)

    def _ended(self, error: SockkitError | None) -> None:
        """A connection, or an attempt to connect, has ended: stop, or try again."""
        if error and not _may_pass(error):
            self._on_done(error)
        elif self._view.not_admitted:
            locked = self._view.wants_password
            hint = "give its password, with --password-file" if locked else "see what it said"
            refused = SockkitError("the room did not let us in", hint)
            refused.__cause__ = error
            self._on_done(refused)
        elif error and self._config.reconnect:
            self._pause(error)
        elif not error and self._lost:
            told = "the connection was lost, and with it perhaps some of what was said"
            self._on_done(SendError(told))
        else:
            self._on_done(error)

    def _pause(self, error: SockkitError) -> None:
        seconds = RECONNECT_PAUSES_SECONDS[min(self._failures, len(RECONNECT_PAUSES_SECONDS) - 1)]
        self._failures += 1
        told = f"{error}: connecting again in {show_seconds(seconds)}"
        self._context.emit(Notice(told))
        self._timer = self._context.loop.later(seconds, self._dial)
        if self._context.stdio.input.terminal and len(self._typed) <= MAX_TYPED_BYTES:
            self._context.stdio.input.when_readable(self._read_typed)

    def _read_typed(self) -> None:
        buffer = memoryview(bytearray(4096))
        try:
            size = self._context.stdio.input.read_into(buffer)
        except BlockingIOError:
            return
        except SockkitError as error:
            self._on_done(error)
            return
        *lines, rest = (self._typed + bytes(buffer[:size])).split(b"\n")
        if not size or QUIT in lines:
            said = lines[: lines.index(QUIT)] if QUIT in lines else [*lines, rest]
            told = "part of what was typed was not said: no room was there to hear it"
            self._on_done(SendError(told) if any(said) else None)
            return
        self._typed += bytes(buffer[:size])
        if len(self._typed) > MAX_TYPED_BYTES:
            self._context.stdio.input.when_readable(None)


def _may_pass(error: SockkitError) -> bool:
    """Whether the next attempt may do without this error."""
    if isinstance(error, ProxyError):
        return error.transient
    return isinstance(error, (ConnectError, ReceiveError, SendError, TimedOut))


def _session_options(config: ChatJoin, stdio: Stdio, view: ChatView) -> SessionOptions:
    edits: tuple[Edit, ...] = (Printable(), view) if stdio.output.terminal else (view,)
    text = TextOptions(config.encoding, errors=config.errors)
    first = [MARK]
    first += [f"/nick {config.name}"] if config.name else []
    first += [f"/password {config.password}"] if config.password else []
    lines = "".join(f"{line}\n" for line in first)
    return SessionOptions(
        ending=EndOptions(Until.PEER, idle=config.idle),
        outbound=text.outbound(stdio.encoding, "standard input"),
        inbound=text.inbound(stdio.encoding, edits),
        opening=lines.encode(config.encoding, "backslashreplace"),
        ends_output=not config.reconnect,
    )
