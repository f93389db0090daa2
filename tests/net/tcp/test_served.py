"""One connection with a program: the test is the peer, and the loop is its own.

Whole servers are in tests/e2e/test_programs.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.core.ending import EndOptions
from sockkit.core.text import TextOptions
from sockkit.errors import ReceiveError, SockkitError
from sockkit.events import Closed, Event, Peer, ProgramEnded, ProgramStarted
from sockkit.net.closing import Closer
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.join import JoinOptions
from sockkit.net.lanes import PIPE_BUFFER_BYTES, Copy
from sockkit.net.loop import Loop
from sockkit.net.programs import Programs
from sockkit.net.tcp import served as module
from sockkit.net.tcp.served import Outcome, Served, ServedByPipes, Shared, serve
from tests.net import kit
from tests.support import WAIT, reset

loop = kit.loop
pytestmark = pytest.mark.process


class Site:
    """A connection whose program is a shell's `text`; `peer` is the other side."""

    def __init__(self, loop: Loop, pipes: bool, tmp_path: Path) -> None:
        self.loop, self._pipes, self.path = loop, pipes, tmp_path
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.context = kit.context(
            loop, emit=self.events.append, environment={"PATH": os.environ["PATH"]}
        )
        ours, self.peer = kit.tcp_pair()
        self.peer.settimeout(WAIT)
        self.end = SocketEnd(loop, ours, Peer(7, "127.0.0.1:9"), lambda _: None)
        self.closer = Closer(loop)
        self.programs: Programs | None = None
        self.served: Served | None = None
        self.options = JoinOptions(EndOptions(patient=True))

    def begin(self, *words: str) -> None:
        self.programs = Programs(self.context, words)
        join = (lambda: self.options) if self._pipes else None
        shared = Shared(self.context, self.programs, self.closer, join)
        self.served = serve(shared, self.end, lambda _, outcome: self.outcomes.append(outcome))
        self.served.start()

    def shell(self, text: str) -> None:
        self.begin("/bin/sh", "-c", text)

    def line(self) -> str:
        got = b""
        while not got.endswith(b"\n"):
            kit.settle(self.loop)
            self.peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                got += self.peer.recv(1)
        self.peer.settimeout(WAIT)
        return got.decode().rstrip()

    def outcome(self) -> Outcome:
        kit.run_until(self.loop, lambda: bool(self.outcomes))
        kit.settle(self.loop)
        (outcome,) = self.outcomes
        return outcome

    def close(self) -> None:
        if self.served:
            self.served.close()
        self.closer.close_all()
        if self.programs:
            self.programs.close()
        self.peer.close()


@pytest.fixture(params=["socket", "pipes"])
def site(request: pytest.FixtureRequest, loop: Loop, tmp_path: Path) -> Iterator[Site]:
    with contextlib.closing(Site(loop, request.param == "pipes", tmp_path)) as site:
        yield site


by_pipes = pytest.mark.parametrize("site", ["pipes"], indirect=True)
on_socket = pytest.mark.parametrize("site", ["socket"], indirect=True)


def test_it_is_over_when_the_program_has_exited_and_all_has_arrived(site: Site) -> None:
    site.shell("echo hello; exit 3")
    site.peer.shutdown(socket.SHUT_WR)
    outcome = site.outcome()
    assert (outcome.error, outcome.code) == (None, 3)
    assert outcome.totals == ("sent 6 bytes, received 0 bytes" if site._pipes else "")
    sizes = (6, 0) if site._pipes else (None, None)
    assert outcome.closed._replace(seconds=None) == Closed(site.end.peer, *sizes)
    assert site.peer.recv(100) == b"hello\n"
    assert site.peer.recv(100) == b""
    (started,) = kit.of_kind(site.events, ProgramStarted)
    streams = "pipes" if site._pipes else "the socket itself"
    assert (started.peer.number, started.name, started.streams) == (7, "/bin/sh", streams)
    (ended,) = kit.of_kind(site.events, ProgramEnded)
    assert ended.code == 3


