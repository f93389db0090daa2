from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from sockkit.apps.datagrams import DatagramOptions
from sockkit.core.text import TextOptions
from sockkit.errors import TextError
from sockkit.events import Event, Notice, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.udp.datagrams import LARGEST
from sockkit.net.udp.posting import PostOptions
from tests.net import kit

BYTES, GBK = TextOptions(), TextOptions("gbk")
LABEL = b"[2 10.0.0.7:51234] "
PEER = Peer(2, "10.0.0.7:51234")


class End(NamedTuple):
    terminal: bool


def post(
    options: DatagramOptions,
    *,
    typed: bool = False,
    shown: bool = False,
    many: bool = True,
    events: list[Event] | None = None,
    colors: Mapping[str, str] | None = None,
) -> PostOptions:
    ends: Any = End(typed), End(shown)
    said = [] if events is None else events
    loop: Any = None
    context = kit.context(loop, Stdio(*ends, "utf-8"), said.append, colors=colors)
    return options.post(context, many=many)


def test_bytes_pass_as_they_are() -> None:
    made = post(DatagramOptions(BYTES))
    assert (made.size, made.pack, made.show, made.hold) == (LARGEST, None, None, False)
    made = post(DatagramOptions(BYTES, size=1400))
    assert (made.size, made.hold) == (1400, True)
    assert post(DatagramOptions(BYTES, size=100_000)).size == LARGEST


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
    pack = post(options).pack
    assert pack
    assert [pack(line.encode()), pack(line.encode())] == [datagram, datagram]


def test_what_has_no_place_in_the_encoding() -> None:
    pack = post(DatagramOptions(GBK)).pack
    assert pack
    with pytest.raises(TextError, match="standard input"):
        pack("👋".encode())


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
    show = post(options).show
    assert show
    assert show(PEER, data) == line


def test_on_a_terminal_nothing_is_obeyed_and_many_are_labelled() -> None:
    for many, label in ((True, b"[2 10.0.0.7:51234] "), (False, b"")):
        show = post(DatagramOptions(BYTES), shown=True, many=many).show
        assert show
        assert show(PEER, b"\x1b[2J") == label + b"\\x1b[2J\n"


def test_a_signature_has_its_colour() -> None:
    options, colors = DatagramOptions(BYTES, lines=True), {"小雪": "magenta", "2": "red"}
    show = post(options, colors=colors).show
    assert show
    assert show(PEER, "小雪:a:b".encode()) == "\x1b[35m小雪:\x1b[39ma:b\n".encode()
    assert show(PEER, b"no signature") == b"no signature\n"
    labelled = post(options._replace(label=True), colors=colors).show
    assert labelled
    assert labelled(PEER, b"x").startswith(b"\x1b[31m[2 10.0.0.7:51234]\x1b[39m x")


def test_gbk_is_guessed_once() -> None:
    events: list[Event] = []
    show = post(DatagramOptions(BYTES), shown=True, events=events).show
    assert show
    for _ in range(2):
        show(PEER, "你好世界".encode("gbk"))
    assert events == [Notice("looks like GBK: try -E gbk")]


def test_first_and_last_words_are_signed() -> None:
    made = post(DatagramOptions(BYTES, name="a", hello="", good_bye="q"))
    assert (made.first, made.last) == (b"a:", b"a:q")
