"""Measures views: the hex dump compared with its rivals, and JSON lines of short messages.

A thread here sends with sendfile, which costs almost no processor time. The warm-up reads a smaller
view back and compares every byte. Datagrams are sent as fast as sockkit can, far faster than lines
of text can be written: those that the kernel drops are counted, and the rate is that of those
shown. Each row is there twice: by the clock, and in processor time, which a busy machine affects
less.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.process import HERE, LIMIT, Pipeline, RunError, find, finish, free_port
from benchmarks.served import rate
from benchmarks.table import Goal, Row, Samples, in_turn, mebibytes, size_name
from benchmarks.transfer import data

CHECKED = 16 << 20  # bytes at most that a warm-up shows and compares
MESSAGE = 64  # bytes of each message that becomes a JSON line
NOWHERE = Path("/dev/null")
BURST = 20_000  # datagrams that fit into the socket's buffer, so that a warm-up loses none
LEAST_RATE = 100_000  # JSON lines a second
PACE_SECONDS = 5  # of datagrams at that rate
MOST_LOST = 0.05  # of them
UDP_SEGMENT = 103  # linux/udp.h: Python has no name for it
MOST_MEMORY = 40 << 20  # resident bytes of a view

Timed = tuple[float, float]  # by the clock, and in processor time


def _both(row: Row, contestants: Mapping[str, Callable[[bool], Timed]], runs: int) -> list[Row]:
    """The row by the clock, and the same in processor time, which has no goal."""
    spent: dict[str, Samples] = {name: [] for name in contestants}

    def contestant(name: str) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            spent[name] += [] if warm_up else [None]  # if the run fails, its place stays empty
            took, processor = contestants[name](warm_up)
            if not warm_up:
                spent[name][-1] = processor
            return took

        return run

    in_turn(row, {name: contestant(name) for name in contestants}, runs)
    goals = [Goal(goal.peer) for goal in row.goals]
    what = "the same in processor time"
    return [row, replace(row, what=what, goals=goals, slowest=None, samples=spent, failures=[])]


def _timed(command: list[str], target: Path, *, watch: bool = False) -> tuple[Timed, float]:
    """The time of a command with its stdout in a file, and with `watch` its peak memory."""
    start, before = time.perf_counter(), _processor()
    with Pipeline([command], target=target) as pipeline:
        peak = finish(pipeline, watch=watch)
    return (time.perf_counter() - start, _processor() - before), peak


def _processor() -> float:
    """Processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def sending(source: Path) -> Iterator[int]:
    """Run a peer in a thread that sends the file to the first client. Yields its port."""
    with socket.create_server((HERE, 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):  # its status shows that it failed
                sock, _ = listener.accept()
                with sock, source.open("rb") as file:
                    sock.sendfile(file)
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            thread.join(LIMIT)


def _shown(
    source: Path, view: str, read: Callable[[Path], bytes], warm_up: bool
) -> tuple[Timed, float]:
    """The time and the peak memory of `tcp-client` with a view of all bytes of `source`."""
    if warm_up:
        source = data(source.parent, min(source.stat().st_size, CHECKED))
    target = source.with_name("view") if warm_up else NOWHERE
    with sending(source) as port:
        command = [str(find("sockkit")), "tcp-client", "-q", *view.split(), HERE, str(port)]
        timed, peak = _timed(command, target, watch=True)
    if warm_up and read(target) != source.read_bytes():
        raise RunError(f"{view} does not show what was sent")
    return timed, peak


def _each(timed: Timed, number: int) -> Timed:
    return timed[0] / number, timed[1] / number


def _dumped(dump: Path) -> bytes:
    """The received bytes, read from the hexadecimal columns of a dump."""
    lines = dump.read_bytes().splitlines()
    return bytes.fromhex("".join(line[12:60].decode() for line in lines if line[:1] == b"<"))


def _messages(lines: Path) -> bytes:
    """The received bytes, read from JSON lines. Each line must be a message as it was sent."""
    events = [json.loads(line) for line in lines.read_bytes().splitlines()]
    messages = [event for event in events if event["event"] == "message"]
    if any(event["size"] != MESSAGE for event in messages):
        raise RunError("a message was cut or joined with another")
    return b"".join(_bytes(event) for event in messages)


def _bytes(event: dict[str, str]) -> bytes:
    return event["text"].encode() if "text" in event else base64.b64decode(event["base64"])


def hex_rows(folder: Path, size: int, runs: int) -> list[Row]:
    """`tcp-client -x`, `xxd` and `hexdump -C`, all to /dev/null; and the memory of the first."""
    source, small = data(folder, size), data(folder, min(size, CHECKED))

    def ours(warm_up: bool) -> Timed:
        return _each(_shown(source, "-x", _dumped, warm_up)[0], size)

    def rival(command: str, file: Path) -> Callable[[bool], Timed]:
        def run(warm_up: bool) -> Timed:
            file_now = small if warm_up else file
            timed, _ = _timed([*command.split(), str(file_now)], NOWHERE)
            return _each(timed, file_now.stat().st_size)

        return run

    slow = f"hexdump -C of {size_name(small.stat().st_size)}"  # all of it would take a minute
    rivals = {"xxd": rival("xxd", source), slow: rival("hexdump -C", small)}
    there = {name: run for name, run in rivals.items() if find(name.split()[0])}
    what = f"socket to a hex dump on /dev/null (`tcp-client -x`), {size_name(size)}"
    row = Row("hex", what, _speed, [Goal("xxd", 2), Goal(slow, 10)])
    return [*_both(row, {"sockkit": ours, **there}, runs), _memory_row(folder, size, runs)]


def _memory_row(folder: Path, size: int, runs: int) -> Row:
    def peak(size: int) -> Callable[[bool], float]:
        return lambda warm_up: _shown(data(folder, size), "-x", _dumped, warm_up)[1]

    quarter = f"sockkit with {size_name(size // 4)}"
    what = f"peak memory of the hex dump, {size_name(size)}"
    goals = [Goal(quarter, 1.1, at_most=True)]
    row = Row("hex", what, mebibytes, goals, ceiling=MOST_MEMORY)
    return in_turn(row, {"sockkit": peak(size), quarter: peak(size // 4)}, runs)


def _speed(seconds: float) -> str:
    return f"{1 / seconds / 2**20:,.1f} MiB/s"


def json_rows(folder: Path, messages: int, runs: int) -> list[Row]:
    return [*_stream_rows(folder, messages, runs), *_datagram_rows(folder, messages, runs)]


def _stream_rows(folder: Path, messages: int, runs: int) -> list[Row]:
    source = data(folder, messages * MESSAGE)
    view = f"--json --frame fixed:{MESSAGE}"

    def run(warm_up: bool) -> Timed:
        return _each(_shown(source, view, _messages, warm_up)[0], messages)

    what = f"`tcp-client {view}` to /dev/null, {messages:,} messages"
    return _both(Row("json", what, rate, [], slowest=1 / LEAST_RATE), {"sockkit": run}, runs)


def _datagram_rows(folder: Path, messages: int, runs: int) -> list[Row]:
    """The time from the start of the sender until all received datagrams are shown and counted."""
    source, few = data(folder, messages * MESSAGE), data(folder, BURST * MESSAGE)
    paced = data(folder, min(messages, LEAST_RATE * PACE_SECONDS) * MESSAGE)
    lost: dict[str, list[float | None]] = {"in bulk": [], "paced": []}

    def run(warm_up: bool) -> Timed:
        if warm_up:
            return _datagrams(few, folder / "view", _in_bulk, compare=True)
        timed = _datagrams(source, folder / "counted", _in_bulk, compare=False)
        shown = int((folder / "counted").read_text())
        lost["in bulk"].append(max(1 - shown / messages, 1e-9))
        _datagrams(paced, folder / "counted", _at_a_pace, compare=False)
        shown_paced = int((folder / "counted").read_text())
        lost["paced"].append(max(1 - shown_paced * MESSAGE / paced.stat().st_size, 1e-9))
        return _each(timed, shown)

    what = f"`udp-server --json`, {messages:,} datagrams of {MESSAGE} bytes sent in bulk: shown"
    row = Row("json", what, rate, [], slowest=1 / LEAST_RATE)
    losses = Row("json", "lost on the way", "{:.1%}".format, [])
    losses.samples = {"sockkit": lost["in bulk"]}
    what = f"lost on the way, sent at {LEAST_RATE:,} a second"
    few_lost = Row("json", what, "{:.1%}".format, [], ceiling=MOST_LOST)
    few_lost.samples = {"sockkit": lost["paced"]}
    return [*_both(row, {"sockkit": run}, runs), losses, few_lost]


def _datagrams(
    source: Path, target: Path, send: Callable[[Path, int], None], *, compare: bool
) -> Timed:
    """The time to send the file as datagrams and show them; they are counted, or compared with it.

    The processor time is that of the server only.
    """
    port = free_port()
    server = [str(find("sockkit")), "udp-server", "-q", "--json", "-p", str(port)]
    counter = [] if compare else [["grep", "-cF", '"event":"message"']]
    with Pipeline([server, *counter], target=target, may_fail=True) as receiver:
        receiver.wait_until(lambda: _waiting(port) is not None)
        start = time.perf_counter()
        send(source, port)
        receiver.wait_until(lambda: _waiting(port) == 0)
        processor = _used(receiver.processes[0].pid)
        receiver.processes[0].terminate()  # it first writes all that it has received
        finish(receiver)
        took = time.perf_counter() - start
    if compare and _messages(target) != source.read_bytes():
        raise RunError("--json does not show the datagrams that were sent")
    return took, processor


def _in_bulk(source: Path, port: int) -> None:
    send = [str(find("sockkit")), "udp-client", "-q", "--linger", "0"]
    with Pipeline([[*send, "--buffer-size", str(MESSAGE), HERE, str(port)]], source) as sender:
        finish(sender)


def _at_a_pace(source: Path, port: int) -> None:
    """Send the datagrams that are due, a thousand times a second. The kernel splits each piece."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, source.open("rb") as file:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, MESSAGE)
        sock.connect((HERE, port))
        begin, piece = time.perf_counter(), LEAST_RATE // 1000 * MESSAGE
        while block := file.read(piece):
            sock.send(block)
            due = begin + file.tell() / MESSAGE / LEAST_RATE
            time.sleep(max(0, due - time.perf_counter()))


def _used(pid: int) -> float:
    """Processor seconds of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _waiting(port: int) -> int | None:
    """The bytes in the receive queue of the UDP socket on `port`; None without such a socket."""
    table = Path("/proc/net/udp").read_text()
    found = re.search(rf":{port:04X} \S+ \S+ \w+:(\w+)", table)
    return int(found[1], 16) if found else None
