from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.ending import Ending, EndOptions, HalfClose
from sockkit.core.hints import (
    ALERT_BYTES,
    AT_ONCE_SECONDS,
    MAX_GLANCE_BYTES,
    NO_ANSWER,
    TLS_PORT,
    Glance,
    Hints,
    Stream,
    is_http_request,
    is_tls_alert,
)
from sockkit.core.text import Crlf, TextOptions
from sockkit.errors import OutputGone, ReceiveError, SendError, SockkitError, TextError
from sockkit.events import Hint, Notice

START = 100.0
SOON, LATER = START + AT_ONCE_SECONDS / 2, START + AT_ONCE_SECONDS
ALERT = b"\x15\x03\x03\0\2\2\x46"
REQUEST = b"GET /slow?a=b HTTP/1.0\r\nHost: here\r\n\r\n"
CLIENT = Stream(dialled=True, half_close=True)


@pytest.mark.parametrize(
    "data", [REQUEST, b"OPTIONS * HTTP/1.1\n", b"VERSION-CONTROL /x HTTP/1.1\r\n\r\n"]
)
def test_a_request_line(data: bytes) -> None:
    line = data.index(b"\n")
    assert is_http_request(data) is True
    assert is_http_request(data[: line + 1]) is True
    assert {is_http_request(data[:size]) for size in range(line + 1)} == {None}


@pytest.mark.parametrize(
    "data",
    [
        b"hello\n",
        b"get / HTTP/1.0\r\n",
        b"\r\nGET / HTTP/1.0\r\n",
        b" / HTTP/1.0\r\n",
        b"GET /\r\n",
        b"GET  / HTTP/1.0\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.x\r\n",
        b"GET / HTTP/1.10\r\n",
        b"GET / HTTP/1.\r\n",
        b"HELO here\r\nGET / HTTP/1.0\r\n",
        b"\0\1\2",
    ],
)
def test_no_request_line(data: bytes) -> None:
    assert is_http_request(data) is False


@pytest.mark.parametrize("data", [ALERT, b"\x15\x03\0\0\2\1\0", b"\x15\x03\4\0\2\2\xff"])
def test_an_alert(data: bytes) -> None:
    assert is_tls_alert(data) is True
    assert {is_tls_alert(data[:size]) for size in range(ALERT_BYTES)} == {None}
    assert is_tls_alert(data + b"x") is False


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x03\0\2\2\x46",  # a handshake
        b"\x15\x02\x03\0\2\2\x46",
        b"\x15\x03\x05\0\2\2\x46",
        b"\x15\x03\x03\0\3\2\x46",
        b"\x15\x03\x03\1\2\2\x46",
        b"\x15\x03\x03\0\2\0\x46",
        b"\x15\x03\x03\0\2\3\x46",
        b"x",
    ],
)
def test_no_alert(data: bytes) -> None:
    assert is_tls_alert(data) is False


@given(st.binary(max_size=20))
def test_any_bytes_are_judged(data: bytes) -> None:
    assert is_http_request(data) in (True, False, None)
    assert is_tls_alert(data) in (True, False, None)


@given(st.lists(st.integers(0, len(REQUEST)), max_size=5))
def test_a_glance_sees_the_same_however_bytes_are_split(cuts: list[int]) -> None:
    glance, places = Glance(is_http_request), [0, *sorted(cuts), len(REQUEST)]
    pieces = [REQUEST[a:b] for a, b in pairwise(places)]
    assert b"".join(map(glance.feed, pieces)) + glance.flush() == REQUEST
    assert glance.verdict is True


def test_a_glance_is_over_when_it_has_a_verdict() -> None:
    glance = Glance(is_tls_alert)
    glance.feed(ALERT)
    glance.feed(b"more")
    assert glance.verdict is True


def test_a_glance_has_an_end() -> None:
    """Capital letters without a line end might be a method for ever."""
    glance = Glance(is_http_request)
    glance.feed(b"A" * (MAX_GLANCE_BYTES - 1))
    assert glance.verdict is None
    glance.feed(b"AB")
    assert glance.verdict is False


