"""What the room really says, as `chat join` understands it: neither side's words are repeated."""

from __future__ import annotations

from collections.abc import Iterable

from sockkit.core.chat.room import ATTEMPTS, NEWCOMERS, Admitted, Out, Outcome, Room, RoomOptions
from sockkit.core.chat.view import COMMANDS, ChatView

HERE = "10.0.0.7:1"
FREE = RoomOptions(flood=0)


def heard(view: ChatView, member: int, events: Iterable[Outcome]) -> str:
    """What `view` makes of the lines that `member` is told."""
    shown = ""
    for event in events:
        if isinstance(event, Admitted) and event.member == member:
            shown += view.feed("".join(f"{line}\n" for line in event.greeting))
        elif isinstance(event, Out) and event.to in (None, member) and event.author != member:
            shown += view.feed(f"{event.line}\n")
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
    for attempt in range(ATTEMPTS):
        view = ChatView()
        assert heard(view, 1, room.feed(1, b"wrong\n", 1000.0 * attempt))
        assert (view.outside, view.locked) == (True, True)


def test_a_room_that_lets_nobody_in() -> None:
    view = ChatView()
    heard(view, 1, Room(FREE._replace(most=0)).join(1, 0.0))
    assert (view.outside, view.locked, view.parted) == (True, False, True)
    room, view = Room(FREE._replace(password="x")), ChatView()
    for member in range(1, NEWCOMERS + 1):
        room.join(member, 0.0, HERE)
    heard(view, 0, room.join(0, 0.0, HERE))
    assert (view.outside, view.locked, view.parted) == (True, False, False)


def test_a_room_that_is_full_only_after_the_password() -> None:
    room, view = Room(FREE._replace(password="x", most=1)), ChatView()
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
