"""Unix addresses: their endpoint, and what binding makes and removes.

How a server treats what is at its path is in tests/net/tcp/test_listen.py.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from sockkit.core.address import UnixPath
from sockkit.net import unix
from sockkit.net.endpoint import Endpoint
from sockkit.net.loop import Loop
from sockkit.net.openers import resolve
from sockkit.net.options import SocketOptions
from tests.net import kit

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
    ("code", "hint"), [(errno.EADDRINUSE, "that is no socket"), (errno.EACCES, "")]
)
def test_what_a_failed_bind_means(code: int, hint: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = unix.bind_error(OSError(code, os.strerror(code)), UnixPath(f"{tmp_path}/file"), "tcp")
    assert str(error).startswith(f"could not listen on unix:{tmp_path}/file: ")
    assert error.hint.startswith(hint)
    assert bool(error.hint) is bool(hint)
