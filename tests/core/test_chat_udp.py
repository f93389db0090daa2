from __future__ import annotations

import pytest

from sockkit.core.chat_udp import HELP, MOST, SILENCE, Delivery, SignedRoom
from sockkit.errors import UsageError


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
        ("alex:q", [Delivery("* alex left", author="A")]),
        ("q", [Delivery("* alex left", author="A")]),
        ("ALEX:hi", [Delivery("alex:hi", author="A")]),
        ("小雪:hi", [Delivery("alex:小雪:hi", author="A")]),
        ("12:30 lunch?", [Delivery("alex:12:30 lunch?", author="A")]),
        ("meet at 12:30", [Delivery("alex:meet at 12:30", author="A")]),
        (":)", [Delivery("alex:)", author="A")]),
        ("/quit", [Delivery("* alex left", author="A")]),
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
        Delivery("* guest-1 joined", author="C"),
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
    room.hear("A", "alex:hi", SILENCE - 1)
    assert room.expire(SILENCE) == []
    assert room.expire(SILENCE + 1) == [Delivery("* 小雪 left", author="B")]
    assert room.hear("C", "小雪:hi", SILENCE + 2)[0].line == "* 小雪 joined"


def test_the_longest_silent_makes_room_for_one_more() -> None:
    room = SignedRoom()
    for number in range(MOST):
        room.hear(number, f"n{number}:", 0.0)
    assert [delivery.line for delivery in room.hear("A", "alex:hi", 1.0)] == [
        "* n0 left",
        "* alex joined",
        "alex:hi",
    ]
    assert len(room.names()) == MOST


def test_too_fast_is_told_once_and_not_sent() -> None:
    room = SignedRoom(flood=2)
    said = [room.hear("A", f"a:{number}", 0.0)[-1:] for number in range(13)]
    assert [out[0].line for out in said[:10]] == [f"a:{number}" for number in range(10)]
    assert [out[0].line for out in said[10:11]] == ["* too fast: what comes now is not sent"]
    assert said[11:] == [[], []]
    assert room.hear("A", "a:again", 0.6) == [Delivery("a:again", author="A")]


def test_it_is_full() -> None:
    room = SignedRoom(most=1)
    room.hear("A", "a:", 0.0)
    assert room.hear("B", "b:hi", 0.0) == [Delivery("* the room is full", to="B")]


def test_the_operator(room: SignedRoom) -> None:
    assert room.announce("hi\x1b") == [Delivery("server:hi\\x1b")]
    assert room.kick("ALEX") == [
        Delivery("* you have been sent away", to="A"),
        Delivery("* alex left", author="A"),
    ]
    with pytest.raises(UsageError, match="nobody here is bob"):
        room.kick("bob")
