"""Tests of sockkit.core.dump."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.dump import DumpView
from sockkit.core.headings import Headings
from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.core.text import TextOptions
from sockkit.events import Peer
from tests import dumps
from tests.support import fewer

ONE = Stream(1, "tcp", "127.0.0.1:80", "127.0.0.1:51234", dialled=False)
TWO = ONE._replace(number=2, remote="127.0.0.1:51235")
UDP = ONE._replace(number=3, transport="udp")

SENT: Direction = "sent"
RECEIVED: Direction = "received"


def label(peer: Peer) -> bytes:
    return f"[{peer.number} {peer.address}] ".encode()


def view(headings: Headings | None = None, **text: str) -> DumpView:
    return DumpView(TextOptions(**text), "utf-8", headings or Headings())  # type: ignore[arg-type]


def shown(view: DumpView, *records: Record) -> str:
    return b"".join(map(view.show, records)).decode()


def received(data: bytes, stream: Stream = ONE, mark: str = "") -> Message:
    return Message(0, stream, RECEIVED, data, mark)


def sent(data: bytes, stream: Stream = ONE) -> Message:
    return Message(0, stream, SENT, data)


def test_the_example_in_the_reference() -> None:
    reference = Path(__file__).parents[2] / "docs" / "reference.md"
    answer = "温度:25.6℃,湿度正常，设备1号一切正常\r\n".encode("gbk")
    records = (sent(b"READ 1\r\n"), received(answer), Ended(0, ONE, "received"))
    assert f"\n```\n{shown(view(encoding='gbk'), *records)}```\n" in reference.read_text("utf-8")


def test_both_directions_each_with_its_offset() -> None:
    assert shown(view(), sent(b"ping\n"), received(b"pong 1\n"), sent(b"x"), received(b"y")) == (
        "> 00000000  70 69 6e 67 0a                                    ping.\n"
        "< 00000000  70 6f 6e 67 20 31 0a                              pong 1.\n"
        "> 00000005  78                                                x\n"
        "< 00000007  79                                                y\n"
    )


def test_a_heading_says_when_whose_and_how_much() -> None:
    headings = Headings(stamp=lambda time: f"12:34:56.{time:06}", label=label)
    assert shown(
        view(headings), Opened(1, TWO), Message(2, TWO, SENT, b"hi"), Ended(3, TWO, RECEIVED)
    ) == (
        "< 12:34:56.000001 [2 127.0.0.1:51235] connected\n"
        "> 12:34:56.000002 [2 127.0.0.1:51235] 2 bytes\n"
        "> 00000000  68 69                                             hi\n"
        "< 12:34:56.000003 [2 127.0.0.1:51235] end\n"
    )


def test_a_mark_and_an_empty_datagram_have_a_heading_in_any_case() -> None:
    assert shown(view(), received(b"x", mark="stray"), received(b"", UDP), received(b"y")) == (
        "< 1 byte, stray\n"
        "< 00000000  78                                                x\n"
        "< 0 bytes\n"
        "< 00000001  79                                                y\n"
    )


def test_the_end_of_each_direction_and_a_reset() -> None:
    records = (Ended(0, ONE, SENT), Ended(0, ONE, RECEIVED), Closed(0, ONE), Closed(0, TWO, SENT))
    assert shown(view(), *records) == "> end\n< end\n> reset\n"


def test_what_is_no_byte_on_a_connection_is_not_shown() -> None:
    records = (Begun(0, "echo"), Listening(0, "tcp", "127.0.0.1:1"), Opened(0, ONE), Exit(0, 0))
    assert shown(view(), *records) == ""


def test_a_large_message_in_colour() -> None:
    headings = Headings(paint=lambda text, color: f"\x1b[3{len(color) % 8}m{text}\x1b[39m")
    data = bytes(range(256)) * 300
    dump = view(headings).show(received(data))
    assert dumps.flows(dump) == {("", "<"): data}
    assert dump.count(b"\x1b[34m<\x1b[39m ") == dump.count(b"\n") == len(data) // 16


def test_each_direction_has_its_encoding() -> None:
    both = view(encoding="gbk", send_encoding="utf-8")
    assert shown(both, received("温".encode("gbk")), sent("温".encode())).split() == [
        *("<", "00000000", "ce", "c2", "温"),
        *(">", "00000000", "e6", "b8", "a9", "温"),
    ]
    assert "温" in shown(view(encoding="gbk"), sent("温".encode("gbk")))
    assert "温" not in shown(view(send_encoding="gbk"), received("温".encode("gbk")))


@pytest.mark.parametrize("between", [[], [sent(b"\xce")], [received(b"\xce", TWO)]])
def test_a_character_that_the_network_has_cut(between: list[Record]) -> None:
    begin, end = received(b"\xce"), received(b"\xc2")
    assert shown(view(encoding="gbk"), begin, *between, end).endswith("温\n")


@pytest.mark.parametrize("between", [Closed(0, ONE), Begun(0, "tcp-client")])
def test_what_follows_the_end_of_a_stream_is_another(between: Record) -> None:
    assert shown(view(encoding="gbk"), received(b"\xce"), between, received(b"\xc2")) == (
        "< 00000000  ce                                                .\n"
        "< 00000000  c2                                                .\n"
    )


def test_a_datagram_is_decoded_by_itself_and_the_offsets_go_on() -> None:
    assert shown(view(encoding="gbk"), received(b"\xce", UDP), received(b"\xc2", UDP)) == (
        "< 00000000  ce                                                .\n"
        "< 00000001  c2                                                .\n"
    )


MESSAGES = st.builds(
    Message,
    st.just(0),
    st.sampled_from([ONE, TWO, UDP]),
    st.sampled_from([SENT, RECEIVED]),
    st.one_of(st.binary(max_size=40), st.integers(0, 2000).map(lambda size: b"\xce\xc2a" * size)),
    st.sampled_from(["", "stray"]),
)


@fewer(25)
@given(
    st.lists(MESSAGES, max_size=12),
    st.sampled_from(["", "utf-8", "gbk", "utf-16", "iso2022_jp"]),
    st.sampled_from(["utf-8", "ascii"]),
)
def test_a_dump_is_read_back(messages: list[Message], encoding: str, output: str) -> None:
    expected: dict[tuple[str, str], bytes] = {}
    for _, stream, direction, data, _ in messages:
        flow = label(Peer(stream.number, stream.remote)).decode().strip(), "<>"[direction == SENT]
        if data:
            expected[flow] = expected.get(flow, b"") + data
    both = DumpView(TextOptions(encoding=encoding or None), output, Headings(label=label))
    assert dumps.flows(b"".join(map(both.show, messages)), output) == expected


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_without_an_encoding_every_line_has_its_text_in_the_same_column(cuts: list[bytes]) -> None:
    lines = shown(view(), *map(received, cuts)).splitlines()
    assert all(line[60:62] == "  " and len(line) <= 78 for line in lines)
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in b"".join(cuts))
    assert "".join(line[62:] for line in lines) == text
