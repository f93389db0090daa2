"""Unix addresses: their endpoint, and what binding makes and removes.

How a server treats what is at its path is in tests/net/tcp/test_listen.py.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import UsageError
from sockkit.net import unix
from sockkit.net.endpoint import Endpoint
from sockkit.net.loop import Loop
from sockkit.net.openers import resolve
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.support import state_of

loop = kit.loop


@pytest.mark.parametrize(
    ("path", "address", "shown"),
    [
        ("/tmp/here", "/tmp/here", "unix:/tmp/here"),
        ("relative", "relative", "unix:relative"),
        ("@name", b"\0name", "unix:@name"),
        ("@n\udcff", b"\0n\xff", "unix:@n\udcff"),
    ],
)
def test_its_endpoint_is_found_at_once(path: str, address: object, shown: str, loop: Loop) -> None:
    found: list[object] = []
    resolve(kit.context(loop), UnixPath(path), socket.AF_UNSPEC, found.append)
    assert found == [[Endpoint(socket.AF_UNIX, address)]]
    assert str(unix.endpoint(UnixPath(path))) == shown


def test_an_abstract_name_leaves_nothing_to_remove() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        where = unix.endpoint(UnixPath(f"@sockkit-{os.getpid()}"))
        assert unix.bind(sock, where, SocketOptions(reuse_address=True)) is None
        assert sock.getsockname() == where.address


def test_what_binding_made_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        remove = unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), SocketOptions())
    assert remove
    path.rename(tmp_path / "ours")
    path.write_text("precious")
    remove()
    assert path.read_text() == "precious"
    (tmp_path / "ours").rename(path)
    remove()
    assert not path.exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (errno.EADDRINUSE, "that file exists and is not a socket: use another path"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_what_a_failed_bind_means(code: int, why: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = unix.bind_error(OSError(code, os.strerror(code)), UnixPath(f"{tmp_path}/file"), "tcp")
    assert str(error) == f"could not listen on unix:{tmp_path}/file: {why}"


KINDS = [socket.SOCK_STREAM, socket.SOCK_DGRAM]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["stream", "datagram"])
REPLACING = SocketOptions(reuse_address=True)


def left_behind(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    """What a server that was killed leaves."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(str(path))


def test_only_linux_has_abstract_names(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    found: list[object] = []
    resolve(kit.context(loop), UnixPath("@x"), socket.AF_UNSPEC, found.append)
    assert isinstance(found[0], UsageError)
    assert str(found[0]) == "unix:@x is an abstract address, which only Linux has: use unix:/PATH"
    resolve(kit.context(loop), UnixPath("/x"), socket.AF_UNSPEC, found.append)
    assert found[1] == [Endpoint(socket.AF_UNIX, "/x")]


@pytest.fixture
def usual_umask() -> Iterator[int]:
    before = os.umask(0o022)
    yield 0o022
    assert os.umask(before) == 0o022, "it was not put back"


@each_kind
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777, 0o000, None])
def test_the_file_has_its_mode_from_the_first_moment(
    kind: socket.SocketKind,
    mode: int | None,
    usual_umask: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("too late"))
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, kind) as sock:
        unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), SocketOptions(unix_mode=mode))
        expected = 0o777 & ~usual_umask if mode is None else mode
        assert stat.S_IMODE(path.stat().st_mode) == expected


def test_the_umask_is_put_back_when_binding_fails(usual_umask: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = Endpoint(socket.AF_UNIX, f"{tmp_path}/file")
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="in use"):
        unix.bind(sock, where, SocketOptions(unix_mode=0o600))


def test_an_abstract_name_has_no_mode() -> None:
    options = ListenOptions(UnixPath("@x"))
    with pytest.raises(UsageError, match="unix:@x has no file mode: remove --unix-mode"):
        unix.admission(UnixPath("@x"), options, SocketOptions(unix_mode=0o600))


@pytest.mark.parametrize(
    ("sockets", "users", "option"),
    [(SocketOptions(unix_mode=0), None, "--unix-mode"), (SocketOptions(), "any", "--allow-users")],
)
def test_options_of_unix_sockets_are_for_no_other(
    sockets: SocketOptions, users: str | None, option: str, loop: Loop
) -> None:
    options = ListenOptions(HostPort(kit.HERE, 0), allow_users=users)
    words = f"{option} needs a unix socket"
    with pytest.raises(UsageError, match=words):
        kit.listening(loop, options, sockets)
    with pytest.raises(UsageError, match=words):
        kit.bound(loop, options, sockets)


@each_kind
@pytest.mark.parametrize("left", KINDS, ids=["stream", "datagram"])
def test_a_stale_file_of_either_kind_is_replaced(
    kind: socket.SocketKind, left: socket.SocketKind, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    left_behind(path, left)
    options = REPLACING if kind == socket.SOCK_STREAM else SocketOptions()
    with socket.socket(socket.AF_UNIX, kind) as sock:
        remove = unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), options)
        assert os.listdir(tmp_path) == ["socket"]
    assert remove
    remove()
    assert os.listdir(tmp_path) == []


@each_kind
@pytest.mark.parametrize("live", [*KINDS, "link"], ids=["stream", "datagram", "link"])
def test_a_live_one_and_a_link_stay(
    kind: socket.SocketKind, live: socket.SocketKind | str, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if live == "link" else live) as there:
        if live == "link":
            left_behind(tmp_path / "stale")
            path.symlink_to("stale")
        else:
            there.bind(str(path))
        before = state_of(path)
        with socket.socket(socket.AF_UNIX, kind) as sock, pytest.raises(OSError, match="in use"):
            unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), REPLACING)
        assert state_of(path) == before
    assert path.is_socket()


def test_a_datagram_server_that_has_a_peer_is_live(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(str(path))
        there.connect(str(path))
        with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="in use"):
            unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), REPLACING)


@pytest.mark.parametrize("what", ["server", "file"])
def test_what_replaces_a_stale_file_meanwhile_is_put_back(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers find the same stale file, and the other one is the first to replace it."""
    path = tmp_path / "socket"
    left_behind(path)
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    real = os.rename

    def rename(*names: str) -> None:
        path.unlink()
        path.write_text("precious") if what == "file" else other.bind(str(path))
        real(*names)

    monkeypatch.setattr(os, "rename", rename)
    with other, socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="in use"):
        unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), REPLACING)
    assert os.listdir(tmp_path) == ["socket"]
    assert path.is_socket() is (what == "server")
    if what == "file":
        assert path.read_text() == "precious"


@pytest.mark.parametrize("call", ["mkdir", "rename", "unlink"])
def test_a_stale_file_that_cannot_be_removed_is_in_the_way(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Loop
) -> None:
    path = tmp_path / "socket"
    left_behind(path)
    kit.fail_nth(monkeypatch, os, call, 1, PermissionError(errno.EACCES, "no"))
    with socket.socket(socket.AF_UNIX) as sock:
        if call == "unlink":  # it is out of the way
            unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), REPLACING)
        else:
            with pytest.raises(OSError, match="in use"):
                unix.bind(sock, Endpoint(socket.AF_UNIX, str(path)), REPLACING)
            assert os.listdir(tmp_path) == ["socket"]
