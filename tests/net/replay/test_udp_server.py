"""The server's side of recorded datagrams, for each address that sends some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockkit.core.address import HostPort
from sockkit.core.records import Message, Opened, Record
from sockkit.errors import Differs, SockkitError
from sockkit.events import Event, Failure
from sockkit.net.loop import Loop
from sockkit.net.replay import udp_server as module
from sockkit.net.replay.udp_server import DatagramReplayServer
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.net.replay.kit import CLIENT, NOW, beside, programme, recording, shown
from tests.support import HERE, datagrams

loop = kit.loop
UDP = CLIENT._replace(transport="udp")


def session(*answers: bytes) -> list[Record]:
    said = [Message(NOW, UDP, "received", answer) for answer in answers]
    return [Opened(NOW, UDP), Message(NOW, UDP, "sent", b"ask"), *said]


def serve(
    loop: Loop, folder: Path, asks: list[bytes], *, once: bool = False, verify: bool = False
) -> tuple[list[bytes], list[Event]]:
    """The two answers that each gets who asks so, and what the server tells."""
    recorded = recording(folder, *session(b"one", b""), *session(b"two", b"2"))
    sock = kit.bound(loop, ListenOptions(HostPort(HERE, 0)))
    got: list[bytes] = []
    events: list[Event] = []

    def work() -> None:
        for ask in asks:
            with datagrams(sock.port or 0) as peer:
                peer.send(ask)
                if ask == b"ask":
                    got.extend([peer.recv(100), peer.recv(100)])
        if not once:
            kit.turns()
            loop.call_soon(lambda: loop.call_soon(stop))

    def stop() -> None:
        raise SockkitError("stopped")

    with shown(loop, events) as (context, out):
        server = DatagramReplayServer(context, sock, programme(recorded, once=once, verify=verify))
        try:
            with beside(work):
                if once:
                    server.run()
                else:
                    with pytest.raises(SockkitError, match="stopped"):
                        server.run()
        finally:
            sock.close()
            recorded.close()
            if not verify:
                got.append(os.read(out, 65536))
    return got, events


def test_each_peer_gets_the_next_conversation(loop: Loop, tmp_path: Path) -> None:
    got, _ = serve(loop, tmp_path, [b"ask"] * 3)
    assert got == [b"one", b"", b"two", b"2", b"one", b"", b"askaskask"]


def test_one_alone(loop: Loop, tmp_path: Path) -> None:
    assert serve(loop, tmp_path, [b"ask"], once=True)[0] == [b"one", b"", b"ask"]


def test_a_question_that_differs(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(Differs, match="differs at byte 0 of datagram 1"):
        serve(loop, tmp_path, [b"what"], once=True, verify=True)


def test_others_are_served_after_a_difference(loop: Loop, tmp_path: Path) -> None:
    got, events = serve(loop, tmp_path, [b"what", b"ask"], verify=True)
    assert got == [b"two", b"2"]
    (failure,) = (event for event in events if isinstance(event, Failure))
    assert "differs at byte 0 of datagram 1" in failure.text


def test_too_many_peers(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest silent is forgotten: the first asks only half, and never again."""
    monkeypatch.setattr(module, "MAX_LINES", 1)
    recorded = recording(tmp_path, *session(b"one")[:2], *session(b"two")[1:])
    sock = kit.bound(loop, ListenOptions(HostPort(HERE, 0)))

    def work() -> None:
        with datagrams(sock.port or 0) as silent, datagrams(sock.port or 0) as peer:
            silent.send(b"ask")
            peer.send(b"ask")
            peer.send(b"ask")
            assert peer.recv(100) == b"two"
        loop.call_soon(stop)

    def stop() -> None:
        raise SockkitError("stopped")

    with shown(loop, []) as (context, _):
        server = DatagramReplayServer(context, sock, programme(recorded, once=False))
        with beside(work), pytest.raises(SockkitError, match="stopped"):
            server.run()
        assert len(server._lines) <= 1
    sock.close()
    recorded.close()
