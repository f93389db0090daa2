from __future__ import annotations

import errno
import gc
import mmap
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sockkit.cli.start import start
from sockkit.cli.status_lines import StatusLines
from sockkit.cli.stopping import STOPS
from sockkit.errors import OutputGone, ReceiveError, SockkitError, Stopped, UsageError
from sockkit.events import Connecting, Failure, Notice, SocketCall
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Output, Stdio
from sockkit.net.loop import Loop
from tests.net import kit

SIGNALS = (*STOPS, signal.SIGALRM, signal.SIGTTOU, signal.SIGCHLD)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """`start` is for a process of its own: give this one's signals back."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def started(run: Any, config: object = None, *, quiet: bool = False, verbose: int = 0) -> None:
    start("test", run, config, {"quiet": quiet, "verbose": verbose, "more": "ignored"})


def test_a_command_gets_what_it_needs() -> None:
    got: list[Any] = []
    started(lambda *arguments: got.extend(arguments), "config")
    config, (loop, stdio, emit, palette, environment, *_) = got
    assert config == "config"
    assert isinstance(loop, Loop)
    assert isinstance(stdio, Stdio)
    assert not stdio.input.terminal
    assert callable(emit)
    assert not palette.on
    assert environment is os.environ


def test_garbage_is_looked_for_while_a_command_runs() -> None:
    """It is not while the program is imported, which sockkit/__main__.py begins."""
    before = gc.get_threshold()
    gc.disable()
    try:
        found: list[object] = []
        started(lambda *_: found.extend((gc.isenabled(), gc.get_threshold())))
        assert found == [True, (*before[:2], 1)]
    finally:
        gc.enable()
        gc.set_threshold(*before)
        gc.unfreeze()


def test_quiet_and_verbose_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"^-q cannot be used with -v"):
        started(lambda *_: None, quiet=True, verbose=1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"lang": "zh"}, "--lang needs --explain: add --explain, or remove --lang"),
        ({"explain": True, "verbose": 1}, "--explain cannot be used with -v: remove -v"),
        ({"explain": True, "quiet": True}, "--explain cannot be used with -q: remove one of them"),
        ({"explain": True, "workers": 2}, "--explain cannot be used with --workers: remove"),
    ],
)
def test_what_explaining_excludes(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}"):
        start("test", lambda *_: None, None, {"quiet": False, "verbose": 0, **values})


def test_a_run_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    def run(config: None, context: Context) -> None:
        context.emit(SocketCall("connect", "127.0.0.1:80"))
        context.emit(Notice("look"))

    values = {"quiet": False, "verbose": 0, "explain": True, "lang": "en", "workers": 1}
    start("test", run, None, values)
    out, err = capfd.readouterr()
    assert out == ""
    assert ">>> s.connect(('127.0.0.1', 80))" in err.splitlines()
    assert err.splitlines()[-1] == "* look"


@pytest.mark.parametrize(
    ("quiet", "verbose", "lines"),
    [
        (True, 0, ["sockkit: lost"]),
        (False, 0, ["sockkit: lost", "* look"]),
        (False, 1, ["sockkit: lost", "* look", "* connecting to x"]),
        (False, 2, ["sockkit: lost", "* look", "* connecting to x", "* bind: x"]),
        (False, 3, ["sockkit: lost", "* look", "* connecting to x", "* bind: x"]),
    ],
)
def test_levels(
    quiet: bool, verbose: int, lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    def run(config: None, context: Context) -> None:
        for event in (Failure("lost"), Notice("look"), Connecting("x"), SocketCall("bind", "x")):
            context.emit(event)

    started(run, quiet=quiet, verbose=verbose)
    out, err = capfd.readouterr()
    assert (out, err.splitlines()) == ("", lines)


def test_text_is_in_the_encoding_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gbk:
        encoding = "gbk"

    got: list[str] = []
    for stream in (Gbk(), None):  # None: it is closed
        monkeypatch.setattr(sys, "stdin", stream)
        started(lambda _, context: got.append(context.stdio.encoding))
    assert got == ["gbk", "utf-8"]


def test_what_comes_after_a_success() -> None:
    """Then nothing is left to clean up: the signals have their default actions."""
    found: list[Any] = []

    def then() -> None:
        found.extend(signal.getsignal(number) for number in STOPS)

    def run(succeeds: bool) -> None:
        if not succeeds:
            raise SockkitError("no")

    values = {"quiet": False, "verbose": 0, "then": then}
    with pytest.raises(SockkitError, match="no"):
        start("test", lambda *_: run(False), None, values)
    assert found == []
    start("test", lambda *_: run(True), None, values)
    assert found == [signal.SIG_DFL] * len(STOPS)


def test_a_signal_at_the_last_moment_counts() -> None:
    """Nothing comes after it."""
    with pytest.raises(Stopped):
        start(
            "test",
            lambda *_: signal.raise_signal(signal.SIGTERM),
            None,
            {"quiet": True, "verbose": 0, "then": lambda: pytest.fail("too late")},
        )


@pytest.mark.parametrize("quiet", [False, True])
def test_a_signal_stops_the_loop(quiet: bool) -> None:
    def run(config: None, context: Context) -> None:
        context.loop.later(5, context.loop.stop)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        context.loop.run()

    with pytest.raises(Stopped) as stopped:
        started(run, quiet=quiet)
    assert stopped.value.status == 143  # the first
    assert stopped.value.quiet == quiet


def test_what_a_signal_brings_about_does_not_hide_it(capsys: pytest.CaptureFixture[str]) -> None:
    """As when whoever read standard output, or the peer, died of the same Ctrl-C."""
    for error in (OutputGone("gone"), ReceiveError("reset")):

        def run(*_: object, error: SockkitError = error) -> None:
            signal.raise_signal(signal.SIGINT)
            raise error

        with pytest.raises(Stopped) as stopped:
            started(run)
        assert (stopped.value.status, stopped.value.quiet) == (130, True)
    assert capsys.readouterr().err == "sockkit: reset\n"


@pytest.mark.parametrize(
    ("size", "kind", "words"),
    [(2000, UsageError, "--buffer-size 2,000 bytes"), (None, SockkitError, "not enough memory")],
)
def test_no_memory_is_told(size: int | None, kind: type[SockkitError], words: str) -> None:
    def run(*_: object) -> None:
        raise MemoryError

    with pytest.raises(SockkitError, match=words) as caught:
        start("test", run, None, {"quiet": False, "verbose": 0, "buffer_size": size})
    assert type(caught.value) is kind


def test_a_buffer_is_looked_for_before_anybody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", full)
    ran: list[object] = []
    with pytest.raises(UsageError, match="--buffer-size 5 bytes"):
        start(
            "test", lambda *_: ran.append(1), None, {"quiet": False, "verbose": 0, "buffer_size": 5}
        )
    assert not ran


def test_what_was_only_counted_is_told_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    def run(config: None, context: Context) -> None:
        for _ in range(9):
            context.emit(Failure("peer 1 is lost", "lost"))

    started(run)
    assert capfd.readouterr().err.splitlines()[4:] == ["sockkit: peer 1 is lost", "* 4 more: lost"]


def test_a_signal_that_comes_with_the_end_counts() -> None:
    with pytest.raises(Stopped) as stopped:
        started(lambda *_: signal.raise_signal(signal.SIGTERM))
    assert stopped.value.status == 143


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As under nohup, or of a background job in a script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    got: list[object] = []
    started(lambda *_: got.append(signal.getsignal(signal.SIGINT)))
    assert got == [signal.SIG_IGN]


def test_without_a_descriptor_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pipe", full)
    with pytest.raises(
        SockkitError, match=r"^too many open files: raise the limit with ulimit -n"
    ) as caught:
        started(lambda *_: None)
    assert caught.value.status == 1


def test_without_a_descriptor_for_what_is_dropped_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit.fail_nth(
        monkeypatch, os, "open", 1, OSError(errno.EMFILE, "Too many open files"),
        only=lambda path, flags: (path, flags) == (os.devnull, os.O_WRONLY),
    )  # fmt: skip
    values = {"quiet": False, "verbose": 0, "send_only": True}
    with pytest.raises(SockkitError, match=r"^too many open files: raise the limit with ulimit -n"):
        start("test", lambda *_: None, None, values)


def test_what_is_dropped_goes_to_a_file_that_is_closed_again() -> None:
    got: list[int] = []

    def run(_: object, context: Context) -> None:
        output = context.stdio.output
        assert isinstance(output, Output)
        assert os.fstat(output.descriptor).st_rdev == os.stat(os.devnull).st_rdev
        got.append(output.descriptor)

    start("test", run, None, {"quiet": False, "verbose": 0, "send_only": True})
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(got[0])


def test_an_error_is_not_said_within_a_line_that_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[StatusLines] = []
    monkeypatch.setattr(StatusLines, "end_line", lambda lines: ended.append(lines))

    def run(*_: object) -> None:
        raise SockkitError("no")

    with pytest.raises(SockkitError):
        started(run)
    assert len(ended) == 1


def test_what_a_command_raises_passes() -> None:
    def run(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        started(run)
