"""The command in this process; whole programs are in tests/e2e/test_probe.py."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps import probe as module
from sockkit.apps.probe import MAX_ROWS, Probe, run
from sockkit.core.address import HostPort
from sockkit.core.probing import Rules
from sockkit.core.targets import parse_targets
from sockkit.errors import (
    ConnectError,
    OutputGone,
    ResolveError,
    SockkitError,
    TimedOut,
    UsageError,
)
from sockkit.events import Event, Notice
from sockkit.net import internet
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from tests.net import kit
from tests.support import HERE


class Site:
    """Runs the command with a file as its standard output."""

    def __init__(self, path: Path) -> None:
        self._path = path / "out"
        self.events: list[Event] = []

    def run(self, words: str, *, terminal: bool = False, **fields: Any) -> list[str]:
        """The lines of standard output. Raises what `run` raises."""
        colors: Any = {} if terminal else None
        with self._path.open("wb") as out, open(os.devnull, "rb") as nothing, Loop() as loop:
            loop.later(kit.WAIT, kit.too_late)
            output = Output(loop, out.fileno())
            output.terminal = terminal
            stdio = Stdio(Input(loop, nothing.fileno()), output, "utf-8")
            run(
                config(words, **fields), kit.context(loop, stdio, self.events.append, colors=colors)
            )
        return self.lines

    @property
    def lines(self) -> list[str]:
        return self._path.read_text().splitlines()


def config(words: str, **fields: Any) -> Probe:
    targets = parse_targets(words.split(), lambda _: None)
    given = {"connect": ConnectOptions(5.0), "sockets": SocketOptions(), "rules": Rules()}
    return Probe(targets, **{**given, **fields})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@contextlib.contextmanager
def ports() -> Iterator[tuple[int, int]]:
    """One that listens, and one that refuses."""
    with socket.create_server((HERE, 0)) as live, socket.socket() as dead:
        dead.bind((HERE, 0))
        yield live.getsockname()[1], dead.getsockname()[1]


def states(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines]


def test_a_line_for_each_target_in_order(site: Site) -> None:
    with ports() as (live, dead):
        assert states(site.run(f"{HERE}:{live}")) == ["open"]
        with pytest.raises(ConnectError, match=r"^1 of 3 targets is open \(2 refused\)$"):
            site.run(f"{HERE}:{dead},{live} localhost:{dead}", sockets=SocketOptions(4))
        assert [line.split(" open")[0] for line in site.lines] == [
            f"{HERE}:{dead} refused", f"{HERE}:{live}", f"localhost:{dead} refused",
        ]  # fmt: skip


def test_any_and_wait_show_the_result_alone(site: Site) -> None:
    with ports() as (live, dead):
        lines = site.run(f"{HERE}:{dead},{live}", rules=Rules(any_one=True))
        assert [line.split()[0] for line in lines] == [f"{HERE}:{live}"]
        with pytest.raises(TimedOut, match=r"1 of 2 targets is open after 0.2 s \(1 refused\)"):
            site.run(f"{HERE}:{dead},{live}", rules=Rules(wait=0.2))
        assert states(site.lines) == ["refused", "open"]
        for any_one in (False, True):
            assert states(site.run(f"{HERE}:{live}", rules=Rules(any_one, wait=0.0))) == ["open"]
            with pytest.raises(
                TimedOut, match=r"not open after 0 s: .* refused: allow more time with --wait$"
            ):
                site.run(f"{HERE}:{dead}", rules=Rules(any_one, wait=0.0))
            assert states(site.lines) == ["refused"]
        with pytest.raises(ConnectError, match="0 of 2"):
            site.run(f"{HERE}:{dead} unix:/none/such", rules=Rules(any_one=True))
        assert len(site.lines) == 2


def test_what_belongs_to_a_program_stays_its_own(site: Site) -> None:
    with ports() as (live, _):
        assert site.run(f"{HERE}:{live}", command=("true",)) == []
    (notice,) = kit.of_kind(site.events, Notice)
    assert notice.text.startswith(f"{HERE}:{live} open ")


def test_nothing_is_shown_quietly(site: Site) -> None:
    with ports() as (live, dead):
        assert site.run(f"{HERE}:{live}", quiet=True) == []
        with pytest.raises(ConnectError):
            site.run(f"{HERE}:{dead}", quiet=True)
    assert site.lines == kit.of_kind(site.events, Notice) == []


def test_a_table_on_a_terminal(site: Site) -> None:
    with ports() as (live, dead), pytest.raises(ConnectError):
        site.run(f"{HERE}:{live} 127.0.0.100:{dead}", terminal=True)
    first, second = site.lines
    assert first.startswith(f"{HERE}:{live}".ljust(len(f"127.0.0.100:{dead}")) + "  \x1b[32mopen")
    assert first.endswith(" ms")
    assert f"127.0.0.100:{dead}  \x1b[31mrefused\x1b[39m" == second


def test_a_long_table_has_the_open_ones_alone(site: Site) -> None:
    with ports() as (live, dead):
        rows = " ".join(f"127.0.0.{number}:{dead}" for number in range(1, MAX_ROWS))
        with pytest.raises(ConnectError):
            site.run(f"{rows} {HERE}:{live}", terminal=True)
        assert len(site.lines) == MAX_ROWS
        with pytest.raises(ConnectError, match=f"{MAX_ROWS} refused"):
            site.run(f"{rows} 127.0.0.99:{dead} {HERE}:{live}", terminal=True)
        assert [line.split()[0] for line in site.lines] == [f"{HERE}:{live}"]
        with pytest.raises(ConnectError):
            site.run(f"{rows} 127.0.0.99:{dead} {HERE}:{live}")  # a pipe gets every line
        assert len(site.lines) == MAX_ROWS + 1


def test_options_that_need_or_exclude_each_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--send needs --match"):
        site.run("a:1", send=b"x")
    monkeypatch.setattr("sockkit.net.probe.wait.MAX_TARGETS", 3)
    for rules in (Rules(wait=1.0), Rules(any_one=True)):
        with pytest.raises(UsageError, match="3 targets: 4 were given"):
            site.run("a:1-4", rules=rules)


def test_a_port_of_our_own_for_several(site: Site) -> None:
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    connect = ConnectOptions(5.0, source=HostPort(HERE, port))
    with ports() as (first, _), ports() as (second, _):
        lines = site.run(f"{HERE}:{first},{second}", connect=connect)
    assert states(lines) == ["open", "open"]


def test_a_name_that_comes_to_be_while_it_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is not there is looked up once, if nobody waits."""
    asked: list[str] = []
    real = internet.look_up

    def look_up(address: HostPort, family: int, **more: Any) -> Any:
        if address.host != "late" or more.get("numeric"):
            return real(address, family, **more)
        asked.append(address.host)
        if len(asked) < 4:
            raise ResolveError("could not resolve late", kind="not resolved: not yet")
        return real(HostPort(HERE, address.port), family)

    monkeypatch.setattr(internet, "look_up", look_up)
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.01)
    with ports() as (live, _):
        with pytest.raises(ConnectError, match="50 not resolved"):
            site.run("late:1-50")
        assert len(asked) == 1
        (line,) = site.run(f"late:{live}", rules=Rules(wait=9.0))
    assert line.startswith(f"late:{live} open ")
    assert len(asked) == 4