@pytest.mark.parametrize(("after", "seen"), [(False, b"a\n"), (True, b"a\r\n")])
def test_a_glance_looks_at_one_side_of_its_transform(after: bool, seen: bytes) -> None:
    looked: list[bytes] = []
    glance = Glance(looked.append, Crlf(b"\r\n"), after=after)
    assert glance.feed(b"a\n") == b"a\r\n"
    assert looked == [seen]


def test_a_glance_flushes_its_transform() -> None:
    inbound = TextOptions("gbk").inbound("utf-8")
    glance = Glance(is_tls_alert, inbound)
    assert glance.feed(b"\xc4") + glance.flush() == b"\\xc4"


def texts(told: Notice | Hint | None) -> str:
    return told.text if told else ""


class Talk:
    """A stream on which something happens: `s` sent, `r` received, `I` our input ends, `H` we
    half-close.
    """

    def __init__(
        self, script: str = "", stream: Stream = CLIENT, half_close: HalfClose = HalfClose.NOW
    ) -> None:
        self.ending = ending = Ending(EndOptions(half_close=half_close), START)
        self.hints = Hints(stream, ending, START)
        self.sent = self.received = 0
        calls: dict[str, Callable[[float], object]] = {
            "s": ending.sent, "r": ending.received, "I": ending.end_input,
            "H": lambda _: setattr(ending, "half_closed", True),
        }  # fmt: skip
        for letter in script:
            calls[letter](START)
        self.sent, self.received = 10 * script.count("s"), 10 * script.count("r")

    def ends(self, now: float = SOON) -> Talk:
        self.hints.peer_ended(self.sent, self.received, now)
        return self

    def fails(self, error: SockkitError, cause: Exception | None, now: float = SOON) -> Talk:
        error.__cause__ = cause
        self.hints.failed(error, self.received, now)
        return self

    def hint(self, *, request: bool = False, alert: bool = False) -> Notice | Hint | None:
        return self.hints.hint(self.sent, self.received, request=request, alert=alert)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sIH", True),
        ("rsIH", True),  # what came before our last byte is no answer to it
        ("srIH", False),
        ("sIHr", False),
        ("s", False),  # the peer ended first
        ("sI", False),
    ],
)
def test_an_answer_that_does_not_come_after_the_half_close(script: str, told: bool) -> None:
    talk = Talk(script).ends()
    hints = talk.hint(), talk.hint(request=True)
    assert [type(hint) for hint in hints if hint] == ([Hint, Notice] if told else [])
    assert all(texts(hint).startswith(NO_ANSWER) for hint in hints if hint)


def test_who_waited_ten_seconds_for_an_answer_is_told_that_none_came() -> None:
    assert isinstance(Talk("sIH", half_close=HalfClose.AUTO).ends().hint(), Notice)
    assert Talk("sI", half_close=HalfClose.AUTO).ends().hint() is None


def test_a_peer_that_has_not_ended_is_not_wondered_at() -> None:
    assert Talk("sIH").hint(request=True) is None


@pytest.mark.parametrize(
    ("stream", "script", "tls"),
    [
        (CLIENT, "sIH", True),
        (CLIENT, "rsIH", False),  # it speaks no TLS
        (CLIENT._replace(dialled=False), "sIH", False),
        (CLIENT._replace(encrypted=True), "sIH", False),
    ],
)
def test_tls_is_named_where_it_may_be_expected(stream: Stream, script: str, tls: bool) -> None:
    text = texts(Talk(script, stream).ends().hint())
    assert "--half-close never" in text
    assert ("--tls" in text) == tls


def test_an_option_that_the_command_does_not_have_is_not_named() -> None:
    assert Talk("sIH", CLIENT._replace(half_close=False)).ends().hint(request=True) is None


def closed_at_once(talk: Talk) -> bool:
    return "without an answer" in texts(talk.hint())


TYPED = CLIENT._replace(typed=True)


@pytest.mark.parametrize(
    ("stream", "script", "now", "told"),
    [
        (CLIENT, "", SOON, True),
        (CLIENT, "", LATER, False),
        (CLIENT, "r", SOON, False),
        (CLIENT, "s", SOON, False),  # it may have wanted no more
        (CLIENT, "IH", SOON, False),  # it waited for our end
        (CLIENT._replace(dialled=False), "", SOON, False),
        (TYPED, "s", SOON, True),
        (TYPED, "s", LATER, False),
        (TYPED, "rs", SOON, False),
        (TYPED, "sIH", SOON, False),
    ],
)
def test_a_peer_that_closes_at_once(stream: Stream, script: str, now: float, told: bool) -> None:
    assert closed_at_once(Talk(script, stream).ends(now)) == told


