"""What is made of each line of a recording; whole recordings are in test_show.py."""

from __future__ import annotations

import pytest

from sockkit.apps.record_views import JsonView, LineView, PacketView, RecordView
from sockkit.core.json_lines import JsonLines, decode
from sockkit.core.recording import Line
from sockkit.core.records import Begun, Exit, Listening, Message, Opened, Record, Stream
from sockkit.core.text import TextOptions
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop
CLIENT = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)
GBK = TextOptions("gbk")


def line(record: Record) -> Line:
    return Line(record, JsonLines().show(record).removesuffix(b"\n"))


def said(data: bytes) -> Message:
    return Message(7, CLIENT, "received", data)


def shown(view: RecordView, *records: Record) -> str:
    return b"".join(view.show(line(record)) for record in records).decode()


def lines(loop: Loop, encoding: str = "utf-8", text: TextOptions = TextOptions()) -> LineView:  # noqa: B008
    stdio = Stdio(Input(loop, 0), Output(loop, 1), encoding)
    return LineView(kit.context(loop, stdio), text, dump=False, timestamps=False)


def test_the_first_run_has_no_line_and_every_other_has(loop: Loop) -> None:
    view = lines(loop)
    assert view.begin() == b""
    assert shown(view, Begun(5, "echo"), Listening(6, "tcp", "x"), Exit(7, 0)) == ""
    for command in ("echo", "chat-serve"):
        begun = shown(view, Begun(5, command))
        assert begun.startswith("* 1970-01-01 ")
        assert begun.endswith(f".000005 {command} started\n")


def test_the_line_of_a_run_begins_a_line_and_is_safe(loop: Loop) -> None:
    view = lines(loop, "ascii")
    assert shown(view, Begun(5, "echo"), said(b"bye")) == "< bye"
    assert shown(view, Begun(5, "\x1b你")).endswith(" \\x1b\\u4f60 started\n")
    assert shown(view, said(b"* 1 x started\n")) == "< * 1 x started\n"


def test_a_run_that_is_passed_over_still_says_the_encoding(loop: Loop) -> None:
    view = lines(loop)
    assert view.pass_over(Begun(5, "echo", "gbk")) == b""
    assert shown(view, said("你".encode("gbk"))) == "< 你"
    assert view.pass_over(said(b"x")) == b""
    assert view.pass_over(Begun(6, "echo", "big5")) == b"\n"
    assert shown(view, said("你".encode("big5"))) == "< 你"


def test_the_encoding_that_the_user_names_wins(loop: Loop) -> None:
    view = lines(loop, text=GBK)
    assert shown(view, Begun(5, "echo", "big5"), said("你".encode("gbk"))) == "< 你"


@pytest.mark.parametrize("record", [Begun(5, "echo"), said(b"hi"), Exit(9, 0)])
def test_json_is_the_line_itself(record: Record) -> None:
    view = JsonView(TextOptions())
    assert (view.begin(), view.pass_over(record)) == (b"", b"")
    assert view.show(line(record)) == JsonLines().show(record)
    assert decode(JsonView(GBK).show(line(record))) == record


def test_packets_begin_the_file_once() -> None:
    view = PacketView()
    assert view.begin()
    assert view.show(line(Opened(5, CLIENT)))
    assert view.pass_over(said(b"x")) == b""
