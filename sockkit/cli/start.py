"""Starts a command: the loop, the signals and the standard streams."""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from sockkit.cli.render import QUIET, Counts, Renderer, complain
from sockkit.cli.status_lines import StatusLines
from sockkit.cli.stopping import Stopping
from sockkit.cli.views import viewed
from sockkit.core.units import show_size
from sockkit.errors import OutputGone, SockkitError, Stopped, UsageError, reason, too_many_files
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Input, Output, Stdio, UnreadInput, open_for
from sockkit.net.loop import Loop
from sockkit.system import termios
from sockkit.term.color import Palette, wanted

T = TypeVar("T")


def start(
    name: str,
    run: Callable[[T, Context], None],
    config: T,
    values: dict[str, Any],
) -> None:
    """Run the command `name` on this process's standard streams. Raises SockkitError.

    If stdin and stdout are a capable terminal and the command has `--no-edit`, lines are edited.
    If the value `typist` is False, the command has no typed input. The value `then` is called after
    a success, when everything is closed and signals kill again.
    """
    if values["quiet"] and values["verbose"]:
        raise UsageError("-q cannot be used with -v", "remove one of them")
    _check_explain(values)
    _check_workers(values)
    _collect_garbage()
    try:
        loop = Loop()
    except OSError as error:
        raise _not_begun(error) from error
    with loop, Stopping(loop) as stopping:
        try:
            _allocate(values.get("buffer_size"))
            _run(name, run, config, loop, stopping, values)
            stopping.release()
            if stopping.number:  # the signal also ended the input, and that came first
                raise Stopped(stopping.number)
        except MemoryError as error:
            raise _too_large(values) from error
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
            raise SockkitError(f"could not start: {error}") from error
        except SockkitError as error:
            raise _outcome(error, stopping, values) from error.__cause__
    if then := values.get("then"):
        then()


def _collect_garbage() -> None:
    """Let Python look for garbage from now on, but not among what was imported.

    Closed connections refer to themselves. With an ordinary threshold for old objects, those of a
    flood keep 5 MiB.
    """
    young, middle, _ = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(young, middle, 1)
    gc.enable()


def _check_explain(values: dict[str, Any]) -> None:
    if values.get("lang") and not values.get("explain"):
        raise UsageError("--lang needs --explain", "add --explain, or remove --lang")
    if values.get("explain") and values["verbose"]:
        raise UsageError("--explain cannot be used with -v", "remove -v")
    if values.get("explain") and values["quiet"]:
        raise UsageError("--explain cannot be used with -q", "remove one of them")


def _check_workers(values: dict[str, Any]) -> None:
    if values.get("workers", 1) == 1:
        return
    for name in ("explain", "hex", "json", "frame", "record", "output"):
        if values.get(name):
            raise UsageError(f"--{name} cannot be used with --workers", "remove one of them")


def _run(
    name: str,
    run: Callable[[T, Context], None],
    config: T,
    loop: Loop,
    stopping: Stopping,
    values: dict[str, Any],
) -> None:
    edits = _edits(values)
    if values.get("progress"):
        from sockkit.cli.progress import check_progress

        check_progress(values, edits=edits)
    output, stdio = _stdio(loop, values, edits=edits)
    colors = dict(values.get("color", ()))
    peers: dict[str, str] = {}  # a peer has one colour on stdout and on stderr
    renderer = Renderer(
        QUIET if values["quiet"] else values["verbose"],
        typist=values.get("typist", True) and stdio.input.terminal and os.isatty(2),
        palette=Palette(wanted(os.isatty(2), os.environ), colors, peers),
        watched=os.isatty(2),
    )
    palette = Palette(wanted(stdio.output.terminal, os.environ), colors, peers)

    def work(stdio: Stdio, status: StatusLines) -> None:
        counts = Counts(loop, status.say)
        try:
            emit = renderer.emitter(status.say, counts.passes)
            context = Context(loop, stdio, emit, palette, os.environ)
            if values.get("progress"):
                context = _showing(context, status)
            drops = _dropping if values.get("send_only") else nullcontext
            with (
                viewed(name, context, values, switchable=edits) as context,
                drops(context) as context,
                _explained(name, context, values, status.say, renderer, counts) as context,
            ):
                run(config, context)
        except OSError as error:  # net/ should have translated it
            fault = AssertionError(f"not told from a fault: {error}")
            raise too_many_files(error) or fault from error
        finally:
            counts.finish()

    if edits:
        from sockkit.cli.edited import run_edited

        run_edited(name, loop, stdio.encoding, work, stopping)
    else:
        _run_plain(stdio, output, loop, work)


