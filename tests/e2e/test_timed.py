"""The long and the timed rows of what sockkit must survive: `make torture`.

The same with small loads, and without a clock, are the tests whose helpers these are. A pass
mark is that of a machine with two cores that has nothing else to do.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGINT

import pytest

from tests.e2e import test_access as access
from tests.e2e import test_closing as closing
from tests.e2e import test_echo_torture as echo
from tests.e2e import test_floods as floods
from tests.e2e import test_interop as interop
from tests.e2e import test_programs as programs
from tests.e2e import test_relay_torture as relays
from tests.e2e import test_signals as signals
from tests.e2e import test_terminal as plain
from tests.e2e import test_terminal_client as client
from tests.e2e import test_terminal_server as server
from tests.e2e import test_torture as tcp
from tests.e2e import test_urgent as urgent
from tests.support import (
    ONCE,
    SERVER,
    Program,
    Terminal,
    both,
    conversation,
    cpu,
    everyone,
    leaving,
    read_exactly,
    share,
)

MIB = 1024 * 1024
pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]
received = interop.received
Leave = Callable[[socket.socket], None]


def at_rest(program: Program) -> None:
    """Under a tenth of a processor."""
    assert share(program, 2) < 0.1


@pytest.fixture(scope="module")
def gibibyte(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = interop.blocks(tmp_path_factory.mktemp("gibibyte") / "sent", 1024)
    yield path
    path.unlink()  # pytest keeps the folders of three sessions


@interop.each_peer
def test_a_gibibyte_to_a_peer(peer: interop.Peer, gibibyte: Path, received: Path) -> None:
    interop.to_a_peer(peer, gibibyte, received)


@interop.each_peer
def test_a_gibibyte_from_a_peer(peer: interop.Peer, gibibyte: Path, received: Path) -> None:
    interop.from_a_peer(peer, gibibyte, received)


@pytest.mark.parametrize("lane", tcp.LANES)
def test_a_gibibyte_from_file_to_file(lane: str, gibibyte: Path, received: Path) -> None:
    tcp.from_file_to_file(lane, gibibyte, received)


@everyone
@pytest.mark.parametrize("options", [[], ["-E", "gbk"]], ids=["bytes", "text"])
def test_endless_input_costs_no_processor_after_a_second(kind: str, options: list[str]) -> None:
    def rest(program: Program) -> None:
        time.sleep(1)  # the second that the rule allows
        assert share(program, 1) < 0.1

    tcp.endless_input(kind, options, rest)


@both
def test_an_answer_two_seconds_after_the_end_of_input(kind: str) -> None:
    tcp.answer_after(2, kind)


@both
def test_8_mib_in_a_stutter(kind: str) -> None:
    tcp.stutter(kind, [], 8 * MIB)


@everyone
@tcp.doing
@pytest.mark.parametrize("number", tcp.SIGNALS)
def test_a_signal_ends_it_within_a_second(kind: str, number: int, doing: str) -> None:
    tcp.signalled(kind, number, doing, 1)


@everyone
def test_control_c_ends_it_within_a_second(kind: str) -> None:
    with Terminal() as terminal:
        plain.control_c(kind, terminal, 1)


@programs.each_way
@everyone
def test_control_c_ends_programs_within_a_second(kind: str, way: list[str]) -> None:
    programs.stops(kind, way, SIGINT, 1)


@signals.kinds
def test_several_signals_at_once_end_it_within_2_seconds(kind: str, tmp_path: Path) -> None:
    signals.several_at_once(kind, tmp_path, 67, 2)  # of three kinds, 200 times


@pytest.mark.parametrize("command", closing.COMMANDS)
def test_a_signal_waits_for_nobody(command: str) -> None:
    closing.signal_amid_output(command, 1)


def test_two_that_take_nothing_are_waited_for_together(tmp_path: Path) -> None:
    closing.two_that_take_nothing(tmp_path, 5)


@leaving
def test_more_clients_than_descriptors(leave: Leave) -> None:
    tcp.crowd(leave, 2, at_rest)


@everyone
@pytest.mark.parametrize("output", ["pipe", "file", "terminal"])
def test_urgent_data_costs_no_processor(kind: str, output: str, tmp_path: Path) -> None:
    def rest(program: Program) -> None:
        assert share(program, 1) < 0.05

    urgent.urgent(kind, output, tmp_path, rest)


@pytest.mark.parametrize("kind", [ONCE, SERVER])
def test_a_client_that_sends_single_bytes_takes_little_of_the_processor(kind: str) -> None:
    with conversation(kind, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as (program, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        used, began = cpu(program), time.monotonic()
        while time.monotonic() < began + 1:
            sock.send(b"x")
        assert cpu(program) - used < (time.monotonic() - began) / 2
        program.process.kill()


def test_20_000_connections_that_reset() -> None:
    assert floods.flood_of_resets([], 20_000) < 0.1


@pytest.mark.timeout(300)
def test_20_000_connections_that_reset_through_a_relay() -> None:
    """Others wait for longer than on a server: the target is dialled for each client."""
    with contextlib.ExitStack() as stack:
        assert relays.flood_of_resets(stack, 20_000) < 0.3


@floods.by_udp
def test_20_000_answers_that_cannot_be_sent(command: list[str]) -> None:
    assert floods.no_answers(command, 20_000) < 0.1


@access.refusing
def test_2_000_connections_that_are_refused(command: list[str], options: list[str]) -> None:
    assert access.flood_of_refused(command, options) < 1


@access.by_udp
def test_20_000_datagrams_that_are_refused(command: list[str]) -> None:
    assert access.flood_of_datagrams(command, 20_000) < 0.1


# At a terminal.


def test_no_key_waits_long_in_a_flood(tmp_path: Path) -> None:
    assert client.typing_in_a_flood(tmp_path, 20_000_000) < 2


def test_a_client_that_is_idle_uses_nothing(tmp_path: Path) -> None:
    client.idle(tmp_path, barely)


def test_a_server_that_is_idle_uses_nothing(tmp_path: Path) -> None:
    server.idle(tmp_path, barely)


def barely(program: Program) -> None:
    time.sleep(0.3)  # what it draws last is not idle; nothing tells when that is done
    assert share(program, 1) <= 0.02


# echo.


def test_10_000_connections() -> None:
    """Fewer where this system's hard limit on descriptors does not allow so many."""
    began = time.monotonic()
    with echo.connections(10_000) as (program, clients):
        assert time.monotonic() - began < 10
        times = []
        for number in range(1000):
            one = clients[number * 7919 % len(clients)]
            asked = time.monotonic()
            one.sendall(b"%d" % (number % 10))
            assert read_exactly(one, 1) == b"%d" % (number % 10)
            times.append(time.monotonic() - asked)
        assert sorted(times)[989] < 0.002  # p99
        assert program.resident() < 100 * MIB


