"""What tests/preloaded.py promises: its program is as one that has an interpreter of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.preloaded import Preloaded
from tests.screen import ENTER, Screen, client
from tests.support import SOCKKIT, WAIT

pytestmark = pytest.mark.process
KEPT = {"Umask", "Threads", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs"}


def facts(screen: Screen) -> dict[str, object]:
    """What the system says of a program at rest that may matter to it."""
    own = Path(f"/proc/{screen.process.pid}")
    status = dict(line.split(":\t", 1) for line in (own / "status").read_text().splitlines())
    stat = (own / "stat").read_text().rpartition(")")[2].split()
    files = sorted(os.readlink(file) for file in (own / "fd").iterdir())
    return {
        "name": (own / "comm").read_text(),
        "group, session, the group in the foreground": [stat[n] == str(screen.process.pid)
                                                        for n in (2, 3, 5)],
        "files": [re.sub(r"\d+", "", file) for file in files],
        "limits": (own / "limits").read_text(),
        "folder": os.readlink(own / "cwd"),
        **{name: status[name] for name in KEPT & set(status)},
    }  # fmt: skip


def test_it_is_as_one_that_was_started(tmp_path: Path) -> None:
    found = []
    for command in ((SOCKKIT,), ("env", SOCKKIT)):
        with client(tmp_path, "-v", command=command) as (screen, sock):
            assert isinstance(screen.process, Preloaded) == (command == (SOCKKIT,))
            screen.prompts(">")
            screen.type(f"x{ENTER}")
            assert sock.recv(2) == b"x\n"
            screen.until(lambda lines: lines[-2:] == ["> x", ">"])
            found.append(facts(screen))
    assert found[0] == found[1]


PYTHON = """
import gc, json, os, signal, sys
files = (sys.stdin, sys.stdout, sys.stderr)
print(json.dumps([
    [name for name in sys.modules if name.partition(".")[0] == "sockkit"],
    [[f.fileno(), f.isatty(), f.encoding, f.errors, f.newlines, f.line_buffering] for f in files],
    [sys.flags.utf8_mode, sys.argv, os.getcwd(), dict(os.environ), gc.isenabled()],
    [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
]))
"""


def test_its_interpreter_is_as_a_new_one_without_anything_of_ours(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(PYTHON)
    environment = {**os.environ, "PYTHONUTF8": "1", "OWN": "你"}
    said = []
    for preloaded in (True, False):
        person, child = os.openpty()
        if preloaded:
            process: Preloaded | subprocess.Popen[bytes] = Preloaded(
                [str(script), "a"], child, environment
            )
        else:
            process = subprocess.Popen(
                [sys.executable, str(script), "a"], env=environment,
                stdin=child, stdout=child, stderr=child,
            )  # fmt: skip
        assert process.wait(WAIT) == (1 if preloaded else 0)  # sockkit never comes back from main
        os.close(child)
        with open(person, "rb", buffering=0) as screen:
            said.append(json.loads(screen.read(100_000)))
    assert said[0][0] == []
    assert said[0] == said[1]


def test_its_end_is_told(tmp_path: Path) -> None:
    with client(tmp_path, "--no-edit") as (screen, _):
        assert screen.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            screen.process.wait(0.01)
        screen.process.kill()
        assert screen.process.wait() == screen.process.poll() == -signal.SIGKILL
        screen.process.terminate()  # too late
