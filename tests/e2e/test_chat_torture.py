"""What a chat room must survive. How fast, and in full size: tests/e2e/test_timed.py."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.e2e.test_chat import Member, room
from tests.support import HERE, WAIT, Program, connect, few, reset, rests


def test_members_who_all_talk() -> None:
    all_talk(40, 10, 10)


def all_talk(members: int, lines: int, at_once: int) -> list[float]:
    """Each gets each line once, and those of a sender in order.

    The seconds for which each line was waited for, once `at_once` of each member were on their way.
    """
    with room("--flood", "0") as server, contextlib.ExitStack() as stack:
        socks = {stack.enter_context(connect(server.port)): bytearray() for _ in range(members)}
        for number, sock in enumerate(socks):
            sock.sendall(f"/nick m{number}\n/who\n".encode())
        hear(socks, lambda sock, _: b"here: " in socks[sock])

        def talk(first: int) -> None:
            for line in range(first, first + at_once):
                for number, sock in enumerate(socks):
                    sock.sendall(f"#{line} 你好👋 from {number}\n".encode())

        waits: list[float] = []

        def heard_all(sock: socket.socket, data: bytes) -> bool:
            left[sock] -= data.count(b"#")
            waits.extend([time.monotonic() - began] * data.count(b"#"))
            return not left[sock]

        for first in range(0, lines, at_once):
            left = dict.fromkeys(socks, (members - 1) * at_once)
            began = time.monotonic()
            talker = threading.Thread(target=talk, args=[first], daemon=True)
            talker.start()
            hear(socks, heard_all)
            talker.join(WAIT)
        expected = list(range(lines))
        for number, data in enumerate(socks.values()):
            said: dict[str, list[int]] = defaultdict(list)
            for line in data.decode().splitlines():
                name, mark, text = line.partition("] #")
                if mark:
                    said[name].append(int(text.partition(" ")[0]))
            assert len(said) == members - 1
            assert f"[m{number}" not in said
            assert all(order == expected for order in said.values())
    return waits


def hear(
    socks: dict[socket.socket, bytearray], enough: Callable[[socket.socket, bytes], bool]
) -> None:
    """Add what comes, until each socket's new data has been `enough` once."""
    waiting = set(socks)
    end = time.monotonic() + 60
    while waiting:
        assert time.monotonic() < end
        for sock in select.select(waiting, [], [], 1)[0]:
            data = sock.recv(1 << 20)
            assert data, "it was let go"
            socks[sock] += data
            if enough(sock, data):
                waiting.discard(sock)


def test_one_that_never_reads_holds_nobody_up() -> None:
    one_never_reads(16_400, WAIT)


