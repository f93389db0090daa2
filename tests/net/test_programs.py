"""Programs and their process groups, in this process: the loop is the test's."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.errors import SockkitError, UsageError
from sockkit.net import programs as module
from sockkit.net.loop import Loop
from sockkit.net.programs import Program, Programs
from tests.net import kit
from tests.support import WAIT

loop = kit.loop
pytestmark = pytest.mark.process

# They ignore SIGTERM, and tell their id in a line: a child to be, and a leader with a child.
STUBBORN = """sh -c "trap '' TERM; echo \\$\\$; exec sleep 60" &"""
IGNORES = "trap '' TERM; echo $$; sleep 60"


class Site:
    """Starts programs, whose standard output is a pipe that `line` reads."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.out, self._into = os.pipe()
        self.null = os.open(os.devnull, os.O_RDONLY)
        self.made: list[Programs] = []
        self.exited: list[Program] = []

    def programs(self, *words: str, environment: dict[str, str] | None = None) -> Programs:
        given = {"PATH": os.environ["PATH"]} if environment is None else environment
        self.made.append(Programs(kit.context(self.loop, environment=given), words))
        return self.made[-1]

    def start(self, *words: str, **facts: str) -> Program:
        return self.begin(self.programs(*words), **facts)

    def begin(self, programs: Programs, **facts: str) -> Program:
        return programs.start(self.null, self._into, facts, self.exited.append)

    def shell(self, text: str, **facts: str) -> Program:
        return self.start("/bin/sh", "-c", text, **facts)

    def line(self) -> str:
        """One line of what the programs write, which blocks."""
        got = b""
        while not got.endswith(b"\n"):
            got += os.read(self.out, 1)
        return got.decode().rstrip("\n")

    def exits(self, program: Program) -> int:
        kit.run_until(self.loop, lambda: program in self.exited)
        assert program.code is not None
        return program.code

    def ends(self) -> None:
        """Turn the loop until no group is left."""
        kit.run_until(self.loop, lambda: not any(map(len, self.made)))

    def close(self) -> None:
        for programs in self.made:
            programs.close()
        for descriptor in (self.out, self._into, self.null):
            os.close(descriptor)


@pytest.fixture
def site(loop: Loop) -> Iterator[Site]:
    with contextlib.closing(Site(loop)) as site:
        yield site


def exists(number: int) -> bool:
    """Whether there is such a process that runs; a zombie, which others have to reap, does not."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def is_gone(number: int) -> None:
    end = time.monotonic() + WAIT
    while exists(number):
        assert time.monotonic() < end, f"process {number} is left"
        time.sleep(0.002)


def has_no_children() -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture(params=["told", "untold"])
def noticed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pidfd_open(2), and without."""
    if request.param == "untold":
        monkeypatch.delattr(os, "pidfd_open")


# Starting.


@pytest.mark.parametrize("name", ["", "no-such-program", "./no-such", "/", "/dev/null", "a/b"])
def test_what_cannot_be_run_is_a_usage_error_that_names_it(name: str, site: Site) -> None:
    with pytest.raises(UsageError, match="could not find or run the program") as caught:
        site.programs(name, "x")
    assert repr(name) in str(caught.value)
    assert str(caught.value).endswith("check its path, or your PATH")


def test_a_file_that_is_not_executable_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match=f"make it executable: chmod \\+x {tmp_path}/own"):
        site.programs(f"{tmp_path}/own")


