from __future__ import annotations

import pytest

from sockkit.core.chat.crowd import Move
from sockkit.core.chat.lines import refusal
from sockkit.core.chat.names import MAX_NAME_LENGTH
from sockkit.core.chat.udp import (
    CALM_JOINS_PER_SECOND,
    HELP,
    MAX_JOINS_PER_SECOND,
    MAX_MEMBERS,
    MAX_SILENCE,
    MAX_WHO_BYTES,
    PROVEN,
    QUIET,
    TRIAL,
    Delivery,
    SignedRoom,
)
from sockkit.core.token_bucket import BURST_SECONDS
from sockkit.errors import ExitStatus, UsageError


@pytest.fixture
def room() -> SignedRoom:
    room = SignedRoom()
    room.hear("A", "alex:", 0.0)
    room.hear("B", "小雪:", 1.0)
    return room


@pytest.mark.parametrize(
    ("message", "out"),
    [
        ("alex:hi", [Delivery("alex:hi", author="A")]),
        ("alex:hi: you\n", [Delivery("alex:hi: you", author="A")]),
        ("hi", [Delivery("alex:hi", author="A")]),
        ("alex:", []),
        ("alex:q", [Delivery("* alex left", author="A", move=Move("A", False))]),
        ("q", [Delivery("* alex left", author="A", move=Move("A", False))]),
        ("ALEX:hi", [Delivery("alex:hi", author="A")]),
        ("小雪:hi", [Delivery("alex:小雪:hi", author="A")]),
        ("12:30 lunch?", [Delivery("alex:12:30 lunch?", author="A")]),
        ("meet at 12:30", [Delivery("alex:meet at 12:30", author="A")]),
        (":)", [Delivery("alex:)", author="A")]),
        ("/quit", [Delivery("* alex left", author="A", move=Move("A", False))]),
        ("alex:/who", [Delivery("* 2 here: 小雪, alex", to="A")]),
        ("alex://who", [Delivery("alex:/who", author="A")]),
        ("/nick bob", [Delivery(f"* {HELP}", to="A")]),
        ("", []),
        ("alex:\x1b[2J\n* bob joined", [Delivery("alex:\\x1b[2J\\x0a* bob joined", author="A")]),
    ],
)
def test_what_a_datagram_does(message: str, out: list[Delivery], room: SignedRoom) -> None:
    assert room.hear("A", message, 2.0) == out


def test_newcomers(room: SignedRoom) -> None:
    assert room.hear("C", "hi", 2.0) == [
        Delivery("* guest-1 joined", author="C", move=Move("C", True)),
        Delivery("guest-1:hi", author="C"),
    ]
    assert room.hear("D", "meet at 12:30", 2.0)[1].line == "guest-2:meet at 12:30"
    assert room.names() == ["alex", "小雪", "guest-1", "guest-2"]
    assert set(room.addresses()) == {"A", "B", "C", "D"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("", ""),
        ("小雪:hi", "* 小雪 is taken"),
        ("server:hi", "* nobody is named server"),
        ("a\x1bb:x", "* a name has no spaces and no control characters"),
        ("x" * 4097, "* that is longer than 4096 characters, and was not sent"),
    ],
)
def test_who_cannot_come_in(message: str, told: str, room: SignedRoom) -> None:
    assert room.hear("C", message, 2.0) == ([Delivery(told, to="C")] if told else [])
    assert room.names() == ["alex", "小雪"]


def test_the_silent_are_gone(room: SignedRoom) -> None:
    room.hear("A", "alex:hi", MAX_SILENCE - 1)
    assert room.expire(MAX_SILENCE) == []
    assert room.expire(MAX_SILENCE + 1) == [
        Delivery("* 小雪 left", author="B", move=Move("B", False))
    ]
    assert room.hear("C", "小雪:hi", MAX_SILENCE + 2)[0].line == "* 小雪 joined"


def test_the_longest_silent_makes_room_for_one_more() -> None:
    room = SignedRoom()
    for number in range(MAX_MEMBERS):
        room.hear(number, f"n{number}:", 0.0)
    assert [delivery.line for delivery in room.hear("A", "alex:hi", 1.0)] == [
        f"* n{CALM_JOINS_PER_SECOND * BURST_SECONDS:.0f} left",  # of those who crowded in
        "* alex joined",
        "alex:hi",
    ]
    assert len(room.names()) == MAX_MEMBERS


def test_too_fast_is_told_once_and_not_sent() -> None:
    room = SignedRoom(flood=2)
    said = [room.hear("A", f"a:{number}", 0.0)[-1:] for number in range(13)]
    assert [out[0].line for out in said[:10]] == [f"a:{number}" for number in range(10)]
    assert [out[0].line for out in said[10:11]] == ["* too fast: what comes now is not sent"]
    assert said[11:] == [[], []]
    assert room.hear("A", "a:again", 0.6) == [Delivery("a:again", author="A")]
    again = [room.hear("A", f"a:{number}", 0.6) for number in range(5)]
    assert again == [[Delivery("* too fast: what comes now is not sent", to="A")], [], [], [], []]


def test_it_is_full() -> None:
    room = SignedRoom(max_members=1)
    room.hear("A", "a:", 0.0)
    assert room.hear("B", "b:hi", 0.0) == [Delivery("* the room is full", to="B")]


