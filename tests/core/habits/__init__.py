"""What sockkit says about lines that people write; read by the tests of its parts."""

from __future__ import annotations

import shlex
from pathlib import Path

# What a line to paste begins with: sockkit, or what pipes something into it.
_STARTS = ("sockkit ", "printf '", "echo ", "while sleep ", "for i in ")


def examples() -> list[tuple[list[str], str]]:
    """The words of each line, and what is said about it."""
    path = Path(__file__).with_name("examples.txt")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line][1:]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return [(shlex.split(line), told.strip()) for line, told in pairs]


def to_paste(told: str) -> str:
    """The command line that an advice shows; nothing if it shows none."""
    parts = told.split(": ")
    for at in range(1, len(parts)):
        line = ": ".join(parts[at:])
        if line.startswith(_STARTS) and "sockkit " in line:
            return line
    return ""
