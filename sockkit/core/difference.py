"""Where two answers differ, as two hex dumps one under the other."""

from __future__ import annotations

from sockkit.core.dump_lines import BYTES, dump

AROUND = 2  # lines shown before and after the first that differs
_STEP = 64 * 1024  # compared at once


def difference(expected: bytes, got: bytes) -> str | None:
    """Lines that show the first difference; None if there is none.

    They are the offset, the lines of `expected` around it and those of `got`. `!` marks the line
    that differs.
    """
    if expected == got:
        return None
    at = _first_difference(expected, got)
    return (
        f"first difference at byte {at} (offset {at:08x})\n"
        f"expected:\n{_around(expected, at)}got:\n{_around(got, at)}"
    )


def _first_difference(one: bytes, other: bytes) -> int:
    size = min(len(one), len(other))
    step = 0
    while step < size and one[step : step + _STEP] == other[step : step + _STEP]:
        step += _STEP
    return next((at for at in range(step, size) if one[at] != other[at]), size)


def _around(data: bytes, at: int) -> str:
    line = at // BYTES * BYTES
    begin = max(line - AROUND * BYTES, 0)
    end = line + BYTES
    shown = dump(b" ", begin, data[begin:line])
    shown += dump(b"!", line, data[line:end])
    shown += dump(b" ", end, data[end : end + AROUND * BYTES])
    if len(data) <= end + AROUND * BYTES:
        mark = "!" if at == len(data) else " "
        shown += f"{mark} {len(data):08x}  end\n".encode()
    return shown.decode("ascii")
