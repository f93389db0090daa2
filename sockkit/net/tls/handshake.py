"""TLS handshakes: one of a client, and the many of a server at the same time."""

from __future__ import annotations

import _ssl
import hashlib
import ssl
from collections.abc import Callable
from typing import Any

from sockkit.core.units import show_seconds
from sockkit.errors import SockkitError, TimedOut, TrustError
from sockkit.events import Closed, Emit, Secured
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Owner
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.ends.tls_end import TlsEnd
from sockkit.net.loop import Loop
from sockkit.net.scheduler import Scheduler, Task
from sockkit.net.tls.contexts import TlsSetup
from sockkit.net.tls.words import handshake_error, is_plain, no_handshake, renamed
from sockkit.net.waiting import OnDone, Pending

MAX_HANDSHAKES = 1024  # at a time; when one more begins, the longest silent one is closed
STEP_SECONDS = 0.005  # the longest time of one step, with a large key
# An alert, protocol_version: RFC 8446, sections 5.1 and 6.
NOT_TLS = b"\x15\x03\x01\x00\x02\x02\x46"
MAX_SHOWN_CHARACTERS = 200  # of a name in a certificate


def secure(context: Context, end: End, tls: TlsSetup, on_done: OnDone[TlsEnd]) -> Pending:
    """Do a client's handshake over `end`, and call `on_done` with a TLS end whose peer is trusted.

    Owns `end`. Errors are TrustError, HandshakeError and TimedOut.
    """

    def done(outcome: TlsEnd | SockkitError) -> None:
        if isinstance(outcome, TlsEnd):
            context.emit(_secured(outcome))
        on_done(outcome)

    return Handshake(context.loop, end, tls, done)


class Handshake(Pending, Task):
    """One handshake over `end`, which it owns until it calls `on_done`.

    `on_heard` is called when the peer has sent something; it must have `serve` called. If the
    handshake fails, `close` is called with `end`.
    """

    def __init__(
        self,
        loop: Loop,
        end: End,
        tls: TlsSetup,
        on_done: OnDone[TlsEnd],
        *,
        on_heard: Callable[[], None] | None = None,
        close: Callable[[End], None] = lambda end: end.close(),
    ) -> None:
        self._loop, self._tls, self._on_done, self._close = loop, tls, on_done, close
        self._below = end
        self._end: TlsEnd | None = None
        self._ended = False
        self._timer = loop.later(tls.timeout, self._expire)
        self._on_heard = on_heard or self._go_on
        end.when_readable(self._on_heard)
        if not tls.server:
            loop.call_soon(self._go_on)

    def cancel(self) -> None:
        self._release()
        self._below.close()

    def _release(self) -> None:
        """Stop using the end below."""
        self._timer.cancel()
        self._ended = True
        if self._end:
            self._end.release()
        self._below.when_readable(None)
        self._below.when_writable(None)

    def serve(self, should_yield: Callable[[], bool]) -> bool:
        self._go_on()
        return False

    def _go_on(self) -> None:
        if self._ended:
            return
        end = self._secured()
        try:
            failure = self._step(end)
        except BlockingIOError:
            return
        if failure:
            self._fail(failure)
            return
        self._timer.cancel()
        self._ended = True
        end.when_readable(None)
        self._on_done(end)

    def _step(self, end: TlsEnd) -> SockkitError | None:
        """Do one step. Returns None when the handshake is done, or the error if it has failed.

        Raises BlockingIOError if it must wait for the peer. The returned error was never raised, so
        that no traceback keeps OpenSSL's objects alive.
        """
        server = self._tls.server
        try:
            end.handshake(confirm=False)
            if distrust := self._distrust(end):
                self._refuse(end)
                return distrust
            end.confirm()
        except ssl.SSLError as error:
            if server and is_plain(error):
                self._answer_plainly()
            return no_handshake(end.name, error, _refused(end), server=server)
        except SockkitError as error:
            hint = "" if server else "does it speak TLS?"
            return handshake_error(end.name, error.why or str(error), hint)
        return None

    def _secured(self) -> TlsEnd:
        """The TLS end. It is made late, so that a silent peer takes no memory of OpenSSL."""
        if not self._end:
            tls = self._tls
            self._end = TlsEnd(self._loop, self._below, tls.context, tls.name, server=tls.server)
            self._end.prefix = tls.prefix
            self._end.when_readable(self._on_heard)
        return self._end

    def _distrust(self, end: TlsEnd) -> TrustError | None:
        wanted = self._tls.fingerprint
        if not wanted or self._tls.server or (shown := _fingerprint(end)) == wanted:
            return None
        why = f"its fingerprint is {shown.hex()}"
        return TrustError(
            f"the certificate of {end.name} is not trusted: {why}",
            "if that is the right one, use it with --tls-fingerprint",
            kind=f"not trusted: {why}",
        )

    def _refuse(self, end: TlsEnd) -> None:
        try:
            end.refuse()
        except (BlockingIOError, SockkitError):
            pass  # the server has closed, or accepts nothing

    def _answer_plainly(self) -> None:
        """Send an alert to a client that does not speak TLS. OpenSSL sends none."""
        try:
            self._below.write(NOT_TLS)
        except (BlockingIOError, SockkitError):
            pass  # the client has closed, or accepts nothing

    def _fail(self, error: SockkitError) -> None:
        self._release()
        self._close(self._below)
        self._on_done(renamed(error, self._tls.prefix))

    def _expire(self) -> None:
        why = f"no handshake within {show_seconds(self._tls.timeout)}"
        self._fail(
            TimedOut(
                f"TLS with {self._below.name} failed: {why}",
                "does it use --tls?" if self._tls.server else "does it speak TLS?",
                kind=f"TLS failed: {why}",
            )
        )


