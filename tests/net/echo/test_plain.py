"""Connections that are only echoed: what is particular to their path."""

from __future__ import annotations

import errno
import os
import socket
import stat

import pytest

from sockkit.net import kernel
from sockkit.net.echo.plain import MAX_RECEIVE_BYTES
from sockkit.net.echo.tcp import EchoOptions
from sockkit.net.options import SocketOptions
from tests.net import kit
from tests.net.echo import site as echo_site
from tests.net.echo.site import MIB, PLAIN, Site
from tests.net.kit import fail_nth, noise, run_until

loop, stack, site = kit.loop, kit.stack, echo_site.site


def test_much_is_left_to_the_kernel(site: Site) -> None:
    echo = site.tcp(PLAIN)
    sock = site.client()
    data = noise(32 * MIB)
    assert site.asks(sock, data, len(data)) == data
    (connection,) = echo._connections
    assert getattr(connection, "_pump") is not None  # noqa: B009
    sock.shutdown(socket.SHUT_WR)
    assert site.asks(sock, b"", 1) == b""
    assert site.closed == [(len(data), len(data), "")]


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize(
    "code", [errno.ECONNRESET, errno.ENOMEM, errno.EINVAL, errno.ENOSYS, errno.EIO]
)
def test_a_splice_that_fails(
    code: int, number: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = site.tcp(PLAIN)
    sock = site.client()
    data = noise(8 * MIB)
    fail_nth(monkeypatch, os, "splice", number, OSError(code, os.strerror(code)))
    try:
        got = site.asks(sock, data, len(data))
    except ConnectionError:
        got = b""
    if code in (errno.EINVAL, errno.ENOSYS):  # a copy goes on
        assert got == data
    else:
        run_until(site.loop, lambda: not echo._connections)
        assert data.startswith(got)
    assert site.asks(site.client(), b"next", 4) == b"next"


def test_the_kernel_reads_no_more_at_once_than_the_buffer_size(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = kernel._splice, set()

    def splice(source: int, sink: int, size: int) -> int:
        if stat.S_ISSOCK(os.fstat(source).st_mode):
            asked.add(size)
        return real(source, sink, size)

    monkeypatch.setattr(kernel, "_splice", splice)
    site.tcp(EchoOptions(sockets=SocketOptions(buffer_size=MAX_RECEIVE_BYTES + 1)))
    data = noise(32 * MIB)
    assert site.asks(site.client(), data, len(data)) == data
    assert asked == {MAX_RECEIVE_BYTES + 1}
