"""What standard input and output do beyond what every end promises (test_end.py)."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.errors import OutputError, OutputGone, SockkitError
from sockkit.net.ends.end import Kind
from sockkit.net.ends.stdio import Input, Output, UnreadInput
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import Far, flags, noise, run_for, run_until
from tests.support import reset

loop, stack = kit.loop, kit.stack

KINDS = {
    "pipe": Kind.PIPE,
    "file": Kind.FILE,
    "append": Kind.FILE,
    "socketpair": Kind.OTHER,
    "pty": Kind.OTHER,
}


def opened(make: type, path: str | Path, mode: int, stack: contextlib.ExitStack) -> kit.Made:
    return kit.stdio_end(make, os.open(path, mode), Far(-1), stack)


@pytest.mark.parametrize("name", ["pipe", "file", "append", "socketpair", kit.PTY])
def test_kinds(name: str, stack: contextlib.ExitStack, tmp_path: Path) -> None:
    ends = [kit.sink(name, stack, tmp_path).end]
    if name != "append":
        ends.append(kit.source(name, stack, tmp_path).end)
    assert [(end.kind, end.terminal) for end in ends] == [(KINDS[name], name == "pty")] * len(ends)


def test_a_device_is_neither_terminal_nor_file(stack: contextlib.ExitStack) -> None:
    end = opened(Input, "/dev/null", os.O_RDONLY, stack).end
    assert (end.kind, end.terminal) == (Kind.DEVICE, False)
    assert end.read_into(memoryview(bytearray(9))) == 0


@pytest.mark.parametrize("name", ["pipe", kit.PTY])
@pytest.mark.parametrize("make", [kit.source, kit.sink], ids=["input", "output"])
def test_a_description_of_its_own_leaves_the_shared_one_alone(
    make: object, name: str, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = make(name, stack, tmp_path)  # type: ignore[operator]
    assert made.end.descriptor != made.shared
    assert flags(made.end.descriptor) & os.O_NONBLOCK
    assert not flags(made.shared) & os.O_NONBLOCK


def refuse_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: object) -> int:
        raise PermissionError(13, "no /proc here", path)

    monkeypatch.setattr(os, "open", refuse)


def test_an_output_that_cannot_be_opened_again_takes_what_does_not_block(
    stack: contextlib.ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that is ready has room for PIPE_BUF bytes, pipe(7); more would block here."""
    refuse_proc(monkeypatch)
    made = kit.sink("pipe", stack, tmp_path)
    assert made.end.descriptor == made.shared
    data = noise(2_000_000)
    given = 0
    while select.select([], [made.end.descriptor], [], 0)[1]:
        given += made.end.write(memoryview(data)[given:])
    assert given >= select.PIPE_BUF
    with pytest.raises(BlockingIOError):
        made.end.write(b"x")
    assert not flags(made.shared) & os.O_NONBLOCK
    made.release()
    assert made.far.take() == data[:given]


