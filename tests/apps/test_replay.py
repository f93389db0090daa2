"""replay as a whole, beside peers of plain sockets; tests/e2e/test_replay.py has the program."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps.replay import Replay, run
from sockkit.core.address import HostPort
from sockkit.core.frames import Fixed
from sockkit.core.player import PlayOptions
from sockkit.core.records import Closed, Message, Opened, Record
from sockkit.errors import Differs, SockkitError, UsageError
from sockkit.events import Event, Listening, Notice
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tls.options import ServerTls
from sockkit.net.views import Views
from tests.net import kit
from tests.net.replay.kit import CLIENT, NOW, recording, shown
from tests.support import HERE, peer, read_exactly

loop = kit.loop
SESSION: list[Record] = [
    Opened(NOW, CLIENT),
    Message(NOW, CLIENT, "sent", b"ask"),
    Message(NOW, CLIENT, "received", b"answer"),
    Closed(NOW, CLIENT),
]


def replay(
    loop: Loop, folder: Path, *records: Record, port: int = 9, **more: Any
) -> tuple[bytes, list[Event]]:
    """What stdout shows, and what is told."""
    recording(folder, *records).close()
    config = Replay(
        str(folder / "it.rec"),
        more.pop("play", PlayOptions()),
        SocketOptions(),
        HostPort(HERE, port),
        ConnectOptions(),
    )._replace(**more)
    events: list[Event] = []
    with shown(loop, events) as (context, out):
        os.set_blocking(out, False)
        run(config, context)
        try:
            return os.read(out, 65536), events
        except BlockingIOError:
            return b"", events


def answer(sock: socket.socket) -> None:
    assert read_exactly(sock, 3) == b"ask"
    sock.sendall(b"answer")
    assert sock.recv(1) == b""


def test_the_answers_are_shown(loop: Loop, tmp_path: Path) -> None:
    with peer(answer) as port:
        assert replay(loop, tmp_path, *SESSION, port=port)[0] == b"answer"


def test_the_answers_are_compared(loop: Loop, tmp_path: Path) -> None:
    verify = PlayOptions(verify=True)
    with peer(answer) as port:
        assert replay(loop, tmp_path, *SESSION, port=port, play=verify)[0] == b""
        other = [*SESSION[:2], Message(NOW, CLIENT, "received", b"Answer"), SESSION[3]]
        with pytest.raises(Differs, match="the answer differs at byte 0") as caught:
            replay(loop, tmp_path, *other, port=port, play=verify)
    assert caught.value.dumps.startswith("first difference at byte 0 ")


def test_there_must_be_something_to_replay(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(SockkitError, match="has no connection to replay"):
        replay(loop, tmp_path)
    serve = {"listen": ListenOptions(HostPort(HERE, 0)), "address": None}
    with pytest.raises(SockkitError, match="has no connection to replay"):
        replay(loop, tmp_path, play=PlayOptions(serving=True), **serve)


@pytest.mark.parametrize("serving", [False, True])
def test_each_peer_that_is_chosen_must_be_there(serving: bool, loop: Loop, tmp_path: Path) -> None:
    """Nothing is sent before that is known."""
    other = [record._replace(stream=CLIENT._replace(number=2)) for record in SESSION]  # type: ignore[union-attr]
    listen = ListenOptions(HostPort(HERE, 0)) if serving else None
    play = PlayOptions(serving=serving, peers=frozenset({4, 0, 3}))
    with pytest.raises(UsageError, match="has no peer 3, 4: its peers are 0, 2"):
        replay(loop, tmp_path, *SESSION, *other, play=play, listen=listen)
    with pytest.raises(UsageError, match="has no peer 3, 4: its only peer is 0"):
        replay(loop, tmp_path, *SESSION, play=play, listen=listen)
    with pytest.raises(SockkitError, match="has no connection to replay"):
        replay(loop, tmp_path, play=play, listen=listen)


def test_a_peer_that_comes_before_the_damage_is_played(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "it.rec"
    recording(tmp_path, *SESSION).close()
    path.write_bytes(path.read_bytes() + b"what?\n")
    config = Replay(str(path), PlayOptions(), SocketOptions(), None, ConnectOptions())
    with socket.create_server((HERE, 0)) as server:
        server.setblocking(False)
        config = config._replace(address=HostPort(*server.getsockname()))
        for number in (3, 0):
            play = PlayOptions(peers=frozenset({number}))
            with (
                shown(loop, []) as (context, _),
                pytest.raises(SockkitError, match="is damaged: line 7"),
            ):
                run(config._replace(play=play), context)
            if number == 3:
                with pytest.raises(BlockingIOError):
                    server.accept()
        with server.accept()[0] as sock:
            assert read_exactly(sock, 3) == b"ask"


def test_what_cannot_be_served_is_told(loop: Loop, tmp_path: Path) -> None:
    """The kind of what comes first decides, and the rest is left out."""
    udp = CLIENT._replace(transport="udp", number=1)
    listen = ListenOptions(HostPort(HERE, 0), timeout=0.01)
    play = PlayOptions(serving=True, lockstep=True)
    with pytest.raises(SockkitError, match="no client connected"):
        replay(loop, tmp_path, *SESSION, Opened(NOW, udp), play=play, listen=listen)
    tls = ServerTls()
    with pytest.raises(UsageError, match="cannot encrypt: remove --tls"):
        replay(loop, tmp_path, Opened(NOW, udp), play=play, listen=listen, server_tls=tls)


@pytest.mark.parametrize("serving", [True, False])
def test_datagrams_have_no_frames(serving: bool, loop: Loop, tmp_path: Path) -> None:
    udp = CLIENT._replace(transport="udp", number=1)
    recording(tmp_path, Opened(NOW, udp)).close()
    listen = ListenOptions(HostPort(HERE, 0), timeout=0.01) if serving else None
    config = Replay(
        str(tmp_path / "it.rec"),
        PlayOptions(serving=serving, lockstep=True),
        SocketOptions(),
        HostPort(HERE, 9),
        ConnectOptions(),
        listen,
    )
    with shown(loop, []) as (context, _):
        views = Views(loop, context.emit, Fixed(4).framer)
        with pytest.raises(UsageError, match="are frames already: remove --frame"):
            run(config, context._replace(views=views))


def test_a_recording_that_has_no_end(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "it.rec"
    recording(tmp_path, *SESSION).close()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    config = Replay(str(path), PlayOptions(), SocketOptions(), None, ConnectOptions())
    events: list[Event] = []
    with peer(answer) as port, shown(loop, events) as (context, _):
        run(config._replace(address=HostPort(HERE, port)), context)
    (notice,) = (event for event in events if isinstance(event, Notice))
    assert "it has no end" in notice.text
    assert not any(isinstance(event, Listening) for event in events)
