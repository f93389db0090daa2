"""Tests of sockkit.core.text_view."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.headings import Headings
from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.core.text import Errors, TextOptions
from sockkit.core.text_view import TextView
from sockkit.errors import TextError
from sockkit.events import Peer

ONE = Stream(1, "tcp", "127.0.0.1:80", "127.0.0.1:51234", dialled=False)
TWO = ONE._replace(number=2, remote="127.0.0.1:51235")
UDP = ONE._replace(number=3, transport="udp")


def view(text: TextOptions = TextOptions(), *, terminal: bool = True) -> TextView:  # noqa: B008
    return TextView(text, "utf-8", Headings(), terminal=terminal)


def shown(view: TextView, *records: Record) -> str:
    return (b"".join(map(view.show, records)) + view.flush()).decode("utf-8", "surrogateescape")


def received(data: bytes, stream: Stream = ONE, mark: str = "") -> Message:
    return Message(0, stream, "received", data, mark)


def sent(data: bytes, stream: Stream = ONE) -> Message:
    return Message(0, stream, "sent", data)


def test_lines_of_both_directions() -> None:
    records = (sent(b"PING\r\nQUIT\r\n"), received(b"PONG\n\nbye\n"))
    assert shown(view(), *records) == "> PING\n> QUIT\n< PONG\n< \n< bye\n"


def test_a_line_goes_on_in_the_next_message_unless_something_else_passes() -> None:
    assert shown(view(), received(b"he"), received(b"llo\nwor"), received(b"ld")) == (
        "< hello\n< world\n"
    )
    assert shown(view(), received(b"he"), sent(b"x"), received(b"llo")) == "< he\n> x\n< llo\n"
    assert shown(view(), received(b"he"), received(b"x", TWO)) == "< he\n< x\n"
    assert shown(view(), received(b"he"), Ended(0, ONE, "received")) == "< he\n<* end\n"


def test_a_time_and_a_peer_begin_each_line() -> None:
    headings = Headings(stamp=str, label=lambda peer: f"[{peer.number}] ".encode())
    lines = TextView(TextOptions(), "utf-8", headings, terminal=False)
    records = (Opened(1, TWO), Message(2, TWO, "received", b"a\nb\n"), Closed(3, TWO, "received"))
    assert shown(lines, *records) == "<* 1 [2] connected\n< 2 [2] a\n< 2 [2] b\n<* 3 [2] reset\n"


def test_a_peer_cannot_send_what_is_not_text() -> None:
    records = (received(b"end\n* end\n<* end\n"), Ended(0, ONE, "received"))
    assert shown(view(), *records) == "< end\n< * end\n< <* end\n<* end\n"


def test_a_datagram_is_a_line_even_an_empty_one() -> None:
    records = (received(b"a\n", UDP), received(b"", UDP), received(b"b", UDP), received(b"c", UDP))
    assert shown(view(), *records) == "< a\n< \n< b\n< c\n"


def test_a_frames_mark_is_said_before_it() -> None:
    records = (received(b"x"), received(b"yz\n", mark="stray"))
    assert shown(view(), *records) == "< x\n<* stray\n< yz\n"


def test_a_mark_is_safe_even_in_a_recording_that_somebody_made_up() -> None:
    assert shown(view(), received(b"", mark="\x1b[2J\n\udcff")) == "<* \\x1b[2J\\x0a\\udcff\n"


def test_only_a_terminal_gets_escapes() -> None:
    data = b"\x1b[2J\xc2\x9b\r\n"
    assert shown(view(), received(data)) == "< \\x1b[2J\\x9b\n"
    assert shown(view(terminal=False), received(data)) == "< \x1b[2J\x9b\r\n"
    assert shown(view(terminal=False), received(b"\xff\n")) == "< \udcff\n"


def test_each_direction_has_its_encoding() -> None:
    text = TextOptions(encoding="gbk", send_encoding="utf-16-le")
    records = (received("温\n".encode("gbk")), sent("度\n".encode("utf-16-le")))
    assert shown(view(text), *records) == "< 温\n> 度\n"


def test_a_character_that_the_network_has_cut_arrives_whole() -> None:
    gbk = view(TextOptions(encoding="gbk"))
    assert shown(gbk, received(b"\xce"), received(b"\xc2\n")) == "< 温\n"
    assert shown(gbk, received(b"\xce", UDP), received(b"\xc2", UDP)) == "< \\xce\n< \\xc2\n"


@pytest.mark.parametrize("end", [Ended(0, ONE, "received"), Closed(0, ONE)])
def test_what_is_held_back_is_shown_at_the_end(end: Record) -> None:
    text = shown(view(TextOptions(encoding="gbk")), received(b"a\xce"), end)
    assert text.startswith("< a\\xce\n")


@pytest.mark.parametrize("between", [Closed(0, ONE), Begun(0, "echo")])
def test_what_follows_the_end_of_a_stream_is_another(between: Record) -> None:
    text = shown(view(TextOptions(encoding="gbk")), received(b"\xce"), between, received(b"\xc2"))
    assert "温" not in text


def test_a_run_ends_the_last_line() -> None:
    assert view().show(received(b"x")) == b"< x"
    lines = view()
    assert [lines.show(received(b"x")), lines.show(Exit(0, 0))] == [b"< x", b"\n"]
    assert lines.flush() == b""


def test_errors_may_be_refused() -> None:
    with pytest.raises(TextError):
        view(TextOptions(encoding="ascii", errors=Errors.STRICT)).show(received(b"\xff"))


MESSAGES = st.builds(
    Message,
    st.just(0),
    st.sampled_from([ONE, TWO, UDP]),
    st.sampled_from(["sent", "received"]),
    st.binary(max_size=20),
    st.just(""),
)


@given(st.lists(MESSAGES, max_size=10), st.sampled_from(["gbk", "utf-8", "utf-16", "hz"]))
def test_every_line_is_marked_and_drives_no_terminal(messages: list[Message], name: str) -> None:
    text = shown(view(TextOptions(encoding=name)), *messages)
    for line in text.splitlines():
        assert line[:2] in ("< ", "> ")
        assert "\x1b" not in line


@given(st.lists(MESSAGES, max_size=10))
def test_all_bytes_are_in_it_where_they_are_shown_as_they_are(messages: list[Message]) -> None:
    raw = TextView(TextOptions(), "utf-8", Headings(label=_label), terminal=False)
    found: dict[tuple[int, Direction], bytes] = {}
    expected: dict[tuple[int, Direction], bytes] = {}
    for message in messages:
        key = message.stream.number, message.direction
        expected[key] = expected.get(key, b"") + message.data.replace(b"\n", b"")
    out = b"".join(map(raw.show, messages)) + raw.flush()
    for line in out.split(b"\n")[:-1]:
        mark, number, data = line[:1], line[2:6], line[6:]
        key = int(number[1:2]), "received" if mark == b"<" else "sent"
        found[key] = found.get(key, b"") + data
    assert {key: data for key, data in found.items() if data} == {
        key: data for key, data in expected.items() if data
    }


def _label(peer: Peer) -> bytes:
    return f"[{peer.number}] ".encode()
