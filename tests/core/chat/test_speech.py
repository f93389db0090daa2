"""That lines are the same all at once and one by one is tested in test_room.py, here."""

from __future__ import annotations

import sys

import pytest

from sockkit.core.chat.speech import _printable, plain, shown
from sockkit.core.printable import escape


def test_what_is_shown_of_a_line() -> None:
    assert shown(b"a\tb \r", "utf-8") == "a b"
    assert shown(b"\x1b[2J\xff", "utf-8") == "\\x1b[2J\\xff"
    assert shown("你好".encode("gbk"), "gbk") == "你好"


def test_nothing_that_is_printable_is_escaped_or_is_white_space() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if _printable(character):
            assert escape(character) == character
            assert character == " " or character.rstrip()


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_plain_lines(encoding: str) -> None:
    texts = ["hi", " 你好", "* a joined", "a/b", "quit", "qq"]
    lines = [text.encode(encoding) for text in texts]
    assert plain(lines, encoding, "q") == texts
    assert plain([lines[0] + b"\r", lines[1]], encoding, "q") == texts[:2]


@pytest.mark.parametrize(
    "odd", ["", " ", "hi ", "/me", "//", "q", "a\tb", "a\rb", "\x1b", "\u2028"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_line_of_another_kind(odd: str, place: int) -> None:
    lines = [b"hi", b"ho"]
    lines.insert(place, odd.encode())
    assert plain(lines, "utf-8", "q") == []
