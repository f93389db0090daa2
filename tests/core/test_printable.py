from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.printable import Printable, aligned, escape, escape_address
from tests.support import splits

DANGEROUS = [*range(0x20), *range(0x7F, 0xA0), *map(ord, "\u061c\u200e\u200f\u2028\u2029")]
DANGEROUS += [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]


def shown(pieces: list[str]) -> str:
    printable = Printable()
    return "".join(map(printable.feed, pieces)) + printable.flush()


@pytest.mark.parametrize("code", DANGEROUS)
def test_what_drives_a_terminal_is_escaped(code: int) -> None:
    line = escape(f"a{chr(code)}b")
    assert line == (f"a\\x{code:02x}b" if code < 0x100 else f"a\\u{code:04x}b")
    assert shown(["a", chr(code), "b"]) == (f"a{chr(code)}b" if chr(code) in "\n\t" else line)


@pytest.mark.parametrize(
    "text", ["", "hello \\x1b", "你好", "é e\u0301", "👩\u200d💻", "\ufffd", "नमस्ते"]
)
def test_text_passes_as_it_is(text: str) -> None:
    assert escape(text) == text
    assert shown(list(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("a\rb", "a\\x0db"),
        ("a\r\r\n\r", "a\\x0d\n\\x0d"),
        ("\x1b[2J\r\n", "\\x1b[2J\n"),
        ("\n\r\n\r", "\n\n\\x0d"),
    ],
)
def test_running_text_in_every_split(text: str, expected: str) -> None:
    for pieces in splits(text):
        assert shown(pieces) == expected


def test_flush_gives_what_is_held_once() -> None:
    printable = Printable()
    assert printable.feed("a\r") == "a"
    assert printable.flush() == "\\x0d"
    assert printable.flush() == ""


@given(st.lists(st.text()))
def test_nothing_that_controls_or_turns_text_comes_out(pieces: list[str]) -> None:
    text = "".join(pieces)
    out = shown(pieces)
    assert out == shown([text])
    for safe in (escape(text), out.replace("\n", "").replace("\t", "")):
        assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in safe)
        assert not any(unicodedata.bidirectional(c)[-1:] in ("E", "O", "I", "F") for c in safe)


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_visible_text_is_not_touched(text: str) -> None:
    assert escape(text) == shown([text]) == text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[fe80::1%eth0]:80", "[fe80::1%eth0]:80"),
        ("unix:/a] [2 unix:/b", "unix:/a\\x5d [2 unix:/b"),
        ("unix:/a]", "unix:/a\\x5d"),
        ("unix:/a]]:\n", "unix:/a\\x5d]:\\x0a"),
    ],
)
def test_no_address_ends_the_label_that_it_stands_in(address: str, shown: str) -> None:
    assert escape_address(address) == shown


def test_two_columns() -> None:
    assert aligned([("/who", "list"), ("/msg NAME", "send")]) == [
        "/who        list",
        "/msg NAME   send",
    ]
