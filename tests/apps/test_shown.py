"""Tests of sockkit.apps.shown."""

from __future__ import annotations

import re
from typing import Any

from sockkit.apps.shown import chat_view, gbk_hint, labels, time_stamp
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


def test_a_hint_is_given_once() -> None:
    told: list[Event] = []
    tell = gbk_hint(told.append)
    tell()
    tell()
    assert told == [Notice("looks like GBK: try -E gbk")]
