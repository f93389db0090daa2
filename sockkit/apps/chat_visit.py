"""One connection of chat join to a room, from the room's first line to the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.apps.chat_typed import TypedAhead
from sockkit.core.address import Address
from sockkit.core.chat.greeting import Greeting
from sockkit.core.chat.protocol import (
    CROWDED,
    KICKED_HINT,
    KICKED_US,
    MARK,
    MAX_LINE_BYTES,
    refused_by,
)
from sockkit.core.chat.view import ChatView
from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, TextOptions, Transform
from sockkit.core.transforms import WholeLines
from sockkit.core.units import show_seconds
from sockkit.errors import ConnectError, ReceiveError, SockkitError, TimedOut, UsageError
from sockkit.events import Notice, Peer
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.loop import Timer
from sockkit.net.tcp.session import Session, SessionOptions

if TYPE_CHECKING:
    from sockkit.apps.chat_join import ChatJoin

# A room greets within 0.3 s. The rest is for a slow link; --connect-timeout may extend it.
GREETING_SECONDS = 10.0
SILENCE_SECONDS = 1.0  # without a greeting, after which a notice says what we wait for


class Visit:
    """Owns `end`. Nothing typed and no password is sent before the server shows that it is a room.

    `on_over` is called once, unless `close` was: with None if nothing is known to be lost. `known`
    is whether the room was there before: then its silence may pass.
    """

    def __init__(
        self,
        context: Context,
        end: End,
        config: ChatJoin,
        view: ChatView,
        typed: TypedAhead,
        *,
        known: bool,
    ) -> None:
        self._context, self._config = context, config
        self._view, self._typed, self._known = view, typed, known
        self._on_over: Callable[[SockkitError | None], None] | None = None
        self._on_greeted: Callable[[], None] = lambda: None
        self._timer: Timer | None = None
        self._password_sent = self._released = False
        self.in_room = False
        greeting = Greeting(self._is_other)
        options = session_options(config, context, (greeting, view))
        self._session = Session(context, end, options, config.sockets)

    def start(
        self, on_over: Callable[[SockkitError | None], None], on_greeted: Callable[[], None]
    ) -> None:
        """`on_greeted` is called once what is typed goes to the room."""
        self._on_over, self._on_greeted = on_over, on_greeted
        self._view.on_status = lambda: self._context.loop.call_soon(self._review)
        self._timer = self._context.loop.later(SILENCE_SECONDS, self._still_silent)
        self._session.start(lambda error: self._context.loop.call_soon(lambda: self._ended(error)))

    def close(self) -> None:
        self._on_over = None
        self._view.on_status = lambda: None
        if self._timer:
            self._timer.cancel()
        self._session.close()

    def record_progress(self, error: SockkitError) -> None:
        self._session.record_progress(error)

    @property
    def sent_input(self) -> bool:
        return self._session.sent_input

    def peers(self) -> list[tuple[Peer, str]]:
        return self._session.peers()

    def say(self, data: bytes) -> None:
        """Raises UsageError before the server has shown that it is a room."""
        if not self._released:
            raise UsageError("not in the room yet", "try again later")
        self._session.say(data)

    # What the server says.

    def _review(self) -> None:
        """The room has greeted us, or has said whether we are in it."""
        if not self._on_over:
            return
        self._stop_timer()
        view = self._view
        if view.not_admitted and view.wants_password:
            self._give_password()
        elif view.not_admitted or view.room_closes or self.in_room:
            return
        elif view.name_refusal and not self._context.stdio.input.terminal:
            error = refused_by(view.name_refusal)
            # Nobody can type another one. If we had it, a lost connection may still hold it.
            self._over(ConnectError(str(error.args[0])) if self._known else error)
        else:
            self.in_room = True
            self._send_password()
            self._session.say_text(self._typed.take())
            self._release()

    def _give_password(self) -> None:
        if self._send_password():
            return
        if not self._context.stdio.input.terminal:
            self._over(None)  # nobody can type one
        elif not self._released:
            self._typed.stop()
            self._release()

    def _send_password(self) -> bool:
        """Send the password of the command line, if there is one and it was not sent."""
        password = self._config.password
        if password is None or self._password_sent:
            return False
        self._password_sent = True
        self._session.say(_encoded([f"/password {password}"], self._config.encoding))
        return True

    def _release(self) -> None:
        if not self._released:
            self._released = True
            self._on_greeted()
            self._session.release_input()

    # Servers that are no rooms.

    def _is_other(self, words: str) -> None:
        address = self._config.address
        hint = "" if "--tls" in words else f"use {_client_command(self._config)}"
        error = SockkitError(f"{address.word} {words}", hint)
        self._context.loop.call_soon(lambda: self._over(error))

    def _still_silent(self) -> None:
        bound = max(GREETING_SECONDS, self._config.connect.timeout)
        told = f"no greeting from {self._config.address.word} yet: waiting up to"
        self._context.emit(Notice(f"{told} {show_seconds(bound)}"))
        self._typed.mark()
        left = bound - SILENCE_SECONDS
        self._timer = self._context.loop.later(left, lambda: self._too_silent(bound))

    def _too_silent(self, bound: float) -> None:
        where, took = self._config.address.word, show_seconds(bound)
        if self._known:
            self._over(TimedOut(f"{where} has not greeted us within {took}"))
        else:
            told = f"{where} is not a sockkit chat room (no greeting within {took})"
            self._over(SockkitError(told, f"use {_client_command(self._config)}"))

    # The end.

    def _ended(self, error: SockkitError | None) -> None:
        if not error and self._view.kicked:
            error = SockkitError(KICKED_US, KICKED_HINT)
        elif not (error or self._session.input_ended or self._view.room_closes):
            error = self._closed()
        self._over(error)

    def _closed(self) -> ReceiveError:
        if not (self.in_room or self._view.not_admitted):
            where = self._config.address.word
            told = f"{where} closed the connection without a greeting"
            return ReceiveError(told, "is it a sockkit chat room?")
        hint = "" if self._config.reconnect else "--reconnect joins it again when it is back"
        return ReceiveError("the room has closed", hint)

    def _over(self, error: SockkitError | None) -> None:
        on_over = self._on_over
        if on_over:
            self.close()
            on_over(error)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def refused(view: ChatView, cause: SockkitError | None) -> SockkitError:
    """The error for a member whom the room has not admitted."""
    error = refused_by(view.refusal)
    if view.refusal in CROWDED:
        error.hint = "add --reconnect to wait for a place"
    error.__cause__ = cause
    return error


def session_options(config: ChatJoin, context: Context, edits: tuple[Edit, ...]) -> SessionOptions:
    stdio = context.stdio
    if stdio.output.terminal:
        edits = (Printable(), *edits)
    text = TextOptions(config.encoding, errors=config.errors)
    first = [MARK]
    first += [f"/nick {config.name}"] if config.name else []
    return SessionOptions(
        ending=EndOptions(Until.PEER, idle=config.idle),
        outbound=_whole_lines(text.outbound(stdio.encoding, "stdin")),
        inbound=text.inbound(stdio.encoding, edits),
        opening=_encoded(first, config.encoding),
        ends_output=not config.reconnect,
        holds_input=True,
    )


def _whole_lines(transform: Transform | None) -> Transform:
    """`transform` without the part of a line before a fault: the room would take it for a line."""
    assert transform
    return WholeLines(transform, MAX_LINE_BYTES)


def _encoded(lines: list[str], encoding: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(encoding, "backslashreplace")


def _client_command(config: ChatJoin) -> str:
    """The command line that talks to a server that is no room."""
    from shlex import join

    words = ["sockkit", "tcp-client", *(["--tls"] if config.tls else []), *_words(config.address)]
    return join(words)


def _words(address: Address) -> list[str]:
    return [address.word] if address.host is None else [address.host, str(address.port)]
