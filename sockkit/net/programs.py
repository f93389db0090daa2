"""Programs that we start: each leads a process group of its own, which ends as a whole.

A group ends when its leader exits, or when it is told to. It gets SIGTERM, and SIGKILL after
END_SECONDS. The leader's id cannot be used again before it is reaped, and the group's not before
its last member is gone. So the group is signalled first, then the leader is reaped, then the group
is looked at until nobody is left in it.

Each is moved to a new session, setsid(2): a terminal of ours neither signals it nor stops it. None
of its signals is blocked; SIGPIPE and SIGCHLD have their default actions, the latter by
cli/stopping.py.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sockkit.core.programs import program_environment
from sockkit.errors import SockkitError, UsageError, reason
from sockkit.net.context import Context
from sockkit.net.loop import Loop, Timer

END_SECONDS = 2.0  # between SIGTERM and SIGKILL
QUIT_SECONDS = 0.5  # the same, when sockkit itself ends
KILLED_SECONDS = 0.2  # for which the killed are waited for then
CHECK_SECONDS = 0.02  # between two looks at a group that is to end
UNTOLD_CHECK_SECONDS = 0.1  # between two looks at a program whose exit nothing tells of
QUIT_CHECK_SECONDS = 0.005  # between two looks while sockkit itself ends


class Program:
    """A program that runs, with its process group. Made by `Programs.start`.

    `code` is its exit code once it has exited, or -n if signal n has killed it.
    """

    def __init__(
        self,
        loop: Loop,
        process: subprocess.Popen[bytes],
        on_exit: Callable[[Program], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._loop, self._process = loop, process
        self._on_exit, self._on_gone = on_exit, [on_gone]
        self._kill_at: float | None = None  # once its group is to end
        self._timer: Timer | None = None
        self._is_gone = False
        self.code: int | None = None
        self._pidfd = _open_pidfd(process.pid)
        if self._pidfd is None:
            self._look_later()
        else:
            loop.when_readable(self._pidfd, self.end)

    @property
    def number(self) -> int:
        """The id of its process, and of its group."""
        return self._process.pid

    def end(self) -> None:
        """End it and its group. Returns at once; may be called again."""
        self._terminate()
        self.look()

    def look(self, *, kill: bool = False) -> None:
        """Reap it if it has exited, and kill the group if that is due, or to be done now."""
        if self._is_gone:  # its number may be another's by now
            return
        if self.code is None:
            self._reap()
        if self.code is not None and not _group_exists(self.number):
            self._gone()
        elif kill or (self._kill_at is not None and self._loop.now >= self._kill_at):
            _signal(self.number, signal.SIGKILL)
            if self.code is None:
                self._look_later()
            else:
                self._gone()
        else:
            self._look_later()

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` once nothing is left of its group, or at once if that is so."""
        if self._is_gone:
            callback()
        else:
            self._on_gone.append(callback)

    def forget(self) -> None:
        """Tell nobody of its end."""
        self._on_exit = lambda _: None
        del self._on_gone[1:]

    def _terminate(self) -> None:
        if self._kill_at is None:
            self._kill_at = self._loop.now + END_SECONDS
            _signal(self.number, signal.SIGTERM)

    def _reap(self) -> None:
        if (code := self._process.poll()) is None:
            return
        self.code = code
        if self._pidfd is not None:
            self._loop.when_readable(self._pidfd, None)
            os.close(self._pidfd)
            self._pidfd = None
        self._terminate()  # the group that it leaves behind
        self._loop.call_soon(lambda: self._on_exit(self))

    def _gone(self) -> None:
        self._is_gone = True
        if self._timer:
            self._timer.cancel()
        for tell in self._on_gone:
            tell()

    def _look_later(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._kill_at is not None:
            self._timer = self._loop.later(CHECK_SECONDS, self.look)
        elif self._pidfd is None:
            self._timer = self._loop.later(UNTOLD_CHECK_SECONDS, self.look)


class Programs:
    """The programs that a run starts, all of one command. `close` ends them."""

    def __init__(self, context: Context, words: Sequence[str]) -> None:
        """`words` are the program and its arguments. Raises UsageError if it cannot be run."""
        self._loop, self._environment = context.loop, context.environment
        self._words = words
        path = shutil.which(words[0], path=self._environment.get("PATH", os.defpath))
        if path is None:
            raise UsageError(
                f"cannot find or run the program {words[0]!r}",
                "give its path, or a name in PATH",
            )
        self._path = path
        self._running: set[Program] = set()

    def __len__(self) -> int:
        """How many there are, with those whose group has not ended yet."""
        return len(self._running)

    @property
    def name(self) -> str:
        return self._words[0]

    def start(
        self,
        standard_input: int,
        standard_output: int,
        facts: Mapping[str, str],
        on_exit: Callable[[Program], None],
    ) -> Program:
        """Start one on these descriptors, which stay ours to close.

        `facts` become variables of its environment. The loop calls `on_exit` once it has exited.
        Raises SockkitError. Only the main thread may call this, as it sets a signal's action.
        """
        # What is blocked and ignored stays so in a program, and SIGTERM could not end it.
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        ignored = signal.signal(signal.SIGTTOU, signal.SIG_DFL)  # by cli/stopping.py
        try:
            process = subprocess.Popen(
                self._words,
                executable=self._path,
                stdin=standard_input,
                stdout=standard_output,
                env=program_environment(self._environment, **facts),
                start_new_session=True,
            )
        except OSError as error:
            hint = "--shell runs what is no program" if error.errno == errno.ENOEXEC else ""
            told = f"could not start {self.name}: {reason(error)}"
            raise SockkitError(told, hint, kind=told) from error
        finally:
            signal.signal(signal.SIGTTOU, ignored)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        program = Program(self._loop, process, on_exit, lambda: self._running.discard(program))
        self._running.add(program)
        return program

    def close(self) -> None:
        """End all of them, within QUIT_SECONDS and KILLED_SECONDS. Does not run the loop."""
        for program in tuple(self._running):
            program.forget()
            program.end()
        self._wait(QUIT_SECONDS)
        self._wait(KILLED_SECONDS, kill=True)

    def _wait(self, seconds: float, *, kill: bool = False) -> None:
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            for program in tuple(self._running):
                program.look(kill=kill)
            if self._running:
                time.sleep(QUIT_CHECK_SECONDS)


def _open_pidfd(number: int) -> int | None:
    """A descriptor that is readable once the process has exited; None if there can be none."""
    try:
        return os.pidfd_open(number) if hasattr(os, "pidfd_open") else None
    except OSError:
        return None


def _signal(group: int, number: int) -> None:
    # Nobody is left, or all of them run as another user.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _group_exists(group: int) -> bool:
    """Whether a group has members, once its leader is reaped."""
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass  # orphans are our children if we are process 1 of a container
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
