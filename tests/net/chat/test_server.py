"""How the server moves a room's lines; what they are is tests/core/chat/test_room.py."""

from __future__ import annotations

import contextlib
import gc
import re
import socket
import weakref
from pathlib import Path

import pytest

from sockkit.core.address import HostPort
from sockkit.core.chat.actions import Deliver
from sockkit.core.chat.room import Room, RoomOptions
from sockkit.errors import SendError
from sockkit.events import Closed, Connected, Event, Named
from sockkit.net import closing
from sockkit.net.chat import member
from sockkit.net.chat import server as module
from sockkit.net.chat.server import ChatOptions, ChatServer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.net.kit import HERE, of_kind
from tests.support import reset

loop, stack = kit.loop, kit.stack


class Site:
    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        rules: RoomOptions = RoomOptions(flood=0),  # noqa: B008
        **more: object,
    ) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self.kept: list[str] = []
        options = ListenOptions(HostPort(HERE, 0))
        self.listener = kit.listening(loop, options, emit=self.events.append)
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        self.input, self.output = source.far, sink
        stdio = Stdio(source.end, sink.end, "utf-8")
        room = Room(rules)
        chat = ChatOptions(kept=self.kept.append, **more)  # type: ignore[arg-type]
        context = kit.context(loop, stdio, self.events.append)
        self.server = ChatServer(context, self.listener, room, chat)
        self._got: dict[socket.socket, bytes] = {}

    def member(self) -> socket.socket:
        sock = self._stack.enter_context(socket.create_connection((HERE, self.listener.port or 0)))
        sock.setblocking(False)
        self._got[sock] = b""
        return sock

    def has(self, sock: socket.socket, text: str) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._got[sock] += sock.recv(1 << 20)
        return text.encode() in self._got[sock]

    def lines(self, sock: socket.socket) -> list[str]:
        return self._got[sock].decode().splitlines()

    def run(self, *steps: object) -> None:
        """Do each step that is a function until it is true, then quit."""
        left = list(steps)

        def look() -> None:
            if left and left[0]() is not False:  # type: ignore[operator]
                left.pop(0)
            if left:
                self.loop.later(0.001, look)
            else:
                self.input.close()

        self.loop.call_soon(look)
        self.server.run(self.typed)

    def typed(self, data: bytes) -> None:
        if data:
            self.server.handle(self.server.room.announce(data.decode().strip()))
        else:
            self.server.quit()


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)


def test_a_turns_lines_go_to_all_but_their_sender(site: Site) -> None:
    one, two = site.member(), site.member()
    site.run(
        lambda: site.has(one, "guest-2 joined"),
        lambda: one.send(b"a\n/who\nb\n") > 0,
        lambda: site.has(two, "[guest-1] b") and site.has(one, "here:"),
    )
    assert site.lines(two)[-2:] == ["[guest-1] a", "[guest-1] b"]
    assert site.lines(one)[-1] == "* 2 here: guest-1, guest-2"
    assert site.kept == ["[guest-1] a", "[guest-1] b"]


def test_nobody_hears_what_was_said_before(site: Site) -> None:
    one = site.member()
    late: list[socket.socket] = []
    site.run(
        lambda: site.has(one, "you are"),
        lambda: one.send(b"early\n") > 0,
        lambda: late.append(site.member()),
        lambda: site.has(late[0], "you are"),
        lambda: one.send(b"late\n") > 0,
        lambda: site.has(late[0], "late"),
    )
    assert not site.has(late[0], "early")


def test_a_newcomer_does_not_hear_what_the_same_turn_had_before(site: Site) -> None:
    late: list[socket.socket] = []

    def come() -> None:
        late.append(site.member())  # it is accepted in the next turn, before lines are delivered
        site.server.handle([Deliver("early")])

    site.run(
        come,
        lambda: site.has(late[0], "you are"),
        lambda: site.server.handle([Deliver("late")]),
        lambda: site.has(late[0], "late"),
    )
    assert not site.has(late[0], "early")


