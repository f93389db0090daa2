"""chat join: a client of a chat room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockkit.apps.chat_typed import TypedAhead
from sockkit.apps.chat_visit import Visit, refused
from sockkit.apps.prepare import secure_dialling
from sockkit.apps.shown import chat_view
from sockkit.core.address import Address
from sockkit.core.chat.protocol import CROWDED, DROPPED
from sockkit.core.text import Errors
from sockkit.core.units import show_seconds
from sockkit.errors import (
    REFUSED,
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
from sockkit.net.loop import Timer
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tls.options import ClientTls

RECONNECT_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # the last one is repeated


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
    _check_name(config)
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


def _check_name(config: ChatJoin) -> None:
    """Raise UsageError for a name that the room's encoding lacks."""
    try:
        (config.name or "").encode(config.encoding)
    except UnicodeEncodeError as error:
        lacking = error.object[error.start]
        raise UsageError(
            f"--name: {lacking!r} is not in {config.encoding}", "choose another"
        ) from error


class _Join:
    """Joins the room; with --reconnect again, after a pause, each time the connection is lost.

    What is typed at a terminal while not in the room is kept, and said once in it.
    """

    def __init__(self, config: ChatJoin, context: Context) -> None:
        self._config, self._context = config, context
        self._view = chat_view(context, timestamps=config.timestamps)
        self._typed = TypedAhead(context, self._left)
        self._on_done: OnDone[None] = lambda _: None
        self._dialling: Pending = Done()
        self._timer: Timer | None = None
        self._visit: Visit | None = None
        self._failures = 0  # in a row
        self._known = False  # whether the room has greeted us, in any visit
        self._lost = False  # whether lines that were sent may be lost
        self._dropped = False  # whether the room has not passed on a line
        self._offered = False  # the commands of the Ctrl-] prompt
        context.stdio.assist(self._view)

    def start(self, on_done: OnDone[None]) -> Pending:
        self._on_done = on_done
        self._context.stdio.output.when_gone(on_done)
        self._typed.read()
        self._dial()
        return Done()  # `close` cancels it

    def close(self) -> None:
        self._dialling.cancel()
        if self._timer:
            self._timer.cancel()
        if self._visit:
            self._visit.close()

    def record_progress(self, error: SockkitError) -> None:
        if self._visit and not error.so_far:
            self._visit.record_progress(error)
        elif not error.so_far:
            error.so_far = self._typed.unsent

    def peers(self) -> list[tuple[Peer, str]]:
        return self._visit.peers() if self._visit else []

    def say(self, data: bytes) -> None:
        if not self._visit:
            raise UsageError("not connected", "try again later")
        self._visit.say(data)

    def _offer_commands(self) -> None:
        if self._context.stdio.offer and not self._offered:
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
            if outcome.kind == REFUSED and not outcome.hint:
                outcome.hint = "start the room first, or add --udp if it is one over UDP"
            self._ended(outcome)
            return
        self._view.connected()
        self._visit = Visit(
            self._context, outcome, self._config, self._view, self._typed, known=self._known
        )
        self._visit.start(self._visit_over, self._offer_commands)

    def _visit_over(self, error: SockkitError | None) -> None:
        visit, self._visit = self._visit, None
        assert visit
        self._context.stdio.output.when_gone(self._on_done)
        self._view.disconnected()  # an unfinished line does not belong to the next connection
        if visit.in_room:
            self._known, self._failures = True, 0
        if not self._context.stdio.input.terminal:  # a person has seen it
            self._lost |= bool(error and visit.sent_input)
            self._dropped |= self._view.dropped
        self._ended(error)

    def _left(self, error: SockkitError | None) -> None:
        """The person has left while not in the room."""
        self._on_done(error)

    def _ended(self, error: SockkitError | None) -> None:
        """A connection, or an attempt to connect, has ended: stop, or try again."""
        view, passes = self._view, not error or _may_pass(error)
        if view.not_admitted and passes:
            error, passes = refused(view, error), view.refusal in CROWDED
        if error and passes and self._config.reconnect:
            self._pause(error)
            return
        if not error and self._lost:
            error = SendError(
                "a connection was lost, and some lines may not have arrived", "ask the others"
            )
        if not error and self._dropped:
            error = SendError(DROPPED, "the notices above say why")
        if error and self._typed.unsent:
            error.so_far += f"{', ' if error.so_far else ''}{self._typed.unsent}"
        self._on_done(error)

    def _pause(self, error: SockkitError) -> None:
        seconds = RECONNECT_PAUSES_SECONDS[min(self._failures, len(RECONNECT_PAUSES_SECONDS) - 1)]
        self._failures += 1
        error.hint = ""
        self._context.emit(Notice(f"{error}: reconnecting in {show_seconds(seconds)}"))
        self._timer = self._context.loop.later(seconds, self._dial)
        self._typed.read()
        self._typed.mark()


def _may_pass(error: SockkitError) -> bool:
    """Whether the next attempt may succeed in spite of this error."""
    if isinstance(error, ProxyError):
        return error.transient
    return isinstance(error, (ConnectError, ReceiveError, SendError, TimedOut))
