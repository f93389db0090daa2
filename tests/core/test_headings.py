"""Tests of sockkit.core.headings."""

from __future__ import annotations

import pytest

from sockkit.core.headings import Headings
from sockkit.core.records import (
    Begun,
    Closed,
    Ended,
    Exit,
    Injected,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.events import Peer

STREAM = Stream(2, "tcp", "127.0.0.1:80", "127.0.0.1:51234", dialled=False)
DIALLED = STREAM._replace(number=0, dialled=True)
DATAGRAMS = STREAM._replace(transport="udp")


def label(peer: Peer) -> bytes:
    return f"[{peer.number} {peer.address}] ".encode()


def test_a_mark_alone() -> None:
    headings = Headings()
    assert headings.begin(5, STREAM, "received") == b"< "
    assert headings.begin(5, STREAM, "sent", b"*") == b">* "
    assert not headings.wanted


def test_a_time_and_a_peer_where_asked_for() -> None:
    headings = Headings(stamp=lambda time: f"12:34:56.{time:06}", label=label)
    assert headings.begin(5, STREAM, "sent") == b"> 12:34:56.000005 [2 127.0.0.1:51234] "
    assert headings.wanted
    assert Headings(stamp=str).wanted
    assert Headings(label=label).wanted


def test_words_about_a_message_are_safe() -> None:
    message = Message(5, STREAM, "sent", b"x")
    assert Headings(stamp=str).about(message, "1 byte", b"*") == b">* 5 1 byte\n"
    assert Headings().about(message, "\x1b\n\udcff你") == b"> \\x1b\\x0a\\udcff\\u4f60\n"


def test_only_the_mark_is_painted() -> None:
    headings = Headings(paint=lambda text, color: f"({color} {text})", stamp=str)
    assert headings.begin(5, STREAM, "received") == b"(cyan <) 5 "
    assert headings.begin(5, STREAM, "sent") == b"(yellow >) 5 "


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (Ended(1, STREAM, "received"), b"< end\n"),
        (Injected(1, STREAM, "stalled", "received", 5), b"< stalled on purpose\n"),
        (Injected(1, STREAM, "refused"), b"> refused on purpose\n"),
        (Injected(1, STREAM, "shaped", "sent", detail="delay 1 s"), b"> delay 1 s\n"),
        (Ended(1, STREAM, "sent"), b"> end\n"),
        (Closed(1, STREAM, "received"), b"< reset\n"),
        (Closed(1, STREAM, "sent"), b"> reset\n"),
        (Closed(1, STREAM), b""),
        (Opened(1, STREAM), b""),
        (Begun(1, "echo"), b""),
        (Listening(1, "tcp", "127.0.0.1:80"), b""),
        (Exit(1, 56, "reset"), b""),
    ],
)
def test_the_end_of_a_direction_and_a_reset_have_a_line(record: Record, line: bytes) -> None:
    assert Headings().event(record) == line


def test_of_several_peers_each_connection_that_is_made_has_one() -> None:
    headings = Headings(label=label)
    assert headings.event(Opened(1, STREAM), b"*") == b"<* [2 127.0.0.1:51234] connected\n"
    assert headings.event(Opened(1, DIALLED)) == b"> [0 127.0.0.1:51234] connected\n"
    assert headings.event(Opened(1, DATAGRAMS)) == b""


def test_what_was_dialled_for_a_client_is_labelled_by_the_client() -> None:
    headings = Headings(label=lambda peer: f"[{peer.number} {peer.address}] ".encode())
    client = Stream(2, "tcp", "10.0.0.7:5000", "10.0.0.1:80", dialled=True)
    assert headings.begin(0, client, "sent") == b"> [2 10.0.0.7:5000] "
    accepted = client._replace(dialled=False)
    assert headings.begin(0, accepted, "sent") == b"> [2 10.0.0.1:80] "
