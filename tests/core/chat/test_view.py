from __future__ import annotations

import pytest

from sockkit.core.chat import protocol
from sockkit.core.chat.names import MAX_NAME_LENGTH
from sockkit.core.chat.protocol import welcome
from sockkit.core.chat.view import MAX_HELD_CHARACTERS, MAX_NAMES, ChatView

WELCOME = f"{welcome('bob')}\n"


def view() -> ChatView:
    return ChatView(paint=lambda text, name: f"<{name}>{text}</>", mark=lambda text: f"!{text}!")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[alex] hi", "<alex>[alex] </>hi"),
        ("[alex to you] hi", "<alex>[alex to you] </>hi"),
        ("[you to 小雪] hi", "<小雪>[you to 小雪] </>hi"),
        ("* alex joined", "* alex joined"),
        ("no line of the room's", "no line of the room's"),
        ("[alex] hi bob", "<alex>[alex] </>!hi bob!"),
        ("[alex] BOB?", "<alex>[alex] </>!BOB?!"),
        ("[alex] bobby", "<alex>[alex] </>bobby"),
    ],
)
def test_a_line(line: str, shown: str) -> None:
    chat = view()
    assert chat.feed(WELCOME) == WELCOME
    for place in range(len(line) + 2):
        text = f"{line}\n"
        assert chat.feed(text[:place]) + chat.feed(text[place:]) == f"{shown}\n"
    assert chat.feed(line) + chat.flush() == shown
    assert chat.flush() == ""


def test_lines_are_stamped() -> None:
    assert ChatView(stamp=lambda: "12:00 ").feed("a\nb\n") == "12:00 a\n12:00 b\n"


def test_names_and_commands_are_completed() -> None:
    chat = ChatView()
    for line in ("* bob joined", "[alex] hi", "* alex is now 小雪", "* bob left", "[Bea] x"):
        chat.feed(f"{line}\n")
    complete = lambda text: [word for word, _ in chat.complete(text)]  # noqa: E731
    assert complete("小") == ["小雪"]
    assert complete("hi b") == ["Bea"]
    assert complete("a") == []
    assert complete("") == []
    assert complete("/") == ["/nick", "/who", "/msg", "/me", "/help", "/quit"]
    assert complete("/n") == ["/nick"]


@pytest.mark.parametrize(
    ("line", "parted"),
    [("* goodbye", True), ("* the operator has disconnected you", True), ("[a] * goodbye", False)],
)
def test_it_knows_when_the_room_has_taken_its_leave(line: str, parted: bool) -> None:
    chat = ChatView()
    chat.feed(f"{line}\n")
    assert chat.room_closes is parted


@pytest.mark.parametrize("line", ["* goodbye", "* the room is full"])
def test_half_a_line_is_not_acted_on(line: str) -> None:
    """A member may be called `good-bye`, and the connection be lost when it joins."""
    chat = ChatView()
    assert chat.feed(line) + chat.flush() == line
    assert (chat.room_closes, chat.not_admitted) == (False, False)
    chat.feed("x" * (MAX_HELD_CHARACTERS + 1))
    chat.feed(f"{line}\n{line}")
    assert (chat.room_closes, chat.not_admitted) == (False, False)
    chat.feed(" joined\n")
    assert (chat.room_closes, chat.not_admitted) == (False, False)


def test_it_knows_whether_the_room_has_let_the_reader_in() -> None:
    chat = ChatView()
    told = [
        ("* this room needs a password: type it", True),
        (welcome("guest-1"), False),
        ("* wrong password", True),
        ("[a] * you are bob", True),
        ("* you are now bob", False),
        ("* the room is full", True),
    ]
    for line, outside in told:
        chat.feed(f"{line}\n")
        assert chat.not_admitted is outside, line


def test_it_tells_when_that_may_have_changed() -> None:
    chat, told = ChatView(), []
    chat.on_status = lambda: told.append((chat.not_admitted, chat.wants_password, chat.room_closes))
    for line in ("[a] hi", protocol.PASSWORD_REQUIRED, "* a joined", welcome("b"), "* goodbye"):
        chat.feed(f"{line}\n")
    assert told == [(True, True, False), (False, True, False), (False, True, True)]


def test_what_no_room_of_ours_says_is_no_name() -> None:
    """A hostile server must not fill the memory with them, nor keep the reader busy."""
    chat = view()
    long = "e" + "\u0301\u0316" * MAX_NAME_LENGTH
    for line in (f"[{long}] hi", f"* {long} joined", f"* b is now {long}", f"* you are {long}"):
        assert chat.feed(f"{line}\n") == f"{line}\n"
    assert chat.complete("e") == []
    chat.feed(WELCOME)
    assert chat.feed(f"[a] bob {long * 100}\n").startswith("<a>[a] </>!bob ")


def test_a_line_without_end_is_shown_in_part() -> None:
    chat = ChatView(stamp=lambda: "12:00 ")
    pieces = ["x"] * (MAX_HELD_CHARACTERS + 10)
    out = [chat.feed(piece) for piece in pieces]
    assert "".join(out) == "12:00 " + "x" * (MAX_HELD_CHARACTERS + 10)
    assert chat.feed("y\n[a] hi\n") == "y\n12:00 [a] hi\n"


@pytest.mark.parametrize("flushed", [True, False])
@pytest.mark.parametrize(
    "half", ["[a] hal", "x" * (MAX_HELD_CHARACTERS + 1)], ids=["short", "long"]
)
def test_another_connection_begins_a_line(half: str, flushed: bool) -> None:
    """What of the last one's line was not shown is not shown."""
    chat = ChatView(stamp=lambda: "12:00 ")
    shown = chat.feed(f"one\n{half}") + (chat.flush() if flushed else "")
    chat.disconnected()
    shown += chat.feed("tw") + chat.feed("o\nthree\n")
    told = ["one", *([half] if flushed or len(half) > MAX_HELD_CHARACTERS else []), "two", "three"]
    assert shown == "".join(f"12:00 {line}\n" for line in told)


def test_the_names_are_bounded_and_the_longest_silent_is_forgotten() -> None:
    chat = ChatView()
    for number in range(MAX_NAMES):
        chat.feed(f"* n{number:04} joined\n")
    chat.feed("[n0000] hi\n* more joined\n")
    assert len(chat.complete("n")) == MAX_NAMES - 1
    assert [bool(chat.complete(name)) for name in ("n0000", "n0001", "more")] == [True, False, True]
