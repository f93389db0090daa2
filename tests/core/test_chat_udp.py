from __future__ import annotations

import pytest

from sockkit.core.chat_udp import SILENCE, Delivery, SignedRoom


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
        ("小雪:hi", [Delivery("* 小雪 is taken", to="A")]),
        ("ALEX:", [Delivery("* alex is now ALEX", author="A")]),
        ("a\x1bb:x", [Delivery("* a name has no spaces and no control characters", to="A")]),
        ("alex:\x1b[2J\n* bob joined", [Delivery("alex:\\x1b[2J\\x0a* bob joined", author="A")]),
    ],
)
def test_what_a_datagram_does(message: str, out: list[Delivery], room: SignedRoom) -> None:
    assert room.hear("A", message, 2.0) == out


def test_newcomers(room: SignedRoom) -> None:
    assert room.hear("C", "hi", 2.0) == [
        Delivery("* guest-3 joined", author="C"),
        Delivery("guest-3:hi", author="C"),
    ]
    assert room.names() == ["alex", "小雪", "guest-3"]
    assert set(room.addresses()) == {"A", "B", "C"}


def test_the_silent_are_gone(room: SignedRoom) -> None:
    room.hear("A", "alex:hi", SILENCE - 1)
    assert room.expire(SILENCE) == []
    assert room.expire(SILENCE + 1) == [Delivery("* 小雪 left", author="B")]
    assert room.hear("C", "小雪:hi", SILENCE + 2)[0].line == "* 小雪 joined"


def test_it_is_full() -> None:
    room = SignedRoom(most=1)
    room.hear("A", "a:", 0.0)
    assert room.hear("B", "b:hi", 0.0) == [Delivery("* the room is full", to="B")]


def test_the_operator(room: SignedRoom) -> None:
    assert room.announce("hi\x1b") == [Delivery("server:hi\\x1b")]
