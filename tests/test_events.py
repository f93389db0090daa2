from __future__ import annotations

from typing import get_args

import pytest

from sockkit.cli.render import STEPS, Talk
from sockkit.events import (
    Closed,
    Connected,
    ConnectFailed,
    Connecting,
    Event,
    Failure,
    InputEnded,
    Listening,
    Moved,
    Notice,
    Peer,
    PeerEnded,
    Step,
)

PEER = Peer(2, "10.0.0.7:51234")
LINES: list[tuple[Event, str]] = [
    (Step("bind", "127.0.0.1:80"), "* bind: 127.0.0.1:80"),
    (Listening("0.0.0.0:80", False), "* listening on 0.0.0.0:80"),
    (Connecting("::1 port 80"), "* connecting to ::1 port 80"),
    (ConnectFailed("::1 port 80", "refused"), "* no connection to ::1 port 80: refused"),
    (Connected(Peer(0, "a:1"), "b:2"), "* connected to a:1 from b:2"),
    (InputEnded(PEER, 1), "* [2 10.0.0.7:51234] input ended, sending side closed after 1 byte"),
    (PeerEnded(PEER, 2), "* [2 10.0.0.7:51234] the peer has ended its side after 2 bytes"),
    (
        Moved(PEER, "sent", 3_000_000, "splice", 0.5),
        "* [2 10.0.0.7:51234] sent 3,000,000 bytes by splice in 0.5 s, 6 MB/s",
    ),
    (Closed(PEER, 1, 2), "* [2 10.0.0.7:51234] closed (sent 1 byte, received 2 bytes)"),
    (Notice("two\nlines\x1b[m"), "* two\\x0alines\\x1b[m"),
    (Failure("it is lost"), "sockkit: it is lost"),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_an_event_is_one_line(event: Event, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Talk(STEPS, terminal=False).emitter()(event)
    assert capsys.readouterr().err == f"{line}\n"


def test_no_kind_of_event_is_forgotten() -> None:
    assert {type(event) for event, _ in LINES} == {*get_args(Event)}


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PEER.number = 3  # type: ignore[misc]
