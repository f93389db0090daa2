"""The table of kinds of address: a new kind is one row, and every command can use it."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import Any, get_args

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import BindError, UsageError
from sockkit.net import internet
from sockkit.net.endpoint import Endpoint
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.openers import OPENERS, Opener, opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.waiting import Done, wait_for
from sockkit.values import Value
from tests.net import kit
from tests.net.kit import HERE
from tests.support import read_all

loop, stack = kit.loop, kit.stack


class Named(Value):
    """A kind of address that nobody but these tests knows."""

    name: str

    @property
    def host(self) -> None:
        return None

    @property
    def port(self) -> None:
        return None

    def __str__(self) -> str:
        return f"name:{self.name}"


@pytest.fixture
def name() -> Any:
    return Named("nice")


def test_each_kind_of_address_has_its_row() -> None:
    assert set(OPENERS) == set(get_args(Address))
    rows = {kind: row() for kind, row in OPENERS.items()}
    usable = {kind: (row.ip, row.datagrams, row.shared, row.workers) for kind, row in rows.items()}
    assert usable == {HostPort: (True,) * 4, UnixPath: (False, True, False, False)}


def test_a_new_kind_is_found_and_its_bind_explained_by_its_row(
    name: Any, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = Endpoint(socket.AF_INET, (HERE, 0))
    closed: list[str] = []

    def find(context: object, address: Named, family: int, on_done: Any, timeout: object) -> Done:
        on_done([free])
        return Done()

    def bind(sock: socket.socket, endpoint: Endpoint, sockets: SocketOptions) -> Any:
        sock.bind(endpoint.address)
        return lambda: closed.append("closed")

    row = Opener(
        "a name", "tcp", "udp", find, bind, lambda error, address, _: BindError(f"not at {address}")
    )
    monkeypatch.setitem(OPENERS, Named, lambda: row)
    assert opener(name) is row
    found: list[object] = []
    resolve(kit.context(loop), name, socket.AF_UNSPEC, found.append)
    assert found == [[free]]
    listener = kit.listening(loop, ListenOptions(name))
    stack.callback(listener.close)
    free = Endpoint(socket.AF_INET, (HERE, listener.port))
    with pytest.raises(BindError, match="not at name:nice"):
        kit.listening(loop, ListenOptions(name))
    with pytest.raises(UsageError, match="name:nice is not a UDP address"):
        kit.bound(loop, ListenOptions(name))
    dialling = partial(dial, kit.context(loop), name, ConnectOptions(), SocketOptions())
    with contextlib.closing(wait_for(loop, dialling)) as stream:
        assert stream.peer.address == f"{HERE}:{listener.port}"
    listener.close()
    assert closed == ["closed"]


def test_a_kind_that_is_no_endpoint_is_dialled_in_its_own_way(
    name: Any, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    stack.enter_context(theirs)

    def pair(context: Any, address: object, options: object, sockets: object, done: Any) -> Done:
        assert address == name
        done(SocketEnd(context.loop, ours, kit.PEER, context.emit))
        return Done()

    def find(*_: object) -> Done:
        raise AssertionError("it has no endpoints")

    row = Opener("a pair", "tcp", "udp", find, internet.bind, internet.bind_error, dial=pair)
    monkeypatch.setitem(OPENERS, Named, lambda: row)
    dialling = partial(dial, kit.context(loop), name, ConnectOptions(), SocketOptions())
    stream = wait_for(loop, dialling)
    stream.write(b"hi")
    stream.close()
    assert read_all(theirs) == b"hi"
