"""Tests of sockkit.apps.shown."""

from __future__ import annotations

import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.apps.shown import (
    ReceivedHints,
    beginnings,
    chat_view,
    labels,
    microsecond_stamp,
    stamps,
    time_stamp,
)
from sockkit.core.text import Transcoder
from sockkit.events import Event, Notice, Peer
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from tests.net import kit


def run(colors: dict[str, str] | None = None) -> Context:
    nothing: Any = None
    return kit.context(nothing, colors=colors)


def test_lines_are_coloured_where_colours_are_wanted() -> None:
    view = chat_view(run({"alex": "red"}), timestamps=False)
    assert view.feed("[alex] hi\n") == "\x1b[31m[alex] \x1b[39mhi\n"
    assert chat_view(run(), timestamps=False).feed("[alex] hi\n") == "[alex] hi\n"


def test_a_label_is_safe_in_its_peers_colour_and_the_users_encoding() -> None:
    nothing: Any = None
    label = labels(kit.context(nothing, Stdio(nothing, nothing, "latin-1"), colors={"2": "red"}))
    assert label(Peer(2, "unix:\x1b你")) == rb"[31m[2 unix:\x1b\u4f60][39m ".replace(rb"[3", b"[3")


def test_the_path_of_a_unix_peer_does_not_look_like_a_label() -> None:
    nothing: Any = None
    label = labels(kit.context(nothing, Stdio(nothing, nothing, "utf-8")))
    path = "unix:/a] [2 unix:/b] hello\n[3 unix:/c"
    assert label(Peer(1, path)) == rb"[1 unix:/a\x5d [2 unix:/b\x5d hello\x0a[3 unix:/c] "


def test_a_time_is_that_of_a_clock() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d ", time_stamp())


CHINESE = "你好，世界！今天天气不错。\n".encode("gbk")
GBK = Notice("looks like GBK: try -E gbk")
BINARY = Notice("some of this is not text: Ctrl-] view hex shows the bytes")


def transcoder_of(source: str) -> Transcoder:
    return Transcoder(source, "utf-8", "", decode_errors="backslashreplace", encode_errors="strict")


@pytest.mark.parametrize(
    ("switches", "source", "hints"),
    [
        (False, "utf-8", [GBK]),
        (True, "utf-8", [GBK, BINARY]),
        (False, "gbk", []),
        (True, "gbk", [BINARY]),
        (True, "utf-16", []),
    ],
)
def test_each_hint_is_given_once_for_all_peers(
    switches: bool, source: str, hints: list[Event]
) -> None:
    nothing: Any = None
    told: list[Event] = []
    views: Any = SimpleNamespace(switch=object(), screen=SimpleNamespace(view=None))
    stdio = Stdio(nothing, nothing, "utf-8", offer=lambda _: None)
    context = kit.context(nothing, stdio, told.append)
    received = ReceivedHints(context._replace(views=views) if switches else context)
    for _ in range(2):
        transcoder = transcoder_of(source)
        received.listen(transcoder)
        for data in (b"hello\n", CHINESE, b"\0\1\n", CHINESE):
            transcoder.feed(data)
    assert told == hints


def test_without_a_line_editor_no_view_is_recommended() -> None:
    nothing: Any = None
    told: list[Event] = []
    views: Any = SimpleNamespace(switch=object())
    context = kit.context(nothing, Stdio(nothing, nothing, "utf-8"), told.append)
    transcoder = transcoder_of("utf-8")
    ReceivedHints(context._replace(views=views)).listen(transcoder)
    transcoder.feed(b"\0")
    assert told == []


def test_where_the_bytes_are_shown_already_no_view_is_recommended() -> None:
    nothing: Any = None
    told: list[Event] = []
    views: Any = SimpleNamespace(switch=object(), screen=SimpleNamespace(view=object()))
    stdio = Stdio(nothing, nothing, "utf-8", offer=lambda _: None)
    context = kit.context(nothing, stdio, told.append)._replace(views=views)
    transcoder = transcoder_of("utf-8")
    ReceivedHints(context).listen(transcoder)
    transcoder.feed(b"\0")
    assert told == []


def test_a_time_is_shown_where_it_is_wanted() -> None:
    assert stamps(run(), wanted=False)() == ""
    assert re.fullmatch(r"\d\d:\d\d:\d\d ", stamps(run(), wanted=True)())


def test_lines_begin_with_what_was_asked_for() -> None:
    peer = Peer(1, "x")
    assert beginnings(run(), labelled=False, timestamps=False) is None
    label = beginnings(switchable(), labelled=True, timestamps=False)
    assert label
    assert label(peer) == b"[1 x] "
    both = beginnings(switchable(), labelled=True, timestamps=True)
    assert both
    assert re.fullmatch(rb"\d\d:\d\d:\d\d \[1 x\] ", both(peer))


def switchable(stamped: bool | None = None) -> Context:
    """A run at a terminal; a person has switched the time on or off, if `stamped` is given."""
    nothing: Any = None
    stdio: Any = SimpleNamespace(output=SimpleNamespace(terminal=True), encoding="utf-8")
    switch = None if stamped is None else SimpleNamespace(stamped=stamped)
    views: Any = SimpleNamespace(switch=switch)
    return kit.context(nothing, stdio)._replace(views=views)


@pytest.mark.parametrize("wanted", [False, True])
def test_a_person_switches_the_time_on_and_off(wanted: bool) -> None:
    assert stamps(switchable(stamped=True), wanted=wanted)()
    assert stamps(switchable(stamped=False), wanted=wanted)() == ""
    begin = beginnings(switchable(stamped=False), labelled=False, timestamps=False)
    assert begin
    assert begin(Peer(0, "x")) == b""


def test_the_time_of_a_record_is_ours_to_the_microsecond() -> None:
    local = datetime(2026, 1, 31, 13, 59, 59)
    assert microsecond_stamp(int(local.timestamp()) * 1_000_000 + 42) == "13:59:59.000042"
