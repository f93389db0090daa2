from __future__ import annotations

import pytest

from sockkit.core.lines import LineSplitter


@pytest.mark.parametrize("size", range(1, 30))
def test_of_a_line_too_long_a_beginning_comes_once(size: int) -> None:
    lines, data = LineSplitter(5), b"ab\n" + b"x" * 20 + b"\n\nnext\n" + b"y" * 6 + b"\nlast"
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    first, long, *rest = [line for piece in pieces for line in lines.feed(piece)]
    assert (first, rest[:2]) == (b"ab", [b"", b"next"])
    assert long == b"x" * max(len(long), 6)
    assert len(long) < 6 + size
    assert [len(line) for line in rest[2:]] == [6]
    assert lines.flush() == [b"last"]
    assert lines.flush() == []
