"""Hints for a stream that has ended without the answer that its user wanted.

A missing answer is no failure, and the exit status stays as it is. But the first bytes of each
direction, and when each side ended, often show why the answer is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.ending import Ending
from sockkit.errors import ReceiveError, SendError, SockkitError, TextError
from sockkit.events import Hint, Notice
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.text import Transform

MAX_GLANCE_BYTES = 8 * 1024  # web servers refuse longer request lines
ALERT_BYTES = 7  # of a TLS record with one alert
AT_ONCE_SECONDS = 1.0  # a peer that closes so soon, and sent nothing, refuses us

TLS_PORT = "the peer answered with a TLS alert: this port expects TLS, try --tls"
STDIN_ENDED = "stdin has ended; waiting for the peer to close (--linger 1 stops after 1 s)"
NO_ANSWER = "no answer after our half-close: if you expected one, try --half-close never"


def is_http_request(data: bytes) -> bool | None:
    """Whether `data` begins with a request line, RFC 9112, section 3; None if it still may."""
    line, end, _ = data.partition(b"\n")
    method, *words = line.split(b" ")
    if data and not (method.replace(b"-", b"").isalpha() and method.isupper()):
        return False
    if not end:
        return None
    version = words[-1].rstrip(b"\r") if len(words) == 2 else b""
    return len(version) == 8 and version.startswith(b"HTTP/1.") and version[7:].isdigit()


def is_tls_alert(data: bytes) -> bool | None:
    """Whether `data` is one alert that is not encrypted, RFC 8446, sections 5.1 and 6; None if it
    may become one.
    """
    if not data.startswith(b"\x15\x03"[: len(data)]):
        return False
    if len(data) < ALERT_BYTES:
        return None
    return len(data) == ALERT_BYTES and data[2] <= 4 and data[3:5] == b"\0\2" and 0 < data[5] <= 2


class Glance:
    """A transform for the first bytes: applies `transform`, if any, and has `judge` look at them.
    `judge` sees the input of `transform`, or with `after` its output. `verdict` is None while
    `judge` cannot decide, for at most MAX_GLANCE_BYTES.
    """

    def __init__(
        self,
        judge: Callable[[bytes], bool | None],
        transform: Transform | None = None,
        *,
        after: bool = False,
    ) -> None:
        self._judge, self._transform, self._after = judge, transform, after
        self._seen = b""
        self.verdict: bool | None = None

    def look(self, data: bytes) -> None:
        if self.verdict is None:
            self._seen += data[: MAX_GLANCE_BYTES - len(self._seen)]
            self.verdict = self._judge(self._seen)
            if self.verdict is None and len(self._seen) == MAX_GLANCE_BYTES:
                self.verdict = False

    def feed(self, data: bytes) -> bytes:
        if not self._after:
            self.look(data)
        if self._transform:
            data = self._transform.feed(data)
        if self._after:
            self.look(data)
        return data

    def flush(self) -> bytes:
        return self._transform.flush() if self._transform else b""


class Stream(Value):
    """The facts of a stream that are known when it begins.

    `dialled` is whether we have connected to the peer, `typed` whether a person types what is sent,
    and `encrypted` whether we speak TLS. `half_close` is whether the command has that option.
    """

    dialled: bool
    typed: bool = False
    encrypted: bool = False
    half_close: bool = False


class Hints:
    """Chooses the hint to show at the end of a stream: one at most.

    `sent` and `received` are the bytes that were moved.
    """

    def __init__(self, stream: Stream, ending: Ending, now: float) -> None:
        self._stream, self._ending, self._began = stream, ending, now
        self._may_be_tls = stream.dialled and not stream.encrypted
        self._closed_at_once = self._unanswered = self._failed = False
        self._dropped = False  # we half-closed under TLS, and then the peer dropped the connection

    def peer_ended(self, sent: int, received: int, now: float) -> None:
        refused = not self._ending.input_ended and (self._stream.typed or not sent)
        self._closed_at_once = refused and self._at_once(received, now)
        self._unanswered = self._ending.half_closed and not self._ending.answered

    def failed(self, error: SockkitError, received: int, now: float) -> None:
        lost = isinstance(error, SendError | ReceiveError)
        self._failed |= lost or isinstance(error, TextError)
        if self._stream.encrypted and self._ending.half_closed:
            self._dropped |= lost and not self._ending.answered
        if lost and isinstance(error.__cause__, OSError):  # a reset
            self._closed_at_once |= self._at_once(received, now)

    def _at_once(self, received: int, now: float) -> bool:
        since = self._ending.sent_at if self._stream.typed else self._began
        return self._stream.dialled and not received and now - since < AT_ONCE_SECONDS

    def hint(self, sent: int, received: int, *, request: bool, alert: bool) -> Notice | Hint | None:
        """The hint, if there is one. `request` is whether we began with an HTTP request, and
        `alert` whether the peer began with a TLS alert and has ended.
        """
        if alert and received == ALERT_BYTES and self._may_be_tls:
            return Notice(TLS_PORT)
        dropped = self._dropped and sent > 0
        expected = not (self._failed or self._stream.typed or not sent)
        refused = self._closed_at_once and sent <= MAX_GLANCE_BYTES
        if refused and not dropped and not expected:
            tls = "expect TLS (try --tls), or " if self._may_be_tls else ""
            return Notice(f"the peer closed without an answer: does it {tls}refuse your address?")
        if (self._unanswered or dropped) and self._stream.half_close:
            tls = ", or --tls if the port expects TLS" if self._may_be_tls and not received else ""
            text = f"{NO_ANSWER}{tls}"
            certain = request or dropped or self._ending.waits_for_answer
            return Notice(text) if certain else Hint(text)
        return None