def test_a_peer_that_ends_at_once_may_still_listen() -> None:
    talk = Talk().ends()
    talk.sent = 10
    assert not closed_at_once(talk)
    assert closed_at_once(talk.fails(SendError("it failed"), None))


def test_a_peer_that_was_sent_much_has_not_refused_us() -> None:
    talk = Talk("")
    talk.sent = MAX_GLANCE_BYTES + 1
    assert not closed_at_once(talk.fails(SendError("it failed"), RESET))
    talk.sent = MAX_GLANCE_BYTES
    assert closed_at_once(talk)


def test_a_person_who_types_for_long_has_sent_at_last() -> None:
    talk = Talk("", TYPED)
    talk.ending.sent(START + 60)
    assert closed_at_once(talk.ends(START + 60.5))


RESET = ConnectionResetError()


@pytest.mark.parametrize(
    ("script", "error", "cause", "now", "told"),
    [
        ("sIH", ReceiveError("reset"), RESET, SOON, True),
        ("s", SendError("reset"), RESET, SOON, True),
        ("sIH", ReceiveError("reset"), RESET, LATER, False),
        ("sIHr", ReceiveError("reset"), RESET, SOON, False),
        ("s", SendError("the peer has taken nothing"), None, SOON, False),
        ("s", OutputGone(""), BrokenPipeError(), SOON, False),
        ("s", TextError("no text"), UnicodeError(), SOON, False),
    ],
)
def test_a_peer_that_resets_at_once(
    script: str, error: SockkitError, cause: Exception | None, now: float, told: bool
) -> None:
    assert closed_at_once(Talk(script).fails(error, cause, now)) == told


@pytest.mark.parametrize(
    ("script", "encrypted", "answer"),
    [("sIH", True, True), ("IH", True, False), ("sIH", False, False), ("s", True, False)],
)
def test_an_answer_that_is_dropped_under_tls(script: str, encrypted: bool, answer: bool) -> None:
    """Many servers reset when they get close_notify: that refuses no address."""
    talk = Talk(script, CLIENT._replace(encrypted=encrypted))
    hint = talk.fails(ReceiveError("reset"), RESET).hint()
    assert isinstance(hint, Notice)
    assert (hint.text == NO_ANSWER, "refuse your address" in hint.text) == (answer, not answer)


def test_a_reset_while_much_is_sent_is_none_at_once() -> None:
    talk = Talk("s")
    talk.ending.sent(START + 60)
    assert not closed_at_once(talk.fails(SendError("reset"), RESET, START + 60))


@pytest.mark.parametrize(("encrypted", "tls"), [(False, True), (True, False)])
def test_who_speaks_tls_is_not_told_to(encrypted: bool, tls: bool) -> None:
    text = texts(Talk("", CLIENT._replace(encrypted=encrypted)).ends().hint())
    assert "refuse your address" in text
    assert ("--tls" in text) == tls


@pytest.mark.parametrize(
    ("stream", "received", "told"),
    [
        (CLIENT, ALERT_BYTES, True),
        (Stream(dialled=True), ALERT_BYTES, True),
        (CLIENT, ALERT_BYTES + 1, False),
        (CLIENT._replace(dialled=False), ALERT_BYTES, False),
        (CLIENT._replace(encrypted=True), ALERT_BYTES, False),
    ],
)
def test_an_alert_is_told_if_it_is_all_that_came(stream: Stream, received: int, told: bool) -> None:
    talk = Talk("sIHr", stream)
    talk.received = received
    assert (talk.ends().hint(alert=True) == Notice(TLS_PORT)) == told
    assert talk.hint() is None


def test_one_thing_is_said_at_most() -> None:
    """An alert to the first line, before the last one was sent."""
    talk = Talk("rsIH")
    talk.received = ALERT_BYTES
    assert talk.ends().hint(request=True, alert=True) == Notice(TLS_PORT)
