"""relay --udp as a user runs it: the installed program between plain sockets."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import HERE, WAIT, Program, eventually, rests, run


@contextlib.contextmanager
def relaying(target: int, *arguments: str, **more: object) -> Iterator[Program]:
    command = ("relay", "--udp", "-p", "0", *arguments, HERE, str(target))
    with Program(*command, **more) as program:  # type: ignore[arg-type]
        yield program
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(WAIT) == -signal.SIGTERM


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.bind((HERE, 0))
        yield sock


def port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def client(program: Program) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT)
    sock.connect((HERE, program.port))
    return sock


@pytest.mark.parametrize("size", [0, 1, 1400, 1473, 65_506, 65_507])
def test_a_datagram_of_any_size_goes_both_ways(size: int, target: socket.socket) -> None:
    with relaying(port(target)) as relay, client(relay) as sock:
        sock.send(b"x" * size)
        data, sender = target.recvfrom(70_000)
        assert data == b"x" * size
        target.sendto(b"y" * size, sender)
        assert sock.recv(70_000) == b"y" * size


@pytest.mark.parametrize("count", [500, pytest.param(5000, marks=pytest.mark.torture)])
def test_thousands_of_peers_are_heard_and_few_are_kept(count: int, target: socket.socket) -> None:
    with relaying(port(target), "--max-connections", "50", "-v") as relay:
        assert relay.port
        before = relay.descriptors()
        for number in range(count):
            with client(relay) as sock:
                sock.send(b"%d" % number)
                data, sender = target.recvfrom(100)
                assert data == b"%d" % number
                target.sendto(data, sender)
                assert sock.recv(100) == data
        assert relay.descriptors() <= before + 50
        relay.said("forgotten to make room")


def test_fewer_peers_are_kept_where_descriptors_are_few(target: socket.socket) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with relaying(port(target), preexec_fn=limit) as relay:
        for number in range(200):
            with client(relay) as sock:
                sock.send(b"%d" % number)
                data, sender = target.recvfrom(100)
                target.sendto(data, sender)
                assert sock.recv(100) == b"%d" % number
        assert "too many" not in relay.stderr.lower()


def test_two_peers_get_their_own_answers(target: socket.socket) -> None:
    with relaying(port(target)) as relay, client(relay) as one, client(relay) as two:
        one.send(b"1")
        _, first = target.recvfrom(100)
        two.send(b"2")
        _, second = target.recvfrom(100)
        assert first != second
        target.sendto(b"for two", second)
        target.sendto(b"for one", first)
        assert one.recv(100) == b"for one"
        assert two.recv(100) == b"for two"


def test_a_silent_peer_is_given_up(target: socket.socket) -> None:
    with relaying(port(target), "-i", "300ms", "-v") as relay, client(relay) as sock:
        before = relay.descriptors()
        sock.send(b"a")
        target.recvfrom(100)
        relay.said("closed (sent 1 byte, received 0 bytes")
        eventually(lambda: relay.descriptors() == before)
        sock.send(b"b")
        data, second = target.recvfrom(100)
        assert data == b"b"
        target.sendto(b"c", second)
        assert sock.recv(100) == b"c"


def test_gbk_is_converted_by_datagram(target: socket.socket) -> None:
    with relaying(port(target), "-E", "gbk") as relay, client(relay) as sock:
        sock.send("你好".encode())
        data, sender = target.recvfrom(100)
        assert data == "你好".encode("gbk")
        target.sendto(b"\xff", sender)
        target.sendto("再见".encode("gbk"), sender)
        assert sock.recv(100) == "再见".encode()
        relay.said("was dropped: what the peer sent is not gbk")
        sock.send(b"\xff")
        sock.send("没有👋".encode())
        sock.send(b"last")
        assert target.recv(100) == b"last"
        relay.said("was dropped: what the client sent is not utf-8")
        relay.said("is not in gbk")


def test_errors_says_what_becomes_of_what_cannot_be_converted(target: socket.socket) -> None:
    with (
        relaying(port(target), "-E", "gbk", "--errors", "replace") as relay,
        client(relay) as sock,
    ):
        sock.send("a👋".encode())
        assert target.recv(100) == b"a?"


def test_a_recording_is_shown_again(target: socket.socket, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    with relaying(port(target), "--record", str(file)) as relay:
        for text in (b"one", b"two"):
            with client(relay) as sock:
                sock.send(text)
                _, sender = target.recvfrom(100)
                target.sendto(text.upper(), sender)
                target.sendto(b"", sender)
                assert sock.recv(100) == text.upper()
                assert sock.recv(100) == b""
                address = f"{HERE}:{port(sock)}"
    status, out, _ = run("show", "--json", str(file))
    assert status == 0
    records = [json.loads(line) for line in out.splitlines()]
    messages = [each for each in records if "data" in each or "text" in each]
    assert address in out.decode()
    assert f"{HERE}:{port(target)}" in out.decode()
    assert len(messages) == 6
    status, out, _ = run("show", "-x", str(file))
    shown = out.decode()
    assert "> [1 " in shown
    assert "< [2 " in shown
    assert shown.count("0 bytes") == 2


def test_a_refusal_is_told_and_ends_nothing(target: socket.socket) -> None:
    place = target.getsockname()
    target.close()
    with relaying(place[1]) as relay, client(relay) as sock:
        sock.send(b"a")
        relay.said(f"could not reach {HERE}:{place[1]}: connection refused")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.settimeout(WAIT)
            again.bind(place)
            sock.send(b"b")
            assert again.recv(100) == b"b"


def test_a_flood_of_refusals_writes_few_lines(target: socket.socket) -> None:
    place = target.getsockname()
    target.close()
    with relaying(place[1]) as relay, client(relay) as sock:
        for _ in range(1000):
            sock.send(b"a")
        relay.said("refused")
        relay.process.send_signal(signal.SIGTERM)
        assert relay.status() == 143
        assert len(relay.stderr.splitlines()) < 20


def what_passes(target: socket.socket, *faults: str) -> list[bytes]:
    """What 200 datagrams become on their way to the target."""
    with relaying(port(target), *faults) as relay, client(relay) as sock:
        for number in range(200):
            sock.send(b"%d" % number)
        relay.said("sent: dropped on purpose")
        got = []
        target.settimeout(0.2)
        while not got or got[-1] != b"end":
            with contextlib.suppress(TimeoutError):
                sock.send(b"end")  # it may be dropped, too
                got.append(target.recv(100))
        with contextlib.suppress(TimeoutError):
            while True:
                assert target.recv(100) == b"end"
        return got[: got.index(b"end")]


def test_a_share_is_dropped_and_a_seed_chooses_the_same(target: socket.socket) -> None:
    faults = ("--drop", "30%", "--seed", "5", "--faults", "sent")
    passed = what_passes(target, *faults)
    assert passed == what_passes(target, *faults)
    assert 110 < len(passed) < 170


def test_strangers_are_refused(target: socket.socket) -> None:
    with relaying(port(target), "--deny", HERE) as relay, client(relay) as sock:
        sock.send(b"a")
        relay.said("dropped a datagram from")
        target.setblocking(False)
        with pytest.raises(BlockingIOError):
            target.recv(100)


def test_everybody_who_can_reach_it_is_warned_of(target: socket.socket) -> None:
    with relaying(port(target), "--bind", "0.0.0.0") as relay:
        relay.said("restrict it with --allow")


def test_unix_sockets_at_both_sides(tmp_path: Path) -> None:
    here, there, mine = (str(tmp_path / name) for name in ("here", "there", "mine"))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as target,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
        Program("relay", "--udp", "--bind", f"unix:{here}", f"unix:{there}") as relay,
    ):
        target.settimeout(WAIT)
        sock.settimeout(WAIT)
        relay.said("listening on")
        sock.bind(mine)
        sock.connect(here)
        sock.send(b"lost")  # nobody is there yet
        relay.said("could not")
        target.bind(there)
        sock.send(b"a")
        data, sender = target.recvfrom(100)
        assert data == b"a"
        target.sendto(b"", sender)
        assert sock.recv(100) == b""
        target.close()
        sock.send(b"lost")
        relay.said("nobody receives there any more")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
            again.settimeout(WAIT)
            Path(there).unlink()
            again.bind(there)
            sock.send(b"b")
            assert again.recv(100) == b"b"


@pytest.mark.parametrize("count", [1, 3000])
def test_two_relays_aimed_at_each_other_pass_datagrams_round_a_bounded_number_of_times(
    count: int, target: socket.socket
) -> None:
    free = port(target)
    target.close()
    command = ("relay", "--udp", "-p", str(free), HERE)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(relaying(free))
        two = stack.enter_context(Program(*command, str(one.port)))
        two.said("listening")
        sock = stack.enter_context(client(one))
        for number in range(count):
            sock.send(b"round and round %d" % number)
        eventually(lambda: "seems to loop" in one.stderr + two.stderr)
        rests(one)
        rests(two)
        lines = len(one.stderr.splitlines()) + len(two.stderr.splitlines())
        assert lines == 3 if count == 1 else lines < 20


@pytest.mark.parametrize(("bind", "host"), [(HERE, "localhost"), ("0.0.0.0", HERE)])
def test_a_relay_to_itself_does_not_start(bind: str, host: str, target: socket.socket) -> None:
    free = str(port(target))
    target.close()
    status, _, told = run("relay", "--udp", "-4", "--bind", bind, "-p", free, host, free)
    assert status == 2
    where = f"{host} port {free}"
    assert told == f"sockkit: the target {where} is this relay itself: give another one\n"