def test_who_takes_nothing_is_dropped_and_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "MAX_OUTBOX_BYTES", 100_000)
    kit.Gathering(site.output.far)
    site.listener._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    one, two = site.member(), site.member()
    two.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line = b"x" * 1000 + b"\n"

    def talk() -> bool:
        with contextlib.suppress(BlockingIOError):
            one.send(line * 50)
        return site.has(one, "guest-2 left (too slow)")

    site.run(lambda: site.has(one, "guest-2 joined"), talk)
    problems = [event.problem for event in kit.of_kind(site.events, Closed) if event.problem]
    assert len(problems) == 1
    told = re.fullmatch(r"too slow, ([\d,]+) bytes not sent", problems[0])
    assert told
    assert 100_000 < int(told[1].replace(",", "")) < 1_000_000


def test_quitting_says_what_was_said_before(site: Site) -> None:
    one = site.member()

    def bye() -> None:
        site.input.give(b"bye\n")

    site.run(lambda: site.has(one, "you are"), bye)
    one.setblocking(True)
    assert site.has(one, "[server] bye")
    assert one.recv(10) == b""


def test_closing_waits_for_what_the_operator_has_not_seen(site: Site) -> None:
    one = site.member()
    line = b"x" * 1000 + b"\n"
    shown: list[kit.Gathering] = []
    site.run(
        lambda: site.has(one, "you are"),
        lambda: one.send(line * 200) > 0,
        lambda: site.server._output.size > 0,
        lambda: site.input.close(),
        lambda: not site.server._members and not len(site.server.closer),
        lambda: shown.append(kit.Gathering(site.output.far)),
    )
    assert shown, "it has closed before"
    site.output.release()
    output = site.server._output
    assert (len(shown[0].result()), output.dropped) == (output.bytes_written, 0)


