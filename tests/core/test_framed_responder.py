from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.frame_spec import parse_frame
from sockkit.core.framed_responder import MAX_FED_BYTES, FramedResponder
from sockkit.core.frames import PIECE_SECONDS
from sockkit.core.responder import (
    MAX_MESSAGE_BYTES,
    EchoResponder,
    Responder,
    RuleResponder,
    UpperResponder,
    parse_rule,
)
from tests.support import splits


class Case:
    """A responder for `spec`, and its clock."""

    def __init__(self, spec: str, *rules: str, regex: bool = False) -> None:
        made = [parse_rule(rule, regex=regex) for rule in rules]
        responder: Responder = RuleResponder(made, "latin-1") if rules else EchoResponder()
        self.now = 1.0
        self.framed = FramedResponder(parse_frame(spec), responder, lambda: self.now)

    def answers(self, pieces: Iterable[bytes]) -> list[bytes]:
        fed = [answer for piece in pieces for answer in self.framed.feed(piece)]
        return [*fed, *self.framed.flush()]


@pytest.mark.parametrize(
    ("spec", "rule", "data", "answers"),
    [
        # The delimiter is not part of the message, and ends the answer.
        ("nul", "PING=PONG", b"PING\0x\0\0PING", [b"PONG\0", b"x\0", b"\0", b"PING"]),
        ("delim:7c7c", "a*=<*>", b"ab||c|||", [b"<*>||", b"c||", b"|"]),
        ("line", "PING=PONG", b"PING\r\nPING\nPING", [b"PONG\r\n", b"PONG\n", b"PONG"]),
        # Otherwise all bytes are the message.
        ("fixed:4", "PING=PONG", b"PINGPINGPIN", [b"PONG", b"PONG", b"PIN"]),
        ("len:1", "\4PING=\2OK", b"\4PING\1x\4PI", [b"\2OK", b"\1x", b"\4PI"]),
        ("start:aa,len:1", "?\1a=yes", b"zz\xaa\1a\xaa\1b", [b"zz", b"yes", b"\xaa\1b"]),
    ],
)
def test_a_frame_is_a_message_in_every_split(
    spec: str, rule: str, data: bytes, answers: list[bytes]
) -> None:
    for pieces in splits(data):
        assert Case(spec, rule).answers(pieces) == answers


def test_what_is_no_ordinary_frame_matches_no_rule() -> None:
    assert Case("start:aa,len:1", "*=never").answers([b"zz", b"\xaa\5a"]) == [b"zz", b"\xaa\5a"]
    longest, longer = b"x" * MAX_MESSAGE_BYTES, b"x" * (MAX_MESSAGE_BYTES + 1)
    assert Case(f"fixed:{len(longest)}", "*=all").answers([longest]) == [b"all"]
    assert Case(f"fixed:{len(longer)}", "*=all").answers([longer]) == [longer]


def test_a_header_can_be_taken_into_the_answer() -> None:
    case = Case("len:2be", r"(?s)^(..)PING$=\1PONG", regex=True)
    assert case.answers([b"\0\4PING\0\4PINK"]) == [b"\0\4PONG", b"\0\4PINK"]


def test_without_rules_a_frame_is_echoed_once_it_is_whole() -> None:
    framed = Case("fixed:3").framed
    assert list(framed.feed(b"ab")) == []
    assert list(framed.feed(b"cdefg")) == [b"abc", b"def"]
    assert list(framed.flush()) == [b"g"]


def test_a_silence_completes_a_message() -> None:
    case = Case("gap:20ms", "ab=yes")
    assert case.framed.due is None
    assert list(case.framed.feed(b"a")) == []
    case.now = 1.01
    assert list(case.framed.feed(b"b")) == []
    assert case.framed.due == 1.01 + 0.02
    assert list(case.framed.expire()) == []
    case.now = 1.04
    assert list(case.framed.expire()) == [b"yes"]
    assert case.framed.due is None


def test_stray_bytes_are_echoed_after_a_silence() -> None:
    case = Case("start:aa,len:1", "*=never")
    assert list(case.framed.feed(b"zz")) == []
    case.now = 1.0 + PIECE_SECONDS
    assert list(case.framed.expire()) == [b"zz"]


def test_capitals_are_made_frame_by_frame() -> None:
    framed = FramedResponder(parse_frame("nul"), UpperResponder("utf-8"), lambda: 0.0)
    assert list(framed.feed("é\0ab\0c".encode())) == ["É\0".encode(), b"AB\0"]


def test_a_datagram_is_answered_as_without_frames() -> None:
    assert Case("nul", "PING=PONG").framed.answer(b"PING\n") == b"PONG\n"


def test_few_frames_are_made_at_once() -> None:
    """Whoever is served meanwhile does not wait for all that one receive has brought."""
    case = Case("fixed:1", "a=b")
    answers = case.framed.feed(b"a" * (3 * MAX_FED_BYTES))
    assert next(answers) == b"b"
    assert case.framed.answer(b"a") == b"b"
    assert len(list(answers)) == 3 * MAX_FED_BYTES - 1


@given(
    st.sampled_from(["line", "nul", "fixed:3", "delim:6162", "len:1", "start:61,len:1", "gap:1"]),
    st.lists(st.binary(max_size=12)),
)
def test_any_bytes_are_echoed_by_rules_that_do_not_match(spec: str, pieces: list[bytes]) -> None:
    assert b"".join(Case(spec).answers(pieces)) == b"".join(pieces)
    assert b"".join(Case(spec, "no such frame=x").answers(pieces)) == b"".join(pieces)