def test_1_gib_there_and_back() -> None:
    echo.there_and_back(1024)


def test_100_000_datagrams_with_64_on_their_way() -> None:
    began = time.monotonic()
    echo.in_window(100_000)
    assert 100_000 / (time.monotonic() - began) > 15_000


ANSWERS = [[], ["--upper"], ["--reply", "zz=y"], ["--delay", "1ms"]]


@pytest.mark.parametrize("options", ANSWERS, ids=["plain", "upper", "ruled", "late"])
def test_a_client_that_never_reads_costs_no_processor(options: list[str]) -> None:
    echo.never_reads(options, at_rest)


@leaving
@pytest.mark.parametrize("options", [[], ["--upper"]], ids=["plain", "upper"])
def test_more_clients_of_echo_than_descriptors(leave: Leave, options: list[str]) -> None:
    echo.crowd(leave, 2, *options, rest=at_rest)


@pytest.mark.parametrize(("code", "options"), echo.STUTTERS[:2], ids=["copy", "splice"])
def test_8_mib_there_and_back_in_a_stutter(code: str, options: list[str]) -> None:
    echo.stutter(code, options, 8 * MIB)


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["", "workers"])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_pattern_that_backtracks_delays_nobody(kind: socket.SocketKind, more: list[str]) -> None:
    assert echo.backtracking(kind, more) < 0.5  # for ten questions: each under 50 ms
