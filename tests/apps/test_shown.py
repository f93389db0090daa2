"""Tests of sockkit.apps.shown."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.apps.shown import ReceivedHints, chat_view, labels, time_stamp
from sockkit.core.text import Transcoder
from sockkit.events import Event, Notice, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.term.color import Palette
from tests.net import kit


def test_lines_are_coloured_where_colours_are_wanted() -> None:
    view = chat_view(Palette(True, {"alex": "red"}), timestamps=False)
    assert view.feed("[alex] hi\n") == "\x1b[31m[alex] \x1b[39mhi\n"
    assert chat_view(Palette(False), timestamps=False).feed("[alex] hi\n") == "[alex] hi\n"


def test_a_label_is_safe_in_its_peers_colour_and_the_users_encoding() -> None:
    nothing: Any = None
    label = labels(kit.context(nothing, Stdio(nothing, nothing, "latin-1"), colors={"2": "red"}))
    assert label(Peer(2, "unix:\x1b你")) == rb"[31m[2 unix:\x1b\u4f60][39m ".replace(rb"[3", b"[3")


def test_a_time_is_that_of_a_clock() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d ", time_stamp())


CHINESE = "你好，世界！今天天气不错。\n".encode("gbk")
GBK = Notice("looks like GBK: try -E gbk")
BINARY = Notice("not all of this is text: Ctrl-] view hex shows the bytes")


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
