"""What the room really says, as `chat join` understands it: neither side's words are repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sockkit.core.chat import lines
from sockkit.core.chat.door import MAX_ATTEMPTS, MAX_WAITING
from sockkit.core.chat.lines import Departed, Fixed, Joined, Renamed, Said, YouAre, read, refusal
from sockkit.core.chat.names import check_name
from sockkit.core.chat.outcome import Admitted, Out, Outcome
from sockkit.core.chat.room import Room, RoomOptions
from sockkit.core.chat.udp import SignedRoom
from sockkit.core.chat.view import COMMANDS, ChatView
from sockkit.core.printable import escape
from sockkit.errors import UsageError

HERE = "10.0.0.7:1"
FREE = RoomOptions(flood=0)

FIXED = sorted({*lines.PARTINGS, *lines.NOT_ADMITTED})
MADE = [
    *FIXED, lines.TOO_FAST, lines.too_long(9), lines.welcome("bob"), lines.you_are("bob"),
    lines.joined("bob"), lines.departed("bob"), lines.departed("bob", "too slow"),
    lines.renamed("bob", "alex"), "* bob is taken", "* a name has 1 to 32 columns",
    "* nobody is named you",
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


@pytest.mark.parametrize("line", FIXED)
def test_a_line_that_never_changes_is_recognised(line: str) -> None:
    assert read(line) == Fixed(line)


@given(NAMES, NAMES, TEXTS)
def test_what_is_made_is_recognised_with_the_same_fields(name: str, other: str, text: str) -> None:
    text = escape(text)
    for line in (lines.said(name, text), lines.said_to_you(name, text)):
        assert read(line) == Said(name, text)
        assert lines.repeated(line) == line
    assert read(lines.said_by_you(name, text)) == Said(name, text)
    assert read(lines.said_by_server(text)) == Said("server", text)
    assert read(lines.welcome(name)) == read(lines.you_are(name)) == YouAre(name)
    assert read(lines.joined(name)) == Joined(name)
    for why in ("", "too slow", "connection lost"):
        assert read(lines.departed(name, why)) == Departed(name)
    assert read(lines.renamed(name, other)) == Renamed(name, other)


@given(TEXTS)
def test_what_was_said_once_is_repeated_as_said(line: str) -> None:
    assert isinstance(read(lines.repeated(escape(line))), Said)


def meanings(events: Iterable[Outcome]) -> list[Any]:
    """What every line of them means, each to whoever is told it."""
    told: list[str] = []
    for event in events:
        if isinstance(event, Admitted):
            told += [*event.greeting, *(line for block in event.past for line in block.lines)]
        elif isinstance(event, Out):
            told += event.lines
    return [read(line) for line in told]


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_nothing_that_is_chosen_is_acted_on(motd: str, text: str, before: list[str]) -> None:
    """Neither the message of the day nor what was said before, is said now, or is no name."""
    room, view = Room(FREE._replace(motd=motd, history=9)), ChatView()
    room.remember(map(escape, before))
    events = [*room.join(1, 0.0), *room.join(2, 0.0), *room.announce(text)]
    for event in events:
        if isinstance(event, Admitted):
            told = [line for block in event.past for line in block.lines]
            assert all(isinstance(read(line), Said) for line in told)
    heard(view, 1, events)
    said = "".join(
        f"{word}{text}\n" for word in ("a", "/me ", "/msg guest-1 ", "/msg ", "/x", "//")
    )
    assume("\n" not in text)
    events = room.feed(2, said.encode("utf-8", "replace"), 0.0)
    heard(view, 1, events)
    heard(view, 2, events)
    assert (view.outside, view.locked, view.parted) == (False, False, False)
    assert {type(meaning) for meaning in meanings(events)} <= {Said, Joined, type(None)}


@given(st.lists(st.tuples(NAMES | st.text(max_size=12), TEXTS), max_size=8))
def test_over_udp_nothing_that_is_chosen_refuses_anything(messages: list[tuple[str, str]]) -> None:
    """And what is refused is refused in words that are recognised."""
    room = SignedRoom(flood=2)
    for number, (name, text) in enumerate(messages):
        here = room.addresses()
        for delivery in room.hear(number % 3, f"{name}:{text}", 0.0):
            refused = bool(refusal(delivery.line))
            told = refused or delivery.line.startswith(("* a message is", f"* {len(here)} here:"))
            assert (delivery.to is not None) == told
    for _, text in messages:
        assert not any(refusal(delivery.line) for delivery in room.announce(text))


def heard(view: ChatView, member: int, events: Iterable[Outcome]) -> str:
    """What `view` makes of the lines that `member` is told."""
    shown = ""
    for event in events:
        if isinstance(event, Admitted) and event.member == member:
            shown += view.feed("".join(f"{line}\n" for line in event.greeting))
        elif isinstance(event, Out) and event.to in (None, member) and event.author != member:
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
    assert (view.outside, view.locked, view.parted) == (True, True, False)
    heard(view, 1, room.feed(1, b"wrong\n", 0.0))
    assert (view.outside, view.secret) == (True, True)
    heard(view, 1, room.feed(1, b"x\n", 1000.0))
    assert (view.outside, view.secret, view.parted) == (False, False, False)


def test_a_wrong_password_alone_tells_that_there_is_one() -> None:
    """Each answer does: the view may not have seen the ones before."""
    room = Room(FREE._replace(password="x"))
    room.join(1, 0.0, HERE)
    for attempt in range(MAX_ATTEMPTS):
        view = ChatView()
        assert heard(view, 1, room.feed(1, b"wrong\n", 1000.0 * attempt))
        assert (view.outside, view.locked) == (True, True)


def test_a_room_that_lets_nobody_in() -> None:
    view = ChatView()
    heard(view, 1, Room(FREE._replace(max_members=0)).join(1, 0.0))
    assert (view.outside, view.locked, view.parted) == (True, False, True)
    room, view = Room(FREE._replace(password="x")), ChatView()
    for member in range(1, MAX_WAITING + 1):
        room.join(member, 0.0, HERE)
    heard(view, 0, room.join(0, 0.0, HERE))
    assert (view.outside, view.locked, view.parted) == (True, False, False)


def test_a_room_that_is_full_only_after_the_password() -> None:
    room, view = Room(FREE._replace(password="x", max_members=1)), ChatView()
    for member in (1, 2):
        room.join(member, 0.0, HERE)
    room.feed(2, b"x\n", 0.0)
    heard(view, 1, room.feed(1, b"x\n", 0.0))
    assert (view.outside, view.parted) == (True, True)


def test_every_way_to_part() -> None:
    for last in ("q", "/quit", ""):
        room, view = Room(FREE), ChatView()
        heard(view, 1, room.join(1, 0.0))
        assert (view.outside, view.parted) == (False, False)
        parting = room.feed(1, f"{last}\n".encode(), 0.0) if last else room.kick("guest-1")
        assert heard(view, 1, parting)
        assert view.parted, last


def test_who_comes_goes_and_is_renamed() -> None:
    room, view = Room(FREE), ChatView()
    heard(view, 1, room.join(1, 0.0))
    heard(view, 1, [*room.join(2, 0.0), *room.introduce(2)])
    assert named(view, "guest-2")
    heard(view, 1, room.feed(2, "/nick 小雪\n".encode(), 0.0))
    assert (named(view, "guest-2"), named(view, "小雪")) == (False, True)
    heard(view, 1, room.leave(2, "too slow"))
    assert not named(view, "小雪")


def test_what_is_said_is_told_from_what_the_room_says() -> None:
    room, view = Room(FREE), painted()
    heard(view, 1, room.join(1, 0.0))
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
    for command in COMMANDS:
        room, view = Room(FREE), ChatView()
        room.join(1, 0.0)
        room.introduce(1)
        unknown = heard(view, 1, room.feed(1, b"/nosuch x\n", 0.0)).replace("/nosuch", command)
        answer = heard(view, 1, room.feed(1, f"{command} x\n".encode(), 0.0))
        assert answer != unknown
