"""A line over a connection, as what plays over it sees it."""

from __future__ import annotations

from sockkit.core.player import Conversation
from sockkit.core.records import Stream
from sockkit.errors import SockkitError
from sockkit.net.closing import Closer
from sockkit.net.ends.memory import memory_pair
from sockkit.net.loop import Loop
from sockkit.net.replay.lines import MAX_WAITING_BYTES, StreamLine
from tests.net import kit
from tests.net.site import at_end, read_all, turn

loop = kit.loop
STREAM = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)


class Host:
    """Keeps what is reported."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.got: list[bytes] = []
        self.told: list[object] = []
        self.wanted = True

    def wants(self, conversation: Conversation) -> bool:
        return self.wanted

    def received(self, conversation: Conversation, data: bytes) -> None:
        self.got.append(data)

    def ended(self, conversation: Conversation) -> None:
        self.told.append("ended")

    def wake(self) -> None:
        pass

    def closed(self, conversation: Conversation, error: SockkitError | None) -> None:
        self.told.append(error or "closed")


def stream(loop: Loop) -> tuple[Host, StreamLine, object]:
    end, far = memory_pair(loop)
    host = Host(loop)
    buffer = memoryview(bytearray(1000))
    line = StreamLine(host, Conversation(STREAM, 0, None), end, Closer(loop), buffer)
    line.start()
    return host, line, far


def test_a_stream_both_ways(loop: Loop) -> None:
    host, line, far = stream(loop)
    line.send(b"question")
    assert line.undelivered == 8
    assert not line.waiting
    assert read_all(far) == b"question"  # type: ignore[arg-type]
    far.write(b"answer")  # type: ignore[attr-defined]
    far.half_close()  # type: ignore[attr-defined]
    turn(loop)
    assert host.got == [b"answer"]
    assert host.told == ["ended"]
    line.half_close()
    assert at_end(far)  # type: ignore[arg-type]
    line.finish()
    turn(loop)
    assert host.told == ["ended", "closed"]


def test_a_stream_that_is_clogged(loop: Loop) -> None:
    _, line, far = stream(loop)
    line.send(bytes(MAX_WAITING_BYTES))
    assert line.waiting
    assert not line.clogged
    line.send(bytes(100_000))
    assert line.clogged
    for _ in range(10):
        read_all(far)  # type: ignore[arg-type]
        turn(loop)
    line.stop()


def test_who_wants_nothing_is_resumed(loop: Loop) -> None:
    host, line, far = stream(loop)
    host.wanted = False
    far.write(b"answer")  # type: ignore[attr-defined]
    turn(loop)
    assert host.got == []
    host.wanted = True
    line.resume()
    turn(loop)
    assert host.got == [b"answer"]
    line.reset()
    assert host.told == ["closed"]
