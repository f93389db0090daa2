from __future__ import annotations

import time

import pytest

from sockkit.core.patterns import compile_pattern
from sockkit.core.replies import MAX_REPLY_BYTES, Reply
from sockkit.errors import SockkitError
from tests.support import splits


def reply(pattern: str | None, data: bytes = b"") -> Reply:
    made = Reply(None if pattern is None else compile_pattern(pattern)[1])
    made.feed(data)
    return made


def test_a_reply_matches_wherever_it_is_cut() -> None:
    for pieces in splits("220 é ready\r\n".encode()):
        made = reply("220 é r")
        for piece in pieces:
            made.feed(piece)
        assert made.matches()


def test_bytes_that_are_no_text_match_too() -> None:
    assert reply("ok$", b"\xff\xfe\x00ok").matches()
    assert not reply("^ok", b"\xff\xfe\x00ok").matches()
    assert reply(None, b"\xff").matches()


def test_how_often_a_reply_is_searched() -> None:
    """Once for each time it doubles: a peer that sends byte by byte costs no more than others."""
    made, searches = reply("no"), 0
    for _ in range(MAX_REPLY_BYTES):
        made.feed(b"x")
        if made.due:
            searches += 1
            assert not made.matches()
    assert searches < 20
    assert made.space == 0
    assert made.due


def test_a_slow_pattern_has_its_time() -> None:
    made = reply("(a|a)*$", b"a" * 5000 + b"b")
    began = time.monotonic()
    with pytest.raises(SockkitError, match=r"took longer than 0.02 s") as raised:
        made.matches()
    assert time.monotonic() - began < 5
    assert raised.value.kind.startswith("no match: ")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "no match: it sent nothing"),
        (b"220 hi\r\n", 'no match: "220 hi\\x0d\\x0a"'),
        (b"\x1b[2J\xff", 'no match: "\\x1b[2J\\xff"'),
        ("你好\u202e".encode(), 'no match: "你好\\u202e"'),
        (b"x" * 1000, f'no match: "{60 * "x"}…"'),
        (b"x" * 60, f'no match: "{60 * "x"}"'),
    ],
)
def test_what_is_told_of_a_reply(data: bytes, kind: str) -> None:
    error = reply("no", data).mismatch("db:1")
    assert error.kind == kind
    assert "db:1" in str(error)
