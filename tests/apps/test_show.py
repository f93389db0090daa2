"""The command in this process; whole programs are in tests/e2e/test_show.py."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps.show import Show, run
from sockkit.core.json_lines import JsonLines, decode
from sockkit.core.recording import CUT, EMPTY, NO_END
from sockkit.core.records import Begun, Closed, Ended, Exit, Message, Opened, Record, Stream
from sockkit.core.since import parse_since
from sockkit.core.text import TextOptions
from sockkit.errors import OutputError, SockkitError, UsageError
from sockkit.events import Event, Notice
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from tests import pcapng
from tests.net import kit

NOW = 1_769_860_799_000_001  # 2026-01-31 11:59:59.000001 UTC
ONE = Stream(1, "tcp", "10.0.0.1:80", "10.0.0.2:4000", dialled=False)
TWO = ONE._replace(number=2, remote="10.0.0.3:4000")
CLIENT = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)


def run_of(command: str, *records: Record) -> list[Record]:
    return [Begun(NOW, command), *records, Exit(NOW + 9, 0)]


SERVER = run_of(
    "tcp-server",
    Opened(NOW, ONE),
    Message(NOW, ONE, "received", b"hello\n"),
    Opened(NOW + 1, TWO),
    Message(NOW + 2, TWO, "sent", "你好\n".encode("gbk")),
    Ended(NOW + 3, ONE, "received"),
    Closed(NOW + 4, ONE),
)
TALK = run_of("tcp-client", Opened(NOW, CLIENT), Message(NOW, CLIENT, "sent", b"hi\n"))


class Site:
    """Shows a recording, with a file as standard output."""

    def __init__(self, folder: Path) -> None:
        self.path, self.out = folder / "it.rec", folder / "out"
        self.events: list[Event] = []
        self.terminal = False

    def write(self, records: list[Record], sent: str | None = None, cut: int = 0) -> None:
        lines = JsonLines(sent=sent)
        data = b"".join(map(lines.show, records))
        self.path.write_bytes(data[: len(data) - cut])

    def run(self, **fields: Any) -> str:
        """What is on standard output. Raises what `run` raises."""
        with Loop() as loop, open(os.devnull, "rb") as nothing, self.out.open("wb") as out:
            loop.later(kit.WAIT, kit.too_late)
            self.start(loop, Input(loop, nothing.fileno()), Output(loop, out.fileno()), **fields)
        return self.out.read_text(errors="surrogateescape")

    def start(self, loop: Loop, source: Input, output: Output, **fields: Any) -> None:
        source.terminal = output.terminal = self.terminal
        colors: Any = {} if self.terminal else None
        stdio = Stdio(source, output, "utf-8")
        context = kit.context(loop, stdio, self.events.append, colors=colors)
        run(Show(**{"path": str(self.path), "text": TextOptions(), **fields}), context)

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(autouse=True)
def shanghai() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CST-8")
        time.tzset()
        yield
    time.tzset()


def test_text_names_the_peers_of_a_server(site: Site) -> None:
    site.write(SERVER)
    shown = site.run(text=TextOptions("gbk"))
    assert "< [1 10.0.0.2:4000] hello\n" in shown
    assert "> [2 10.0.0.3:4000] 你好\n" in shown
    assert site.events == []


def test_the_only_peer_of_a_client_is_not_named(site: Site) -> None:
    site.write(TALK)
    assert site.run() == "> hi\n"
    assert site.run(as_text=True) == "> hi\n"
    assert "68 69 0a" in site.run(hex=True)
    assert "10.0.0.2" not in site.out.read_text()


def test_the_directions_have_their_colours(site: Site) -> None:
    site.write(SERVER)
    site.terminal = True
    for view in ({}, {"hex": True}):
        shown = site.run(**view)
        assert "\x1b[36m<\x1b[39m" in shown
        assert "\x1b[33m>\x1b[39m" in shown


def test_times_are_local_and_have_a_date(site: Site) -> None:
    site.write(TALK)
    assert site.run(timestamps=True) == "> 2026-01-31 19:59:59.000001 hi\n"
    assert "2026-01-31 19:59:59.000001" in site.run(hex=True, timestamps=True)


def test_json_is_as_it_was_recorded(site: Site) -> None:
    site.write(SERVER, sent="gbk")
    assert site.run(json=True) == site.path.read_text()
    assert "你好" in site.out.read_text()


def test_json_in_another_encoding(site: Site) -> None:
    site.write(SERVER)
    assert "你好" not in site.path.read_text()
    assert '"text":"你好\\n","encoding":"gbk"' in site.run(json=True, text=TextOptions("gbk"))


def test_json_that_a_terminal_would_obey_is_escaped(site: Site) -> None:
    site.write(TALK)
    forged = site.path.read_text().replace('"hi\\n"', '"h\x9b\x7f"').replace('"size":3', '"size":4')
    site.path.write_text(forged)
    shown = site.run(json=True)
    assert '"h\\u009b\\u007f"' in shown
    assert shown.isprintable() or "\x9b" not in shown
    assert [decode(line) for line in shown.encode().splitlines()][2].time == NOW


def test_what_is_selected(site: Site) -> None:
    site.write(SERVER)
    assert "10.0.0.3" not in site.run(peers=(1,))
    assert "hello" not in site.run(sent=True)
    assert "hello" in site.run(received=True)
    assert site.run(json=True, since=parse_since("2027-01-01")) == ""
    site.events.clear()
    site.run(peers=(1, 7, 5))
    assert site.notices == [f"{site.path}: no peer 5, 7"]


@pytest.mark.parametrize(
    "fields",
    [
        {"since": parse_since("2027-01-01")},
        {"sent": True},
        {"peers": (2,), "received": True},
    ],
)
def test_a_selection_of_nothing_is_told(site: Site, fields: dict[str, Any]) -> None:
    received = Message(NOW, ONE, "received", b"hello\n")
    site.write(run_of("tcp-server", Opened(NOW, ONE), received, Opened(NOW, TWO)))
    for view in ({}, {"hex": True}, {"json": True}):
        site.events.clear()
        assert "hello" not in site.run(**view, **fields)
        assert site.notices == [f"{site.path}: nothing matches"]


def test_an_empty_recording_is_only_said_to_be_empty(site: Site) -> None:
    site.write([])
    site.run(sent=True, peers=(3,))
    assert site.notices == [f"{site.path}: {EMPTY}"]


def test_text_is_in_the_encoding_of_its_run(site: Site) -> None:
    data = "你好\n".encode("gbk")
    said = Message(NOW, CLIENT, "received", data), Message(NOW, CLIENT, "sent", data)
    site.write([Begun(NOW, "tcp-client", "gbk"), *said])
    assert site.run() == "< 你好\n> 你好\n"
    assert site.run(hex=True).count("你好") == 2
    assert (
        site.run(text=TextOptions("latin-1")).splitlines()[0] == f"< {data.decode('latin-1')[:4]}"
    )
    assert site.run(text=TextOptions(send_encoding="big5")).startswith("< 你好\n> 斕疑")
    site.write([Begun(NOW, "tcp-client"), *said])
    assert site.run().encode(errors="surrogateescape").startswith(b"< " + data)


def test_each_run_has_its_own_encoding_even_if_its_beginning_is_not_shown(site: Site) -> None:
    def said(encoding: str) -> Message:
        return Message(NOW + 5, CLIENT, "received", "你好".encode(encoding))

    first, second = Begun(NOW, "tcp-client", "gbk"), Begun(NOW, "tcp-client", "big5")
    site.write([first, said("gbk"), second, said("big5")])
    shown = site.run()
    assert shown.splitlines()[::2] == ["< 你好", "< 你好"]
    assert site.run(since=lambda *_: NOW + 1).splitlines() == ["< 你好", "< 你好"]


@pytest.mark.parametrize("view", [{}, {"hex": True}])
def test_a_line_says_where_another_run_begins(site: Site, view: dict[str, Any]) -> None:
    unfinished = Message(NOW, CLIENT, "received", b"bye")
    site.write([Begun(NOW, "tcp-client"), unfinished, *SERVER])
    lines = site.run(**view).splitlines()
    assert lines[1] == "* 2026-01-31 19:59:59.000001 tcp-server started"
    assert "bye" in lines[0]
    assert "[1 10.0.0.2:4000]" in lines[2]  # a server's peers are named, a client's is not
    assert "10.0.0.2" not in lines[0]
    assert site.run(json=True).encode() == site.path.read_bytes()


def test_a_followed_recording_that_is_rewritten_is_shown_from_its_beginning(site: Site) -> None:
    """As another file of its name, and within the same file, with as many bytes."""
    later = [record._replace(time=record.time + 1) for record in TALK]

    def replace() -> None:
        other = site.path.with_name("other")
        other.write_bytes(site.path.read_bytes())
        os.replace(other, site.path)

    def done() -> None:
        raise SockkitError("all is there")

    steps = [replace, lambda: site.write(later), done]

    def look() -> None:
        if site.out.read_text().count("> hi") == 4 - len(steps):
            steps.pop(0)()
        loop.later(0.02, look)

    site.write(TALK)
    with site.out.open("wb") as out, Loop() as loop, open(os.devnull, "rb") as nothing:
        loop.later(kit.WAIT, kit.too_late)
        look()
        source, output = Input(loop, nothing.fileno()), Output(loop, out.fileno())
        with pytest.raises(SockkitError, match="all is there"):
            site.start(loop, source, output, follow=True)
    assert site.out.read_text().splitlines() == [
        "> hi",
        "* 2026-01-31 19:59:59.000001 tcp-client started",
        "> hi",
        "* 2026-01-31 19:59:59.000002 tcp-client started",
        "> hi",
    ]
    assert site.notices == [f"{site.path} was rewritten: showing it from the beginning"] * 2


@pytest.mark.parametrize(
    ("cut", "records", "why"),
    [(5, SERVER, CUT), (0, SERVER[:-1], NO_END), (0, [], EMPTY), (0, SERVER, "")],
)
def test_what_is_missing(site: Site, cut: int, records: list[Record], why: str) -> None:
    site.write(records, cut=cut)
    shown = site.run(json=True)
    assert shown.encode() == site.path.read_bytes()[: len(shown.encode())]
    assert shown.count("\n") == len(records) - bool(cut)
    assert site.notices == ([f"{site.path}: {why}"] if why else [])


def test_what_comes_before_damage_is_shown(site: Site) -> None:
    site.write(TALK)
    lines = site.path.read_bytes().splitlines(keepends=True)
    site.path.write_bytes(b"".join((*lines[:3], b"{}\n", lines[3])))
    with pytest.raises(
        SockkitError, match=f"{site.path} is damaged: line 4: it is not a sockkit record"
    ):
        site.run()
    assert site.out.read_text() == "> hi\n"


def test_a_directory(site: Site) -> None:
    with pytest.raises(SockkitError, match=f"could not read {site.path.parent}: is a directory"):
        site.run(path=str(site.path.parent))


def test_a_foreign_file(site: Site) -> None:
    site.path.write_bytes(b"\x7fELF\n")
    with pytest.raises(SockkitError, match="is not a sockkit recording: line 1") as caught:
        site.run(pcap=str(site.path.with_name("out.pcapng")))
    assert caught.value.status == 1


@pytest.mark.parametrize("foreign", [b"\x7fELF\n", b"\x7fELF", b"{}\n"])
def test_a_foreign_file_leaves_the_packets_of_another_run(site: Site, foreign: bytes) -> None:
    site.path.write_bytes(foreign)
    packets = site.path.with_name("out.pcapng")
    packets.write_bytes(b"of another run")
    with pytest.raises(SockkitError, match="is not a sockkit recording"):
        site.run(pcap=str(packets))
    assert packets.read_bytes() == b"of another run"


def test_packets(site: Site) -> None:
    site.write(SERVER)
    path = site.path.with_name("out.pcapng")
    path.write_bytes(b"old" * 10_000)
    assert site.run(pcap=str(path)) == ""
    packets = [pcapng.parse(packet.packet) for packet in pcapng.read(path.read_bytes())]
    assert b"".join(packet.data for packet in packets) == b"hello\n" + "你好\n".encode("gbk")
    with site.out.open("wb") as out, Loop() as loop, open(os.devnull, "rb") as nothing:
        site.start(loop, Input(loop, nothing.fileno()), Output(loop, out.fileno()), pcap="-")
    assert site.out.read_bytes() == path.read_bytes()


def test_a_new_file_of_packets_is_for_our_user_only(site: Site) -> None:
    site.write([])
    path = site.path.with_name("out.pcapng")
    site.run(pcap=str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(pcapng.read(path.read_bytes())) == []


def test_packets_without_a_name(site: Site) -> None:
    site.write([])
    with pytest.raises(UsageError, match="--pcap needs the path of a file"):
        site.run(pcap="")


def test_another_recording_is_not_overwritten_either(site: Site) -> None:
    """As with `show --pcap session.rec`, which reads stdin."""
    site.write(SERVER)
    other = site.path.with_name("other")
    other.write_bytes(site.path.read_bytes())
    with pytest.raises(UsageError, match=f"{other} is a recording: give the packets a file"):
        site.run(pcap=str(other))
    assert other.read_bytes() == site.path.read_bytes()
    other.write_bytes(b"packets of another run")
    site.run(pcap=str(other))
    assert b"packets of another run" not in other.read_bytes()


def test_a_recording_is_never_overwritten(site: Site) -> None:
    site.write(SERVER)
    before = site.path.read_bytes()
    link = site.path.with_name("link")
    link.hardlink_to(site.path)
    for path in (site.path, link):
        with pytest.raises(UsageError, match=f"{path} is the recording itself"):
            site.run(pcap=str(path))
    assert site.path.read_bytes() == before


def test_packets_that_cannot_be_written(site: Site) -> None:
    site.write(SERVER)
    with pytest.raises(OutputError, match="could not write /dev/full: no space left"):
        site.run(pcap="/dev/full")
    missing = site.path / "out"
    with pytest.raises(OutputError, match=f"could not write {missing}: not a directory"):
        site.run(pcap=str(missing))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"hex": True, "json": True}, "--hex cannot be used with --json"),
        ({"as_text": True, "pcap": "x"}, "--text cannot be used with --pcap"),
        ({"json": True, "timestamps": True}, "--json always shows the times"),
        ({"pcap": "x", "timestamps": True}, "--pcap always shows the times"),
        ({"pcap": "x", "text": TextOptions("gbk")}, "--pcap writes the bytes unchanged"),
        ({"path": "-", "follow": True}, "stdin cannot be followed"),
        ({"path": os.devnull, "follow": True}, "/dev/null cannot be followed"),
        ({"path": "/nonexistent"}, "could not read /nonexistent: no such file"),
    ],
)
def test_what_cannot_be(site: Site, fields: dict[str, Any], why: str) -> None:
    site.write(SERVER)
    with pytest.raises(UsageError, match=why):
        site.run(**fields)


def test_what_cannot_be_on_a_terminal(site: Site) -> None:
    site.write(SERVER)
    site.terminal = True
    with pytest.raises(UsageError, match="a terminal cannot show packets"):
        site.run(pcap="-")
    with pytest.raises(UsageError, match="stdin is a terminal"):
        site.run(path="-")


def test_from_standard_input(site: Site) -> None:
    site.write(TALK, cut=1)
    with site.path.open("rb") as source, site.out.open("wb") as out, Loop() as loop:
        site.start(loop, Input(loop, source.fileno()), Output(loop, out.fileno()), path="-")
    assert site.out.read_text() == "> hi\n"
    assert site.notices == []


def test_a_recording_is_followed_while_it_is_written(site: Site) -> None:
    """Its lines come in pieces, and a later run replaces one that a kill has cut."""
    whole = b"".join(map(JsonLines().show, TALK))
    complete = whole[: whole[:400].rfind(b"\n") + 1]
    contents = iter([whole[:40], whole[:400], complete + whole[:50], complete + whole])

    def grow() -> None:
        content = next(contents)
        with site.path.open("r+b") as file:
            file.write(content)
            file.truncate()
        if content != complete + whole:
            loop.later(0.25, grow)

    def look() -> None:
        if site.out.read_bytes() == complete + whole:
            raise SockkitError("all is there")
        loop.later(0.02, look)

    site.path.touch()
    with site.out.open("wb") as out, Loop() as loop, open(os.devnull, "rb") as nothing:
        loop.later(kit.WAIT, kit.too_late)
        grow()
        look()
        source, output = Input(loop, nothing.fileno()), Output(loop, out.fileno())
        with pytest.raises(SockkitError, match="all is there"):
            site.start(loop, source, output, follow=True, json=True)


def test_damage_ends_a_recording_that_is_followed(site: Site) -> None:
    site.write(TALK)
    with site.path.open("ab") as file:
        file.write(b"what?\n")
    with pytest.raises(SockkitError, match="is damaged: line 5"):
        site.run(follow=True)
    assert site.out.read_text() == "> hi\n"