def one_never_reads(sent: int, wait: float) -> None:
    """Two others exchange `sent` lines of 1 KiB, and a newcomer is greeted within `wait`."""
    with room("--flood", "0") as server, Member(server.port) as one, Member(server.port) as two:
        stalled = connect(server.port)
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.hears("* guest-3 joined")
        two.hears("* guest-3 joined")
        before = server.resident()
        line = "x" * 1023

        def talk() -> None:
            for _ in range(sent // 100):
                one.say(*[line] * 100)

        talker = threading.Thread(target=talk, daemon=True)
        talker.start()
        heard = 0
        dropped = False
        while heard < sent:
            got = two.line()
            heard += got.endswith(line)
            if got == "* guest-3 left (too slow)":
                dropped = True
                with Member(server.port) as late:
                    late.sock.settimeout(wait)
                    assert late.line().startswith("* you are")
        talker.join(WAIT)
        assert dropped
        assert server.peak() - before < 32 * 2**20
        server.said("[3] ")
        stalled.close()


def test_a_line_and_a_name_beyond_all_bounds() -> None:
    beyond_bounds(16)


def beyond_bounds(mib: int) -> None:
    """A line of `mib` MiB and a name of one cost nothing and nobody."""
    with room() as server, Member(server.port) as one, Member(server.port) as two:
        one.hears("* guest-2 joined")
        before = server.resident()
        for _ in range(mib):
            two.sock.sendall(b"x" * 2**20)
        two.say("", "/nick " + "n" * 2**20, "still here")
        assert two.hears("longer than") == "* line not sent: it is longer than 4,096 bytes"
        assert one.hears("still") == "[guest-2] still here"
        assert server.peak() - before < 8 * 2**20


def test_idle_newcomers_share_a_long_history() -> None:
    options = ("--flood", "0", "--history", "1000", "--send-buffer", "16K")
    with room(*options) as server, contextlib.ExitStack() as stack:
        with Member(server.port) as one, Member(server.port) as two:
            one.hears("* guest-2 joined")
            for number in range(400):
                one.say("好" * 1300)
                assert two.hears("好")
                one.say(f"{number}") if number == 399 else None
            two.hears("399")
        before = server.resident()
        newcomers = []
        for _ in range(150):
            sock = socket.socket()
            stack.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((HERE, server.port))
            newcomers.append(sock)
        with Member(server.port) as late:
            for _ in range(400):
                late.hears("] " + "好" * 1300)
            late.hears("] 399")
        assert server.resident() - before < 15 * 2**20
        file = stack.enter_context(newcomers[0].makefile("rb"))
        lines = [file.readline().decode() for _ in range(403)]
        assert lines[1] == "* said before you joined (401 lines):\n"
        assert lines[2:402] == [f"[guest-1] {'好' * 1300}\n"] * 400
        assert lines[402] == "[guest-1] 399\n"


def test_a_storm_of_connections_floods_nobody() -> None:
    with room() as server, Member(server.port) as one:
        one.hears("you are")
        for last in [*[False] * 19, True]:
            crowd = [connect(server.port) for _ in range(20)]
            for sock in crowd:
                sock.sendall(b"hi\n")
            for sock in crowd:
                sock.recv(100)
                if not last:  # who stays is counted, however few of the others are
                    reset(sock)
        with Member(server.port) as two:
            two.say("/nick late", "hello")
            said = ""
            while (line := one.line()) != "[late] hello":
                assert line
                said = line if " more " in line else said
            said = said or one.hears(" more ")
            assert re.fullmatch(r"\* [\d,]+ more (joined|left)(, [\d,]+ more left)?", said)
            two.say("/who")
            two.hears("22 here: guest-1, ")
        for sock in crowd:
            sock.close()


@pytest.mark.parametrize(("text", "crowds"), [("", 12), ("hello", 3)])
def test_strangers_do_not_silence_a_room_by_udp(text: str, crowds: int) -> None:
    strangers(text, crowds)


def strangers(text: str, crowds: int) -> float:
    """Two members talk while 100 addresses come at a time, from sockets that stand for forged
    ones. The most seconds for which one waited for what the other said.
    """

    def stranger() -> socket.socket:
        sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        # What a crowd says may all come before we read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        sock.settimeout(WAIT)
        sock.connect((HERE, server.port))
        return sock

    with room("--udp") as server, contextlib.ExitStack() as stack:
        one, two = stranger(), stranger()
        one.send(b"one:")
        assert one.send(b"/who")
        assert b"1 here" in one.recv(2000)
        two.send(b"two:/who")
        assert one.recv(2000) == b"* two joined"
        assert b"2 here" in two.recv(2000)
        longest = 0.0
        for number in range(crowds):
            with contextlib.ExitStack() as crowd:
                for each in range(100):
                    sock = crowd.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    sock.sendto(f"n{number}-{each}:{text}".encode(), (HERE, server.port))
            began = time.monotonic()
            one.send(f"one:{number}".encode())
            got = b""
            while got != f"one:{number}".encode():
                got = two.recv(2000)
                assert not got.startswith(b"* too fast")
            longest = max(longest, time.monotonic() - began)
            two.send(b"two:here")
        assert who_is_here(stranger()) == 1024 or crowds < 11
    return longest


def who_is_here(late: socket.socket) -> int:
    """Ask until a newcomer is let in: so many came at once that some were not heard."""
    late.settimeout(0.5)
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        late.send(b"late:/who")
        with contextlib.suppress(TimeoutError):
            while not (here := re.match(rb"\* (\d+) here: .* and \d+ more$", late.recv(2000))):
                pass  # what the others have said since
            return int(here[1])
    raise AssertionError("it was never let in")


def test_nobody_can_speak_for_another() -> None:
    with room() as server, Member(server.port) as one, Member(server.port) as two:
        two.say("/nick mallory")
        one.hears("mallory")
        two.sock.sendall(b"a\n* bob joined\nhi\r[bob] x\n\xff\xfe\xc0\x80\n")
        for _ in range(4):
            assert one.line().startswith("[mallory] ")
        for name in (
            "ｇuest-1",
            "server",
            "GUEST-1",
            "guest-1 ",
            "",
            "a b",
            "bob\x1b",
            "guest-\ufe0f1",
            "\u3164",
        ):
            two.say(f"/nick {name}")
        two.say("end")
        assert one.line() == "[mallory] end"


def test_more_members_than_descriptors() -> None:
    crowded_room(WAIT)


def crowded_room(wait: float, rest: Callable[[Program], None] = rests) -> None:
    """200 members come where 64 descriptors are, and 150 leave: newcomers are in within `wait`.

    `rest` looks whether nothing is used while they wait.
    """
    with (
        room("--backlog", "200", preexec_fn=few) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(Member(server.port)) for _ in range(200)]
        server.said("could not accept a connection")
        clients[0].hears("you are")
        rest(server)
        for client in clients[1:151]:
            client.__exit__()
        clients[-1].sock.settimeout(wait)
        clients[-1].hears("you are")
        clients[-1].say("hello")
        clients[0].hears("hello")
        with Member(server.port) as one:
            one.sock.settimeout(wait)
            one.hears("you are")
        assert len(server.stderr.splitlines()) <= 5
