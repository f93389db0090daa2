"""Shows where two answers differ, as two hex dumps one below the other."""

from __future__ import annotations

from typing import NamedTuple

from sockkit.core.dump_lines import BYTES, dump

AROUND = 2  # lines shown before and after the first that differs
_STEP = 64 * 1024  # compared at once


class Excerpt(NamedTuple):
    """Part of an answer: its first byte has the offset `start`, which begins a line.

    `complete` says that the answer ends with it.
    """

    data: bytes
    start: int = 0
    complete: bool = True


def difference(expected: bytes, got: bytes) -> str | None:
    """Lines that show the first difference; None if there is none."""
    if expected == got:
        return None
    return show_difference(first_difference(expected, got), Excerpt(expected), Excerpt(got))


def show_difference(at: int, expected: Excerpt, got: Excerpt) -> str:
    """Lines that show two answers whose first difference is at the offset `at`.

    They are the offset, the lines of `expected` around it and those of `got`. `!` marks the line
    that differs.
    """
    return (
        f"first difference at byte {at} (offset {at:08x})\n"
        f"expected:\n{_around(expected, at)}got:\n{_around(got, at)}"
    )


def first_difference(one: bytes | bytearray, other: bytes | bytearray) -> int:
    """The offset of the first byte that differs; the shorter size if one begins the other."""
    size = min(len(one), len(other))
    step = 0
    while step < size and one[step : step + _STEP] == other[step : step + _STEP]:
        step += _STEP
    return next((at for at in range(step, size) if one[at] != other[at]), size)


def _around(excerpt: Excerpt, offset: int) -> str:
    data, start, complete = excerpt
    at = offset - start
    line = at // BYTES * BYTES
    begin = max(line - AROUND * BYTES, 0)
    end = line + BYTES
    shown = dump(b" ", start + begin, data[begin:line])
    shown += dump(b"!", start + line, data[line:end])
    shown += dump(b" ", start + end, data[end : end + AROUND * BYTES])
    if complete and len(data) <= end + AROUND * BYTES:
        mark = "!" if at == len(data) else " "
        shown += f"{mark} {start + len(data):08x}  end\n".encode()
    return shown.decode("ascii")
