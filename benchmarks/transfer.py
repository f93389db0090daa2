"""Measures bytes through one loopback connection: the time and the memory.

The clock runs from the start of the sender until both ends have ended by themselves with status 0.
The receiver listens before that. The warm-up of each program goes through `cmp`: a program that
does not deliver every byte unchanged is not measured.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.process import Pipeline, RunError, find, finish, free_port, listens
from benchmarks.table import Goal, Row, in_turn, mebibytes, seconds, size_name
from benchmarks.text import SAMPLE


@dataclass(frozen=True)
class Tool:
    """The command lines of a sender and a receiver; {port} and {ready} are filled in.

    If it `loses`, its receiver fails before all has arrived: only its time is measured.
    """

    name: str
    send: str
    receive: str
    loses: bool = False

    def installed(self) -> bool:
        parts = f"{self.send} | {self.receive}".split("|")
        return all(find(shlex.split(part)[0]) for part in parts)


SOCKKIT = Tool(
    "sockkit",
    "sockkit tcp-client 127.0.0.1 {port}",
    "sockkit tcp-server --once -p {port} --port-file {ready}",
)
NC = Tool("nc", "nc -N 127.0.0.1 {port}", "nc -l 127.0.0.1 {port}")
NCAT = Tool("ncat", "ncat --send-only 127.0.0.1 {port}", "ncat -l --recv-only 127.0.0.1 {port}")
SOCAT = Tool(
    "socat",
    "socat -u -b 1048576 STDIN TCP4:127.0.0.1:{port}",
    "socat -u -b 1048576 TCP4-LISTEN:{port},bind=127.0.0.1 STDOUT",
)
SOCKKIT_GBK = Tool("sockkit", f"{SOCKKIT.send} -E gbk", f"{SOCKKIT.receive} -E gbk")
NC_ICONV = Tool(
    "nc + iconv",
    f"iconv -f utf-8 -t gbk | {NC.send}",
    f"{NC.receive} | iconv -f gbk -t utf-8",
)


@dataclass(frozen=True)
class Transfer:
    """One file through one connection; `piped` puts `cat` before it and a counter after it."""

    source: Path
    piped: bool = False

    def seconds(self, tool: Tool, warm_up: bool) -> float:
        return self._run(tool, warm_up, watch=False)[0]

    def peak(self, tool: Tool, warm_up: bool) -> float:
        """Peak resident bytes of the larger of sockkit's two ends."""
        return self._run(tool, warm_up, watch=True)[1]

    def _run(self, tool: Tool, check: bool, watch: bool) -> tuple[float, float]:
        port, ready = free_port(), self.source.with_name("port")
        ready.unlink(missing_ok=True)
        listening = ready.exists if "{ready}" in tool.receive else partial(listens, port)
        send, receive = (_commands(text, port, ready) for text in (tool.send, tool.receive))
        if check and not tool.loses:
            receive.append(["cmp", "-", str(self.source)])
        elif self.piped:
            receive.append(["dd", "bs=128K", "of=/dev/null"])  # like cat > /dev/null, but it counts
        if self.piped:
            send.insert(0, ["cat", str(self.source)])
        with Pipeline(receive, may_fail=tool.loses) as receiver:
            receiver.wait_until(listening)
            start = time.perf_counter()
            with Pipeline(send, os.devnull if self.piped else self.source) as sender:
                peak = finish(sender, receiver, watch=watch)
            took = time.perf_counter() - start
            counted = f"^{self.source.stat().st_size} bytes"
            if self.piped and not check and not re.search(counted, receiver.talk(), re.MULTILINE):
                raise RunError(f"not {counted[1:]}: {receiver.talk()}")
        return took, peak


def _commands(text: str, port: int, ready: Path) -> list[list[str]]:
    words = [shlex.split(part) for part in text.split("|")]
    return [
        [find(first) or first, *(word.format(port=port, ready=ready) for word in rest)]
        for first, *rest in words
    ]


def _file(path: Path, block: bytes, blocks: int) -> Path:
    """A file of equal blocks. It is made once, and is in the page cache and on disk."""
    if not path.exists():
        with path.open("wb") as file:
            for _ in range(blocks):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())  # so that it is not written while we measure
    return path


def data(folder: Path, size: int) -> Path:
    block = 1_000_003  # not a power of two, so pieces in the wrong order differ
    path = _file(folder / f"data-{size}", os.urandom(block), -(-size // block))
    os.truncate(path, size)
    return path


def compare(row: Row, transfer: Transfer, tools: list[Tool], runs: int) -> Row:
    contestants = {tool.name: partial(transfer.seconds, tool) for tool in tools if tool.installed()}
    return in_turn(row, contestants, runs)


def file_row(folder: Path, size: int, runs: int) -> Row:
    """Row 1: a file to a socket to /dev/null, as with `< file` and `> /dev/null`.

    C is the limit: nothing but the kernel calls that sockkit makes too.
    """
    what = f"file to socket to /dev/null, {size_name(size)}"
    limit = folder / "limit"
    bare = Tool("C", f"{limit} send {{port}}", f"{limit} receive {{port}}")
    goals = [Goal(bare.name, 0.8), Goal("nc", 3.5), Goal("ncat", 7), Goal("socat", 2)]
    row, tools = Row("file", what, seconds, goals), [SOCKKIT, bare, NC, NCAT, SOCAT]
    return compare(row, Transfer(data(folder, size)), tools, runs)


def pipe_row(folder: Path, size: int, runs: int) -> Row:
    """Row 2: the same with `cat file |` before and a counting `| dd of=/dev/null` after it."""
    what = f"pipe to socket to pipe, {size_name(size)}"
    row = Row("pipe", what, seconds, [Goal("nc", 1.5), Goal("ncat", 2.5)])
    return compare(row, Transfer(data(folder, size), piped=True), [SOCKKIT, NC, NCAT], runs)


def text_row(folder: Path, size: int, runs: int) -> Row:
    """Row 3: UTF-8 text in, GBK on the wire, UTF-8 out to /dev/null."""
    block = SAMPLE.encode()
    source = _file(folder / "text", block, max(1, size // len(block)))
    what = f"file to socket to /dev/null with `-E gbk`, {size_name(size)} of Chinese prose"
    row = Row("text", what, seconds, [Goal("nc + iconv", 0.5)])
    return compare(row, Transfer(source), [SOCKKIT_GBK, NC_ICONV], runs)


def memory_row(folder: Path, size: int, runs: int) -> Row:
    """Row 4: the peak memory of either end of sockkit in rows 1 and 2, and with a quarter of the
    size.
    """

    def peak(size: int, warm_up: bool) -> float:
        source = data(folder, size)
        return max(Transfer(source, piped).peak(SOCKKIT, warm_up) for piped in (False, True))

    quarter = f"sockkit with {size_name(size // 4)}"
    what = f"peak memory of the larger end in the rows file and pipe, {size_name(size)}"
    row = Row("memory", what, mebibytes, [Goal(quarter, 1.1, at_most=True)], ceiling=40 * 2**20)
    return in_turn(row, {"sockkit": partial(peak, size), quarter: partial(peak, size // 4)}, runs)
