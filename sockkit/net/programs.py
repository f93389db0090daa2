"""Programs that we start. Each leads its own process group, which ends as a whole.

We end a group when its leader exits, or when `end` is called: it gets SIGTERM, and SIGKILL after
END_SECONDS. The system does not reuse the leader's process id before we reap the leader, nor the
group's id before its last member is gone. So we first signal the group, then reap the leader, then
check the group until nobody is left in it.

Each program runs in a new session, setsid(2), so our terminal neither signals it nor stops it. No
signal is blocked in it. SIGPIPE and SIGCHLD have their default actions; for SIGCHLD,
cli/stopping.py sees to that.
"""

from __future__ import annotations

import errno
import os
import shlex
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
KILLED_SECONDS = 0.2  # how long we then wait for killed programs
CHECK_SECONDS = 0.02  # between two checks of a group that must end
UNTOLD_CHECK_SECONDS = 0.1  # between two checks of a program, if there is no pidfd_open(2)
QUIT_CHECK_SECONDS = 0.005  # between two checks while sockkit itself ends


class Program:
    """A running program and its process group. Made by `Programs.start`.

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
        self._asked = False
        self._pidfd = _open_pidfd(process.pid)
        if self._pidfd is None:
            self._look_later()
        else:
            loop.when_readable(self._pidfd, self._end_group)

    @property
    def number(self) -> int:
        """The id of its process and of its group."""
        return self._process.pid

    @property
    def crashed(self) -> bool:
        """Whether a signal has killed it, but not one of ours, nor SIGPIPE."""
        killed = self.code is not None and self.code < 0
        return killed and not self._asked and self.code != -signal.SIGPIPE

    def end(self) -> None:
        """End the program and its group. Returns at once. May be called again."""
        self._asked |= self.code is None
        self._end_group()

    def look(self, *, kill: bool = False) -> None:
        """Reap the program if it has exited. Kill the group if its time is over, or with `kill`."""
        if self._is_gone:  # the system may have reused its id
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
        """Call `callback` once no process of the group is left; at once if none is left now."""
        if self._is_gone:
            callback()
        else:
            self._on_gone.append(callback)

    def forget(self) -> None:
        """Do not call back any more."""
        self._on_exit = lambda _: None
        del self._on_gone[1:]

    def _end_group(self) -> None:
        self._terminate()
        self.look()

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
        self._terminate()  # the rest of its group
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
        """`words` are the program and its arguments. Raises UsageError if it is not found."""
        self._loop, self._environment = context.loop, context.environment
        self._words = words
        path = shutil.which(words[0], path=self._environment.get("PATH", os.defpath))
        if path is None:
            there = "/" in words[0] and os.path.isfile(words[0])
            hint = (
                f"make it executable: chmod +x {shlex.quote(words[0])}"
                if there
                else "check its path, or your PATH"
            )
            raise UsageError(f"could not find or run the program {words[0]!r}", hint)
        self._path = path
        self._running: set[Program] = set()

    def __len__(self) -> int:
        """The number of programs whose group has not ended yet."""
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
        """Start a program on these descriptors. The caller still owns them, and closes them.

        `facts` become environment variables. The loop calls `on_exit` once the program has exited.
        Raises SockkitError. Only the main thread may call this, as it sets a signal's action.
        """
        # A program inherits blocked and ignored signals: a blocked SIGTERM could not end it.
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
            hint = "for a script without #! use --shell" if error.errno == errno.ENOEXEC else ""
            told = f"could not start {self.name}: {reason(error)}"
            raise SockkitError(told, hint, kind=told) from error
        finally:
            signal.signal(signal.SIGTTOU, ignored)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        program = Program(self._loop, process, on_exit, lambda: self._running.discard(program))
        self._running.add(program)
        return program

    def close(self) -> None:
        """End all programs, within QUIT_SECONDS and KILLED_SECONDS. Blocks the loop meanwhile."""
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
    # These errors mean that nobody is left in the group, or that all run as another user.
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
