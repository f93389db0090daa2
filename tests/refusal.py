"""Command lines that the installed program refuses before it opens anything.

A hundred of them are tested, and most of their time would go into starting the interpreter. So one
process loads the installed program, and runs each command line in a fork of its own.
What depends on how the program starts, and all that moves data, is tested with tests.support.run.
"""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys

from tests.support import WAIT

# Each line it reads is a list of arguments. It answers with the status, stdout and stderr.
FORK = """
import importlib, json, os, signal, sys, tempfile
if os.fork():
    os._exit(0)  # no test has a child that it did not start
from sockkit.cli.commands import COMMANDS
from sockkit.cli.main import main
for module, _ in COMMANDS.values():
    importlib.import_module(module)
while line := sys.stdin.buffer.raw.readline():
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if not (child := os.fork()):
            for file, number in ((os.open(os.devnull, os.O_RDONLY), 0), (out.fileno(), 1),
                                 (err.fileno(), 2)):
                os.dup2(file, number)
            signal.alarm(20)  # one that is not refused would serve for ever
            sys.argv[1:] = json.loads(line)
            main()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
    os.write(1, json.dumps([status, *texts]).encode() + b"\\n")
"""


@functools.cache
def _forker() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", FORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.wait(WAIT)
    atexit.register(process.communicate)  # the end of its input ends it
    return process


def refusal(*arguments: str) -> tuple[int, bytes, str]:
    """The status, stdout and stderr of `sockkit ARGUMENTS`, as of tests.support.run."""
    forker = _forker()
    assert forker.stdin
    assert forker.stdout
    forker.stdin.write(json.dumps(arguments).encode() + b"\n")
    forker.stdin.flush()
    status, out, err = json.loads(forker.stdout.readline())
    for fault in ("Traceback", "Exception ignored", "bug in sockkit"):
        assert fault not in err, err
    return status, out.encode("utf-8", "surrogateescape"), err
