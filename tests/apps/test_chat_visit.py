"""What a visit sends before and after the server has shown that it is a room."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps import chat_visit as module
from sockkit.apps.chat_join import ChatJoin
from sockkit.apps.chat_typed import TypedAhead
from sockkit.apps.chat_visit import Visit, refused
from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.chat import protocol
from sockkit.core.chat.view import ChatView
from sockkit.errors import ReceiveError, SockkitError, TimedOut, UsageError
from sockkit.events import Event, Notice
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from tests.net import kit

loop, stack = kit.loop, kit.stack
WELCOME = f"{protocol.welcome('bob')}\n".encode()
ROOM = HostPort("room", 7)
OPENING = b"/sockkit\n/nick bob\n"


class Site:
    """A member called bob, and the server's side of the connection."""

    def __init__(self, loop: Loop, stack: kit.Stack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self.source, self.sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        self.made = kit.stream_end("tcp", stack)
        self.server = stack.enter_context(socket.socket(fileno=os.dup(self.made.far.descriptor)))
        self.server.setblocking(False)
        self.got = b""
        self.over: list[SockkitError | None] = []
        self.greeted: list[Visit] = []
        self.view = ChatView()

    def visit(
        self,
        *,
        known: bool = False,
        address: Address = ROOM,
        **more: Any,
    ) -> Visit:
        context = kit.context(
            self.loop, Stdio(self.source.end, self.sink.end, "utf-8"), self.events.append
        )
        options = {"connect": ConnectOptions(), "name": "bob", **more}
        config = ChatJoin(address, sockets=SocketOptions(), **options)
        self.typed = TypedAhead(context, self.over.append)
        self.typed.read()
        return Visit(context, self.made.end, config, self.view, self.typed, known=known)

    def run(self, visit: Visit, *steps: Callable[[], object]) -> SockkitError | None:
        """Do each step until it is true, then wait for the end, and return its error."""
        left = list(steps)

        def look() -> None:
            if left and left[0]() is not False:
                left.pop(0)
            if left:
                self.loop.later(0.001, look)

        def over(error: SockkitError | None) -> None:
            self.over.append(error)
            self.loop.stop()

        visit.start(over, lambda: self.greeted.append(visit))
        self.loop.call_soon(look)
        self.loop.run()
        assert not left
        (error,) = self.over
        return error

    def has(self, data: bytes) -> Callable[[], bool]:
        """A step: the server has received this, and nothing else."""

        def step() -> bool:
            try:
                self.got += self.server.recv(4096)
            except BlockingIOError:
                pass
            assert data.startswith(self.got), self.got
            return self.got == data

        return step

    def says(self, data: bytes, *, then_ends: bool = False) -> Callable[[], None]:
        def step() -> None:
            self.server.sendall(data)
            if then_ends:
                self.server.shutdown(socket.SHUT_WR)

        return step

    def ends(self) -> None:
        self.server.shutdown(socket.SHUT_WR)

    def shown(self) -> bytes:
        self.sink.release()
        return self.sink.far.take()


@pytest.fixture
def site(loop: Loop, stack: kit.Stack) -> Site:
    return Site(loop, stack)


def test_input_waits_for_the_greeting(site: Site) -> None:
    site.source.far.give(b"hi\n")
    site.source.far.close()
    error = site.run(
        site.visit(),
        site.has(OPENING),
        site.says(WELCOME),
        site.has(OPENING + b"hi\n"),
        site.ends,
    )
    assert error is None
    assert len(site.greeted) == 1
    assert site.shown() == WELCOME


@pytest.mark.parametrize(
    "said", [b"/sockkit\n", b"HTTP/1.0 400 Bad request\r\n", b"login: ", b"* OK IMAP\r\n", b"\n"]
)
@pytest.mark.parametrize("known", [False, True])
def test_nothing_is_sent_to_another_server(said: bytes, known: bool, site: Site) -> None:
    """No password either; nor is anything of it shown."""
    site.source.far.give(b"secret plans\n")
    visit = site.visit(known=known, password="sesame")
    error = site.run(visit, site.has(OPENING), site.says(said))
    assert type(error) is SockkitError
    assert str(error).startswith('room:7 is not a sockkit chat room (it says "')
    assert str(error).endswith('"): use sockkit tcp-client room 7')
    assert (visit.in_room, site.greeted) == (False, [])
    assert site.has(OPENING)()
    assert site.shown() == b""


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({"address": HostPort("::1", 7)}, "sockkit tcp-client ::1 7"),
        ({"address": UnixPath("/a b")}, "sockkit tcp-client 'unix:/a b'"),
        ({"tls": True}, "sockkit tcp-client --tls room 7"),
    ],
)
def test_the_command_for_another_server_can_be_pasted(
    given: dict[str, Any], command: str, site: Site
) -> None:
    error = site.run(site.visit(**given), site.says(b"220 smtp\r\n"))
    assert str(error).endswith(f": use {command}")


def test_a_server_that_expects_tls(site: Site) -> None:
    error = site.run(site.visit(), site.says(b"\x15\x03\x01\0\2\2F"))
    assert (type(error), str(error)) == (SockkitError, "room:7 expects TLS: add --tls")