def _stdio(loop: Loop, values: dict[str, Any], *, edits: bool) -> tuple[Output, Stdio]:
    """The standard output of the process, and the standard streams with it."""
    try:
        output = Output(loop, 1)
        source = UnreadInput() if values.get("recv_only") else Input(loop, 0) if edits else None
        return output, Stdio(source or _input(loop), output, _encoding())
    except OSError as error:
        raise _not_begun(error) from error


def _edits(values: dict[str, Any]) -> bool:
    """Whether to edit lines: the command supports it, and the terminal is capable."""
    able = not (values.get("no_edit", True) or values.get("recv_only")) and termios is not None
    return able and os.environ.get("TERM") != "dumb" and os.isatty(0) and os.isatty(1)


@contextmanager
def _dropping(context: Context) -> Iterator[Context]:
    """The context of a run that drops received bytes."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError as error:
        raise _not_begun(error) from error
    try:
        output = Output(context.loop, nowhere)
        yield context._replace(stdio=context.stdio._replace(output=output))
    finally:
        os.close(nowhere)


def _explained(
    name: str,
    context: Context,
    values: dict[str, Any],
    say: Callable[[str], None],
    renderer: Renderer,
    counts: Counts,
) -> AbstractContextManager[Context]:
    """The context of a run that is explained, if that was asked for; otherwise the same."""
    if not values.get("explain"):
        return nullcontext(context)
    from sockkit.cli.explain.telling import explained

    return explained(name, context, values, say, renderer, counts.passes)


def _showing(context: Context, status: StatusLines) -> Context:
    """The context of a run that shows its progress."""
    from sockkit.cli.progress_lines import progress_lines
    from sockkit.net.progress import ProgressWatch

    show = progress_lines(status, context.environment)
    return context._replace(progress=lambda moved: ProgressWatch(context, show, moved))


def _run_plain(
    stdio: Stdio, output: Output, loop: Loop, work: Callable[[Stdio, StatusLines], None]
) -> None:
    """Run `work` without line editing."""
    status = StatusLines(Output(loop, 2), stdio.encoding, loop, output if os.isatty(2) else None)
    try:
        work(stdio, status)
    except SockkitError:
        status.end_line()
        raise
    finally:
        status.close()


def _input(loop: Loop) -> Input:
    if _unreadable_device(0):
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
    if not os.isatty(0):
        return Input(loop, 0)
    from sockkit.cli.foreground import TerminalInput

    return TerminalInput(0, loop)


def _unreadable_device(descriptor: int) -> bool:
    """Whether it is a device that cannot be read, as nohup(1) opens in place of a terminal."""
    return stat.S_ISCHR(os.fstat(descriptor).st_mode) and not open_for(descriptor, os.O_RDONLY)


def _outcome(error: SockkitError, stopping: Stopping, values: dict[str, Any]) -> SockkitError:
    """The error that ends the command. After a signal that is Stopped, whatever error the signal
    caused.
    """
    if not stopping.number:
        return error
    if isinstance(error, Stopped):
        error.quiet = values["quiet"]
        return error
    if not isinstance(error, OutputGone):
        complain(str(error))
    stopped = Stopped(stopping.number)
    stopped.quiet = True
    return stopped


def _not_begun(error: OSError) -> SockkitError:
    return too_many_files(error) or SockkitError(f"could not start: {reason(error)}")


def _allocate(size: int | None) -> None:
    """Raise MemoryError now, before any peer connects, if `size` bytes cannot be allocated."""
    if size:
        import mmap

        try:
            mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except OSError as error:
            raise MemoryError from error


def _too_large(values: dict[str, Any]) -> SockkitError:
    if size := values.get("buffer_size"):
        told = f"not enough memory for --buffer-size {show_size(size)}"
        return UsageError(told, "use a smaller one")
    return SockkitError("not enough memory")


def _encoding() -> str:
    """The user's encoding: that in which Python would read standard input."""
    return sys.stdin.encoding if sys.stdin else "utf-8"
