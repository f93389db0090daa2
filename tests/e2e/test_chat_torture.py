"""What a chat room must survive."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import threading
import time
from collections import defaultdict

from tests.e2e.test_chat import Member, room
from tests.support import connect, eventually


def test_two_hundred_members_who_all_talk() -> None:
    """Each gets each line once, and those of a sender in order."""
    members, lines = 100, 20
    with room("--flood", "0") as server, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(server.port)) for _ in range(members)]
        for number, sock in enumerate(socks):
            sock.setblocking(False)
            sock.send(f"/nick m{number}\n".encode())
        got = [bytearray() for _ in socks]
        wanted = (members - 1) * lines

        def gather(done: int) -> None:
            end = time.monotonic() + 40
            while any(bytes(data).count(b"#") < done for data in got):
                assert time.monotonic() < end
                for sock in select.select(socks, [], [], 1)[0]:
                    with contextlib.suppress(BlockingIOError):
                        got[socks.index(sock)] += sock.recv(1 << 20)

        for number, sock in enumerate(socks):
            for line in range(lines):
                sock.send(f"#{line} 你好👋 from {number}\n".encode())
        gather(wanted)
        for number, data in enumerate(got):
            said: dict[str, list[int]] = defaultdict(list)
            for line in data.decode().splitlines():
                if "#" in line:
                    name, _, text = line.partition("] #")
                    said[name].append(int(text.split()[0]))
            assert len(said) == members - 1
            assert f"[m{number}" not in said
            assert all(order == list(range(lines)) for order in said.values())


def test_one_that_never_reads_holds_nobody_up() -> None:
    with room("--flood", "0") as server, Member(server.port) as one, Member(server.port) as two:
        stalled = connect(server.port)
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.hears("* guest-3 joined")
        two.hears("* guest-3 joined")
        before = server.resident()
        line = "x" * 1000
        sent = 16_000

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
                assert server.resident() - before < 32 * 2**20
                with Member(server.port) as late:
                    late.sock.settimeout(1)
                    assert late.line().startswith("* you are")
        talker.join(10)
        assert dropped
        server.said("[3] ")
        stalled.close()


def test_a_line_and_a_name_beyond_all_bounds() -> None:
    with room() as server, Member(server.port) as one, Member(server.port) as two:
        one.hears("* guest-2 joined")
        before = server.resident()
        for _ in range(100):
            two.sock.sendall(b"x" * 2**20)
        two.say("", "/nick " + "n" * 2**20, "still here")
        assert two.hears("longer than") == "* that line is longer than 4096 bytes, and was not sent"
        assert one.hears("still") == "[guest-2] still here"
        assert server.resident() - before < 8 * 2**20


def test_nobody_can_speak_for_another() -> None:
    with room() as server, Member(server.port) as one, Member(server.port) as two:
        two.say("/nick mallory")
        one.hears("mallory")
        two.sock.sendall(b"a\n* bob joined\nhi\r[bob] x\n\xff\xfe\xc0\x80\n")
        for _ in range(4):
            assert one.line().startswith("[mallory] ")
        for name in ("ｇuest-1", "server", "GUEST-1", "a b", "bob\x1b"):
            two.say(f"/nick {name}")
        two.say("end")
        assert one.line() == "[mallory] end"


def test_more_members_than_descriptors() -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with room(preexec_fn=few) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server.port)) for _ in range(100)]
        server.said("could not accept a connection")
        with contextlib.suppress(OSError):
            clients[0].settimeout(5)
            assert clients[0].recv(100).startswith(b"* you are")
        for client in clients[1:]:
            client.close()

        def let_in() -> bool:
            with Member(server.port) as one:
                one.sock.settimeout(5)
                return one.line().startswith("* you are")

        eventually(let_in)
