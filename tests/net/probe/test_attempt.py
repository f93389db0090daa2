"""One attempt over real sockets, each step of which may be the one that fails."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.patterns import compile_pattern
from sockkit.core.replies import Question
from sockkit.errors import (
    BindError,
    ConnectError,
    HandshakeError,
    ResolveError,
    SockkitError,
    TimedOut,
    TrustError,
)
from sockkit.net.lookups import Lookups
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.probe.attempt import AttemptOptions, attempt
from sockkit.net.tcp.dial import ConnectOptions, lacks_resources
from sockkit.net.tls.contexts import clients
from sockkit.net.tls.options import ClientTls
from sockkit.net.waiting import wait_for
from tests.net import kit, tls
from tests.support import HERE, eventually, peer, read_all

loop = kit.loop


def tried(loop: Loop, address: Address, timeout: float = 5.0, **options: Any) -> float:
    lookups = Lookups(10)
    connect = ConnectOptions(timeout, source=options.pop("source", None))
    given = AttemptOptions(lookups, connect, SocketOptions(), **options)
    return wait_for(loop, partial(attempt, kit.context(loop), given, address))


def question(pattern: str, send: bytes = b"") -> Question:
    return Question(send, compile_pattern(pattern)[1])


@contextlib.contextmanager
def dead() -> Iterator[HostPort]:
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        yield HostPort(HERE, sock.getsockname()[1])


@contextlib.contextmanager
def hole() -> Iterator[HostPort]:
    """A listener whose backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HERE, 0))
        listener.listen(0)
        stack.enter_context(socket.create_connection(listener.getsockname()))
        yield HostPort(HERE, listener.getsockname()[1])


def test_open(loop: Loop, tmp_path: Any) -> None:
    heard: list[bytes] = []
    with peer(lambda sock: heard.append(read_all(sock))) as port:
        for host in (HERE, "localhost"):
            assert 0 < tried(loop, HostPort(host, port)) < 5
        eventually(lambda: len(heard) == 2)
    assert heard == [b"", b""]  # it closes at once
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        assert tried(loop, UnixPath(str(tmp_path / "socket"))) < 5


def test_what_prevents_a_connection(loop: Loop, tmp_path: Any) -> None:
    with dead() as address, pytest.raises(ConnectError) as raised:
        tried(loop, address)
    assert raised.value.kind == "refused"
    with hole() as address, pytest.raises(TimedOut) as raised:
        tried(loop, address, 0.2)
    assert raised.value.kind == "no answer"
    with pytest.raises(ResolveError) as raised:
        tried(loop, HostPort("nosuch.invalid", 80))
    assert raised.value.kind.startswith("not resolved: ")
    with pytest.raises(ConnectError) as raised:
        tried(loop, UnixPath(str(tmp_path / "none")))
    assert raised.value.kind == "no such file or directory"
    with dead() as address, pytest.raises(BindError):
        tried(loop, address, source=HostPort("192.0.2.1", 0))


def test_a_question(loop: Loop) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(sock.recv(100).upper())
        read_all(sock)

    with peer(serve) as port:
        assert tried(loop, HostPort(HERE, port), question=question("HELLO", b"hello")) < 5
        with pytest.raises(SockkitError, match="does not match"):
            tried(loop, HostPort(HERE, port), 0.2, question=question("BYE", b"hello"))


@contextlib.contextmanager
def encrypted(name: str = tls.NAME) -> Iterator[int]:
    """A server with a certificate for `name`, which does a handshake with whoever comes."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.leaf(name).configure_cert(server)

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), server.wrap_socket(sock, server_side=True) as secured:
            secured.sendall(b"220 hi")
            secured.recv(1)

    with peer(serve) as port:
        yield port


def test_tls(loop: Loop, tmp_path: Any) -> None:
    ca = tls.written(tls.authority().cert_pem, tmp_path / "ca")
    with encrypted() as port:
        address = HostPort(HERE, port)
        for name in (tls.NAME, "other.example"):
            (setup,) = clients(ClientTls(ca=ca, name=name), [address], kit.context(loop))
            trying = partial(tried, loop, address, tls={HERE: setup}, question=question("220"))
            if name == tls.NAME:
                assert trying() < 5
                continue
            with pytest.raises(TrustError) as raised:
                trying()
            assert raised.value.kind == "not trusted: it is not for other.example"


def test_the_handshake_is_within_the_timeout(loop: Loop, tmp_path: Any) -> None:
    (setup,) = clients(ClientTls(insecure=True), [HostPort(HERE, 1)], kit.context(loop))
    released = threading.Event()
    with peer(lambda sock: released.wait(10) and None) as port:
        with pytest.raises(TimedOut, match=r"no handshake within 0\.\d+ s"):
            tried(loop, HostPort(HERE, port), 0.2, tls={HERE: setup})
        released.set()
    with peer(lambda sock: sock.sendall(b"220 hi")) as port, pytest.raises(HandshakeError):
        tried(loop, HostPort(HERE, port), tls={HERE: setup})


def test_a_system_without_sockets_says_nothing_of_the_peer(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with dead() as address:
        for udp in (False, True):
            with pytest.raises(SockkitError) as raised:
                tried(loop, address, udp=udp)
            assert not lacks_resources(raised.value)
        monkeypatch.setattr(SocketOptions, "open", fail)
        for udp in (False, True):
            with pytest.raises(SockkitError) as raised:
                tried(loop, address, udp=udp)
            assert lacks_resources(raised.value)


@pytest.mark.parametrize("step", ["connect", "handshake", "reply"])
def test_cancel_in_any_step(step: str, loop: Loop) -> None:
    """The loop's fixture sees that nothing stays open."""
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(hole())
        setup = None
        if step != "connect":
            listener = stack.enter_context(socket.create_server((HERE, 0)))
            address = HostPort(HERE, listener.getsockname()[1])
        if step == "handshake":
            (made,) = clients(ClientTls(insecure=True), [address], kit.context(loop))
            setup = {HERE: made}
        lookups = Lookups(10)
        options = AttemptOptions(
            lookups,
            ConnectOptions(5, resolve=lookups.resolve),
            SocketOptions(),
            question=question("x"),
            tls=setup,
        )
        done: list[object] = []
        work = attempt(kit.context(loop), options, address, done.append)
        kit.run_for(loop, 0.05)
        work.cancel()
        kit.run_for(loop, 0.05)
        assert done == []