def test_who_is_sent_away_gets_what_waits_and_is_told(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    motd = "x" * 2_000_000
    site = Site(loop, stack, RoomOptions(flood=0, motd=motd))
    site.listener._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    one = site.member()

    def kick() -> None:
        (member,) = site.server._members.values()
        assert member.connection.outbox.size > 0
        site.server.handle(site.server.room.kick("guest-1"))

    site.run(
        lambda: site.server.room.names() == ["guest-1"],
        kick,
        lambda: len(site.server.closer) == 1,
        lambda: site.has(one, "the operator has disconnected you"),
    )
    assert f"[server] {motd}" in site.lines(one)
    (closed,) = kit.of_kind(site.events, Closed)
    assert closed.problem == ""


def test_who_has_missed_something_at_the_end_is_counted(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", 0.1)
    site = Site(loop, stack, RoomOptions(flood=0, motd="x" * 3_000_000))
    site.member()
    with pytest.raises(SendError, match="1 member did not receive every line"):
        site.run(lambda: site.server.room.names() == ["guest-1"])
    (closed,) = kit.of_kind(site.events, Closed)
    assert re.fullmatch(r"[\d,]+ bytes not sent", closed.problem)


def test_a_newcomer_finds_room_among_those_who_leave(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_CLOSING_CONNECTIONS", 1)
    monkeypatch.setattr(closing, "QUIET_SECONDS", kit.WAIT)
    monkeypatch.setattr(closing, "MAX_CHATTER_SECONDS", kit.WAIT)
    one = site.member()
    site.run(
        lambda: one.send(b"/quit\n") > 0,
        lambda: len(site.server.closer) == 1,
        lambda: bool(site.member()),
        lambda: len(kit.of_kind(site.events, Closed)) == 1,
        lambda: monkeypatch.setattr(closing, "QUIET_SECONDS", 0.0),
    )


def test_who_comes_while_it_closes_does_not_keep_it_open(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been accepted and has not yet shown what it speaks."""
    monkeypatch.setattr(module, "MARK_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(closing, "QUIET_SECONDS", 0.3)
    site = Site(loop, stack, client_encoding="gbk")
    stuck = site.member()
    late: list[socket.socket] = []
    site.run(
        lambda: stuck.send(b"here\n") > 0,
        lambda: site.has(stuck, "you are"),
        lambda: late.append(site.member()),
        lambda: len(kit.of_kind(site.events, Connected)) > 1,
    )
    assert not site.server._members


def test_the_mark_may_be_cut(loop: Loop, stack: contextlib.ExitStack) -> None:
    site = Site(loop, stack, client_encoding="gbk")
    one, two = site.member(), site.member()
    site.run(
        lambda: one.send("好\n".encode("gbk")) > 0,
        lambda: site.has(one, "you are"),
        lambda: two.send(b"/sock") > 0,
        lambda: not site.has(two, "you are"),
        lambda: two.send("kit\n你好\n".encode()) > 0,
        lambda: site.has(two, "you are"),
        lambda: site._got[one].endswith("你好\n".encode("gbk")) or site.has(one, "\0"),
    )


def test_one_that_ends_amid_the_mark_is_closed(loop: Loop, stack: contextlib.ExitStack) -> None:
    site = Site(loop, stack, client_encoding="gbk")
    one = site.member()
    site.run(
        lambda: one.send(b"/sock") > 0,
        lambda: one.shutdown(socket.SHUT_WR),
        lambda: site.has(one, "you are"),
        lambda: bool(kit.of_kind(site.events, Closed)),
    )


def test_words_that_did_not_reach_a_member_are_told_at_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "MAX_OUTBOX_BYTES", 100_000_000)
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", 0.05)
    kit.Gathering(site.output.far)
    one = site.member()
    lines = [Deliver("x" * 4000)] * 5000  # more than the system takes
    with pytest.raises(SendError, match="1 member did not receive every line"):
        site.run(lambda: site.has(one, "you are"), lambda: site.server.handle(lines))


@pytest.mark.parametrize("more", [{}, {"client_encoding": "gbk"}])
@pytest.mark.parametrize("password", [None, "sesame"])
@pytest.mark.parametrize("flood", [b"hi\n", b"\xff\xf1", b"\xff\xfa"])  # NOP, SB without an end
def test_a_flood_of_text_or_negotiation_is_read_slowly(
    loop: Loop,
    stack: contextlib.ExitStack,
    flood: bytes,
    password: str | None,
    more: dict[str, object],
) -> None:
    site = Site(loop, stack, RoomOptions(flood=1, password=password), **more)
    one = site.member()
    much = flood * 2**15

    def send() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                one.send(much)

    site.run(lambda: site.has(one, "* "), *[send] * 60)
    (closed,) = kit.of_kind(site.events, Closed)
    assert 0 < closed.received <= 64 * 1024


def test_who_has_left_is_not_kept(site: Site) -> None:
    """Not until the last of its timers would have come, a minute later."""
    here = site.member()
    left: list[weakref.ref[object]] = []

    def come_and_go() -> None:
        sock = site.member()
        site.server.loop.later(0.002, lambda: reset(sock))

    def look() -> None:
        left.extend(map(weakref.ref, list(site.server._members.values())[1:]))

    def gone() -> bool:
        gc.collect()
        return len(site.server._members) == 1 and not any(ref() for ref in left)

    steps = [step for _ in range(10) for step in (come_and_go, look, look)]
    site.run(lambda: site.has(here, "you are"), *steps, lambda: len(left) > 3, gone)


def test_who_says_and_hears_nothing_for_long_enough_has_to_leave(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    site = Site(loop, stack, idle=1.0)  # long after it is announced
    one = site.member()
    site.run(lambda: bool(of_kind(site.events, Closed)))
    assert site.has(one, "you are")
    assert [event.problem for event in of_kind(site.events, Closed)] == ["silent for too long"]


def test_a_newcomer_that_sends_its_name_is_never_a_guest(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are the same number of turns here; a third that says nothing is a guest in time."""
    monkeypatch.setattr(module, "NAME_WAIT_SECONDS", 0.5)
    site = Site(loop, stack)
    named = site.member()
    others: list[socket.socket] = []
    site.run(
        lambda: len(site.server._members) == 1,
        lambda: named.send("/sockkit\n/nick 小雪\n".encode()) > 0,
        lambda: site.has(named, "* you are 小雪; "),
        lambda: others.append(site.member()),
        lambda: site.has(named, "* guest-2 joined"),
    )
    assert site.has(others[0], "* you are guest-2; ")
    assert "guest" not in "".join(site.lines(named)[:-1])
    assert [event.name for event in of_kind(site.events, Named)] == ["小雪", "guest-2"]


@pytest.mark.parametrize("history", [0, 1, 9])
def test_a_newcomer_misses_nothing_while_its_name_may_come(
    history: int, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAME_WAIT_SECONDS", kit.WAIT)
    site = Site(loop, stack, RoomOptions(flood=0, history=history))
    one, two = site.member(), site.member()
    site.run(
        lambda: one.send(b"before\n") > 0,
        lambda: site.has(one, "you are"),
        lambda: len(site.server._members) == 2,
        lambda: one.send(b"a\n") > 0,
        lambda: len(site.kept) == 2,
        lambda: one.send(b"b\nc\n") > 0,
        lambda: len(site.kept) == 4,
        lambda: two.send(b"/nick bob\n") > 0,
        lambda: site.has(two, "[guest-1] c"),
    )
    said = [line for line in site.lines(two) if line.startswith("[") and "before" not in line]
    assert said == ["[guest-1] a", "[guest-1] b", "[guest-1] c"]
    assert site.lines(two)[0].startswith("* you are bob; ")


def test_a_newcomer_for_whom_much_is_held_back_is_admitted_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAME_WAIT_SECONDS", kit.WAIT)
    monkeypatch.setattr(member, "MAX_HELD_BYTES", 100)
    one = site.member()
    site.run(
        lambda: len(site.server._members) == 1,
        lambda: site.server.handle([Deliver("x" * 90)]),
        lambda: not site.has(one, "* "),
        lambda: site.server.handle([Deliver("y" * 90)]),
        lambda: site.has(one, "y" * 90),
    )
    assert [line[:9] for line in site.lines(one)] == ["* you are", "x" * 9, "y" * 9]


def test_a_newcomer_is_greeted_before_the_room_closes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAME_WAIT_SECONDS", kit.WAIT)
    one = site.member()
    site.run(
        lambda: len(site.server._members) == 1,
        lambda: site.server.handle([Deliver("[server] bye")]),
    )
    one.setblocking(True)
    assert site.has(one, "* you are guest-1; ")
    assert site.has(one, "[server] bye")


@pytest.mark.parametrize("encoding", [None, "gbk"])
def test_a_silent_newcomer_does_not_wait_for_the_name_after_the_mark(
    encoding: str | None, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MARK_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(module, "NAME_WAIT_SECONDS", 0.07)
    waits: list[float] = []
    later = loop.later
    monkeypatch.setattr(
        loop, "later", lambda delay, call: (waits.append(delay), later(delay, call))[1]
    )
    site = Site(loop, stack, client_encoding=encoding)
    one = site.member()
    site.run(lambda: site.has(one, "* you are guest-1; "))
    assert (0.0 in waits) == bool(encoding)
    assert (0.07 in waits) == (not encoding)


def test_the_operator_sees_who_is_here_and_what_is_for_the_operator_alone(site: Site) -> None:
    one, two = site.member(), site.member()
    listed: list[str] = []
    site.run(
        lambda: one.send(b"/nick bob\n") > 0,
        lambda: site.has(one, "you are bob"),
        lambda: two.send(b"x\n") > 0,
        lambda: site.has(one, "[guest-2] x"),
        lambda: site.server.handle(site.server.room.whisper("bob", "psst")),
        lambda: site.has(one, "[server to you] psst"),
        lambda: one.send(b"/msg server thanks\n") > 0,
        lambda: site.has(one, "[you to server] thanks"),
        lambda: listed.extend(about for _, about in site.server.peers()),
    )
    assert not site.has(two, "psst")
    assert not site.has(two, "thanks")
    assert sorted(about.split(":")[0] for about in listed) == ["bob", "guest-2"]
    site.output.release()
    shown = site.output.far.take().decode().splitlines()
    assert shown[-4:-2] == ["[you to bob] psst", "[bob to you] thanks"]
    assert not any("psst" in line for line in site.kept)