def test_a_program_is_looked_for_in_the_path_of_the_run(site: Site, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\necho own $0\n")
    with pytest.raises(UsageError):
        site.programs("own", environment={"PATH": str(tmp_path)})
    own.chmod(0o755)
    site.begin(site.programs("own", environment={"PATH": str(tmp_path)}))
    assert site.line() == f"own {own}"


def test_one_that_vanishes_later_is_an_error_with_a_kind(site: Site, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    programs = site.programs(str(own))
    own.unlink()
    with pytest.raises(SockkitError, match=f"could not start {own}: no such file") as caught:
        site.begin(programs)
    assert caught.value.kind
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert len(programs) == 0


def test_what_is_no_program_for_the_system_may_be_one_for_a_shell(
    site: Site, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text("echo a script without its first line\n")
    own.chmod(0o755)
    with pytest.raises(
        SockkitError, match="exec format error: for a script without #! use --shell"
    ):
        site.start(str(own))


def test_a_fork_that_fails_is_an_error_and_changes_no_signals(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    programs = site.programs("cat")
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})
    try:
        monkeypatch.setattr(subprocess, "Popen", fail)
        with pytest.raises(SockkitError, match="could not start cat: resource temporarily"):
            site.begin(programs)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def test_the_facts_are_in_its_environment_and_nothing_of_ours_is(site: Site) -> None:
    given = {"PATH": os.environ["PATH"], "SOCKKIT_PASSWORD": "secret", "A": "b"}
    site.begin(site.programs("env", environment=given), PROTO="tcp", REMOTE_HOST="::1")
    got = {site.line() for _ in range(4)}
    assert got == {f"PATH={given['PATH']}", "A=b", "SOCKKIT_PROTO=tcp", "SOCKKIT_REMOTE_HOST=::1"}


def test_it_has_no_descriptor_but_its_three(site: Site) -> None:
    left = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(left, True)
    try:
        program = site.shell("echo ready; exec sleep 60")
        site.line()
        kit.run_until(
            site.loop, lambda: "sleep" in Path(f"/proc/{program.number}/cmdline").read_text()
        )
        folder = f"/proc/{program.number}/fd"  # where it may still have a library open
        kit.run_until(site.loop, lambda: sorted(os.listdir(folder)) == ["0", "1", "2"])
    finally:
        os.close(left)


def test_its_signals_are_those_of_a_new_program(site: Site) -> None:
    """And ours are as before. Python ignores SIGPIPE; the parent may have blocked others."""
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM, signal.SIGCHLD})
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        site.start("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
        named = (1 << 31) - 1  # beyond are signals that a library may ignore
        assert {int(site.line().split()[1], 16) & named for _ in range(2)} == {0}
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGTERM, signal.SIGCHLD}
        assert signal.getsignal(signal.SIGTTOU) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTTOU, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def test_it_leads_a_group_and_a_session(site: Site) -> None:
    program = site.shell("echo $$; exec sleep 60")
    assert int(site.line()) == program.number
    assert os.getpgid(program.number) == os.getsid(program.number) == program.number


# Its exit.


@pytest.mark.usefixtures("noticed")
@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9)])
def test_the_exit_is_told_once_with_its_code(text: str, code: int, site: Site) -> None:
    program = site.shell(text)
    assert site.exits(program) == code
    site.ends()
    assert site.exited == [program]
    has_no_children()


@pytest.mark.usefixtures("noticed")
def test_the_group_ends_with_its_leader(site: Site) -> None:
    program = site.shell("sleep 60 & echo $!; exit 5")
    child = int(site.line())
    assert site.exits(program) == 5
    site.ends()
    is_gone(child)
    has_no_children()


def test_who_has_left_the_group_is_left_alone(site: Site) -> None:
    program = site.shell("setsid sh -c 'echo $$; exec sleep 60' & wait")
    away = int(site.line())
    try:
        program.end()
        site.exits(program)
        site.ends()
        assert exists(away)
    finally:
        os.kill(away, signal.SIGKILL)


@pytest.mark.usefixtures("noticed")
def test_one_that_is_told_to_end_gets_sigterm(site: Site) -> None:
    program = site.shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    assert site.line() == "ready"
    program.end()
    program.end()
    assert site.exits(program) == 7
    site.ends()
    has_no_children()


