"""Worker processes. This process is their supervisor, and replaces each worker that dies.

A worker ends as a command does after a signal: Stopped is raised in its loop. So it can reset the
connections whose bytes it has not passed on. If the kernel closed them, their peers would see a
regular end.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from sockkit.core.programs import signal_name
from sockkit.errors import SockkitError, Stopped, UsageError, reason
from sockkit.events import Emit, Event, Failure
from sockkit.net.loop import Loop

# Signals that a terminal sends to the whole process group. Workers ignore them: they end with the
# supervisor.
_TERMINAL_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_STOP_SIGNALS = (signal.SIGTERM, *_TERMINAL_SIGNALS)
GROUP_SIGNAL_SECONDS = 0.1  # the signal that ended a worker may reach the supervisor so much later
MAX_EVENT_BYTES = 65_536  # the largest pickled event that a worker sends
RESTART_PAUSE_SECONDS = 1.0  # the pause before we replace a worker that lived less than this
END_SECONDS = 1.0  # for all workers to end; then they are killed


class Workers:
    """`count` processes that each run `work(number, loop, emit)`, numbered from 1.

    Workers inherit the descriptors that were open before. So a listener stays open when its worker
    dies, and its clients wait for the next worker. When this process ends, for any reason, Stopped
    is raised in the loops of its workers. The supervisor emits the events of all workers, so that
    they are counted together. Raises UsageError if the system has no pidfd_open(2).
    """

    def __init__(
        self, loop: Loop, count: int, work: Callable[[int, Loop, Emit], None], emit: Emit
    ) -> None:
        if not hasattr(os, "pidfd_open"):
            raise UsageError("--workers needs Linux", "remove it")
        self._loop, self._count, self._work, self._emit = loop, count, work, emit
        self._processes: dict[
            int, tuple[int, int, float]
        ] = {}  # by number: process id, pidfd, start time
        self._lifeline_out, self._lifeline = os.pipe()
        self._events_in, self._events_out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._events_in.setblocking(False)
        self._events_out.setblocking(False)

    def run(self) -> None:
        """Run until a signal raises Stopped. Raises SockkitError if a worker cannot be started."""
        try:
            self._loop.when_readable(self._events_in.fileno(), self._emit_events)
            for number in range(1, self._count + 1):
                try:
                    self._start(number)
                except OSError as error:
                    raise SockkitError(
                        f"could not start worker {number}: {reason(error)}"
                    ) from error
            self._loop.run()
        finally:
            os.close(self._lifeline)
            late_at = time.monotonic() + END_SECONDS
            for process, pidfd, _ in self._processes.values():
                if not _has_ended(pidfd, late_at):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)  # ends a stopped process, too
                os.waitpid(process, 0)
                os.close(pidfd)
            os.close(self._lifeline_out)
            self._loop.when_readable(self._events_in.fileno(), None)
            self._emit_events()
            self._events_in.close()
            self._events_out.close()

    def _emit_events(self) -> None:
        """Emit the events that the workers have sent."""
        try:
            while True:
                self._emit(pickle.loads(self._events_in.recv(MAX_EVENT_BYTES)))
        except BlockingIOError:
            pass

    def _send_event(self, event: Event) -> None:
        """Runs in a worker. Never blocks: if the socket is full, the event is dropped."""
        data = pickle.dumps(event)
        try:
            if len(data) <= MAX_EVENT_BYTES:
                self._events_out.send(data)
        except OSError:
            pass

    def _start(self, number: int) -> None:
        # Before the worker has reset the signal handlers, it would run ours, and the signal would
        # be lost. So signals are blocked until then.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            process = os.fork()
            if process == 0:
                self._run_worker(number)
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

    def _run_worker(self, number: int) -> NoReturn:
        """Runs in the new process. Never returns to the code of the supervisor."""
        try:
            os.close(self._lifeline)
            with Loop() as loop:
                signal.set_wakeup_fd(loop.alarm, warn_on_full_buffer=False)
                if signal.getsignal(signal.SIGTERM) != signal.SIG_IGN:  # as our parent wanted
                    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon(_stop))
                for ignored in _TERMINAL_SIGNALS:
                    signal.signal(ignored, signal.SIG_IGN)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
                loop.when_readable(self._lifeline_out, _stop)
                self._work(number, loop, self._send_event)
        except Stopped:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        except Exception as error:
            told = repr(error)
            if isinstance(error, SockkitError | OSError):
                told = reason(error) if isinstance(error, OSError) else str(error)
            self._send_event(Failure(f"worker {number}: {told}", "a worker failed"))
        finally:
            os._exit(1)

    def _restart(self, number: int) -> None:
        try:
            self._start(number)
        except OSError as error:
            told = f"could not replace worker {number}: {reason(error)}"
            self._emit(Failure(told, "a worker could not be replaced"))
            self._loop.later(RESTART_PAUSE_SECONDS, lambda: self._restart(number))

    def _ended(self, number: int) -> None:
        process, pidfd, began = self._processes.pop(number)
        self._loop.when_readable(pidfd, None)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"exited with {code}"
        text = f"worker {number} (process {process}) {how}: replacing it"
        told = Failure(text, "a worker ended and is replaced")
        died_early = self._loop.now - began < RESTART_PAUSE_SECONDS
        pause = RESTART_PAUSE_SECONDS if died_early else GROUP_SIGNAL_SECONDS
        # If a signal to the whole process group ended the worker, it ends us before we emit this.
        self._loop.later(GROUP_SIGNAL_SECONDS, lambda: self._emit(told))
        self._loop.later(pause, lambda: self._restart(number))


def _stop() -> None:
    raise Stopped(signal.SIGTERM)


def _has_ended(pidfd: int, late_at: float) -> bool:
    """Wait until the process has ended, at most until `late_at`."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0, 1000 * (late_at - time.monotonic()))))
