"""The views of a run: which there are, what they write, and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockkit.apps.views import ViewOptions, check_other_file, viewed
from sockkit.core.json_lines import decode
from sockkit.core.records import Begun, Closed, Exit, Message, Opened, Stream
from sockkit.core.text import TextOptions
from sockkit.errors import ConnectError, OutputError, SockkitError, UsageError
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Output, Stdio
from sockkit.net.loop import Loop
from tests.dumps import flows
from tests.net import kit

loop, stack = kit.loop, kit.stack
STREAM = Stream(3, "tcp", "127.0.0.1:1", "127.0.0.1:2", dialled=True)


class Shown:
    """A run whose standard output is a file."""

    def __init__(self, loop: Loop, stack: kit.Stack, path: Path) -> None:
        self._path = path
        into = os.open(path, os.O_WRONLY | os.O_CREAT)
        stack.callback(os.close, into)
        output = Output(loop, into)
        stdio = Stdio(None, output, "utf-8")  # type: ignore[arg-type]
        self.context = kit.context(loop, stdio)

    def run(self, options: ViewOptions, text: TextOptions = TextOptions()) -> bytes:  # noqa: B008
        """What is written of a payload and of a message each way."""
        with viewed(self.context, options, "test", text) as context:
            self.play(context)
        return self._path.read_bytes()

    def play(self, context: Context) -> None:
        context.stdio.output.write(b"payload\n")
        if context.views:
            tap = context.views.tap(STREAM)
            tap.passed("sent", "你好".encode("gbk"))
            tap.passed("received", b"\x00\xff")
            tap.closed()


@pytest.fixture
def shown(loop: Loop, stack: kit.Stack, tmp_path: Path) -> Shown:
    return Shown(loop, stack, tmp_path / "stdout")


def test_a_dump_takes_the_place_of_the_payload(shown: Shown) -> None:
    dump = shown.run(ViewOptions(hex=True), TextOptions(encoding="gbk"))
    assert flows(dump) == {("", ">"): "你好".encode("gbk"), ("", "<"): b"\x00\xff"}
    assert "你好" in dump.decode()


def test_a_dump_says_when_and_whose_it_is(shown: Shown) -> None:
    dump = shown.run(ViewOptions(hex=True, timestamps=True, many=True))
    assert {label for label, _ in flows(dump)} == {"[3 127.0.0.1:1]"}  # dialled for a client
    assert dump.count(b":") > 6


def test_json_tells_how_the_run_began_and_ended(shown: Shown) -> None:
    lines = shown.run(ViewOptions(json=True)).splitlines()
    kinds = [type(decode(line)) for line in lines]
    assert kinds == [Begun, Opened, Message, Message, Closed, Exit]
    assert b'"status":0' in lines[-1]


def test_the_encodings_of_a_run_are_kept(shown: Shown) -> None:
    for text, kept in (
        (TextOptions(), ("", "")),
        (TextOptions("gbk"), ("gbk", "")),
        (TextOptions("gbk", "big5"), ("gbk", "big5")),
        (TextOptions(send_encoding="big5"), ("", "big5")),
    ):
        begun = decode(shown.run(ViewOptions(json=True), text).splitlines()[-6])
        assert isinstance(begun, Begun)
        assert (begun.encoding, begun.send_encoding) == kept


def test_a_recording_is_made_beside_the_payload(shown: Shown, tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    assert shown.run(ViewOptions(record=str(path))) == b"payload\n"
    records = [decode(line) for line in path.read_bytes().splitlines()]
    data = [record.data for record in records if isinstance(record, Message)]
    assert data == ["你好".encode("gbk"), b"\x00\xff"]
    with pytest.raises(OutputError, match="exists"):
        shown.run(ViewOptions(record=str(path)))
    shown.run(ViewOptions(record=str(path), append=True))
    assert len(path.read_bytes().splitlines()) == 2 * len(records)


def test_a_failure_is_the_end_of_a_recording(shown: Shown, tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with (
        pytest.raises(ConnectError),
        viewed(shown.context, ViewOptions(record=str(path)), "test", TextOptions()),
    ):
        raise ConnectError("could not connect")
    last = decode(path.read_bytes().splitlines()[-1])
    assert last[1:] == (7, "could not connect")


def test_a_person_switches_between_dump_and_payload_and_offsets_go_on(shown: Shown) -> None:
    with viewed(shown.context, ViewOptions(switchable=True), "test", TextOptions()) as context:
        assert context.views
        switch, tap = context.views.switch, context.views.tap(STREAM)
        assert switch
        output = context.stdio.output
        output.write(b"one\n")
        switch.show_as("hex")
        output.write(b"two\n")
        tap.passed("sent", b"abc")
        switch.timestamps(True)
        tap.passed("sent", b"def")
        switch.show_as("text")
        output.write(b"three\n")
        assert switch.stamped
        tap.passed("sent", b"not shown")
        switch.show_as("hex")
        switch.timestamps(False)
        tap.passed("sent", b"ghi")
    lines = shown._path.read_text().splitlines()
    assert lines[0] == "one"
    assert lines[1].startswith("> 00000000  61 62 63")
    assert lines[2].endswith(" 3 bytes")
    assert lines[3].startswith("> 00000003  64 65 66")
    assert lines[4] == "three"
    assert lines[5].startswith("> 0000000f  67 68 69")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (ViewOptions(hex=True, json=True), "--hex cannot be used with --json"),
        (ViewOptions(json=True, timestamps=True), "--json always shows the times"),
        (ViewOptions(append=True), "--append needs --record"),
        (ViewOptions(record="a", output="./a"), "--record and --output are the same file"),
        (ViewOptions(record="-"), "--record writes a file, not stdout"),
        (ViewOptions(output="-"), "--output writes a file, not stdout"),
    ],
)
def test_what_excludes_each_other(shown: Shown, options: ViewOptions, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        shown.run(options)


def test_a_disk_that_is_full_ends_the_run(loop: Loop, shown: Shown) -> None:
    into = os.open("/dev/full", os.O_WRONLY)
    try:
        stdio = Stdio(None, Output(loop, into), "utf-8")  # type: ignore[arg-type]
        context = shown.context._replace(stdio=stdio)
        with (
            pytest.raises(SockkitError, match="no space"),
            viewed(context, ViewOptions(hex=True), "test", TextOptions()) as run,
        ):
            shown.play(run)
    finally:
        os.close(into)


def test_two_names_of_one_file_are_one_file(shown: Shown, tmp_path: Path) -> None:
    first, second = tmp_path / "a.rec", tmp_path / "b"
    shown.run(ViewOptions(record=str(first)))
    second.hardlink_to(first)
    before = first.read_bytes()
    with pytest.raises(UsageError, match="the same file"):
        shown.run(ViewOptions(record=str(first), append=True, output=str(second)))
    assert first.read_bytes() == before
    for options in (ViewOptions(record=str(first)), ViewOptions(output=str(first))):
        with pytest.raises(UsageError, match=r"^--port-file and --.* are the same file"):
            check_other_file("--port-file", str(second), options)
    check_other_file("--port-file", str(second), ViewOptions())


def test_a_recording_says_that_the_other_file_could_not_be_opened(
    shown: Shown, tmp_path: Path
) -> None:
    path = tmp_path / "a.rec"
    with pytest.raises(OutputError):
        shown.run(ViewOptions(record=str(path), output=str(tmp_path / "none" / "b")))
    records = [decode(line) for line in path.read_bytes().splitlines()]
    assert [type(record) for record in records] == [Begun, Exit]
    assert records[-1][1] == 23
