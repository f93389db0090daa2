"""Programs as targets: the test is the client's side of a pair, or reads an end by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sockkit.core.records import Opened, Record
from sockkit.errors import SockkitError
from sockkit.events import Event, Peer, ProgramEnded, ProgramStarted
from sockkit.net import closing
from sockkit.net.closing import Closer
from sockkit.net.ends.end import PeerEnd, PeerExited
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.programs import Programs
from sockkit.net.relay.pair import Outcome, Pair, Shared
from sockkit.net.relay.program import ProgramTarget, ProgramTargets
from sockkit.net.views import Views
from tests.net import kit
from tests.support import WAIT, read_all, reset

loop = kit.loop
pytestmark = pytest.mark.process

BIG = 10_000_000  # more than the buffers between two sides hold


class Records:
    """A viewer that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[Record] = []

    def show(self, *records: Record) -> None:
        self.shown += records

    def close(self) -> None:
        pass


class Site:
    """Targets that run a shell's text, for clients on loopback."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.records = Records()
        self.context = kit.context(
            loop, emit=self.events.append, environment={"PATH": os.environ["PATH"]}
        )
        self.targets: ProgramTargets | None = None

    def watched(self) -> None:
        views = Views(self.loop, self.events.append)
        views.add(self.records)
        self.context = self.context._replace(views=views)

    def runs(self, text: str, most: int = 10) -> None:
        programs = Programs(self.context, ("/bin/sh", "-c", text))
        self.targets = ProgramTargets(self.context, programs, most)
        self._stack.callback(self.targets.close)

    def client(self, number: int = 1) -> tuple[SocketEnd, socket.socket]:
        ours, far = kit.tcp_pair()
        far.settimeout(WAIT)
        self._stack.callback(far.close)
        peer = Peer(number, "127.0.0.1:9")
        end = SocketEnd(self.loop, ours, peer, lambda _: None)
        self._stack.callback(ours.close)
        return end, far

    def dial(self, number: int = 1) -> list[Any]:
        """What the dialling reports; empty before."""
        assert self.targets
        reported: list[PeerEnd | SockkitError] = []
        end, _ = self.client(number)
        self.targets.dial(end, reported.append)
        return reported

    def target(self) -> ProgramTarget:
        reported = self.dial()
        kit.run_until(self.loop, lambda: bool(reported))
        assert isinstance(reported[0], ProgramTarget)
        self._stack.callback(reported[0].close)
        return reported[0]

    def pair(self, **options: Any) -> socket.socket:
        assert self.targets
        closer = Closer(self.loop)
        end, far = self.client()
        made = Shared(self.context, closer, self.targets.dial, **options)
        pair = Pair(made, end, lambda _, outcome: self.outcomes.append(outcome))
        self._stack.callback(closer.close_all)
        self._stack.callback(pair.close)
        pair.start()
        return far

    def outcome(self) -> Outcome:
        kit.run_until(self.loop, lambda: bool(self.outcomes))
        return self.outcomes[0]

    def exit(self) -> ProgramEnded:
        kit.run_until(self.loop, lambda: bool(kit.of_kind(self.events, ProgramEnded)))
        (ended,) = kit.of_kind(self.events, ProgramEnded)
        assert isinstance(ended, ProgramEnded)
        return ended


@pytest.fixture
def site(loop: Loop) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        yield Site(loop, stack)


def read(end: PeerEnd, loop: Loop) -> bytes:
    """All that comes of `end`."""
    got, buffer = bytearray(), memoryview(bytearray(1 << 16))
    ended = []

    def step() -> None:
        with contextlib.suppress(BlockingIOError):
            size = end.read_into(buffer)
            got.extend(buffer[:size])
            if not size:
                end.when_readable(None)
                ended.append(True)

    end.when_readable(step)
    kit.run_until(loop, lambda: bool(ended))
    return bytes(got)


# The end.


def test_it_reads_what_the_program_writes_and_its_half_close_ends_its_input(site: Site) -> None:
    site.runs("cat; echo over")
    end = site.target()
    assert end.write(b"hello ") == 6
    end.half_close()
    assert read(end, site.loop) == b"hello over\n"
    assert site.exit().code == 0


def test_an_exit_is_the_end_although_another_has_its_output_open(site: Site) -> None:
    site.runs("setsid sh -c 'echo $$; exec sleep 60' & sleep 0.3")
    end = site.target()
    away = int(read(end, site.loop))
    os.kill(away, signal.SIGKILL)  # it runs still
    assert site.exit().code == 0


def test_an_exit_is_told_once_somebody_asks(site: Site) -> None:
    site.runs("exit 5")
    end = site.target()
    told: list[SockkitError] = []
    assert site.exit().code == 5
    end.when_reset(told.append)
    kit.run_until(site.loop, lambda: bool(told))
    assert isinstance(told[0], PeerExited)
    end.when_reset(None)
    kit.settle(site.loop)
    before = len(told)
    kit.settle(site.loop)
    assert len(told) == before


def test_what_it_does_not_read_is_dropped_and_is_no_reset(site: Site) -> None:
    site.runs("exec <&-; echo shut; exec sleep 60")
    end = site.target()
    buffer = memoryview(bytearray(100))

    def arrived() -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(end.read_into(buffer))
        return False

    kit.run_until(site.loop, arrived)
    assert end.write(bytes(1000)) == 1000
    assert end.write(bytes(1000)) == 1000
    assert end.failure() is None
    assert end.undelivered() == 0


def test_an_exit_with_input_that_was_not_read_is_no_failure(site: Site) -> None:
    site.runs("sleep 0.1; exit 2")
    end = site.target()
    assert end.write(b"nobody reads it") == 15
    assert site.exit().code == 2
    assert end.failure() is None
    assert read(end, site.loop) == b""


def test_nothing_is_written_once_it_is_closed(site: Site) -> None:
    site.runs("cat")
    end = site.target()
    end.close()
    with pytest.raises(SockkitError):
        end.write(b"x")


@pytest.mark.parametrize("name", ["close", "abort"])
def test_closing_it_ends_the_program_before_its_input_ends(site: Site, name: str) -> None:
    site.runs("cat > /dev/null; echo whole >&2; exit 7")
    end = site.target()
    assert end.write(b"half of a fi") == 12
    getattr(end, name)()
    assert site.exit().code == -15


def test_it_may_exit_by_itself_once_both_directions_have_ended(site: Site) -> None:
    site.runs("exec >&-; cat; sleep 0.1; exit 6")
    end = site.target()
    assert read(end, site.loop) == b""
    end.half_close()
    end.close()
    assert site.exit().code == 6


def test_one_that_goes_on_after_both_directions_is_ended(site: Site) -> None:
    site.runs("exec >&-; cat; exec sleep 60")
    end = site.target()
    assert read(end, site.loop) == b""
    end.half_close()
    end.close()
    assert site.exit().code == -15


# Dialling.


def test_it_is_told_of_the_client(site: Site) -> None:
    site.runs('echo "$SOCKKIT_PROTO $SOCKKIT_LOCAL_HOST"')
    end = site.target()
    assert read(end, site.loop) == b"tcp 127.0.0.1\n"
    (started,) = kit.of_kind(site.events, ProgramStarted)
    assert (started.peer, started.name) == (Peer(1, "127.0.0.1:9"), "/bin/sh")
    assert started.streams == "pipes"
    assert (end.name, end.peer.number) == ("/bin/sh", 1)


def test_nothing_is_reported_before_dial_returns_nor_after_a_cancel(site: Site) -> None:
    site.runs("cat")
    assert site.targets
    reported: list[Any] = []
    end, _ = site.client()
    pending = site.targets.dial(end, reported.append)
    assert not reported
    pending.cancel()
    kit.settle(site.loop)
    assert not reported
    assert not kit.of_kind(site.events, ProgramStarted)


def test_more_than_the_most_wait_for_a_place_in_order(site: Site) -> None:
    site.runs("trap '' TERM; cat", most=1)
    first, second, third = (site.dial(number) for number in (1, 2, 3))
    kit.run_until(site.loop, lambda: bool(first))
    kit.settle(site.loop)
    assert not second
    first[0].half_close()
    kit.run_until(site.loop, lambda: bool(second))
    kit.settle(site.loop)
    assert not third
    first[0].close()
    second[0].close()
    kit.run_until(site.loop, lambda: bool(third))
    third[0].close()
    started = kit.of_kind(site.events, ProgramStarted)
    assert [each.peer.number for each in started] == [1, 2, 3]


def test_pipes_that_cannot_be_made_are_reported(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.runs("cat")

    def no_pipe() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", no_pipe)
    reported = site.dial()
    kit.settle(site.loop)
    (error,) = reported
    assert "could not make pipes for a program" in str(error)


def test_a_program_that_cannot_be_started_is_reported_and_leaves_no_descriptor(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.runs("cat")

    def refuse(*_: object) -> object:
        raise SockkitError("could not start it")

    monkeypatch.setattr(Programs, "start", refuse)
    site.dial()
    kit.settle(site.loop)
    before = len(os.listdir("/dev/fd"))
    end, far = site.client()
    reported: list[Any] = []
    assert site.targets
    site.targets.dial(end, reported.append)
    kit.settle(site.loop)
    assert str(reported[0]) == "could not start it"
    end.close()
    far.close()
    assert len(os.listdir("/dev/fd")) == before


def test_a_view_sees_it_as_a_program(site: Site) -> None:
    site.watched()
    site.runs("echo hi")
    reported = site.dial(4)
    kit.run_until(site.loop, lambda: bool(reported))
    assert read(reported[0], site.loop) == b"hi\n"
    reported[0].close()
    opened = site.records.shown[0]
    assert isinstance(opened, Opened)
    stream = opened.stream
    assert (stream.number, stream.transport, stream.dialled) == (4, "program", True)
    assert (stream.local, stream.remote) == ("unix", "/bin/sh")  # this client has no address


def test_all_have_exited_is_told_at_once_or_later(site: Site) -> None:
    site.runs("cat; exit 9")
    assert site.targets
    done: list[Any] = []
    site.targets.when_exited(done.append)
    assert done == [None]
    end = site.target()
    site.targets.when_exited(done.append)
    kit.settle(site.loop)
    assert done == [None]
    end.half_close()
    kit.run_until(site.loop, lambda: len(done) == 2)
    assert site.targets.code == 9


# In a pair.


def test_an_exit_closes_the_client_once_it_has_all(site: Site) -> None:
    site.runs(f"head -c {BIG} /dev/zero; exit 1")
    far = site.pair()
    got = bytearray()
    far.setblocking(False)

    def drain() -> bool:
        with contextlib.suppress(BlockingIOError):
            while data := far.recv(1 << 16):
                got.extend(data)
            return True
        return False

    kit.run_until(site.loop, drain)
    assert len(got) == BIG
    outcome = site.outcome()
    assert outcome.error is None
    assert outcome.closed
    assert (outcome.closed.sent, outcome.closed.received) == (0, BIG)


def test_a_client_that_resets_ends_it(site: Site) -> None:
    site.runs("cat; exit 3")
    far = site.pair()
    far.sendall(b"x")
    kit.run_until(site.loop, lambda: bool(kit.of_kind(site.events, ProgramStarted)))
    kit.settle(site.loop)
    reset(far)
    assert site.exit().code == -15
    assert "reset" in str(site.outcome().error)


def test_a_reset_does_not_wait_for_a_program_that_does_not_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", 1000.0)
    site.runs("exec sleep 60")
    far = site.pair()
    far.sendall(b"nobody reads it")
    kit.run_until(site.loop, lambda: bool(kit.of_kind(site.events, ProgramStarted)))
    kit.settle(site.loop)
    reset(far)
    assert site.exit().code == -15


def test_a_client_that_ends_gets_the_rest(site: Site) -> None:
    site.runs("cat; echo rest")
    far = site.pair()
    far.sendall(b"some ")
    far.shutdown(socket.SHUT_WR)
    assert site.outcome().error is None
    assert read_all(far) == b"some rest\n"
