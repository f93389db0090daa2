from __future__ import annotations

import pytest

from sockkit.core.chat.names import MAX_NAME_LENGTH
from sockkit.core.chat.presence import Presence
from sockkit.core.chat.protocol import refusal
from sockkit.core.chat.udp import (
    JOINS_PER_SECOND_WITHOUT_TRIAL,
    MAX_JOINS_PER_SECOND,
    MAX_MEMBERS,
    MAX_SILENCE_SECONDS,
    MAX_TRIAL_SECONDS,
    MAX_WHO_BYTES,
    MIN_SILENCE_SECONDS,
    MIN_TRIAL_SECONDS,
    Deliver,
    UdpRoom,
)
from sockkit.core.token_bucket import BURST_SECONDS
from sockkit.errors import ExitStatus, UsageError

HELP = """\
* /who     list who is here
* //TEXT   send /TEXT, a line that begins with a slash
* /help    show this list
* /quit    leave the room (also: q)"""


@pytest.fixture
def room() -> UdpRoom:
    room = UdpRoom()
    room.receive("A", "alex:", 0.0)
    room.receive("B", "小雪:", 1.0)
    return room


@pytest.mark.parametrize(
    ("message", "out"),
    [
        ("alex:hi", [Deliver("alex:hi", author="A")]),
        ("alex:hi: you\n", [Deliver("alex:hi: you", author="A")]),
        ("hi", [Deliver("alex:hi", author="A")]),
        ("alex:", []),
        ("alex:q", [Deliver("* alex left", author="A", presence=Presence("A", False))]),
        ("q", [Deliver("* alex left", author="A", presence=Presence("A", False))]),
        ("ALEX:hi", [Deliver("alex:hi", author="A")]),
        ("小雪:hi", [Deliver("alex:小雪:hi", author="A")]),
        ("12:30 lunch?", [Deliver("alex:12:30 lunch?", author="A")]),
        ("meet at 12:30", [Deliver("alex:meet at 12:30", author="A")]),
        (":)", [Deliver("alex:)", author="A")]),
        ("/quit", [Deliver("* alex left", author="A", presence=Presence("A", False))]),
        ("alex:/who", [Deliver("* 2 here: 小雪, alex", to="A")]),
        ("alex:／who", [Deliver("* 2 here: 小雪, alex", to="A")]),
        ("alex://who", [Deliver("alex:/who", author="A")]),
        ("alex:／／who", [Deliver("alex:/who", author="A")]),
        ("/nick bob", [Deliver("* unknown command /nick: /help lists the commands", to="A")]),
        ("/help", [Deliver(HELP, to="A")]),
        ("", []),
        ("alex:\x1b[2J\n* bob joined", [Deliver("alex:\\x1b[2J\\x0a* bob joined", author="A")]),
    ],
)
def test_what_a_datagram_does(message: str, out: list[Deliver], room: UdpRoom) -> None:
    assert room.receive("A", message, 2.0) == out


def test_newcomers(room: UdpRoom) -> None:
    assert room.receive("C", "hi", 2.0) == [
        Deliver("* guest-1 joined", author="C", presence=Presence("C", True)),
        Deliver("guest-1:hi", author="C"),
    ]
    assert room.receive("D", "meet at 12:30", 2.0)[1].text == "guest-2:meet at 12:30"
    assert room.names() == ["alex", "小雪", "guest-1", "guest-2"]
    assert set(room.addresses()) == {"A", "B", "C", "D"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("", ""),
        ("小雪:hi", '* the name "小雪" is taken'),
        ("server:hi", '* the name "server" is reserved'),
        ("a\x1bb:x", "* a name cannot contain spaces or invisible characters"),
        ("x" * 4097, "* message not sent: it is longer than 4,096 characters"),
    ],
)
def test_who_cannot_come_in(message: str, told: str, room: UdpRoom) -> None:
    assert room.receive("C", message, 2.0) == ([Deliver(told, to="C")] if told else [])
    assert room.names() == ["alex", "小雪"]


def test_the_silent_are_gone(room: UdpRoom) -> None:
    room.receive("A", "alex:hi", MAX_SILENCE_SECONDS - 1)
    assert room.expire(MAX_SILENCE_SECONDS) == []
    assert room.expire(MAX_SILENCE_SECONDS + 1) == [
        Deliver("* 小雪 left", author="B", presence=Presence("B", False))
    ]
    assert room.receive("C", "小雪:hi", MAX_SILENCE_SECONDS + 2)[0].text == "* 小雪 joined"


def test_the_longest_silent_makes_room_for_one_more() -> None:
    room = UdpRoom()
    for number in range(MAX_MEMBERS):
        room.receive(number, f"n{number}:", 0.0)
    assert [delivery.text for delivery in room.receive("A", "alex:hi", 1.0)] == [
        f"* n{JOINS_PER_SECOND_WITHOUT_TRIAL * BURST_SECONDS:.0f} left",  # of those who crowded in
        "* alex joined",
        "alex:hi",
    ]
    assert len(room.names()) == MAX_MEMBERS


def test_too_fast_is_told_once_and_not_sent() -> None:
    room = UdpRoom(flood=2)
    said = [room.receive("A", f"a:{number}", 0.0)[-1:] for number in range(13)]
    assert [out[0].text for out in said[:10]] == [f"a:{number}" for number in range(10)]
    assert [out[0].text for out in said[10:11]] == [
        "* too fast: your messages are dropped until you slow down"
    ]
    assert said[11:] == [[], []]
    assert room.receive("A", "a:again", 0.6) == [Deliver("a:again", author="A")]
    again = [room.receive("A", f"a:{number}", 0.6) for number in range(5)]
    assert again == [
        [Deliver("* too fast: your messages are dropped until you slow down", to="A")],
        [],
        [],
        [],
        [],
    ]