def test_a_reset_is_its_error_and_waits_for_the_exit(site: Site) -> None:
    site.shell("trap 'sleep 0.1; exit 4' TERM; echo ready; while :; do sleep 0.01; done")
    assert site.line() == "ready"
    reset(site.peer)
    outcome = site.outcome()
    assert isinstance(outcome.error, ReceiveError)
    assert outcome.code == 4
    assert outcome.closed.problem == "receiving failed: connection reset by peer"
    assert not outcome.closed.lost


def test_a_program_that_cannot_be_started_closes_its_connection(site: Site) -> None:
    own = site.path / "own"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    real = Programs.start

    def start(*arguments: object, **named: object) -> object:
        own.unlink(missing_ok=True)
        return real(*arguments, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Programs, "start", start)
        site.begin(str(own))
    site.peer.shutdown(socket.SHUT_WR)
    outcome = site.outcome()
    assert "could not start" in str(outcome.error)
    assert outcome.code is None
    assert site.peer.recv(10) == b""


@by_pipes
@pytest.mark.parametrize("nth", [1, 2])
def test_pipes_that_cannot_be_made_are_an_error_of_that_connection(
    nth: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    kit.fail_nth(monkeypatch, module.os, "pipe", nth, full)
    site.shell("cat")
    site.peer.shutdown(socket.SHUT_WR)
    outcome = site.outcome()
    assert isinstance(outcome.error, SockkitError)
    assert "could not make pipes for a program: too many open files" in str(outcome.error)
    assert outcome.error.kind


@by_pipes
def test_nothing_keeps_the_buffers_of_a_connection_that_was_reset(site: Site) -> None:
    text = TextOptions("gbk")
    outbound, inbound = text.outbound("utf-8", "the program's output"), text.inbound("utf-8")
    site.options = site.options._replace(outbound=outbound, inbound=inbound)
    site.shell("echo ready; sleep 60")
    assert site.line() == "ready"
    assert isinstance(site.served, ServedByPipes)
    join = site.served._join
    lanes = [pump.lane for pump in (join._sender, join._receiver)]
    copies = [lane for lane in lanes if isinstance(lane, Copy)]
    assert [len(copy._buffer) for copy in copies] == [PIPE_BUFFER_BYTES] * 2
    reset(site.peer)
    assert site.outcome().error
    assert [len(copy._buffer) for copy in copies] == [0, 0]


@by_pipes
def test_what_it_has_written_is_all_even_if_others_have_its_output_open(site: Site) -> None:
    site.shell("setsid sh -c 'echo $$; exec sleep 60' & sleep 0.3; exit 0")
    away = int(site.line())
    try:
        site.peer.shutdown(socket.SHUT_WR)
        assert site.outcome().error is None
    finally:
        os.kill(away, 9)


@by_pipes
def test_a_peer_that_takes_nothing_of_the_rest_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STALL_SECONDS", 0.3)
    for sock in (site.peer, site.end._socket):
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 4096)
    site.shell("head -c 700000 /dev/zero")  # less than a pipe holds
    outcome = site.outcome()
    assert outcome.code == 0
    told = "the peer accepts none of the program's output"
    assert str(outcome.error) == told
    closed = outcome.closed
    assert closed.sent is not None
    assert f"{told}, " in closed.problem
    assert closed.problem.endswith(" bytes not sent")
    assert closed.lost


@on_socket
def test_the_socket_blocks_while_the_program_has_it(site: Site) -> None:
    site.shell("echo ready; cat")
    assert site.line() == "ready"
    assert os.get_blocking(site.end.descriptor)
    site.peer.shutdown(socket.SHUT_WR)
    kit.run_until(site.loop, lambda: bool(kit.of_kind(site.events, ProgramEnded)))
    assert site.outcome().error is None


def test_after_a_close_nothing_is_reported(site: Site) -> None:
    site.shell("echo ready; sleep 60")
    assert site.line() == "ready"
    assert site.served
    site.served.close()
    site.served = None
    assert site.programs
    site.programs.close()
    kit.settle(site.loop)
    assert site.outcomes == []
