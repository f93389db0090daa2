"""The server's side of a recording, for whoever connects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockkit.core.address import HostPort
from sockkit.core.records import Closed, Ended, Message, Opened, Record
from sockkit.errors import Differs, SockkitError
from sockkit.events import Closed as ClosedEvent
from sockkit.events import Event
from sockkit.net.loop import Loop
from sockkit.net.replay.server import ReplayServer
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.net.replay.kit import CLIENT, NOW, beside, programme, recording, shown
from tests.support import HERE, connect, read_all

loop = kit.loop


def session(text: bytes) -> list[Record]:
    return [
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", b"ask"),
        Message(NOW, CLIENT, "received", text),
        Ended(NOW, CLIENT, "received"),
        Closed(NOW, CLIENT),
    ]


def serve(loop: Loop, folder: Path, asks: list[bytes], *, verify: bool = False) -> list[bytes]:
    """What clients get who ask so, one after the other, and then what stdout has shown."""
    recorded = recording(folder, *session(b"one"), *session(b"two"))
    listener = kit.listening(loop, ListenOptions(HostPort(HERE, 0)))
    got: list[bytes] = []
    events: list[Event] = []

    def work() -> None:
        for ask in asks:
            with connect(listener.port or 0) as sock:
                sock.sendall(ask)
                got.append(read_all(sock))

    def look() -> None:
        """Stop the server when it has told of the last client."""
        if sum(isinstance(event, ClosedEvent) for event in events) == len(asks):
            raise SockkitError("stopped")
        loop.later(0.01, look)

    once = len(asks) == 1
    with shown(loop, events) as (context, out):
        server = ReplayServer(context, listener, programme(recorded, once=once, verify=verify))
        try:
            if once:
                with beside(work):
                    server.run()
            else:
                loop.call_soon(look)
                with beside(work), pytest.raises(SockkitError, match="stopped"):
                    server.run()
        finally:
            recorded.close()
            os.set_blocking(out, False)
            got.append(os.read(out, 65536))
    return got


def test_each_gets_the_next_conversation(loop: Loop, tmp_path: Path) -> None:
    assert serve(loop, tmp_path, [b"ask"] * 3) == [b"one", b"two", b"one", b"askaskask"]


def test_one_alone(loop: Loop, tmp_path: Path) -> None:
    assert serve(loop, tmp_path, [b"asked"]) == [b"one", b"asked"]


def test_one_whose_question_differs(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(Differs, match="what the client sent differs at byte 1"):
        serve(loop, tmp_path, [b"aSk"], verify=True)


def test_others_are_served_after_a_difference(loop: Loop, tmp_path: Path) -> None:
    got = serve(loop, tmp_path, [b"aSk", b"ask"], verify=True)
    assert got[:2] == [b"", b"two"]
    assert got[2].startswith(b"first difference at byte 1")
