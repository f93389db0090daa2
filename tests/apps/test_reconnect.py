"""A member whose connection is lost, and how it leaves; no program is started."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.apps import chat_join as module
from sockkit.apps import chat_typed
from sockkit.apps.chat_join import ChatJoin
from sockkit.core.address import HostPort
from sockkit.errors import (
    ConnectError,
    OutputGone,
    ProxyError,
    ReceiveError,
    SendError,
    SockkitError,
)
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop, Timer
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.waiting import Done, OnDone, Pending
from tests.net import kit
from tests.support import reset

loop, stack = kit.loop, kit.stack

Room = Callable[[socket.socket], None]
IN = b"* you are guest-1; hi\n"


class Member:
    """`chat join --reconnect`, and what each of its connections comes to.

    Its pauses are kept, and take no time.
    """

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.loop, self._stack, self._later = loop, stack, loop.later
        self.pauses: list[float] = []
        self.in_pause: Callable[[], None] = lambda: None
        self.shortened = 0.0  # seconds of a pause
        self.source, self.sink = (make("pipe", stack, Path()) for make in (kit.source, kit.sink))
        monkeypatch.setattr(module, "dial", lambda *given: self._dial(given[-1]))
        monkeypatch.setattr(loop, "later", self._soon)

    def _dial(self, on_done: OnDone[SocketEnd]) -> Pending:
        room = self._rooms.pop(0)
        if isinstance(room, SockkitError):
            self.loop.call_soon(lambda: on_done(room))
            return Done()
        made = kit.stream_end("tcp", self._stack)
        room(self._stack.enter_context(socket.socket(fileno=os.dup(made.far.descriptor))))
        made.far.close()
        self.loop.call_soon(lambda: on_done(made.end))
        return Done()

    def _soon(self, delay: float, callback: Callable[[], None]) -> Timer:
        if getattr(callback, "__name__", "") != "_dial":
            return self._later(delay, callback)
        self.pauses.append(delay)
        self.in_pause()
        return self._later(self.shortened, callback)

    def run(
        self, *rooms: Room | SockkitError, reconnect: bool = True, shown: bool = True
    ) -> list[str]:
        """The lines that it shows."""
        self._rooms = list(rooms)
        config = ChatJoin(
            HostPort("room", 1), ConnectOptions(), SocketOptions(), reconnect=reconnect
        )
        stdio = Stdio(self.source.end, self.sink.end, "utf-8")
        try:
            module.run(config, kit.context(self.loop, stdio))
        finally:
            assert not self._rooms
            self.sink.release()
        return self.sink.far.take().decode().split("\n") if shown else []

    def hears(self, text: bytes, then: Callable[[socket.socket], None]) -> Room:
        """A room that lets it in, and does something once it has heard `text`, b"" for the end."""
        heard = bytearray()

        def room(sock: socket.socket) -> None:
            def read() -> None:
                heard.extend(got := sock.recv(4096))
                if text in heard if text else not got:
                    self.loop.when_readable(sock.fileno(), None)
                    then(sock)

            sock.sendall(IN)
            self.loop.when_readable(sock.fileno(), read)

        return room


@pytest.fixture
def member(loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> Member:
    return Member(loop, stack, monkeypatch)


def says(text: bytes) -> Room:
    """A room that says this and ends."""

    def room(sock: socket.socket) -> None:
        sock.sendall(IN + text)
        sock.shutdown(socket.SHUT_WR)

    return room


def bids_farewell(sock: socket.socket) -> None:
    sock.sendall(b"* goodbye\n")
    sock.shutdown(socket.SHUT_WR)


def breaks_off(sock: socket.socket) -> None:
    sock.sendall(b"[bob] hal")
    reset(sock)


BYE = says(b"* goodbye\n")


@pytest.mark.parametrize("end", ["ended", "reset"])
def test_half_a_line_of_a_lost_connection_is_no_part_of_the_next(end: str, member: Member) -> None:
    ended = says(b"[bob] hal")
    lines = member.run(ended if end == "ended" else member.hears(b"/sockkit\n", breaks_off), BYE)
    assert [line for line in lines if line != "[bob] hal"] == [
        *["* you are guest-1; hi"] * 2,
        "* goodbye",
        "",
    ]


def test_each_pause_is_longer_until_a_room_is_there(member: Member) -> None:
    gone = ConnectError("nobody is there")
    member.run(*[gone] * 7, says(b""), gone, BYE)
    assert member.pauses == [1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 1.0, 2.0]


def test_a_proxy_is_asked_again_unless_that_is_useless(member: Member) -> None:
    refused = ProxyError("the target refuses")
    member.run(refused, BYE)
    assert member.pauses == [1.0]
    with pytest.raises(ProxyError, match="wrong password"):
        member.run(refused, ProxyError("wrong password", transient=False))


def test_without_being_asked_it_does_not_connect_again(member: Member) -> None:
    with pytest.raises(ReceiveError, match=r"the room has closed.*--reconnect joins it again"):
        member.run(says(b""), reconnect=False)
    assert member.pauses == []


@pytest.mark.parametrize("reconnect", [True, False])
def test_who_has_left_has_left(reconnect: bool, member: Member) -> None:
    member.run(BYE, reconnect=reconnect)
    assert member.pauses == []


@pytest.mark.parametrize("person", [True, False])
def test_a_person_knows_what_was_lost(person: bool, member: Member) -> None:
    """And leaves with 0; a script does not know, and is told."""
    member.source.end.terminal = person
    hears = member.hears(b"never heard\n", reset)

    def lost(sock: socket.socket) -> None:
        hears(sock)
        # In the room: what is typed before is kept, and counts otherwise.
        member.loop.at(member.loop.now + 0.05, lambda: member.source.far.give(b"never heard\n"))

    with (
        contextlib.nullcontext()
        if person
        else pytest.raises(SendError, match="may not have arrived")
    ):
        member.run(lost, BYE)


@pytest.mark.parametrize("said", [b"", b"too late\n"])
@pytest.mark.parametrize("way", ["Ctrl-D", "/quit"])
def test_who_leaves_while_it_waits_for_a_room_has_left(
    way: str, said: bytes, member: Member
) -> None:
    """And is told of what nobody heard."""
    person = member.source
    person.end.terminal = True
    member.shortened = kit.WAIT

    def leave() -> None:
        person.far.give(said + (b"/quit\nnot read\n" if way == "/quit" else b""))
        if way == "Ctrl-D":
            person.far.close()

    member.in_pause = leave
    with (
        pytest.raises(SendError, match="1 line not sent: there is no connection")
        if said
        else contextlib.nullcontext()
    ):
        member.run(member.hears(b"/sockkit\n", reset))
    assert member.pauses == [1.0]


@pytest.mark.parametrize("way", ["Ctrl-D", "/quit"])
def test_a_script_that_ends_while_there_is_no_room_is_heard_by_the_next(
    way: str, member: Member
) -> None:
    script = member.source
    if way == "Ctrl-D":
        member.in_pause = script.far.close
        back = member.hears(b"", lambda sock: sock.shutdown(socket.SHUT_WR))
    else:
        member.in_pause = lambda: script.far.give(b"/quit\n")
        back = member.hears(b"/quit\n", bids_farewell)
    member.run(member.hears(b"/sockkit\n", reset), back)
    assert member.pauses == [1.0]


def test_what_is_typed_while_there_is_no_room_is_said_in_the_next(member: Member) -> None:
    person = member.source
    person.end.terminal = True
    member.shortened = 0.05
    member.in_pause = lambda: person.far.give("你好\n".encode())
    back = member.hears("/sockkit\n你好\n".encode(), bids_farewell)
    member.run(member.hears(b"/sockkit\n", reset), back)
    assert member.pauses == [1.0]


@pytest.mark.parametrize("times", [0, 1])
def test_a_reader_that_goes_while_there_is_no_room_ends_it(times: int, member: Member) -> None:
    member.shortened = kit.WAIT
    member.in_pause = member.sink.far.close
    lost = [member.hears(b"/sockkit\n", reset)] * times
    with pytest.raises(OutputGone):
        member.run(*(lost or [ConnectError("nobody is there")]), shown=False)
    assert member.pauses == [1.0]


def test_no_more_is_kept_of_what_is_typed_than_a_bound(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_typed, "MAX_TYPED_BYTES", 10)
    person = member.source
    person.end.terminal = True
    member.shortened = 0.05
    member.in_pause = lambda: person.far.give(b"0123456789\n")
    gone = ConnectError("nobody is there")
    back = member.hears(b"/sockkit\n" + b"0123456789\n" * 4, bids_farewell)
    member.run(gone, gone, gone, gone, back)
    assert len(member.pauses) == 4


def test_a_name_that_a_lost_connection_may_still_hold_is_asked_for_again(member: Member) -> None:
    def holds_it(sock: socket.socket) -> None:
        sock.sendall(b'* the name "bob" is taken\n' + IN)

    member.run(says(b""), holds_it, holds_it, BYE)
    assert member.pauses == [1.0, 2.0, 4.0]


def test_what_was_kept_and_not_said_is_counted(member: Member) -> None:
    person = member.source
    person.end.terminal = True
    member.shortened = 0.05
    member.in_pause = lambda: person.far.give(b"one\ntwo\n")
    useless = ProxyError("wrong password", transient=False)
    with pytest.raises(ProxyError) as told:
        member.run(ConnectError("nobody is there"), useless)
    assert str(told.value) == "wrong password (2 lines not sent)"
