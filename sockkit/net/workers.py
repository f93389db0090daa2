"""Processes that share one work, watched over: one that dies is replaced."""

from __future__ import annotations

import os
import pickle
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from sockkit.errors import SockkitError, UsageError, reason
from sockkit.events import Emit, Event, Failure
from sockkit.net.loop import Loop

# What a terminal sends to a whole group is the supervisor's: its workers end with it.
_SUPERVISORS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_STOPS = (signal.SIGTERM, *_SUPERVISORS)
GROUP_SIGNAL_SECONDS = 0.1  # seconds in which what has ended a worker may end all of us
MAX_EVENT_BYTES = 65_536  # bytes of one event at the most
RESTART_PAUSE_SECONDS = 1.0  # seconds before a worker is replaced that did not live as long


class Workers:
    """`count` processes that each run `work(number, loop, emit)`, numbered from 1.

    What was opened before is theirs too: a listener whose worker has died keeps its clients
    waiting for the next. A worker ends when this process does, however that ends. Events of
    workers are emitted here, so that they are counted together.
    """

    def __init__(
        self, loop: Loop, count: int, work: Callable[[int, Loop, Emit], None], emit: Emit
    ) -> None:
        if not hasattr(os, "pidfd_open"):
            raise UsageError("--workers needs Linux", "leave it out")
        self._loop, self._count, self._work, self._emit = loop, count, work, emit
        self._processes: dict[int, tuple[int, int, float]] = {}  # number: process, pidfd, began
        self._life, self._lifeline = os.pipe()
        self._heard, self._told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._heard.setblocking(False)
        self._told.setblocking(False)

    def run(self) -> None:
        """Until something raises: a signal, or a system without room for the processes."""
        try:
            self._loop.when_readable(self._heard.fileno(), self._hear)
            for number in range(1, self._count + 1):
                try:
                    self._begin(number)
                except OSError as error:
                    raise SockkitError(
                        f"could not begin worker {number}: {reason(error)}"
                    ) from error
            self._loop.run()
        finally:
            os.close(self._lifeline)
            for process, pidfd, _ in self._processes.values():
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)  # also one that was stopped
                os.waitpid(process, 0)
                os.close(pidfd)
            os.close(self._life)
            self._loop.when_readable(self._heard.fileno(), None)
            self._hear()
            self._heard.close()
            self._told.close()

    def _hear(self) -> None:
        """Emit what the workers have told."""
        try:
            while True:
                self._emit(pickle.loads(self._heard.recv(MAX_EVENT_BYTES)))
        except BlockingIOError:
            pass

    def _tell(self, event: Event) -> None:
        """In a worker. It does not wait: what comes too fast, or is too long, is not told."""
        data = pickle.dumps(event)
        try:
            if len(data) <= MAX_EVENT_BYTES:
                self._told.send(data)
        except OSError:
            pass

    def _begin(self, number: int) -> None:
        # A signal between fork and the end of its old handling would be lost on the worker.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            process = os.fork()
            if process == 0:
                self._live(number)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        try:
            pidfd = os.pidfd_open(process)
        except OSError:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise
        self._processes[number] = (process, pidfd, self._loop.now)
        self._loop.when_readable(pidfd, lambda: self._ended(number))

    def _live(self, number: int) -> NoReturn:
        """In the new process: nothing of the old one's is touched, only left."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for supervisors in _SUPERVISORS:
                signal.signal(supervisors, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            os.close(self._lifeline)
            with Loop() as loop:
                loop.when_readable(self._life, lambda: os._exit(0))
                self._work(number, loop, self._tell)
        except Exception as error:
            told = str(error) if isinstance(error, SockkitError) else repr(error)
            self._tell(Failure(f"worker {number}: {told}", "a worker failed"))
        finally:
            os._exit(1)

    def _again(self, number: int) -> None:
        try:
            self._begin(number)
        except OSError as error:
            told = f"could not replace worker {number}: {reason(error)}"
            self._emit(Failure(told, "a worker could not be replaced"))
            self._loop.later(RESTART_PAUSE_SECONDS, lambda: self._again(number))

    def _ended(self, number: int) -> None:
        process, pidfd, began = self._processes.pop(number)
        self._loop.when_readable(pidfd, None)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with {code}"
        text = f"worker {number} (process {process}) {how}: replacing it"
        told = Failure(text, "a worker ended and is replaced")
        pause = (
            RESTART_PAUSE_SECONDS
            if self._loop.now - began < RESTART_PAUSE_SECONDS
            else GROUP_SIGNAL_SECONDS
        )
        # A signal to the whole group ends us, too, and then there is nothing to tell.
        self._loop.later(GROUP_SIGNAL_SECONDS, lambda: self._emit(told))
        self._loop.later(pause, lambda: self._again(number))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
