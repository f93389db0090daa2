"""A question and its reply, over ends in memory and on a clock that does not wait."""

from __future__ import annotations

from typing import Any

import pytest

from sockkit.core.patterns import compile_pattern
from sockkit.core.replies import MAX_REPLY_BYTES, Question
from sockkit.errors import ReceiveError, SendError, SockkitError, TimedOut
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from sockkit.net.probe.reply import Ask
from tests.net import kit

loop = kit.loop


class Asked:
    def __init__(
        self, loop: Loop, pattern: str, send: bytes = b"", capacity: int = MAX_REPLY_BYTES * 2
    ) -> None:
        self.loop = loop
        self.ours, self.theirs = memory_pair(loop, capacity=capacity)
        self.done: list[Any] = []
        question = Question(send, compile_pattern(pattern)[1])
        self.ask = Ask(loop, self.ours, question, 3.0, self.done.append)

    def settle(self) -> Any:
        kit.settle(self.loop)
        return self.outcome

    @property
    def outcome(self) -> Any:
        """What came of it: None for a match, and `...` for nothing yet."""
        assert len(self.done) <= 1
        return self.done[0] if self.done else ...

    def wait(self, seconds: float) -> Any:
        self.loop.later(seconds, self.loop.stop)
        self.loop.run()
        return self.outcome


def told(outcome: Any, kind: str, status: int) -> None:
    assert isinstance(outcome, SockkitError)
    assert (outcome.kind, outcome.status) == (kind, status)


def read(end: MemoryEnd) -> bytes:
    buffer = memoryview(bytearray(1024))
    return bytes(buffer[: end.read_into(buffer)])


def test_a_banner(loop: Loop) -> None:
    asked = Asked(loop, "^220 .*ready")
    asked.theirs.write(b"220 mail is ")
    assert asked.settle() is ...
    asked.theirs.write(b"ready\r\n")
    assert asked.wait(1) is None
    assert not asked.ours.watched


def test_an_answer_to_what_is_sent(loop: Loop) -> None:
    asked = Asked(loop, "PONG", b"PING\r\n", capacity=4)
    assert asked.settle() is ...
    assert read(asked.theirs) == b"PING"
    asked.settle()
    assert read(asked.theirs) == b"\r\n"
    with pytest.raises(BlockingIOError):
        read(asked.theirs)  # the sending side is open
    asked.theirs.write(b"PONG")
    assert asked.settle() is None


def test_a_reply_that_comes_byte_by_byte(loop: Loop) -> None:
    asked = Asked(loop, "b$")
    for _ in range(50):
        asked.theirs.write(b"a")
        assert asked.settle() is ...
    asked.theirs.write(b"b")
    assert asked.wait(0.1) is None  # once the peer pauses


def test_a_reply_that_does_not_match(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(loop, "200 OK")
    asked.theirs.write(b"HTTP/1.0 404 Not Found\r\n")
    assert asked.wait(0.1) is ...
    kit.skip_time(loop, monkeypatch)
    told(asked.wait(5), 'no match: "HTTP/1.0 404 Not Found\\x0d\\x0a"', 1)


def test_a_reply_that_ends(loop: Loop) -> None:
    asked = Asked(loop, "200 OK")
    asked.theirs.write(b"no")
    asked.theirs.half_close()
    told(asked.settle(), 'no match: "no"', 1)
    asked = Asked(loop, "x")
    asked.theirs.half_close()
    told(asked.settle(), "no match: it sent nothing", 1)


def test_a_reply_that_matches_at_its_end(loop: Loop) -> None:
    """What came after the last search is looked at, however it ends."""
    for end in (MemoryEnd.half_close, MemoryEnd.abort):
        asked = Asked(loop, "b$")
        asked.theirs.write(b"aaaa")
        asked.settle()
        asked.theirs.write(b"b")
        asked.settle()
        end(asked.theirs)
        assert asked.settle() is None


def test_a_peer_that_is_silent(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.skip_time(loop, monkeypatch)
    asked = Asked(loop, "x")
    outcome = asked.wait(5)
    assert isinstance(outcome, TimedOut)
    assert outcome.kind == "no reply"
    assert "within 3 s" in str(outcome)


def test_a_peer_that_resets(loop: Loop) -> None:
    asked = Asked(loop, "x", b"hello")
    asked.theirs.abort()
    assert isinstance(asked.settle(), SendError)
    asked = Asked(loop, "x")
    asked.theirs.abort()
    assert isinstance(asked.settle(), ReceiveError)


def test_a_reply_without_end(loop: Loop) -> None:
    asked = Asked(loop, "no")
    for _ in range(MAX_REPLY_BYTES // 1024):
        asked.theirs.write(b"x" * 1024)
        asked.settle()
    asked.theirs.write(b"no")  # too late
    told(asked.settle(), f'no match: "{60 * "x"}…"', 1)


def test_a_pattern_that_takes_too_long(loop: Loop) -> None:
    asked = Asked(loop, "(a|a)*$")
    asked.theirs.write(b"a" * 5000 + b"b")
    told(asked.settle(), "no match: the pattern took longer than 0.02 s", 1)


def test_cancel(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.skip_time(loop, monkeypatch)
    asked = Asked(loop, "x", b"y")
    asked.ask.cancel()
    asked.theirs.write(b"x")
    assert asked.wait(5) is ...
    assert not asked.ours.watched
