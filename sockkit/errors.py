"""The errors of sockkit, each with its exit status.

    SockkitError            1   anything else, such as Differs: replay received other bytes
    ├── UsageError          2   an invalid value, or options that exclude each other
    ├── ResolveError        6   a host name has no address
    ├── ConnectError        7   no connection could be established
    ├── OutputError        23   standard output or another local file cannot be written
    ├── TimedOut           28   a bound on time was reached
    ├── HandshakeError     35   the peers did not agree on TLS, or one refused the other
    ├── BindError          45   a server cannot bind its address
    ├── SendError          55   not all bytes reached the peer
    ├── ReceiveError       56   the peer may have sent bytes that we did not receive
    ├── TrustError         60   the peer's certificate is not trusted
    ├── TextError          65   a character that an encoding does not have
    │   └── NotationError  65   invalid --hex-input or --escape-input
    ├── ProxyError         97   a proxy cannot be reached, or does not connect us
    ├── CommandError      127   a program was not found, or (126) cannot be run
    ├── OutputGone        141   nobody reads our standard output any more
    ├── ProgramFailed   its own  the program of --exec or --shell failed; not shown
    └── Stopped       128 + n   signal n: 129 SIGHUP, 130 Ctrl-C, 131 SIGQUIT, 143 SIGTERM

The numbers are curl's where curl has one, and the shell's from 126 on.
Every message is one line, and is shown after "sockkit: ".
"""

from __future__ import annotations

import errno
import os
from enum import IntEnum
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class ExitStatus(IntEnum):
    """The exit statuses of `sockkit`. DONE means that nothing was lost."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_RESOLVED = 6
    NOT_CONNECTED = 7
    NOT_WRITTEN = 23
    TIMED_OUT = 28
    NOT_AGREED = 35
    NOT_BOUND = 45
    NOT_SENT = 55
    NOT_RECEIVED = 56
    NOT_TRUSTED = 60
    NOT_TEXT = 65
    NOT_PROXIED = 97
    NOT_RUN = 126
    NOT_FOUND = 127
    HUNG_UP = 129
    INTERRUPTED = 130
    QUIT = 131
    OUTPUT_GONE = 141
    TERMINATED = 143


# The kinds of a peer that refuses, of one that is silent, and of a silent connection; see `kind`.
REFUSED, NO_ANSWER, IDLE = "refused", "no answer", "nothing was sent or received for too long"
# The kind of a connection that a peer of a relay has broken off, which the other peer then meets.
BROKEN_OFF = "connection reset or cut off by a peer"


class SockkitError(Exception):
    """A failure that ends a command or a connection.

    `hint` says in a few words what to try, if that is known. `so_far` says how many bytes the
    connection had moved. An error that peers can cause any number of times has a `kind`: the
    message without the parts that differ from peer to peer. If a system call failed, `why` is its
    reason alone.
    """

    status: int = ExitStatus.FAILED
    so_far = why = ""

    def __init__(self, message: str, hint: str = "", *, kind: str = "") -> None:
        super().__init__(message)
        self.hint, self.kind = hint, kind

    def __str__(self) -> str:
        message = str(self.args[0])
        message += f" ({self.so_far})" if self.so_far else ""
        return f"{message}: {self.hint}" if self.hint else message


class UsageError(SockkitError):
    status = ExitStatus.USAGE


class ResolveError(SockkitError):
    status = ExitStatus.NOT_RESOLVED


class ConnectError(SockkitError):
    status = ExitStatus.NOT_CONNECTED


class OutputError(SockkitError):
    status = ExitStatus.NOT_WRITTEN


class TimedOut(SockkitError):  # noqa: N818 - the name of what happened
    status = ExitStatus.TIMED_OUT


class HandshakeError(SockkitError):
    status = ExitStatus.NOT_AGREED


class BindError(SockkitError):
    status = ExitStatus.NOT_BOUND


class SendError(SockkitError):
    status = ExitStatus.NOT_SENT


class ReceiveError(SockkitError):
    status = ExitStatus.NOT_RECEIVED


class TrustError(SockkitError):
    status = ExitStatus.NOT_TRUSTED


class TextError(SockkitError):
    """Input that cannot be converted. `before` is the output before the fault, still to be
    delivered.
    """

    status = ExitStatus.NOT_TEXT

    def __init__(self, message: str, hint: str = "", before: bytes = b"") -> None:
        super().__init__(message, hint, kind="not text in that encoding")
        self.before = before


class NotationError(TextError):
    """Input that is not valid for --hex-input or --escape-input.

    `place` is the line, the column and the name of the input. `before` is as in TextError.
    """

    def __init__(
        self, problem: str, place: tuple[int, int, str], hint: str, before: bytes = b""
    ) -> None:
        line, self.column, what = place
        self.problem = problem
        super().__init__(f"line {line}, column {self.column} of {what}: {problem}", hint, before)
        self.kind = "not in the notation that was asked for"


class ProxyError(SockkitError):
    """The proxy failed or refused. `transient` is False if trying again is useless, as with a wrong
    password.
    """

    status = ExitStatus.NOT_PROXIED

    def __init__(self, message: str, hint: str = "", *, transient: bool = True) -> None:
        super().__init__(message, hint)
        self.transient = transient


class CommandError(SockkitError):
    """A program could not be run in place of this one. `missing` says that it was not found."""

    status = ExitStatus.NOT_FOUND

    def __init__(self, message: str, missing: bool = True) -> None:
        super().__init__(message)
        self.status = ExitStatus.NOT_FOUND if missing else ExitStatus.NOT_RUN


class Differs(SockkitError):  # noqa: N818
    """The received bytes differ from the recorded ones; `dumps` shows both."""

    dumps = ""


class OutputGone(SockkitError):  # noqa: N818
    status = ExitStatus.OUTPUT_GONE


class ProgramFailed(SockkitError):  # noqa: N818
    """The program that served the connection failed, and nothing else did. `status` is its own."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the program failed with exit status {status}")


