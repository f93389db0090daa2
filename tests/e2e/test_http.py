"""A page from Python's own web server, as the help and the README ask for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import HERE, Program, run

PAGE = b"<p>it works</p>\n" * 10_000


@pytest.fixture
def port(tmp_path: Path) -> Iterator[str]:
    """Of a web server whose first page is PAGE."""
    (tmp_path / "index.html").write_bytes(PAGE)
    arguments = ["-u", "-m", "http.server", "0", "--bind", HERE]
    with Program(*arguments, command=(sys.executable,), cwd=tmp_path) as server:
        assert server.process.stdout
        line = server.process.stdout.readline().decode()
        assert line.startswith("Serving HTTP on 127.0.0.1 port ")
        yield line.split()[5]


@pytest.mark.parametrize(
    ("options", "request_lines"),
    [([], b"GET / HTTP/1.0\r\n\r\n"), (["-C"], b"GET / HTTP/1.0\n\n")],
    ids=["as it is", "--crlf"],
)
def test_a_page(options: list[str], request_lines: bytes, port: str) -> None:
    status, out, stderr = run("tcp-client", *options, HERE, port, data=request_lines)
    assert (status, stderr) == (0, "")
    head, _, page = out.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert page == PAGE
