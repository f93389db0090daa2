"""The installed program on a terminal, started without loading its libraries once more.

Of what a program with an edited line costs before its prompt is there, three quarters are the
imports of prompt_toolkit, asyncio and click. So one process imports them, and each program is a
fork of it, which has nothing of sockkit's yet: it runs the installed script from its first line.
What depends on how the interpreter starts needs an interpreter of its own, tests.screen says when.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tests.support import WAIT

# It has a terminal as its standard streams, as programs have, so that Python's files suit them.
# For each request, with a terminal and a pipe, it writes to the pipe the number of the program's
# process, and how that ended. A process for each program waits for that.
LOADER = """
import fcntl, gc, json, os, runpy, socket, sys, termios, traceback
if os.fork():
    os._exit(0)  # no test has a child that it did not start
import sockkit.cli.main, sockkit.term.editor
for name in [name for name in sys.modules if name.partition(".")[0] == "sockkit"]:
    del sys.modules[name]  # only what it imports stays
gc.collect()
gc.freeze()
requests = socket.socket(fileno=int(sys.argv[1]))

def run(request, terminal):
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
    requests.close()
    os.closerange(3, 64)
    with open("/proc/self/comm", "w") as file:
        file.write("sockkit")
    sys.argv[:], folder, environment = json.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    runpy.run_path(sys.argv[0], run_name="__main__")

while True:
    request, descriptors, *_ = socket.recv_fds(requests, 1 << 20, 2)
    if not request:
        break
    terminal, report = descriptors
    if not os.fork():
        if not (child := os.fork()):
            try:
                run(request, terminal)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        os.close(terminal)
        os.write(report, b"%d\\n" % child)
        os.write(report, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    os.close(terminal)
    os.close(report)
    while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
        pass
"""


@functools.cache
def _loader() -> socket.socket:
    """Where requests are sent to. Its end ends the process that answers them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    person, child = os.openpty()
    with theirs:
        subprocess.run(
            [sys.executable, "-P", "-c", LOADER, str(theirs.fileno())],
            stdin=child, stdout=child, stderr=child, pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONUTF8": "1"}, check=True, timeout=WAIT,
        )  # fmt: skip
    os.close(child)
    atexit.register(os.close, person)
    atexit.register(ours.close)
    return ours


class Preloaded:
    """A running program, with those methods of subprocess.Popen that tests of a screen need."""

    def __init__(
        self, command: Sequence[str], terminal: int, environment: Mapping[str, str]
    ) -> None:
        self.args = command
        self.returncode: int | None = None
        report, theirs = os.pipe()
        self._report = os.fdopen(report, "rb", buffering=0)
        request = json.dumps([command, os.getcwd(), dict(environment)]).encode()
        socket.send_fds(_loader(), [request], [terminal, theirs])
        os.close(theirs)
        self.pid = int(self._report.readline())

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._report, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._report.readline())
            self._report.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