class Slow:
    """Standard output that takes nothing before it is asked `turns` times."""

    terminal = False

    def __init__(self, loop: Loop, error: SockkitError | None = None) -> None:
        self._loop, self._error = loop, error
        self.written = b""
        self.blocked = 0

    def write(self, data: bytes) -> int:
        if self._error:
            raise self._error
        if self.blocked < 20:
            self.blocked += 1
            raise BlockingIOError
        self.written += data
        return len(data)

    def when_writable(self, callback: Any) -> None:
        if callback:
            self._loop.later(0.005, lambda: (callback(), self.when_writable(None)))
            if self.blocked < 20:
                self._loop.later(0.01, lambda: self.when_writable(callback))

    def when_gone(self, callback: Any) -> None:
        pass


def running(slow: Slow, loop: Loop, words: str) -> None:
    nothing: Any = None
    output: Any = slow
    stdio = Stdio(nothing, output, "utf-8")
    run(config(words), kit.context(loop, stdio))


def test_an_output_that_is_slow_holds_the_attempts_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 100)
    with ports() as (_, dead), Loop() as loop:
        loop.later(kit.WAIT, kit.too_late)
        slow = Slow(loop)
        words = " ".join(f"127.0.1.{number}:{dead}" for number in range(1, 250))
        with pytest.raises(ConnectError, match="249 refused"):
            running(slow, loop, words)
        assert slow.written.count(b"\n") == 249
        assert slow.blocked == 20


def test_an_output_that_fails_ends_it() -> None:
    with ports() as (live, _), Loop() as loop:
        loop.later(kit.WAIT, kit.too_late)
        with pytest.raises(OutputGone):
            running(Slow(loop, OutputGone("gone")), loop, f"{HERE}:{live}")