def test_the_operator(room: SignedRoom) -> None:
    assert room.announce("hi\x1b") == [Delivery("server:hi\\x1b")]
    assert room.kick("ALEX") == [
        Delivery("* you have been sent away", to="A"),
        Delivery("* alex left", author="A", move=Move("A", False)),
    ]
    with pytest.raises(UsageError, match="nobody here is bob"):
        room.kick("bob")


def crowd(room: SignedRoom, now: float) -> None:
    """So many come that whoever comes now is on trial."""
    for number in range(int(CALM_JOINS_PER_SECOND * BURST_SECONDS)):
        room.hear(f"crowd {number}", f"crowd{number}:", now)


def test_strangers_take_no_place_of_who_is_here() -> None:
    """However many come: they take each other's places."""
    room = SignedRoom()
    room.hear("A", "alex:", 0.0)
    crowd(room, 0.0)
    room.hear("B", "bob:", 0.0)
    room.hear("B", "hi", PROVEN)
    for number in range(3 * MAX_MEMBERS):
        now = PROVEN + number / 458
        room.hear(number, f"n{number}:", now)
        assert {"alex", "bob"} <= set(room.names())
        if number % 500 == 0:  # a newcomer is in at once, and stays if it goes on
            room.hear("late", "late:hi", now)
            assert "late" in room.names()
    assert len(room.names()) == MAX_MEMBERS
    assert "late" in room.names()


def test_a_room_of_active_members_is_full_until_one_is_quiet() -> None:
    room = SignedRoom()
    for number in range(MAX_MEMBERS):
        room.hear(number, f"n{number}:", 0.0)
        room.hear(number, "hi", PROVEN)
    assert room.hear("A", "alex:hi", PROVEN + 1) == [Delivery("* the room is full", to="A")]
    now = PROVEN + QUIET
    assert room.hear("A", "alex:hi", now)[0].line == "* n0 left"
    room.hear("B", "b:", now + TRIAL + 1)
    assert "alex" in room.names()  # others have been silent for longer


def test_more_strangers_than_a_room_can_know_are_not_heard() -> None:
    room = SignedRoom()
    heard = [bool(room.hear(number, f"n{number}:", 0.0)) for number in range(6000)]
    assert heard.count(True) == MAX_JOINS_PER_SECOND * 5
    assert "n5999" not in room.names()
    assert room.hear("A", "alex:hi", 1.0)[-1].line == "alex:hi"


def test_what_all_newcomers_may_say_together_is_bounded() -> None:
    room = SignedRoom(flood=10)
    room.hear("A", "alex:", 0.0)
    crowd(room, PROVEN)
    said = [room.hear(number, f"n{number}:hi", PROVEN)[-1].line for number in range(500)]
    assert sum(line.endswith(":hi") for line in said) == 2 * 10 * 5
    assert said[-1] == "* too fast: what comes now is not sent"
    assert room.hear("A", "hi", PROVEN) == [Delivery("alex:hi", author="A")]


def test_who_is_here_fits_a_small_datagram() -> None:
    room = SignedRoom()
    for number in range(MAX_MEMBERS):
        room.hear(number, f"{'好' * 14}{number:04}:", 0.0)
    (told,) = room.hear(0, "/who", 1.0)
    assert len(told.line.encode()) <= MAX_WHO_BYTES
    shown = told.line.count("好" * 14)
    assert shown > 10
    assert told.line.endswith(f" and {MAX_MEMBERS - shown} more")


def test_what_is_too_long_for_a_signature_is_text(room: SignedRoom) -> None:
    long = "e" + "\u0301\u0316" * MAX_NAME_LENGTH
    assert room.hear("A", f"{long}:hi", 2.0) == [Delivery(f"alex:{long}:hi", author="A")]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("小雪:hi", ExitStatus.FAILED),
        ("server:hi", ExitStatus.FAILED),
        ("*:hi", ExitStatus.FAILED),
        ("x" * 40 + ":hi", ExitStatus.FAILED),
        ("x" * 4097, ExitStatus.NOT_SENT),
        ("bob:/who", None),
        ("bob:/help", None),
        ("bob:hi", None),
    ],
)
def test_a_refusal_is_known_by_its_words(
    message: str, status: ExitStatus | None, room: SignedRoom
) -> None:
    answers = [delivery.line for delivery in room.hear("C", message, 2.0)]
    errors = [error for line in answers if (error := refusal(line))]
    assert [error.status for error in errors] == ([] if status is None else [status])


@pytest.mark.parametrize(
    "name",
    [
        *("x" * 40, "\u0430lex", "server", "a\x1bb", "a*b", "a∗", "a\u034fb", "..", "\u0301a"),
        "e" + "\u0301" * 5,
    ],
)
def test_whoever_cannot_have_a_name_knows_it(name: str, room: SignedRoom) -> None:
    """Each is against another rule of core/names, which says so in its own words."""
    (told,) = room.hear("C", f"{name}:hi", 2.0)
    error = refusal(told.line)
    assert error
    assert str(error).startswith("the room did not let us in")


def test_other_words_are_no_refusal() -> None:
    room = SignedRoom(max_members=1, flood=1)
    answers = [room.hear("A", f"a:{number}", 0.0)[-1:] for number in range(7)]
    errors = [refusal(out[0].line) for out in answers if out]
    assert [error.status if error else None for error in errors] == [None] * 5 + [55]
    (full,) = room.hear("B", "b:", 0.0)
    assert str(refusal(full.line)).startswith("the room did not let us in")
    for line in ("bob:* the room is full", "* bob left", "a:b is not sent", "* a joined"):
        assert refusal(line) is None
