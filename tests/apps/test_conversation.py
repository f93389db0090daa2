from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.shown import ReceivedHints
from sockkit.core.ending import EndOptions, HalfClose, Until
from sockkit.core.text import TextOptions
from sockkit.errors import TextError, UsageError
from sockkit.events import Emit, Event, Notice, Peer
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from tests.net import kit

BYTES, GBK = TextOptions(), TextOptions("gbk")


def silent() -> None:
    raise AssertionError("nothing looks like GBK here")


class End(NamedTuple):
    terminal: bool


def stdio(*, typed: bool = False, shown: bool = False, encoding: str = "utf-8") -> Stdio:
    ends: Any = End(typed), End(shown)
    return Stdio(*ends, encoding)


def context(stdio: Stdio, emit: Emit | None = None) -> Context:
    nothing: Any = None
    return kit.context(nothing, stdio, emit or (lambda _: silent()))


@pytest.mark.parametrize(
    ("given", "typed", "until"),
    [
        (None, False, Until.BOTH),
        (None, True, Until.PEER),
        (Until.STDIN, False, Until.STDIN),
        (Until.BOTH, True, Until.BOTH),
    ],
)
def test_until(given: Until | None, typed: bool, until: Until) -> None:
    options = ConversationOptions(BYTES, given, linger=3.0, idle=2.0)
    assert options.ending(stdio(typed=typed)) == EndOptions(until, 3.0, 2.0)


@pytest.mark.parametrize(
    ("given", "fragile", "half_close"),
    [
        (None, False, HalfClose.NOW),
        (None, True, HalfClose.AUTO),
        (HalfClose.NEVER, False, HalfClose.NEVER),
        (HalfClose.NOW, True, HalfClose.NOW),
    ],
)
def test_half_close(given: HalfClose | None, fragile: bool, half_close: HalfClose) -> None:
    options = ConversationOptions(BYTES, half_close=given)
    talk = options.session_options(context(stdio()), fragile=fragile)
    assert talk.ending == EndOptions(half_close=half_close)
    assert talk.may_half_close


def test_bytes_pass_without_a_transform() -> None:
    talk = ConversationOptions(BYTES).session_options(context(stdio()))
    assert (talk.outbound, talk.inbound) == (None, None)
    assert (talk.greet, talk.reply, talk.label) == (b"", None, None)


def test_text_is_converted_both_ways() -> None:
    options = ConversationOptions(GBK).session_options(context(stdio(encoding="utf-8")))
    assert options.outbound
    assert options.inbound
    assert options.outbound.feed("你".encode()) == "你".encode("gbk")
    assert options.inbound.feed("好".encode("gbk")) == "好".encode()


def test_text_that_looks_like_gbk_is_told_of_once() -> None:
    told: list[Event] = []
    utf8 = ConversationOptions(TextOptions("utf-8"))
    options = utf8.session_options(context(stdio(shown=True), told.append))
    assert options.inbound
    for _ in range(2):
        options.inbound.feed("你好，世界，欢迎光临\n".encode("gbk") * 50)
    assert [type(event) for event in told] == [Notice]


@pytest.mark.parametrize("text", [BYTES, TextOptions("utf-8")])
def test_a_terminal_is_shown_no_control_characters(text: TextOptions) -> None:
    inbound = ConversationOptions(text).inbound(stdio(shown=True), ReceivedHints(context(stdio())))
    assert inbound
    assert inbound.feed(b"\x1b[2J\xff ok\n") == b"\\x1b[2J\\xff ok\n"


def test_what_is_said_is_in_the_users_encoding_and_arrives_as_it_was_given() -> None:
    """A command-line argument that is no text stands for its bytes, os.fsencode."""
    talk = ConversationOptions(BYTES, greet="a\udcff", reply="").session_options(
        context(stdio()), Peer(1, "x")
    )
    assert (talk.greet, talk.reply) == (b"a\xff", b"")
    assert talk.label
    assert talk.label() == b"[1 x] "


def test_with_timestamps_a_line_begins_with_the_time() -> None:
    options = ConversationOptions(BYTES, timestamps=True)
    talk = options.session_options(context(stdio()), Peer(1, "x"))
    assert talk.label
    assert re.fullmatch(rb"\d\d:\d\d:\d\d \[1 x\] ", talk.label())
    talk = options.session_options(context(stdio()))
    assert talk.label
    assert re.fullmatch(rb"\d\d:\d\d:\d\d ", talk.label())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (ConversationOptions(GBK, greet="hi 👋"), "--greet"),
        (ConversationOptions(GBK, reply="hi 👋"), "--reply"),
        (ConversationOptions(TextOptions(send_encoding="ascii"), reply="é"), "'é'"),
    ],
)
def test_check_tells_before_anybody_is_kept_waiting(
    options: ConversationOptions, named: str
) -> None:
    with pytest.raises(TextError, match=named):
        options.check(stdio())


@pytest.mark.parametrize(
    "options",
    [
        ConversationOptions(BYTES, greet="👋", reply="👋"),
        ConversationOptions(GBK, greet="你好", reply="谢谢"),
        ConversationOptions(GBK),
    ],
)
def test_check_lets_pass_what_can_be_said(options: ConversationOptions) -> None:
    options.check(stdio())


@pytest.mark.parametrize("typed", [False, True])
def test_who_only_receives_goes_on_until_the_peer_ends(typed: bool) -> None:
    options = ConversationOptions(BYTES, idle=2.0, recv_only=True)
    ending = EndOptions(Until.PEER, idle=2.0, half_close=HalfClose.NEVER)
    for fragile in (False, True):
        made = options.session_options(context(stdio(typed=typed)), fragile=fragile)
        assert made.ending == ending
        assert not made.may_half_close


@pytest.mark.parametrize("typed", [False, True])
def test_who_only_sends_is_done_when_the_input_has_ended(typed: bool) -> None:
    options = ConversationOptions(GBK, linger=3.0, idle=2.0, send_only=True)
    made = options.session_options(context(stdio(typed=typed)))
    assert made.ending == EndOptions(Until.STDIN, 3.0, 2.0)
    assert made.inbound is None  # what is dropped is not decoded
    assert made.outbound is not None
    assert not made.may_half_close
    assert options.ending(stdio()).until is Until.BOTH  # of a client of many


@pytest.mark.parametrize("recv_only", [True, False], ids=["recv", "send"])
@pytest.mark.parametrize(
    "more", [{"until": Until.PEER}, {"half_close": HalfClose.NOW}, {"linger": 1.0}]
)
def test_one_way_excludes_what_is_about_the_other(recv_only: bool, more: Any) -> None:
    options = ConversationOptions(BYTES, recv_only=recv_only, send_only=not recv_only, **more)
    if not recv_only and "linger" in more:
        options.check_one_way()  # it bounds the input's silence once the peer has ended
        return
    with pytest.raises(UsageError, match="cannot be used with"):
        options.check_one_way()


def test_what_is_not_shown_has_no_label() -> None:
    ConversationOptions(BYTES, recv_only=True).check_one_way(label=True)
    with pytest.raises(UsageError, match="--send-only cannot be used with --label"):
        ConversationOptions(BYTES, send_only=True).check_one_way(label=True)


def test_a_session_ends_the_output_when_the_peer_has_ended() -> None:
    assert ConversationOptions(BYTES).session_options(context(stdio())).ends_output
