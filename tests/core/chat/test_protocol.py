"""What the room really sends, as `chat join` understands it: neither side's words are repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sockkit.core.chat import protocol
from sockkit.core.chat.actions import Action, Admit, Deliver
from sockkit.core.chat.admission import MAX_PASSWORD_ATTEMPTS, MAX_WAITING
from sockkit.core.chat.commands import ARGUMENTS, MEMBER, completions
from sockkit.core.chat.names import check_name
from sockkit.core.chat.protocol import (
    Departed,
    Dropped,
    Joined,
    NameRefused,
    Renamed,
    Said,
    Status,
    YouAre,
    greets,
    help_notices,
    parse,
    refusal,
    usage,
    who,
)
from sockkit.core.chat.room import Room, RoomOptions
from sockkit.core.chat.udp import UdpRoom
from sockkit.core.chat.view import ChatView
from sockkit.core.printable import escape
from sockkit.errors import UsageError

HERE = "10.0.0.7:1"
FREE = RoomOptions(flood=0)

STATUS_LINES = sorted({*protocol.ROOM_CLOSES, *protocol.NOT_ADMITTED})
MADE = [
    *STATUS_LINES, protocol.TOO_FAST, protocol.too_long(9), protocol.welcome("bob"),
    protocol.you_are_now("bob"),
    protocol.joined("bob"), protocol.departed("bob"), protocol.departed("bob", "too slow"),
    protocol.renamed("bob", "alex"), '* the name "bob" is taken',
    "* a name must be 1 to 32 columns wide", '* the name "you" is reserved',
]  # fmt: skip
WORDS = [line.removeprefix("* ") for line in MADE]


def may_be(name: str) -> bool:
    try:
        return bool(check_name(name))
    except UsageError:
        return False


LIKE_WORDS = "a full left joined good-bye now is the room a; ;a 小雪 taken here: (left) not-sent"
NAMES = st.sampled_from(LIKE_WORDS.split()) | st.text(min_size=1, max_size=12).filter(may_be)
TEXTS = (
    st.sampled_from([*MADE, *WORDS, "[a] hi", "[you to a] hi", "a:hi"])
    | st.text(max_size=40)
    | st.builds("{}{}".format, st.text(max_size=3), st.sampled_from(MADE))
)


@pytest.mark.parametrize("line", STATUS_LINES)
def test_a_line_that_never_changes_is_recognised(line: str) -> None:
    assert parse(line) == Status(line)


@given(NAMES, NAMES, TEXTS)
def test_what_is_made_is_recognised_with_the_same_fields(name: str, other: str, text: str) -> None:
    text = escape(text)
    for line in (protocol.said(name, text), protocol.said_to_you(name, text)):
        assert parse(line) == Said(name, text)
        assert protocol.replayed(line) == line
    assert parse(protocol.said_by_you(name, text)) == Said(name, text)
    assert parse(protocol.said_by_server(text)) == Said("server", text)
    assert parse(protocol.welcome(name)) == parse(protocol.you_are_now(name)) == YouAre(name)
    assert parse(protocol.joined(name)) == Joined(name)
    for why in ("", "too slow", "connection lost"):
        assert parse(protocol.departed(name, why)) == Departed(name)
    assert parse(protocol.renamed(name, other)) == Renamed(name, other)


@given(TEXTS)
def test_what_was_said_once_is_repeated_as_said(line: str) -> None:
    assert isinstance(parse(protocol.replayed(escape(line))), Said)


def come(room: Room, key: int) -> list[Action]:
    return [*room.join(key, 0.0), *room.introduce(key)]


def meanings(events: Iterable[Action]) -> list[Any]:
    """What every line of them means, each to whoever is told it."""
    told: list[str] = []
    for event in events:
        if isinstance(event, Admit):
            told += [*event.greeting, *(line for block in event.history for line in block.lines)]
        elif isinstance(event, Deliver):
            told += event.lines
    return [parse(line) for line in told]


@settings(max_examples=100)  # what room.py may get wrong is seldom chosen
@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_nothing_that_is_chosen_is_acted_on(motd: str, text: str, before: list[str]) -> None:
    """Neither the message of the day nor what was said before, is said now, or is no name."""
    room, view = Room(FREE._replace(motd=motd, history=9)), ChatView()
    room.remember(map(escape, before))
    events = [*come(room, 1), *come(room, 2), *room.announce(text)]
    for event in events:
        if isinstance(event, Admit):
            told = [line for block in event.history for line in block.lines]
            assert all(isinstance(parse(line), Said) for line in told)
    heard(view, 1, events)
    said = "".join(
        f"{word}{text}\n" for word in ("a", "/me ", "/msg guest-1 ", "/msg ", "/x", "//")
    )
    assume("\n" not in text)
    events = room.feed(2, said.encode("utf-8", "replace"), 0.0)
    heard(view, 1, events)
    heard(view, 2, events)
    assert (view.not_admitted, view.wants_password, view.room_closes) == (False, False, False)
    known = {Said, Joined, Dropped, type(None)}  # a command of its own may have no effect
    assert {type(meaning) for meaning in meanings(events)} <= known


@given(st.lists(st.tuples(NAMES | st.text(max_size=12), TEXTS), max_size=8))
def test_over_udp_nothing_that_is_chosen_refuses_anything(messages: list[tuple[str, str]]) -> None:
    """And what is refused is refused in words that are recognised."""
    room = UdpRoom(flood=2)
    for number, (name, text) in enumerate(messages):
        here = room.addresses()
        for delivery in room.receive(number % 3, f"{name}:{text}", 0.0):
            refused = bool(refusal(delivery.text))
            told = refused or delivery.text.startswith(
                ("* there is no", "* /who", f"* {len(here)} here:")
            )
            assert (delivery.to is not None) == told
    for _, text in messages:
        assert not any(refusal(delivery.text) for delivery in room.announce(text))


@given(NAMES | st.text(max_size=12), TEXTS)
def test_what_a_room_says_first_is_known_as_such(name: str, motd: str) -> None:
    """To a newcomer with a name or without, and to one that is not admitted."""
    full, locked = FREE._replace(max_members=0), FREE._replace(password="x")
    for options in (FREE._replace(motd=motd, history=9), full, locked):
        room = Room(options)
        events = [
            *room.join(1, 0.0, HERE),
            *room.feed(1, f"/nick {name}\n".encode("utf-8", "replace"), 0.0),
        ]
        events += room.introduce(1)
        told = [
            line
            for event in events
            for line in (
                event.greeting
                if isinstance(event, Admit)
                else event.lines
                if isinstance(event, Deliver) and event.to == 1
                else ()
            )
        ]
        assert greets(told[0])


@given(NAMES)
def test_a_name_that_is_refused_is_recognised(name: str) -> None:
    room = Room(FREE)
    events = [*room.join(1, 0.0), *room.feed(1, f"/nick {name}\n".encode(), 0.0)]
    events += [*room.join(2, 0.0), *room.feed(2, f"/nick {name}\n".encode(), 0.0)]
    assert {type(meaning) for meaning in meanings(events)} - {Joined} == {YouAre, NameRefused}


@pytest.mark.parametrize(
    "line", ["", "* ", "* OK IMAP4rev1", "/sockkit", "[a] hi", "* bob joined", "* 1 here: a", "SSH"]
)
def test_what_only_others_say_first(line: str) -> None:
    assert not greets(line)


def heard(view: ChatView, member: int, events: Iterable[Action]) -> str:
    """What `view` makes of the lines that `member` is told."""
    shown = ""
    for event in events:
        if isinstance(event, Admit) and event.member == member:
            shown += view.feed("".join(f"{line}\n" for line in event.greeting))
        elif isinstance(event, Deliver) and event.to in (None, member) and event.author != member:
            shown += view.feed(f"{event.text}\n")
    return shown


def named(view: ChatView, name: str) -> bool:
    """Whether `view` would complete that name."""
    return (name, "") in view.complete(name)


def painted() -> ChatView:
    return ChatView(paint=lambda text, name: f"<{name}>{text}</>", mark=lambda text: f"!{text}!")


def test_being_let_in_by_a_password() -> None:
    room, view = Room(FREE._replace(password="x")), ChatView()
    heard(view, 1, room.join(1, 0.0, HERE))
    assert (view.not_admitted, view.wants_password, view.room_closes) == (True, True, False)
    heard(view, 1, room.feed(1, b"wrong\n", 0.0))
    assert (view.not_admitted, view.secret) == (True, True)
    heard(view, 1, room.feed(1, b"x\n", 1000.0))
    assert (view.not_admitted, view.secret, view.room_closes) == (False, False, False)


def test_a_wrong_password_alone_tells_that_there_is_one() -> None:
    """Each answer does: the view may not have seen the ones before."""
    room = Room(FREE._replace(password="x"))
    room.join(1, 0.0, HERE)
    for attempt in range(MAX_PASSWORD_ATTEMPTS):
        view = ChatView()
        assert heard(view, 1, room.feed(1, b"wrong\n", 1000.0 * attempt))
        assert (view.not_admitted, view.wants_password) == (True, True)


def test_a_room_that_lets_nobody_in() -> None:
    view = ChatView()
    heard(view, 1, Room(FREE._replace(max_members=0)).join(1, 0.0))
    assert (view.not_admitted, view.wants_password, view.room_closes) == (True, False, True)
    room, view = Room(FREE._replace(password="x")), ChatView()
    for member in range(1, MAX_WAITING + 1):
        room.join(member, 0.0, HERE)
    heard(view, 0, room.join(0, 0.0, HERE))
    assert (view.not_admitted, view.wants_password, view.room_closes) == (True, False, False)


def test_a_room_that_is_full_only_after_the_password() -> None:
    room, view = Room(FREE._replace(password="x", max_members=1)), ChatView()
    for member in (1, 2):
        room.join(member, 0.0, HERE)
    room.feed(2, b"x\n", 0.0)
    heard(view, 1, room.feed(1, b"x\n", 0.0))
    assert (view.not_admitted, view.room_closes) == (True, True)


def test_every_way_to_part() -> None:
    for last in ("q", "/quit", ""):
        room, view = Room(FREE), ChatView()
        heard(view, 1, come(room, 1))
        assert (view.not_admitted, view.room_closes) == (False, False)
        parting = room.feed(1, f"{last}\n".encode(), 0.0) if last else room.kick("guest-1")
        assert heard(view, 1, parting)
        assert view.room_closes, last


def test_who_comes_goes_and_is_renamed() -> None:
    room, view = Room(FREE), ChatView()
    heard(view, 1, [*come(room, 1), *come(room, 2)])
    assert named(view, "guest-2")
    heard(view, 1, room.feed(2, "/nick 小雪\n".encode(), 0.0))
    assert (named(view, "guest-2"), named(view, "小雪")) == (False, True)
    heard(view, 1, room.leave(2, "too slow"))
    assert not named(view, "小雪")


def test_what_is_said_is_told_from_what_the_room_says() -> None:
    room, view = Room(FREE), painted()
    heard(view, 1, come(room, 1))
    heard(view, 1, [*room.join(2, 0.0), *room.feed(2, b"/nick bob\n", 0.0)])
    events = room.feed(2, b"hi guest-1\n", 0.0)
    assert heard(view, 1, events) == "<bob>[bob] </>!hi guest-1!\n"  # the welcome told its name
    events = room.feed(1, b"/nick alex\n", 0.0)
    heard(view, 1, events)
    assert heard(view, 1, room.feed(2, b"hi alex\n", 0.0)) == "<bob>[bob] </>!hi alex!\n"
    assert heard(view, 1, room.feed(2, b"/msg alex psst\n", 0.0)) == "<bob>[bob to you] </>psst\n"
    assert heard(view, 1, room.feed(1, b"/msg bob psst\n", 0.0)) == "<bob>[you to bob] </>psst\n"
    assert heard(view, 1, room.announce("hi")) == "<server>[server] </>hi\n"


def test_the_room_knows_every_command_that_is_completed() -> None:
    for command, _ in completions(MEMBER, "/"):
        room, view = Room(FREE), ChatView()
        room.join(1, 0.0)
        room.introduce(1)
        unknown = heard(view, 1, room.feed(1, b"/nosuch x\n", 0.0)).replace("/nosuch", command)
        answer = heard(view, 1, room.feed(1, f"{command} x\n".encode(), 0.0))
        assert answer != unknown


def test_each_command_with_an_argument_has_help() -> None:
    told = " ".join(help_notices(MEMBER, "bye"))
    assert "leave the room (also: bye)" in told
    for command in ("/msg", "/me", "/nick"):
        assert f"{command} {ARGUMENTS[command]} " in told
        assert usage(command) == f"* usage: {command} {ARGUMENTS[command]}"


@given(st.lists(st.sampled_from(["a", "小雪", "x" * 32]), max_size=300), st.integers(60, 999))
def test_who_is_here_fits_and_everybody_is_counted(names: list[str], most: int) -> None:
    told = who(names, most)
    assert len(told.encode()) <= most
    head, _, shown = told.partition(": ")
    assert head == f"* {len(names)} here"
    shown, _, more = shown.partition(" and ")
    listed = [name for name in shown.split(", ") if name]
    assert listed == names[: len(listed)]
    assert len(listed) + int(more.split()[0] if more else 0) == len(names)