@pytest.mark.parametrize("known", [False, True])
def test_a_silent_server_is_given_up(
    known: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the room was there before, its silence may pass."""
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(module, "GREETING_SECONDS", 0.1)
    connect = ConnectOptions(timeout=0.2)
    error = site.run(site.visit(known=known, connect=connect), site.has(OPENING))
    assert isinstance(error, TimedOut) == known
    told = "has not greeted us within 0.2 s"
    if not known:
        told = "is not a sockkit chat room (no greeting within 0.2 s)"
        told += ": use sockkit tcp-client room 7"
    assert str(error) == f"room:7 {told}"
    assert [event.text for event in site.events if isinstance(event, Notice)] == [
        "no greeting from room:7 yet: waiting up to 0.2 s"
    ]


def test_a_server_that_drips_is_no_silent_one_but_given_up_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(module, "GREETING_SECONDS", 0.1)
    visit = site.visit(connect=ConnectOptions(timeout=0.2))
    error = site.run(visit, site.has(OPENING), site.says(b"* y"))
    assert str(error).startswith("room:7 is not a sockkit chat room (no greeting within 0.2 s)")
    assert site.shown() == b""


def test_a_slow_room_is_a_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its line may come in pieces. What is typed meanwhile is marked, and sent."""
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    site.source.end.terminal = True
    site.source.far.give(b"hi\n")
    pieces = [WELCOME[:1], WELCOME[1:9], WELCOME[9:]]

    def dribble() -> bool:
        if len(site.events) > 1:  # both notices have come
            site.server.sendall(pieces.pop(0))
        return not pieces

    error = site.run(
        site.visit(),
        dribble,
        site.has(OPENING + b"hi\n"),
        site.says(b"* goodbye\n", then_ends=True),
    )
    assert error is None
    assert [event.text for event in site.events if isinstance(event, Notice)] == [
        "no greeting from room:7 yet: waiting up to 10 s",
        "kept until you are in the room (1 line)",
        "sent 1 kept line",
    ]


def test_a_server_that_ends_without_a_greeting(site: Site) -> None:
    error = site.run(site.visit(), site.has(OPENING), site.ends)
    assert isinstance(error, ReceiveError)
    assert str(error.args[0]) == "room:7 closed the connection without a greeting"


def test_the_room_closes(site: Site) -> None:
    error = site.run(site.visit(), site.says(WELCOME, then_ends=True))
    assert isinstance(error, ReceiveError)
    assert error.hint == "--reconnect joins it again when it is back"


@pytest.mark.parametrize("person", [False, True])
def test_the_password_goes_to_a_room_and_before_the_rest(person: bool, site: Site) -> None:
    site.source.end.terminal = person
    site.source.far.give(b"hi\n")
    sent = OPENING + b"/password sesame\n"
    error = site.run(
        site.visit(password="sesame"),
        site.has(OPENING),
        site.says(f"{protocol.PASSWORD_REQUIRED}\n".encode()),
        site.has(sent),
        site.says(WELCOME),
        site.has(sent + b"hi\n"),
        site.says(b"* goodbye\n", then_ends=True),
    )
    assert error is None


def test_a_password_that_no_room_asked_for_is_sent_all_the_same(site: Site) -> None:
    site.source.far.close()
    error = site.run(
        site.visit(password="sesame"),
        site.says(WELCOME),
        site.has(OPENING + b"/password sesame\n"),
        site.ends,
    )
    assert error is None


def test_what_is_piped_is_no_password(site: Site) -> None:
    site.source.far.give(b"hi\n")
    error = site.run(
        site.visit(),
        site.says(f"{protocol.PASSWORD_REQUIRED}\n".encode()),
    )
    assert (error, site.view.not_admitted) == (None, True)
    assert site.has(OPENING)()
    assert str(refused(site.view, None)).endswith("give its password with --password-file FILE")


def test_a_wrong_password_of_a_script_ends_the_visit(site: Site) -> None:
    """What is piped is not another password."""
    site.source.far.give(b"hi\n")
    error = site.run(
        site.visit(password="wrong"),
        site.says(f"{protocol.PASSWORD_REQUIRED}\n".encode()),
        site.has(OPENING + b"/password wrong\n"),
        site.says(f"{protocol.WRONG_PASSWORD}\n".encode()),
    )
    assert (error, site.view.not_admitted) == (None, True)
    told = refused(site.view, None)
    hint = "give the right one with --password-file FILE"
    assert str(told) == f"the room refused us: wrong password: {hint}"


def test_a_person_types_another_password(site: Site) -> None:
    """Lines that were kept wait until the room admits us."""
    site.source.end.terminal = True
    site.source.far.give(b"kept\n")
    asked = f"{protocol.WRONG_PASSWORD}\n".encode()
    sent = OPENING + b"/password wrong\n"
    visit = site.visit(password="wrong")
    error = site.run(
        visit,
        lambda: site.typed._kept == b"kept\n",
        site.says(f"{protocol.PASSWORD_REQUIRED}\n".encode()),
        site.has(sent),
        site.says(asked),
        lambda: visit._released,
        lambda: site.source.far.give(b"sesame\n"),
        site.has(sent + b"sesame\n"),
        site.says(WELCOME),
        site.has(sent + b"sesame\nkept\n"),
        lambda: site.source.far.give(b"hi\n"),
        site.has(sent + b"sesame\nkept\nhi\n"),
        site.says(b"* goodbye\n", then_ends=True),
    )
    assert error is None


def test_bytes_from_the_prompt_wait_for_the_room_too(site: Site) -> None:
    visit = site.visit()
    with pytest.raises(UsageError, match="not in the room yet"):
        visit.say(b"\0")
    site.run(
        visit,
        site.says(WELCOME),
        lambda: visit.in_room,
        lambda: visit.say(b"x\n"),
        site.has(OPENING + b"x\n"),
        site.says(b"* goodbye\n", then_ends=True),
    )


def test_a_room_that_is_full_hears_nothing(site: Site) -> None:
    site.source.far.give(b"hi\n")
    error = site.run(site.visit(), site.says(f"{protocol.ROOM_FULL}\n".encode(), then_ends=True))
    assert (error, site.view.not_admitted) == (None, True)
    assert site.has(OPENING)()
    assert (
        str(refused(site.view, None))
        == "the room refused us: the room is full: add --reconnect to wait for a place"
    )