@pytest.mark.usefixtures("noticed")
def test_one_that_ignores_it_is_killed_after_two_seconds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = log_signals(monkeypatch)
    program = site.shell(IGNORES)
    site.line()
    began = site.loop.now
    program.end()
    assert site.exits(program) == -signal.SIGKILL
    assert site.loop.now - began >= module.END_SECONDS
    assert signals[0] == signal.SIGTERM
    assert {*signals[1:]} == {signal.SIGKILL}
    site.ends()
    has_no_children()


def test_a_child_that_ignores_it_is_killed_as_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.2)
    program = site.shell(f"{STUBBORN} wait")
    child = int(site.line())
    program.end()
    assert site.exits(program) == -signal.SIGTERM
    assert exists(child)
    site.ends()
    is_gone(child)


def test_it_is_gone_when_nobody_is_left_of_its_group(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.3)
    program = site.shell(f"{STUBBORN} wait")
    child = int(site.line())
    told: list[bool] = []
    program.when_gone(lambda: told.append(exists(child)))
    program.end()
    site.exits(program)
    assert told == []
    site.ends()
    program.when_gone(lambda: told.append(True))
    assert len(told) == 2
    is_gone(child)


def test_the_group_is_signalled_before_its_leader_is_reaped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards its number may be another's."""
    order: list[str] = []
    killpg, poll = os.killpg, subprocess.Popen.poll

    def log_kill(group: int, number: int) -> None:
        order.append(f"signal {number}")
        killpg(group, number)

    def log_poll(process: subprocess.Popen[bytes]) -> int | None:
        code = poll(process)
        order.append(f"reaped {code}")
        return code

    monkeypatch.setattr(os, "killpg", log_kill)
    monkeypatch.setattr(subprocess.Popen, "poll", log_poll)
    site.exits(site.shell("exit 3"))
    assert order[:3] == ["signal 15", "reaped 3", "signal 0"]


def log_signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals that groups get from now on."""
    sent: list[int] = []
    killpg = os.killpg

    def log(group: int, number: int) -> None:
        if number:
            sent.append(number)
        killpg(group, number)

    monkeypatch.setattr(os, "killpg", log)
    return sent


def test_a_group_that_has_ended_is_not_signalled_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be that of another group by then."""
    monkeypatch.setattr(module, "END_SECONDS", 0.05)
    program = site.shell("exit 0")
    site.exits(program)
    site.ends()
    sent: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda _, number: sent.append(number))
    program.end()
    kit.run_for(site.loop, 0.1)
    assert sent == []


def test_without_a_descriptor_for_it_the_exit_is_still_noticed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", fail)
    assert site.exits(site.shell("exit 4")) == 4


# The end of sockkit.


def close(programs: Programs) -> float:
    began = time.monotonic()
    programs.close()
    return time.monotonic() - began


def test_a_close_ends_all_without_the_loop(site: Site) -> None:
    programs = site.programs("/bin/sh", "-c", "echo $$; exec sleep 60")
    for _ in range(5):
        site.begin(programs)
    numbers = [int(site.line()) for _ in range(5)]
    programs.close()
    assert len(programs) == 0
    for number in numbers:
        assert not exists(number)
    has_no_children()
    kit.settle(site.loop)
    assert site.exited == []  # nobody is told any more


@pytest.mark.parametrize("told", [False, True])
def test_a_close_kills_who_ignores_it(told: bool, site: Site) -> None:
    """Also if it was told to end before, and had two seconds for that."""
    programs = site.programs("/bin/sh", "-c", IGNORES)
    program = site.begin(programs)
    site.line()
    if told:
        program.end()
    took = close(programs)
    assert module.QUIT_SECONDS <= took < WAIT
    assert not exists(program.number)
    has_no_children()


def test_a_close_kills_what_a_leader_has_left(site: Site) -> None:
    programs = site.programs("/bin/sh", "-c", f"{STUBBORN} wait")
    program = site.begin(programs)
    child = int(site.line())
    os.kill(program.number, signal.SIGKILL)
    site.exits(program)
    assert exists(child)
    programs.close()
    is_gone(child)
    assert len(programs) == 0