def test_it_is_full() -> None:
    room = UdpRoom(max_members=1)
    room.receive("A", "a:", 0.0)
    assert room.receive("B", "b:hi", 0.0) == [Deliver("* the room is full", to="B")]


def test_the_operator(room: UdpRoom) -> None:
    assert room.announce("hi\x1b") == [Deliver("server:hi\\x1b")]
    assert room.kick("ALEX") == [
        Deliver("* the operator has disconnected you", to="A"),
        Deliver("* alex left", author="A", presence=Presence("A", False)),
    ]
    with pytest.raises(UsageError, match="nobody here is called bob"):
        room.kick("bob")


def crowd(room: UdpRoom, now: float) -> None:
    """So many come that whoever comes now is on trial."""
    for number in range(int(JOINS_PER_SECOND_WITHOUT_TRIAL * BURST_SECONDS)):
        room.receive(f"crowd {number}", f"crowd{number}:", now)


def test_strangers_take_no_place_of_who_is_here() -> None:
    """However many come: they take each other's places."""
    room = UdpRoom()
    room.receive("A", "alex:", 0.0)
    crowd(room, 0.0)
    room.receive("B", "bob:", 0.0)
    room.receive("B", "hi", MIN_TRIAL_SECONDS)
    for number in range(3 * MAX_MEMBERS):
        now = MIN_TRIAL_SECONDS + number / 458
        room.receive(number, f"n{number}:", now)
        assert {"alex", "bob"} <= set(room.names())
        if number % 500 == 0:  # a newcomer is in at once, and stays if it goes on
            room.receive("late", "late:hi", now)
            assert "late" in room.names()
    assert len(room.names()) == MAX_MEMBERS
    assert "late" in room.names()


def test_a_room_of_active_members_is_full_until_one_is_quiet() -> None:
    room = UdpRoom()
    for number in range(MAX_MEMBERS):
        room.receive(number, f"n{number}:", 0.0)
        room.receive(number, "hi", MIN_TRIAL_SECONDS)
    assert room.receive("A", "alex:hi", MIN_TRIAL_SECONDS + 1) == [
        Deliver("* the room is full", to="A")
    ]
    now = MIN_TRIAL_SECONDS + MIN_SILENCE_SECONDS
    assert room.receive("A", "alex:hi", now)[0].text == "* n0 left"
    room.receive("B", "b:", now + MAX_TRIAL_SECONDS + 1)
    assert "alex" in room.names()  # others have been silent for longer


def test_more_strangers_than_a_room_can_know_are_not_heard() -> None:
    room = UdpRoom()
    heard = [bool(room.receive(number, f"n{number}:", 0.0)) for number in range(6000)]
    assert heard.count(True) == MAX_JOINS_PER_SECOND * 5
    assert "n5999" not in room.names()
    assert room.receive("A", "alex:hi", 1.0)[-1].text == "alex:hi"


def test_what_all_newcomers_may_say_together_is_bounded() -> None:
    room = UdpRoom(flood=10)
    room.receive("A", "alex:", 0.0)
    crowd(room, MIN_TRIAL_SECONDS)
    said = [
        room.receive(number, f"n{number}:hi", MIN_TRIAL_SECONDS)[-1].text for number in range(500)
    ]
    assert sum(line.endswith(":hi") for line in said) == 2 * 10 * 5
    assert said[-1] == "* too fast: your messages are dropped until you slow down"
    assert room.receive("A", "hi", MIN_TRIAL_SECONDS) == [Deliver("alex:hi", author="A")]


def test_who_is_here_fits_a_small_datagram() -> None:
    room = UdpRoom()
    for number in range(MAX_MEMBERS):
        room.receive(number, f"{'好' * 14}{number:04}:", 0.0)
    (told,) = room.receive(0, "/who", 1.0)
    assert len(told.text.encode()) <= MAX_WHO_BYTES
    shown = told.text.count("好" * 14)
    assert shown > 10
    assert told.text.endswith(f" and {MAX_MEMBERS - shown} more")


def test_what_is_too_long_for_a_signature_is_text(room: UdpRoom) -> None:
    long = "e" + "\u0301\u0316" * MAX_NAME_LENGTH
    assert room.receive("A", f"{long}:hi", 2.0) == [Deliver(f"alex:{long}:hi", author="A")]


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
    message: str, status: ExitStatus | None, room: UdpRoom
) -> None:
    answers = [delivery.text for delivery in room.receive("C", message, 2.0)]
    errors = [error for line in answers if (error := refusal(line))]
    assert [error.status for error in errors] == ([] if status is None else [status])


@pytest.mark.parametrize(
    "name",
    [
        *("x" * 40, "\u0430lex", "server", "a\x1bb", "a*b", "a∗", "a\u034fb", "..", "\u0301a"),
        "e" + "\u0301" * 5,
    ],
)
def test_whoever_cannot_have_a_name_knows_it(name: str, room: UdpRoom) -> None:
    """Each is against another rule of core/names, which says so in its own words."""
    (told,) = room.receive("C", f"{name}:hi", 2.0)
    error = refusal(told.text)
    assert error
    assert str(error).startswith("the room refused us")


def test_other_words_are_no_refusal() -> None:
    room = UdpRoom(max_members=1, flood=1)
    answers = [room.receive("A", f"a:{number}", 0.0)[-1:] for number in range(7)]
    errors = [refusal(out[0].text) for out in answers if out]
    assert [error.status if error else None for error in errors] == [None] * 5 + [55]
    (full,) = room.receive("B", "b:", 0.0)
    assert str(refusal(full.text)).startswith("the room refused us")
    for line in ("bob:* the room is full", "* bob left", "a:b is not sent", "* a joined"):
        assert refusal(line) is None
