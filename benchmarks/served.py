"""Measures servers under load: the responder, datagrams and the chat room.

The load generators and a bare responder in C are compiled into the benchmark's folder; without a C
compiler these rows are left out. The C responder is in the table to show that the load generator is
fast enough: if it were as fast on ours, it would measure itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.process import HERE, RunError, find, free_port
from benchmarks.table import Goal, Row, Samples, in_turn

SECONDS = 2.0  # of load in one run
SOURCES = Path(__file__).parent
LIMIT_NAME = "C"


def compiled(folder: Path) -> bool:
    """Compile the load generator and the limit into `folder`. Returns False without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    for name in ("load", "limit"):
        source = SOURCES / f"{name}.c"
        subprocess.run([compiler, "-O2", "-o", str(folder / name), str(source)], check=True)
    return True


@contextlib.contextmanager
def serving(
    command: list[str], port: int, *, udp: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that listens on `port`. Afterwards it is killed, with all that it forked."""
    path = find(command[0])
    if path is None:
        raise RunError(f"{command[0]} is not installed")
    null = subprocess.DEVNULL
    with subprocess.Popen(
        [path, *command[1:]], stdin=null, stdout=null, stderr=null, start_new_session=True
    ) as process:
        try:
            table = "/proc/net/udp" if udp else "/proc/net/tcp"
            end = time.monotonic() + 20
            while not re.search(rf":{port:04X} ", Path(table).read_text()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RunError(f"{command[0]} does not listen")
                time.sleep(0.01)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)  # its own session


def load(folder: Path, *arguments: object) -> list[float]:
    """The figures that one run of the load generator prints."""
    return figures([str(folder / "load"), *map(str, arguments)])


def figures(command: list[str]) -> list[float]:
    """The figures that `command` prints. Raises RunError."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise RunError(f"load failed: {error.stderr!r}") from error
    return [float(figure) for figure in done.stdout.split()]


def rate(seconds: float) -> str:
    return f"{1 / seconds / 1000:,.1f} k/s"


def echo_commands(folder: Path, port: int, *, udp: bool = False) -> dict[str, list[str]]:
    kind = "udp" if udp else "tcp"
    socat = f"UDP4-RECVFROM:{port},fork" if udp else f"TCP4-LISTEN:{port},fork,backlog=128"
    ncat = ["ncat", "-k", "-l", *(["-u"] if udp else []), HERE, str(port), "-e", "/bin/cat"]
    return {
        "sockkit": ["sockkit", "echo", f"--{kind}", "-q", "-p", str(port), "--backlog", "1024"],
        "socat": ["socat", f"{socat},reuseaddr,bind={HERE}", "PIPE"],
        "ncat": ncat,
        LIMIT_NAME: [str(folder / "limit"), kind, str(port)],
    }


def echo_row(folder: Path, runs: int, connections: int, size: int) -> Row:
    def contestant(name: str) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            port = free_port()
            with serving(echo_commands(folder, port)[name], port):
                seconds = SECONDS / 4 if warm_up else SECONDS
                return 1 / load(folder, "tcp", port, connections, size, seconds)[0]

        return run

    goals = [Goal("socat", 2.0), Goal("ncat", 2.0), Goal(LIMIT_NAME, 0.55)]
    what = f"echo, {connections} connections, messages of {size:,} bytes"
    names = [name for name in echo_commands(folder, 0) if "/" in name or _there(folder, name)]
    return in_turn(Row("echo", what, rate, goals), {name: contestant(name) for name in names}, runs)


def held_rows(folder: Path, runs: int, many: int = 10_000) -> list[Row]:
    """Echo of 64 bytes on `many` connections at once and on 100, and the memory for each."""
    memory: list[float] = []

    def contestant(connections: int) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            del warm_up
            port = free_port()
            with serving(echo_commands(folder, port)["sockkit"], port) as process:
                before = resident(process.pid)
                found = 1 / load(folder, "tcp", port, connections, 64, SECONDS * 2)[0]
                if connections == many:
                    memory.append((peak(process.pid) - before) / many)
                return found

        return run

    what = f"echo, {many:,} connections held and all served, 64 bytes"
    row = Row("held", what, rate, [Goal("sockkit with 100", 0.7)])
    in_turn(row, {"sockkit": contestant(many), "sockkit with 100": contestant(100)}, runs)
    what = "memory of the process for each of them"
    each = Row("held", what, lambda size: f"{size:,.0f} bytes", [], ceiling=4096)
    each.samples = {"sockkit": list(memory[1:])}
    return [row, each]


def udp_row(folder: Path, runs: int, size: int) -> Row:
    def contestant(name: str) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            port = free_port()
            with serving(echo_commands(folder, port, udp=True)[name], port, udp=True):
                seconds = SECONDS / 4 if warm_up else SECONDS
                return 1 / max(load(folder, "udp", port, size, 64, seconds)[0], 1)

        return run

    goals = [Goal("socat", 2.0), Goal(LIMIT_NAME)]
    names = [name for name in ("sockkit", "socat", LIMIT_NAME) if _there(folder, name)]
    what = f"UDP echo, round trips of {size:,} bytes, 64 at once"
    return in_turn(Row("udp", what, rate, goals), {name: contestant(name) for name in names}, runs)


# A program that runs sockkit without the kernel's offloads for datagrams.
SINGLY = (
    "import sockkit.net.udp.datagrams as udp, sockkit.cli.main as program\n"
    "udp._UDP_SEGMENT = udp._UDP_GRO = 9999\n"
    "program.main()\n"
)


def datagram_rows(folder: Path, runs: int, size: int) -> list[Row]:
    """Send a file as datagrams of 1,400 bytes: how many are sent a second, and how many lost."""
    source = folder / "datagrams"
    with open(source, "wb") as file:
        file.truncate(size)
    ours = [str(find("sockkit"))]
    tools = {
        "sockkit": (ours, "/dev/null"),
        "to a file": (ours, str(folder / "received")),
        "one at a time": ([sys.executable, "-c", SINGLY], "/dev/null"),
        "socat": (["socat"], "/dev/null"),
    }
    lost: dict[str, list[float]] = {name: [] for name in tools}

    def contestant(name: str) -> Callable[[bool], float]:
        program, target = tools[name]

        def run(warm_up: bool) -> float:
            port = str(free_port())
            receive = [*program, "udp-server", "-v", "-p", port]
            send = [*program, "udp-client", "-q", "--linger", "0", "--buffer-size", "1400"]
            send += [HERE, port]
            if name == "socat":
                receive = [*program, "-u", "-b", "1400", f"UDP4-RECV:{port},bind={HERE}", "STDOUT"]
                send = [*program, "-u", "-b", "1400", "STDIN", f"UDP4-SENDTO:{HERE}:{port}"]
            log = folder / "received.log"
            receiver = ["sh", "-c", f"exec {shlex.join(receive)} > {target} 2> {log}"]
            with serving(receiver, int(port), udp=True) as process, open(source, "rb") as file:
                began = time.perf_counter()
                subprocess.run(send, stdin=file, check=True, timeout=120)
                took = time.perf_counter() - began
                time.sleep(0.5)  # for the receiver to read its buffer
                process.terminate()
                process.wait(10)
            if not warm_up and name != "socat":
                told = re.search(r"received ([\d,]+) bytes", log.read_text())
                arrived = int(told[1].replace(",", "")) if told else 0
                lost[name].append(max(1 - arrived / size, 1e-9))
            return took / (size / 1400)

        return run

    what = "a file as datagrams of 1,400 bytes to /dev/null, sent (start and end in it)"
    goals = [Goal("socat", 8.0), Goal("one at a time"), Goal("to a file")]
    row = Row("datagrams", what, rate, goals)
    in_turn(row, {name: contestant(name) for name in tools if name != "socat" or find(name)}, runs)
    rows = [row]
    for name in ("sockkit", "one at a time", "to a file"):
        what = "lost on the way" if name == "sockkit" else f"lost on the way, {name}"
        ceiling = 0.05 if name == "sockkit" else None
        losses = Row("datagrams", what, "{:.1%}".format, [], ceiling=ceiling)
        losses.samples = {"sockkit": list(lost[name])}
        rows.append(losses)
    return rows


def chat_rows(folder: Path, runs: int, members: int, lines: int = 1000) -> list[Row]:
    """Deliveries a second, and the time of a single line from its sender to the last reader."""
    delays: dict[str, list[float]] = {}

    def contestant(name: str, stopped: int, members: int = members) -> Callable[[bool], float]:
        def run(warm_up: bool) -> float:
            port = free_port()
            room = {
                "sockkit": ["sockkit", "chat", "serve", "-q", "--flood", "0", "-p", str(port)],
                "ncat": ["ncat", "-l", "--chat", "-m", "100", HERE, str(port)],
            }[name]
            with serving(room, port):
                took, *delay = load(folder, "chat", port, members, lines, 64, stopped)
            if not warm_up and name == "sockkit" and not stopped:
                for what, value in zip(("median", "99th percentile"), delay, strict=True):
                    delays.setdefault(what, []).append(value / 1e6)
            return took / ((members - 1 - stopped) * lines)

        return run

    contestants = {"sockkit": contestant("sockkit", 0)}
    goals = []
    if find("ncat"):  # it allows 100 members
        fits = members < 90
        name = "ncat" if fits else "ncat with 60"
        contestants[name] = contestant("ncat", 0, members if fits else 60)
        goals.append(Goal(name, 0.0 if fits else 1.0))
    stopped = "one of them never reads"
    if members >= 60:
        contestants[stopped] = contestant("sockkit", 1)
    what = f"chat, {members:,} members, one says {lines:,} lines of 64 bytes: deliveries"
    rows = [in_turn(Row("chat", what, rate, goals), contestants, runs)]
    if stopped in contestants:
        samples = rows[0].samples
        both = {"sockkit": samples[stopped], "all read": samples["sockkit"]}
        rows.append(
            Row("chat", f"the same, {stopped}", rate, [Goal("all read", 0.9)], samples=both)
        )
    for which, values in delays.items():
        what = f"a single line from its sender to the last of {members:,}, {which}"
        fine = "{:.2f} ms".format
        taken: Samples = [value * 1e3 for value in values]
        rows.append(Row("chat", what, fine, [], samples={"sockkit": taken}))
    return rows


def _there(folder: Path, name: str) -> bool:
    return name == LIMIT_NAME or find(name) is not None


def resident(process: int) -> int:
    found = re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def peak(process: int) -> int:
    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 if found else 0
