"""Measures the relay and socat: bulk data, small messages and many connections.

The programs at both ends are the same for all, and do nothing but system calls.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.process import HERE, Pipeline, finish, free_port, listens
from benchmarks.served import SECONDS, load, peak, rate, resident, serving
from benchmarks.table import Goal, Row, in_turn, seconds, size_name
from benchmarks.transfer import data

BEST = "socat -b 1048576"


def commands(port: int, target: int) -> dict[str, list[str]]:
    """The relays, from `port` to `target`."""
    listen = f"TCP4-LISTEN:{port},fork,backlog=1024,reuseaddr,bind={HERE}"
    ends = [listen, f"TCP4:{HERE}:{target}"]
    ours = ["sockkit", "relay", "-q", "-p", str(port), "--backlog", "1024", HERE, str(target)]
    return {"sockkit": ours, "socat": ["socat", *ends], BEST: ["socat", "-b", "1048576", *ends]}


def relay_rows(folder: Path, size: int, runs: int) -> list[Row]:
    return [
        _bulk_row(folder, size, runs),
        _small_row(folder, runs, 100, 64),
        _small_row(folder, runs, 100, 64, "--workers", "2"),
        _memory_row(folder, runs),
    ]


def _bulk_row(folder: Path, size: int, runs: int) -> Row:
    """Send a file to the relay with sendfile(2), and from there to /dev/null with splice(2)."""
    source, limit = data(folder, size), str(folder / "limit")

    def run(name: str, check: bool) -> float:
        port, target = free_port(), free_port()
        receive = [[limit, "receive", str(target)]]
        if check:
            receive.append(["cmp", "-", str(source)])
        with Pipeline(receive) as receiver:
            receiver.wait_until(partial(listens, target))
            with serving(commands(port, target)[name], port):
                began = time.perf_counter()
                with Pipeline([[limit, "send", str(port)]], source) as sender:
                    finish(sender, receiver, watch=False)
                return time.perf_counter() - began

    goals = [Goal("socat", 2.5), Goal(BEST, 1.0)]
    row = Row("relay", f"one connection through the relay, {size_name(size)}", seconds, goals)
    return in_turn(row, {name: partial(run, name) for name in commands(0, 0)}, runs)


def _small_row(folder: Path, runs: int, connections: int, size: int, *options: str) -> Row:
    """Send small messages back and forth through the relay with these `options`."""

    def contestant(name: str) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            with _relaying(folder, name, *options) as (port, _):
                lasts = SECONDS / 4 if warm_up else SECONDS
                return 1 / load(folder, "tcp", port, connections, size, lasts)[0]

        return run

    what = " ".join(("echo through the relay", *options))
    what += f", {connections} connections, messages of {size} bytes"
    row = Row("relay", what, rate, [Goal("socat", 2.0)])
    return in_turn(row, {name: contestant(name) for name in ("sockkit", "socat")}, runs)


def _memory_row(folder: Path, runs: int, many: int = 2000) -> Row:
    def run(warm_up: bool) -> float:
        del warm_up
        with _relaying(folder, "sockkit") as (port, process):
            before = resident(process)
            load(folder, "tcp", port, many, 64, SECONDS)
            return (peak(process) - before) / many

    what = f"memory of the relay's process for each of {many:,} connections"
    row = Row("relay", what, lambda size: f"{size:,.0f} bytes", [], ceiling=8192)
    return in_turn(row, {"sockkit": run}, runs)


@contextlib.contextmanager
def _relaying(folder: Path, name: str, *options: str) -> Iterator[tuple[int, int]]:
    """The port and the process id of a relay to a responder in C. `options` are for ours."""
    port, target = free_port(), free_port()
    command = commands(port, target)[name]
    if name == "sockkit":
        command[2:2] = options
    with (
        serving([str(folder / "limit"), "tcp", str(target)], target),
        serving(command, port) as process,
    ):
        yield port, process.pid