class Handshakes:
    """The handshakes of a server. `on_done` gets each TLS end when its handshake is done.

    No handshake waits for another peer, and a scheduler bounds the time that they compute in one
    turn of the loop. At most MAX_HANDSHAKES are under way.
    """

    def __init__(
        self, loop: Loop, emit: Emit, tls: TlsSetup, on_done: Callable[[TlsEnd], None]
    ) -> None:
        self._loop, self._emit = loop, emit
        self._tls, self._on_done = tls, on_done
        self._closer = Closer(loop)
        self._scheduler = Scheduler(loop, STEP_SECONDS)
        self._under_way: dict[End, Handshake] = {}  # the one silent for longest first

    @property
    def connections(self) -> int:
        """How many connections are open here, including failed ones that are being closed."""
        return len(self._under_way) + len(self._closer)

    def begin(self, end: End) -> None:
        if len(self._under_way) >= MAX_HANDSHAKES:
            oldest = next(iter(self._under_way))
            self._under_way.pop(oldest).cancel()
            self._failed(oldest, handshake_error("", "others came meanwhile"))
        self._under_way[end] = Handshake(
            self._loop,
            end,
            self._tls,
            lambda outcome: self._done(end, outcome),
            on_heard=lambda: self._heard(end),
            close=self._close,
        )

    def close_all(self) -> None:
        for handshake in self._under_way.values():
            handshake.cancel()
        self._under_way.clear()
        self._closer.close_all()

    def _close(self, end: End) -> None:
        """Close `end` so that the alert arrives, even if the client has sent more."""
        self._closer.make_space()
        Connection(self._loop, end, Owner(), self._closer).close_lingering()

    def _heard(self, end: End) -> None:
        handshake = self._under_way[end] = self._under_way.pop(end)
        self._scheduler.schedule(handshake)

    def _done(self, end: End, outcome: TlsEnd | SockkitError) -> None:
        del self._under_way[end]
        if isinstance(outcome, SockkitError):
            self._failed(end, outcome)
        else:
            self._emit(_secured(outcome))
            self._on_done(outcome)

    def _failed(self, end: End, error: SockkitError) -> None:
        why = f"{error.kind}: {error.hint}" if error.hint else error.kind
        self._emit(Closed(end.peer, 0, 0, why, error.kind, lost=False))


def _fingerprint(end: TlsEnd) -> bytes:
    """The SHA-256 of the peer's certificate; empty if it has shown none."""
    shown = end.tls.getpeercert(binary_form=True)
    return hashlib.sha256(shown).digest() if shown else b""


def _refused(end: TlsEnd) -> bytes:
    """The SHA-256 of a certificate that OpenSSL has refused; empty if Python does not tell it.

    Python has no public call for this.
    """
    try:
        first = end.tls._sslobj.get_unverified_chain()[0]  # type: ignore[attr-defined]
        return hashlib.sha256(first.public_bytes(_ssl.ENCODING_DER)).digest()
    except (AttributeError, LookupError, TypeError):
        return b""


def _secured(end: TlsEnd) -> Secured:
    cipher, fields = end.tls.cipher(), _fields(end)
    return Secured(
        end.peer,
        (end.tls.version() or "TLS").replace("TLSv", "TLS "),
        cipher[0] if cipher else "",
        end.tls.selected_alpn_protocol() or "",
        subject(end),
        _name(fields.get("issuer")),
        str(fields.get("notAfter", "")),
        _fingerprint(end).hex(),
    )


def subject(end: TlsEnd) -> str:
    """The subject of the peer's certificate; empty if it has shown none, or it was not checked."""
    return _name(_fields(end).get("subject"))


def _fields(end: TlsEnd) -> dict[str, Any]:
    """The fields of the peer's certificate; empty if it was not checked, or cannot be decoded."""
    try:
        return end.tls.getpeercert() or {}
    except (ssl.SSLError, ValueError):  # one byte that is not UTF-8, anywhere in it
        return {}


def _name(parts: object) -> str:
    """A distinguished name, from getpeercert(), in one line."""
    pairs = [pair for part in parts for pair in part] if isinstance(parts, tuple) else []
    return ", ".join(f"{key}={value}" for key, value in pairs)[:MAX_SHOWN_CHARACTERS]
