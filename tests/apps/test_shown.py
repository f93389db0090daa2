"""Tests of sockkit.apps.shown."""

from __future__ import annotations

import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.apps.shown import (
    beginnings,
    chat_view,
    gbk_hint,
    labels,
    microsecond_stamp,
    stamps,
    time_stamp,
)
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


def test_a_time_is_that_of_a_clock() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d ", time_stamp())


def test_a_hint_is_given_once() -> None:
    told: list[Event] = []
    tell = gbk_hint(told.append)
    tell()
    tell()
    assert told == [Notice("looks like GBK: try -E gbk")]


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
