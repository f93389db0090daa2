"""How lines become datagrams, and datagrams lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from sockkit.apps.datagrams import DatagramOptions, Messages
from sockkit.core.text import TextOptions
from sockkit.errors import TextError
from sockkit.events import Event, Notice, Peer
from sockkit.net.ends.stdio import Stdio
from tests.net import kit

BYTES, GBK = TextOptions(), TextOptions("gbk")
LABEL = b"[2 10.0.0.7:51234] "
PEER = Peer(2, "10.0.0.7:51234")


class End(NamedTuple):
    terminal: bool


def messages(
    options: DatagramOptions,
    *,
    typed: bool = False,
    shown: bool = False,
    many: bool = True,
    events: list[Event] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Messages:
    ends: Any = End(typed), End(shown)
    said = [] if events is None else events
    loop: Any = None
    context = kit.context(loop, Stdio(*ends, "utf-8"), said.append, colors=colors)
    return Messages(options, context, many=many)


def test_bytes_pass_as_they_are() -> None:
    made = messages(DatagramOptions(BYTES))
    assert (made.packs, made.shows) == (False, False)
    assert (made.hello, made.good_bye) == (None, None)


@pytest.mark.parametrize(
    "options",
    [
        DatagramOptions(BYTES, lines=True),
        DatagramOptions(GBK),
        DatagramOptions(TextOptions(send_encoding="gbk")),
        DatagramOptions(TextOptions(crlf=True)),
        DatagramOptions(BYTES, name="a"),
    ],
)
def test_text_is_lines_both_ways(options: DatagramOptions) -> None:
    made = messages(options)
    assert (made.packs, made.shows) == (True, True)


def test_a_terminal_has_lines() -> None:
    options = DatagramOptions(BYTES)
    made = messages(options, typed=True)
    assert (made.packs, made.shows) == (True, False)
    for made in (messages(options, shown=True), messages(options._replace(label=True))):
        assert (made.packs, made.shows) == (False, True)


def test_no_line_ends_the_input() -> None:
    lines = [b"q", b"/quit", b""]
    assert messages(DatagramOptions(BYTES, lines=True)).before_quit(lines) == lines


@pytest.mark.parametrize(
    ("options", "line", "datagram"),
    [
        (DatagramOptions(BYTES, lines=True), "a", b"a"),
        (DatagramOptions(GBK), "你好", "你好".encode("gbk")),
        (DatagramOptions(TextOptions(crlf=True)), "a", b"a\r\n"),
        (DatagramOptions(BYTES, name="小雪"), "hi", "小雪:hi".encode()),
        (DatagramOptions(TextOptions("utf-16")), "a", "a".encode("utf-16")),
    ],
)
def test_a_line_is_a_datagram_of_its_own(
    options: DatagramOptions, line: str, datagram: bytes
) -> None:
    made = messages(options)
    assert [made.pack(line.encode()), made.pack(line.encode())] == [datagram, datagram]


def test_what_has_no_place_in_the_encoding() -> None:
    made = messages(DatagramOptions(GBK))
    with pytest.raises(TextError, match="character 1 of stdin is not in gbk"):
        made.pack("👋".encode())
    with pytest.raises(TextError, match="--reply"):
        made.encode("👋".encode(), "--reply")


def test_a_reply_is_not_signed() -> None:
    made = messages(DatagramOptions(TextOptions("gbk", crlf=True), name="小雪"))
    assert made.encode("你好".encode(), "--reply") == "你好\r\n".encode("gbk")


@pytest.mark.parametrize(
    ("options", "data", "line"),
    [
        (DatagramOptions(BYTES, lines=True), b"a", b"a\n"),
        (DatagramOptions(BYTES, lines=True), b"a\n", b"a\n"),
        (DatagramOptions(BYTES, lines=True), b"", b"\n"),
        (DatagramOptions(GBK), "你好".encode("gbk"), "你好\n".encode()),
        (DatagramOptions(GBK), b"\xc4", b"\\xc4\n"),
        (
            DatagramOptions(BYTES, label=True),
            b"a\nb",
            LABEL + b"a\n" + LABEL + b"b\n",
        ),
        (DatagramOptions(BYTES, label=True), b"\xff", LABEL + b"\xff\n"),
    ],
)
def test_a_datagram_is_a_line(options: DatagramOptions, data: bytes, line: bytes) -> None:
    assert messages(options).show(PEER, data) == line


def test_on_a_terminal_nothing_is_obeyed_and_many_are_labelled() -> None:
    for many, label in ((True, b"[2 10.0.0.7:51234] "), (False, b"")):
        made = messages(DatagramOptions(BYTES), shown=True, many=many)
        assert made.show(PEER, b"\x1b[2J") == label + b"\\x1b[2J\n"


def test_enter_alone_is_not_signed_where_somebody_types() -> None:
    signing, typing = DatagramOptions(BYTES, name="a"), messages(DatagramOptions(BYTES), typed=True)
    assert messages(signing, typed=True).skips(b"")
    assert not messages(signing, typed=True).skips(b" ")
    assert not messages(signing).skips(b"")
    assert not typing.skips(b"")


def test_a_signature_has_its_colour() -> None:
    options, colors = DatagramOptions(BYTES, lines=True), {"小雪": "magenta", "2": "red"}
    made = messages(options, colors=colors)
    assert made.show(PEER, "小雪:a:b".encode()) == "\x1b[35m小雪:\x1b[39ma:b\n".encode()
    assert made.show(PEER, b"no signature") == b"no signature\n"
    labelled = messages(options._replace(label=True), colors=colors)
    signed = "\x1b[31m[2 10.0.0.7:51234]\x1b[39m \x1b[35m小雪:\x1b[39mx\n"  # the label's stays red
    assert labelled.show(PEER, "小雪:x".encode()) == signed.encode()
    assert labelled.show(PEER, b"x").startswith(b"\x1b[31m[2 10.0.0.7:51234]\x1b[39m x")


def test_gbk_is_guessed_once() -> None:
    events: list[Event] = []
    made = messages(DatagramOptions(BYTES), shown=True, events=events)
    for _ in range(2):
        made.show(PEER, "你好世界".encode("gbk"))
    assert events == [Notice("looks like GBK: try -E gbk")]