class Stopped(SockkitError):  # noqa: N818
    """A signal has asked the command to end. If `quiet`, the error is not shown."""

    quiet = False

    def __init__(self, signal_number: int) -> None:
        self.status = ExitStatus(128 + signal_number)
        super().__init__(self.status.name.lower().replace("_", " "))


def raise_error(error: SockkitError) -> None:
    """Raise `error`. A callback for code that reports errors to one."""
    raise error


def raise_lost(*losses: tuple[int, str, type[SockkitError]], what: str = "") -> None:
    """Raise an error if anything was lost. Each of `losses` is (count, text, error class).

    The first loss whose count is not 0 decides the class. The message is `what` and the texts of
    all such losses, with their counts in place of `{}`.
    """
    if happened := [loss for loss in losses if loss[0]]:
        message = ", ".join(text.format(count) for count, text, _ in happened)
        raise happened[0][2](f"{what}{message}")


def without_traceback(error: E) -> E:
    """`error` itself, after its traceback and those of its causes were removed.

    Call this on an error that is kept or reported later. A traceback keeps the frames of all
    callers alive, and with them their variables: buffers, ends and OpenSSL objects. If these refer
    to the error, they stay in memory until a full garbage collection.
    """
    link: BaseException | None = error
    while link:
        link.__traceback__ = link.__context__ = None
        link = link.__cause__
    return error


def reason(error: OSError) -> str:
    """The system's text for `error`, as part of a sentence: without its number or a capital."""
    text = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return text[:1].lower() + text[1:]


def too_many_files(error: BaseException | None) -> SockkitError | None:
    """The error to report if `error`, perhaps of an import, means that too many files are open."""
    met = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
    # If an extension module could not be loaded, only the error's text says why.
    if met or (isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error)):
        return SockkitError("too many open files", "raise the limit with ulimit -n")
    return None
