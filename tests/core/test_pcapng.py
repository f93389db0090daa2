"""Records as a pcapng file: times, comments, and runs that do not mix."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sockkit.core import pcapng
from sockkit.core.pcapng import Pcapng
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
from tests.pcapng import Captured, parse, read

NOW = 1_795_327_254_123_456
ONE = Stream(1, "tcp", "10.0.0.1:80", "10.0.0.2:4000", dialled=False)
TWO = ONE._replace(number=2, remote="10.0.0.3:4000")


def written(records: Iterable[Record]) -> list[Captured]:
    made = Pcapng()
    return list(read(made.begin() + b"".join(map(made.show, records))))


def flags(packets: list[Captured]) -> list[str]:
    return [parse(packet.packet).flags for packet in packets]


def test_a_file_without_packets() -> None:
    assert written([]) == []
    assert written([Begun(NOW, "x"), Listening(NOW, "tcp", "10.0.0.1:80"), Exit(NOW, 0)]) == []


def test_each_record_has_its_time() -> None:
    records = [
        Opened(NOW, ONE),
        Message(NOW + 1, ONE, "received", b"hi"),
        Ended(NOW + 2, ONE, "received"),
        Closed(2**40, ONE, "sent"),
    ]
    found = written(records)
    assert flags(found) == ["S", "SA", "A", "PA", "FA", "A", "RA"]
    assert [packet.time for packet in found] == [NOW] * 3 + [NOW + 1] + [NOW + 2] * 2 + [2**40]


def test_a_fault_is_no_packet() -> None:
    assert Pcapng().show(Injected(NOW, ONE, "stalled", "sent", 5)) == b""


def test_streams_side_by_side() -> None:
    records = [
        *(Opened(NOW, ONE), Opened(NOW, TWO)),
        *(Message(NOW, stream, "sent", b"hi") for stream in (ONE, TWO, ONE)),
    ]
    found = [parse(packet.packet) for packet in written(records)][6:]
    targets = ["10.0.0.2 4000", "10.0.0.3 4000", "10.0.0.2 4000"]
    assert [segment.target for segment in found] == targets
    assert found[2].sequence == found[0].sequence + 2


@pytest.mark.parametrize("between", [Begun(NOW, "tcp-server"), Closed(NOW, ONE), Opened(NOW, ONE)])
def test_a_later_connection_between_the_same_addresses(between: Record) -> None:
    first = [Opened(NOW, ONE), Message(NOW, ONE, "sent", b"hi")]
    found = [parse(packet.packet) for packet in written([*first, between, *first])]
    starts = [segment.sequence for segment in found if segment.flags == "S"]
    assert len(set(starts)) == len(starts) >= 2
    assert found[-1].sequence != found[3].sequence


def test_a_later_run_does_not_go_on_with_a_connection() -> None:
    message = Message(NOW, ONE, "sent", b"hi")
    found = written([Opened(NOW, ONE), message, Begun(NOW, "tcp-server"), message])
    assert flags(found) == ["S", "SA", "A", "PA"] * 2


def test_a_comment_is_in_its_block() -> None:
    stream = Stream(0, "unix", "", "unix:/run/x", dialled=True)
    assert [packet.comment for packet in written([Opened(NOW, stream)])] == [
        "an unknown address is shown as 127.0.0.1 port 49152; "
        "unix:/run/x is shown as 127.0.0.1 port 1",
        "",
        "",
    ]


def test_a_long_comment_is_cut() -> None:
    stream = Stream(0, "unix", "ü" * 8192, "漢" * 8192, dialled=True)
    assert len(written([Opened(NOW, stream)])[0].comment) == 16_000


def test_the_streams_that_are_open_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "MAX_STREAMS", 2)
    made = Pcapng()
    for number in range(5):
        made.show(Opened(NOW, ONE._replace(number=number)))
    assert len(made._streams) == 2
    more = made.begin() + made.show(Message(NOW, ONE._replace(number=0), "sent", b"hi"))
    assert flags(list(read(more))) == ["S", "SA", "A", "PA"]