def test_an_input_that_cannot_be_opened_again_still_gives_everything(
    stack: contextlib.ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_proc(monkeypatch)
    made = kit.source("pipe", stack, tmp_path)
    assert made.end.descriptor == made.shared
    made.far.give(b"all of it")
    made.far.close()
    buffer = memoryview(bytearray(100))
    assert made.end.read_into(buffer) == 9
    assert made.end.read_into(buffer) == 0
    assert not flags(made.shared) & os.O_NONBLOCK


def test_an_output_to_a_pipe_nobody_reads_is_gone_not_stuck(
    stack: contextlib.ExitStack,
) -> None:
    out, into = os.pipe()
    os.close(out)  # opening it again fails: ENXIO
    made = kit.stdio_end(Output, into, Far(-1), stack)
    with pytest.raises(OutputGone):
        made.end.write(b"x")


def test_a_socket_that_was_reset_is_gone(stack: contextlib.ExitStack) -> None:
    """As a pipe is whose reader has left, for `sockkit ... | consumer` over a socket."""
    ours, theirs = kit.tcp_pair()
    made = kit.stdio_end(Output, ours.detach(), Far(-1), stack)
    reset(theirs)
    with pytest.raises(OutputGone) as caught:
        made.end.write(b"x")
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    with pytest.raises(OutputGone):  # from then on it is a broken pipe
        made.end.write(b"x")


@pytest.mark.process
@pytest.mark.parametrize("name", ["master", "another's terminal"])
def test_a_terminal_that_is_not_ours_is_used_as_it_is(
    name: str, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To open a master again would make a new terminal, and one must not be blocked on."""
    master, slave = kit._terminal()
    ours, theirs = (master, slave) if name == "master" else (slave, master)
    if name != "master":
        refuse_proc(monkeypatch)
    made = kit.stdio_end(Output, ours, Far(theirs), stack)
    assert made.end.descriptor == made.shared
    data, given = b"x" * 1_000_000, 0
    with contextlib.suppress(BlockingIOError):  # the system keeps some, and nobody reads
        while given < len(data):
            given += made.end.write(memoryview(data)[given:])
    assert 0 < given < len(data)
    assert not flags(made.shared) & os.O_NONBLOCK
    os.set_blocking(theirs, False)
    assert os.read(theirs, 100) == b"x" * 100


@pytest.mark.process
def test_a_master_is_read_as_it_is(stack: contextlib.ExitStack) -> None:
    master, slave = kit._terminal()
    made = kit.stdio_end(Input, master, Far(slave), stack)
    assert made.end.descriptor == made.shared
    made.far.give(b"typed")
    buffer = bytearray(9)
    assert made.end.read_into(memoryview(buffer)) == 5
    assert buffer[:5] == b"typed"
    made.far.close()
    assert made.end.read_into(memoryview(buffer)) == 0


@pytest.mark.parametrize("kind", ["pipe", "file", "device", kit.PTY])
def test_what_is_open_the_other_way_only_says_so(
    kind: str, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """To open a pipe again the right way would be to take its reader's place."""

    def shared(mode: int) -> int:
        if kind == "pipe":
            ends = os.pipe()
            stack.callback(os.close, ends[mode == os.O_RDONLY])
            return ends[mode == os.O_WRONLY]
        (tmp_path / "file").touch()
        if kind == "pty":
            master, slave = kit._terminal()
            stack.callback(os.close, master)
            stack.callback(os.close, slave)
            return os.open(os.ttyname(slave), mode | os.O_NOCTTY)
        return os.open(tmp_path / "file" if kind == "file" else "/dev/null", mode)

    source = kit.stdio_end(Input, shared(os.O_WRONLY), Far(-1), stack)
    with pytest.raises(SockkitError, match="stdin is not open for reading"):
        source.end.read_into(memoryview(bytearray(9)))
    sink = kit.stdio_end(Output, shared(os.O_RDONLY), Far(-1), stack)
    with pytest.raises(OutputError, match="stdout is not open for writing"):
        sink.end.write(b"x")
    assert source.end.kind is sink.end.kind is Kind.OTHER


def test_a_full_device_says_so(stack: contextlib.ExitStack) -> None:
    made = opened(Output, "/dev/full", os.O_WRONLY, stack)
    with pytest.raises(OutputError, match="stdout: no space left on device") as caught:
        made.end.write(b"x")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("make", [kit.source, kit.sink])
def test_a_descriptor_that_does_not_serve_is_an_error_of_ours(
    make: Callable[..., kit.Made], stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """A file opened for the other direction: EBADF."""
    made = make("file", stack, tmp_path)
    wrong = os.open(tmp_path / "other", os.O_CREAT | (os.O_WRONLY if make is kit.source else 0))
    os.dup2(wrong, made.shared)
    os.close(wrong)
    use = made.end.read_into if make is kit.source else made.end.write
    with pytest.raises(SockkitError, match=r"could not .* std.*: bad file descriptor"):
        use(memoryview(bytearray(9)))


def test_a_directory_cannot_be_read(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    made = opened(Input, tmp_path, os.O_RDONLY, stack)
    with pytest.raises(SockkitError, match="stdin: is a directory"):
        made.end.read_into(memoryview(bytearray(9)))


@pytest.mark.parametrize("name", [kit.PTY, "pipe"])
def test_an_input_error_is_the_end_of_a_terminal_only(
    name: str, stack: contextlib.ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that has been closed says EIO."""
    made = kit.source(name, stack, tmp_path)
    kit.fail_nth(monkeypatch, os, "readv", 1, OSError(errno.EIO, os.strerror(errno.EIO)))
    buffer = memoryview(bytearray(9))
    if name == "pty":
        assert made.end.read_into(buffer) == 0
    else:
        with pytest.raises(SockkitError, match="input/output error"):
            made.end.read_into(buffer)


def test_a_file_goes_on_where_the_shared_position_is(
    stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """As in `{ head -n1; sockkit …; } < file`."""
    (tmp_path / "file").write_bytes(b"one\ntwo\n")
    made = opened(Input, tmp_path / "file", os.O_RDONLY, stack)
    assert os.read(made.shared, 4) == b"one\n"
    buffer = bytearray(9)
    assert made.end.read_into(memoryview(buffer)) == 4
    assert buffer[:4] == b"two\n"


def fail(error: OutputGone) -> None:
    raise error


def test_it_tells_of_a_pipe_whose_reader_leaves(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.sink("pipe", stack, tmp_path)
    made.end.when_gone(fail)
    made.end.write(b"read by nobody")
    run_for(loop, 0.02)
    loop.later(0, made.far.close)
    with pytest.raises(OutputGone):
        loop.run()


@pytest.mark.parametrize("name", ["file", "socketpair", kit.PTY])
def test_it_has_nothing_to_tell_of_other_outputs(
    name: str, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """A socket and a terminal are readable when somebody writes to them; that says nothing."""
    made = kit.sink(name, stack, tmp_path)
    made.end.when_gone(fail)
    if not made.far.stores:
        made.far.give(b"typed\n")
    run_for(loop, 0.02)


def test_what_is_given_has_one_end(loop: Loop, stack: contextlib.ExitStack) -> None:
    made = kit.source("pipe", stack, Path())
    made.far.give(b"hi")
    made.far.close()
    got: list[bytes] = []
    made.end.deliver_to(got.append)
    run_until(loop, lambda: b"" in got)
    kit.settle(loop)
    assert got == [b"hi", b""]


@pytest.mark.parametrize("name", ["pipe", "socketpair"])
def test_an_output_that_ends_is_the_end_for_its_reader(
    name: str, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.sink(name, stack, tmp_path)
    made.end.when_gone(lambda _: pytest.fail("its reader may leave now"))
    assert made.end.write(b"all") == 3
    made.end.end()
    assert not loop._callbacks  # another file may get the number
    assert made.far.take() == b"all"
    made.far.close()
    kit.settle(loop)
    assert os.path.samestat(os.fstat(made.shared), os.stat(os.devnull))
    assert made.end.descriptor == made.shared
    assert made.end.write(b"dropped") == 7
    made.end.end()


def test_a_file_that_ends_has_all(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    made = kit.sink("file", stack, tmp_path)
    path = os.readlink(f"/proc/self/fd/{made.shared}")
    made.end.write(b"all")
    made.end.end()
    made.end.write(b"dropped")
    assert Path(path).read_bytes() == b"all"


@pytest.mark.parametrize("name", [kit.PTY])
def test_a_terminal_stays_open(name: str, stack: contextlib.ExitStack, tmp_path: Path) -> None:
    made = kit.sink(name, stack, tmp_path)
    made.end.end()
    assert made.end.terminal
    assert os.isatty(made.shared)
    assert os.isatty(made.end.descriptor)


def test_without_a_null_device_it_stays_open(
    stack: contextlib.ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kit.sink("pipe", stack, tmp_path)
    monkeypatch.setattr(os, "devnull", str(tmp_path / "missing"))
    made.end.end()
    assert made.end.write(b"more") == 4
    assert os.read(made.far.descriptor, 4) == b"more"


def test_an_input_that_is_not_read_gives_nothing_and_never_ends(loop: Loop) -> None:
    unread = UnreadInput()
    with pytest.raises(BlockingIOError):
        unread.read_into(memoryview(bytearray(1)))
    unread.deliver_to(lambda _: pytest.fail("there is nothing"))
    unread.when_readable(lambda: pytest.fail("there is nothing"))
    kit.settle(loop)
    assert not unread.has_bytes()
    assert not unread.terminal
    assert unread.extent() == (0, 0)
