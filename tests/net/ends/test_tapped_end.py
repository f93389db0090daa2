"""What a tap at an end sees. What the end itself promises is tested in test_end.py."""

from __future__ import annotations

import pytest

from sockkit.core.frame_spec import parse_frame
from sockkit.core.records import Closed, Ended, Message, Opened, Record
from sockkit.errors import SockkitError
from sockkit.events import Event, FrameTotal
from sockkit.net.ends.end import Kind
from sockkit.net.ends.memory import memory_pair
from sockkit.net.loop import Loop
from sockkit.net.views import Views
from tests.net import kit

loop = kit.loop


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def show(self, *records: Record) -> None:
        self.records += records

    def close(self) -> None:
        pass


def no_events(event: Event) -> None:
    pass


def test_a_tapped_end_shows_both_directions_their_ends_and_the_close(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=True)  # type: ignore[arg-type]
    assert end.write(b"hello") == 5
    far.write(b"hi")
    far.half_close()
    buffer = memoryview(bytearray(10))
    assert end.read_into(buffer) == 2
    assert [end.read_into(buffer), end.read_into(buffer)] == [0, 0]
    end.half_close()
    end.close()
    assert [type(record) for record in kept.records] == [
        Opened, Message, Message, Ended, Ended, Closed
    ]  # fmt: skip
    assert kept.records[-1][2] == ""


def test_a_reset_is_told_once_with_who_has_reset(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=False)  # type: ignore[arg-type]
    far.abort()
    with pytest.raises(SockkitError):
        end.read_into(memoryview(bytearray(10)))
    end.close()
    assert [record[2:] for record in kept.records[1:]] == [("received",)]

    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=False)  # type: ignore[arg-type]
    end.abort()
    assert kept.records[-1][2] == "sent"


def test_how_many_frames_have_passed_is_told_at_the_close(loop: Loop) -> None:
    events: list[Event] = []
    views = Views(loop, events.append, parse_frame("line").framer)
    near, _ = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=True)  # type: ignore[arg-type]
    end.write(b"one\ntwo\nthree")
    end.close()
    assert events == [FrameTotal(near.peer, "sent", 3), FrameTotal(near.peer, "received", 0)]


def test_it_is_copied(loop: Loop) -> None:
    near, _ = memory_pair(loop)
    end = Views(loop, no_events).watch(near, "tcp", dialled=True)  # type: ignore[arg-type]
    assert (end.kind, end.descriptor) == (Kind.OTHER, -1)
    near.kind = Kind.ENCRYPTED  # type: ignore[misc]
    end = Views(loop, no_events).watch(near, "tcp", dialled=True)  # type: ignore[arg-type]
    assert end.kind is Kind.ENCRYPTED


def test_a_write_that_is_cut_is_seen_as_far_as_it_went(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    near, _ = memory_pair(loop, capacity=3)
    end = views.watch(near, "tcp", dialled=True)  # type: ignore[arg-type]
    assert end.write(memoryview(b"hello")) == 3
    with pytest.raises(BlockingIOError):
        end.write(b"lo")
    assert [record.data for record in kept.records if isinstance(record, Message)] == [b"hel"]
