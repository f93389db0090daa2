"""Measures sockkit and other programs, and prints one Markdown table.

    python -m benchmarks                          everything: some minutes, 3 GiB of disk
    python -m benchmarks --size 64M --runs 2      a quick look
    python -m benchmarks --only file pipe

It measures the sockkit that is installed for this Python. The exit status is 0 if every run
delivered its bytes, even if targets are missed, otherwise 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine, served
from benchmarks.process import find
from benchmarks.programs import program_row
from benchmarks.relayed import relay_rows
from benchmarks.startup import LEAST_RUNS, startup_row
from benchmarks.table import Row, markdown, size_name
from benchmarks.tls import tls_rows
from benchmarks.transfer import file_row, memory_row, pipe_row, text_row
from benchmarks.views import hex_rows, json_rows

ROWS = ["file", "pipe", "text", "memory", "startup", "tls", "programs", "hex", "json"]
ROWS += ["echo", "held", "relay", "udp", "datagrams", "chat"]


def size(text: str) -> int:
    """Bytes from `1000`, `64k`, `256M` or `2G`."""
    shift = {"k": 10, "m": 20, "g": 30}.get(text[-1:].lower(), 0)
    number = text[:-1] if shift else text
    if not number.isdecimal() or int(number) << shift < 4:  # a quarter of it is also moved
        raise argparse.ArgumentTypeError(f"{text!r} is no size: try 1000, 64M or 2G")
    return int(number) << shift


def count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs")
    return int(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Measure sockkit beside nc, ncat, socat and bare C; print a table in Markdown.",
    )
    add = parser.add_argument
    add("--size", type=size, default=2 << 30, help="bytes to move (default: 2G)")
    add("--text-size", type=size, default=256 << 20, help="bytes of text (default: 256M)")
    add("--runs", type=count, default=5, help="counted rounds (default: 5)")
    add("--only", nargs="+", choices=ROWS, default=ROWS, help="just these rows")
    add("--output", type=Path, metavar="FILE", help="write the table to FILE too")
    return parser.parse_args()


def measure(options: argparse.Namespace, folder: Path) -> list[Row]:
    runs = options.runs
    bench: dict[str, Callable[[], list[Row]]] = {
        "file": lambda: [file_row(folder, options.size, runs)],
        "pipe": lambda: [pipe_row(folder, options.size, runs)],
        "text": lambda: [text_row(folder, options.text_size, runs)],
        "memory": lambda: [memory_row(folder, options.size, runs)],
        "startup": lambda: [startup_row(folder, runs)],
        "tls": lambda: tls_rows(folder, min(options.size, 1 << 30), runs),
        "programs": lambda: [program_row(folder, min(options.size, 1 << 30), runs)],
        "hex": lambda: hex_rows(folder, min(options.size, 256 << 20), runs),
        "json": lambda: json_rows(folder, min(options.size // 64, 1_000_000), runs),
    }
    if served.compiled(folder):
        bench |= {
            "echo": lambda: [
                served.echo_row(folder, runs, 100, 64),
                served.echo_row(folder, runs, 8, 1 << 20),
            ],
            "held": lambda: served.held_rows(folder, runs),
            "relay": lambda: relay_rows(folder, options.size, runs),
            "udp": lambda: [served.udp_row(folder, runs, size) for size in (64, 1400)],
            "datagrams": lambda: served.datagram_rows(folder, runs, 1400 * 1_000_000),
            "chat": lambda: [
                row for members in (10, 60, 1000) for row in served.chat_rows(folder, runs, members)
            ],
        }
    return [row for name in ROWS if name in options.only and name in bench for row in bench[name]()]


def main() -> int:
    if not sys.platform.startswith("linux"):
        print("benchmarks: needs Linux (/proc, pidfd)", file=sys.stderr)
        return 1
    options = arguments()
    if find("sockkit") is None:
        print(f"benchmarks: no sockkit beside {sys.executable}: try make bench", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    head = [
        *machine.describe(),
        f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- sizes: {size_name(options.size)}, text {size_name(options.text_size)}",
        f"- runs: {options.runs}, startup {max(options.runs, LEAST_RUNS)}; in turn, after warm-up",
        "- figures: median (least – most); a ratio is the median of the rounds' ratios",
        "",
    ]
    with tempfile.TemporaryDirectory(prefix="sockkit-benchmarks-") as folder:
        rows = measure(options, Path(folder))
    text = "\n".join([*head, markdown(rows)])
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
