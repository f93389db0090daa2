"""Measures one short `sockkit tcp-client` from start to exit: what each call costs a script."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.process import HERE, Pipeline, RunError, find, finish
from benchmarks.table import Goal, Row, in_turn, milliseconds

ANSWER = b"hello\n"
LEAST_RUNS = 30  # a start is short, and its times vary
IMPORTS = "import click, socket, selectors"


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """Run a peer that answers each connection with ANSWER and closes. Yields its port."""
    listener = socket.create_server((HERE, 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # shut down below
            with (
                sock,
                contextlib.suppress(OSError),
            ):  # its status shows that it failed
                sock.sendall(ANSWER)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        listener.close()
        thread.join()


def one_shot(command: list[str], target: Path, expected: bytes, warm_up: bool) -> float:
    """Seconds from start to exit, with stdin /dev/null; the output must be as expected."""
    del warm_up  # it is like any other run
    start = time.perf_counter()
    with Pipeline([command], target=target) as pipeline:
        finish(pipeline)
        took = time.perf_counter() - start
    if (got := target.read_bytes()) != expected:
        raise RunError(f"{command[0]} put out {got!r} and not {expected!r}")
    return took


def startup_row(folder: Path, runs: int) -> Row:
    """Row 5: start to exit, compared with the bare imports on the same Python, and with pwncat."""
    what = f'one-shot `sockkit tcp-client` beside `python -c "{IMPORTS}"`, start to exit'
    goals = [Goal("python", 1.2, at_most=True), Goal("pwncat", 1, at_most=True)]
    row = Row("startup", what, milliseconds, goals)
    target = folder / "answer"
    with answering() as port:
        contestants = {
            name: partial(one_shot, [path, *arguments, HERE, str(port)], target, ANSWER)
            for name, arguments in (("sockkit", ["tcp-client"]), ("pwncat", []))
            if (path := find(name))
        }
        contestants["python"] = partial(one_shot, [sys.executable, "-c", IMPORTS], target, b"")
        return in_turn(row, contestants, max(runs, LEAST_RUNS))
