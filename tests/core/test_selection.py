from __future__ import annotations

from typing import Any

from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Injected,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.core.selection import Selection

ONE = Stream(1, "tcp", "10.0.0.1:80", "10.0.0.2:4000", dialled=False)
TWO = ONE._replace(number=2, remote="10.0.0.3:4000")


def of(stream: Stream, time: int) -> list[Record]:
    ways: tuple[Direction, ...] = ("sent", "received")
    passed = [Message(time, stream, way, b"hi") for way in ways]
    ended = [Ended(time, stream, way) for way in ways]
    return [Opened(time, stream), *passed, *ended, Closed(time, stream)]


RUN = [Begun(1, "tcp-server"), Listening(2, "tcp", "10.0.0.1:80")]
ALL: list[Record] = [*RUN, *of(ONE, 3), *of(TWO, 4), Exit(5, 0)]


def selection(*peers: int, **more: Any) -> Selection:
    given: dict[str, Any] = {"sent": False, "received": False, "since": None, "now": 100}
    return Selection(**{"peers": peers, **given, **more})


def chosen(made: Selection) -> list[Record]:
    return [record for record in ALL if made.wants(record)]


def test_everything() -> None:
    assert chosen(selection()) == ALL
    assert chosen(selection(1, 2, sent=True, received=True)) == ALL


def test_faults_are_of_their_peer_and_their_direction() -> None:
    faults = [Injected(3, ONE, "stalled", "sent"), Injected(3, ONE, "stalled", "received")]
    refused = Injected(3, ONE, "refused")
    made = selection(1, sent=True)
    assert [made.wants(fault) for fault in [*faults, refused]] == [True, False, True]
    assert not selection(2).wants(refused)


def test_peers() -> None:
    assert chosen(selection(2)) == [*RUN, *of(TWO, 4), Exit(5, 0)]
    made = selection(2, 9, 7)
    chosen(made)
    assert made.missing() == [7, 9]
    assert selection().missing() == []


def test_directions() -> None:
    for way, other in (("sent", "received"), ("received", "sent")):
        found = chosen(selection(**{way: True}))
        assert [record for record in ALL if getattr(record, "direction", way) == way] == found
        assert not any(getattr(record, "direction", way) == other for record in found)


def test_what_matches() -> None:
    for made in (selection(), selection(1), selection(sent=True), selection(sent=True, peers=(1,))):
        chosen(made)
        assert not made.in_vain
    for more in ({"since": lambda *_: 5}, {"since": lambda *_: 4, "peers": (1,)}):
        made = selection(**more)
        chosen(made)
        assert made.in_vain
    for way, vain in (("sent", True), ("received", False)):
        made = selection(**{way: True})
        for record in (*RUN, Opened(3, ONE), Ended(4, ONE, "received"), Exit(5, 0)):
            made.wants(record)
        assert made.in_vain is vain


def test_since() -> None:
    asked: list[tuple[int, int]] = []

    def since(first: int, now: int) -> int:
        asked.append((first, now))
        return 4

    made = selection(since=since)
    assert chosen(made) == [*of(TWO, 4), Exit(5, 0)]
    assert asked == [(1, 100)]
    made = selection(1, since=since)
    assert chosen(made) == [Exit(5, 0)]
    assert made.missing() == []
