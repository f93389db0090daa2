"""Lines over a connection and over datagrams, as what plays over them sees them."""

from __future__ import annotations

from sockkit.core.address import HostPort
from sockkit.core.player import Conversation
from sockkit.core.records import Stream
from sockkit.errors import ConnectError, SockkitError
from sockkit.net.closing import Closer
from sockkit.net.ends.memory import memory_pair
from sockkit.net.loop import Loop
from sockkit.net.replay.lines import MAX_WAITING_BYTES, DatagramLine, StreamLine
from tests.net import kit
from tests.net.site import at_end, read_all, turn
from tests.support import HERE, datagrams

loop, stack = kit.loop, kit.stack
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


def test_datagrams_both_ways(loop: Loop, stack: kit.Stack) -> None:
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    server = kit.bound(loop, ListenOptions(HostPort(HERE, 0)), SocketOptions())
    stack.callback(server.close)
    assert server.port
    with datagrams(server.port) as peer:
        host = Host(loop)
        stream = STREAM._replace(transport="udp")
        address = peer.getsockname()
        line = DatagramLine(host, Conversation(stream, 0, None), server, address)
        line.start()
        for data in (b"one", b"", b"three"):
            line.send(data)
            assert peer.recv(100) == data
            peer.send(data)
        kit.run_until(loop, lambda: len(host.got) == 3)
        assert host.got == [b"one", b"", b"three"]
        line.finish()
        line.stop()
        line.send(b"late")
        assert host.told == ["closed"]


def test_a_refusal_closes_a_line_of_datagrams(loop: Loop, stack: kit.Stack) -> None:
    with datagrams(9) as nobody:
        nobody.connect((HERE, 1))
    with datagrams(9) as other:
        port = other.getsockname()[1]
    sock, _ = next(kit.aimed(loop, HostPort(HERE, port)))
    host = Host(loop)
    line = DatagramLine(host, Conversation(STREAM, 0, None), sock)
    line.start()
    line.send(b"x")
    kit.run_until(loop, lambda: bool(host.told))
    assert isinstance(host.told[0], ConnectError)
