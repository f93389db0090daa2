"""Measures a program behind a port: bytes to `cat` and back.

The client is the same for all. "direct" is `cat` on the socket itself, as inetd starts it: the
limit. A warm-up compares the bytes that come back. `ncat -e` is left out, as it hangs when both
directions are full.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.process import HERE, Pipeline, find, finish, free_port
from benchmarks.served import serving
from benchmarks.table import Goal, Row, in_turn, seconds, size_name
from benchmarks.transfer import data

_DIRECT = """
import os, socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:
    connection, _ = listener.accept()
    os.dup2(connection.fileno(), 0)
    os.dup2(connection.fileno(), 1)
    os.execvp("cat", ["cat"])
"""


def program_row(folder: Path, size: int, runs: int) -> Row:
    source = data(folder, size)

    def contestant(name: str) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            port = free_port()
            with serving(_servers(port)[name], port):
                client = [str(find("sockkit")), "tcp-client", HERE, str(port)]
                check = [["cmp", "-", str(source)]] if warm_up else []
                start = time.perf_counter()
                with Pipeline([client, *check], source) as pipeline:
                    finish(pipeline)
                return time.perf_counter() - start

        return run

    what = f"there and back through `cat` behind a port, {size_name(size)}"
    goals = [Goal("direct", 0.95), Goal("pipes"), Goal("socat", 1)]
    names = [name for name, command in _servers(0).items() if find(command[0])]
    row = Row("programs", what, seconds, goals)
    return in_turn(row, {name: contestant(name) for name in names}, runs)


def _servers(port: int) -> dict[str, list[str]]:
    sockkit = f"sockkit tcp-server -q -p {port} --exec cat"
    return {
        "sockkit": sockkit.split(),
        "direct": [sys.executable, "-c", _DIRECT, HERE, str(port)],
        "pipes": f"{sockkit} --idle-timeout 60".split(),
        "socat": f"socat TCP4-LISTEN:{port},bind={HERE},fork EXEC:cat".split(),
    }
