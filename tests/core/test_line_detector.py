"""A detector of a mark; those of GBK and of bytes that are no text are tested beside it."""

from __future__ import annotations

import pytest

from sockkit.core.line_detector import (
    MAX_EXAMINED_BYTES,
    MAX_LINE_BYTES,
    MIN_EXAMINED_BYTES,
    LineDetector,
    is_valid,
)
from tests.support import splits


class Looking:
    """Looks for `!` in lines that have a `?`."""

    def __init__(self) -> None:
        self.looks: list[bytes] = []
        self.found = 0
        self.detector = LineDetector(self._judge, self._tell)

    def _judge(self, line: bytes) -> bool | None:
        if b"?" not in line:
            return None
        self.looks.append(line)
        return b"!" in line

    def _tell(self) -> None:
        self.found += 1

    def feed(self, *pieces: bytes) -> int:
        for piece in pieces:
            self.detector.feed(piece)
        return self.found


def test_it_is_found_once_however_it_is_cut() -> None:
    for pieces in splits(b"one\ntwo? yes!\nthree?!\n"):
        assert Looking().feed(*pieces) == 1


def test_lines_are_looked_at_by_themselves() -> None:
    assert Looking().feed(b"one?\n!\n", b"two!", b"\n?") == 0


def test_the_end_of_a_long_line_is_not_looked_at() -> None:
    long = b"?" + b" " * MAX_LINE_BYTES
    assert Looking().feed(long, b"!") == 0
    assert Looking().feed(long + b"!\n?!") == 1


def test_it_gives_up_after_much() -> None:
    looking = Looking()
    looking.feed(b"?\n" * 100_000)
    assert len(looking.looks) == MAX_EXAMINED_BYTES // MIN_EXAMINED_BYTES
    assert looking.feed(b"?!\n") == 0


def test_what_is_out_of_the_question_costs_nothing() -> None:
    looking = Looking()
    looking.feed(b"line\n" * 2 * MAX_EXAMINED_BYTES)
    assert looking.feed(b"?!\n") == 1


@pytest.mark.parametrize(
    ("data", "encoding", "valid"),
    [(b"\xe4\xbd\xa0\xe5", "utf-8", True), (b"\xe4a", "utf-8", False), (b"\xc4", "gb18030", True)],
)
def test_text_may_end_within_a_character(data: bytes, encoding: str, valid: bool) -> None:
    assert is_valid(data, encoding) is valid
