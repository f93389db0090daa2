from __future__ import annotations

import errno
import gc
import signal
import weakref

import pytest

from sockkit import errors
from sockkit.errors import (
    ExitStatus,
    SendError,
    SockkitError,
    Stopped,
    TextError,
    UsageError,
    reason,
    too_many_files,
    without_traceback,
)

STATUS = {
    SockkitError: 1,
    UsageError: 2,
    errors.ResolveError: 6,
    errors.ConnectError: 7,
    errors.Differs: 1,
    errors.OutputError: 23,
    errors.TimedOut: 28,
    errors.HandshakeError: 35,
    errors.BindError: 45,
    errors.SendError: 55,
    errors.ReceiveError: 56,
    errors.TrustError: 60,
    TextError: 65,
    errors.ProxyError: 97,
    errors.CommandError: 127,
    errors.OutputGone: 141,
}


def test_the_numbers_that_scripts_rely_on() -> None:
    numbers = {status.name: int(status) for status in ExitStatus}
    assert numbers == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_RESOLVED": 6,
        "NOT_CONNECTED": 7,
        "NOT_WRITTEN": 23,
        "TIMED_OUT": 28,
        "NOT_AGREED": 35,
        "NOT_BOUND": 45,
        "NOT_SENT": 55,
        "NOT_RECEIVED": 56,
        "NOT_TRUSTED": 60,
        "NOT_TEXT": 65,
        "NOT_PROXIED": 97,
        "NOT_RUN": 126,
        "NOT_FOUND": 127,
        "HUNG_UP": 129,
        "INTERRUPTED": 130,
        "QUIT": 131,
        "OUTPUT_GONE": 141,
        "TERMINATED": 143,
    }


@pytest.mark.parametrize(("kind", "status"), STATUS.items())
def test_each_error_has_its_status(kind: type[SockkitError], status: int) -> None:
    assert kind("x").status == status
    assert issubclass(kind, SockkitError)


def test_the_table_has_every_error() -> None:
    own = {Stopped, errors.ProgramFailed}  # whose status is that of a signal, or of a program
    public = {each for each in SockkitError.__subclasses__() if each.__module__ == errors.__name__}
    assert {*STATUS} | own == {SockkitError, *public}


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGHUP, 129, "hung up"),
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGQUIT, 131, "quit"),
        (signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_signal_has_the_shells_status(number: int, status: int, words: str) -> None:
    stopped = Stopped(number)
    assert (stopped.status, str(stopped)) == (status, words)


@pytest.mark.parametrize(
    ("hint", "so_far", "line"),
    [
        ("", "", "it failed"),
        ("try again", "", "it failed: try again"),
        ("", "sent 1 byte", "it failed (sent 1 byte)"),
        ("try again", "sent 1 byte", "it failed (sent 1 byte): try again"),
    ],
)
def test_a_message_is_one_line(hint: str, so_far: str, line: str) -> None:
    error = SockkitError("it failed", hint)
    error.so_far = so_far
    assert str(error) == line


def test_a_text_error_keeps_what_came_before() -> None:
    error = TextError("no text", "try", b"before")
    assert (str(error), error.before) == ("no text: try", b"before")
    assert TextError("no text").before == b""


def test_a_proxy_may_do_better_next_time() -> None:
    assert errors.ProxyError("x").transient
    error = errors.ProxyError("x", "y", transient=False)
    assert (error.transient, str(error)) == (False, "x: y")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "Own words"), "own words"),
        (OSError(errno.ECONNREFUSED, ""), "connection refused"),
    ],
)
def test_the_reason_has_words_and_neither_number_nor_capital(error: OSError, words: str) -> None:
    assert reason(error) == words


def test_a_reason_without_a_number_still_has_words() -> None:
    assert "timed out" in reason(TimeoutError("timed out"))


def test_of_several_losses_the_first_counts_and_all_are_told() -> None:
    errors.raise_lost((0, "{} sent", SendError), (0, "text", TextError))
    with pytest.raises(TextError, match=r"^lost: 2 in text$"):
        errors.raise_lost((0, "{} sent", SendError), (2, "{} in text", TextError), what="lost: ")
    with pytest.raises(SendError, match=r"^1 sent, text$"):
        errors.raise_lost((1, "{} sent", SendError), (2, "text", TextError))


def test_the_status_of_a_program_is_its_own() -> None:
    assert errors.ProgramFailed(77).status == 77


def test_an_error_without_a_traceback_keeps_its_causes_and_no_frame() -> None:
    def receive(buffer: set[int]) -> None:
        try:
            raise ConnectionResetError(errno.ECONNRESET, "x") from KeyError()
        except OSError as error:
            raise errors.ReceiveError("y") from error

    def fail(buffer: set[int]) -> SockkitError:
        try:
            try:
                raise TimeoutError
            except TimeoutError:
                receive(buffer)
        except SockkitError as error:
            return without_traceback(error)
        raise AssertionError

    buffer = {1}
    freed, error = weakref.ref(buffer), fail(buffer)
    gc.disable()
    try:
        del buffer
        assert freed() is None
    finally:
        gc.enable()
    chain = [error, error.__cause__, error.__cause__ and error.__cause__.__cause__]
    assert [type(link) for link in chain] == [errors.ReceiveError, ConnectionResetError, KeyError]
    assert {link.__traceback__ for link in chain if link} == {None}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENFILE, "Too many open files in system"),
        ImportError("_x.so: cannot open shared object file: Too many open files"),
    ],
    ids=["EMFILE", "ENFILE", "import"],
)
def test_a_limit_of_open_files_is_told(error: Exception) -> None:
    told = too_many_files(error)
    assert told
    assert str(told) == "too many open files: raise the limit with ulimit -n"
    assert told.status == 1


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), ImportError("no x"), None])
def test_other_faults_are_not(error: Exception | None) -> None:
    assert too_many_files(error) is None
