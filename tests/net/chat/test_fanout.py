"""What each member of a room is sent, and in how many pieces."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.chat.actions import Admit, Deliver
from sockkit.core.chat.history import RecentLines
from sockkit.net.chat.fanout import Fanout
from sockkit.net.loop import Loop
from tests.net import kit

loop, stack = kit.loop, kit.stack


class Someone:
    """A member, as far as it is sent something."""

    def __init__(self, number: int, encoding: str = "utf-8") -> None:
        self.number, self.encoding, self.since = number, encoding, math.inf
        self.sent: list[bytes] = []
        self.held: list[bytes] | None = None
        self.left_after: int | None = None
        self.connection = self

    def send(self, data: bytes) -> None:
        if data:
            self.sent.append(data)

    def deliver(self, data: bytes) -> None:
        if self.held is None:
            self.send(data)
        else:
            self.held.append(data)

    def close_lingering(self) -> None:
        self.left_after = len(self.sent)


class Site:
    def __init__(self, loop: Loop, *members: Someone) -> None:
        self.members: Any = {member.number: member for member in members}
        self.shown: list[Deliver] = []
        self.loop, self.fanout = loop, Fanout(loop, self.members, self.shown.extend)

    def greet(self, *members: Any) -> None:
        for member in members:
            self.fanout.greet(member, Admit(member.number, "a", (f"hello {member.number}",), ()))

    def turn(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run()


def test_what_a_turn_has_for_a_member_is_one_send(loop: Loop) -> None:
    one, two, snow = Someone(1), Someone(2), Someone(3, "gbk")
    site = Site(loop, one, two, snow)
    site.greet(one, two, snow)
    site.turn()
    for member in (one, two, snow):
        member.sent.clear()
    for out in (
        Deliver("a\n好", author=1),
        Deliver("b"),
        Deliver("for 2", to=2),
        Deliver("c", author=2),
    ):
        site.fanout.put(out)
    assert site.fanout.waits
    site.turn()
    assert one.sent == [b"b\nc\n"]
    assert two.sent == ["a\n好\nb\nfor 2\n".encode()]
    assert snow.sent == ["a\n好\nb\nc\n".encode("gbk")]
    assert [out.text for out in site.shown] == ["a\n好", "b", "for 2", "c"]
    assert not site.fanout.waits


def test_a_newcomer_hears_what_comes_after_its_greeting(loop: Loop) -> None:
    one, two = Someone(1), Someone(2)
    site = Site(loop, one, two)
    site.greet(one)
    site.fanout.put(Deliver("before"))
    site.greet(two)
    site.fanout.put(Deliver("after"))
    site.turn()
    assert b"".join(one.sent) == b"hello 1\nbefore\nafter\n"
    assert b"".join(two.sent) == b"hello 2\nafter\n"
    site.fanout.put(Deliver("later"))
    site.turn()
    assert (one.sent[-1], two.sent[-1]) == (b"later\n", b"later\n")


def test_who_is_not_admitted_hears_what_is_for_it_alone(loop: Loop) -> None:
    one = Someone(1)
    site = Site(loop, one)
    site.fanout.put(Deliver("for all"))
    site.fanout.put(Deliver("for you", to=1))
    site.turn()
    assert one.sent == [b"for you\n"]
    site.fanout.put(Deliver("for you again", to=1))
    site.greet(one)  # after what it was told before
    site.turn()
    assert b"".join(one.sent) == b"for you\nfor you again\nhello 1\n"


def test_what_was_said_before_is_sent_with_the_greeting(loop: Loop) -> None:
    one = Someone(1, "gbk")
    recent = RecentLines(9)
    recent.extend(["[a] 好", "[a] x"])
    Site(loop, one).fanout.greet(one, Admit(1, "a", ("hello",), recent.blocks()))  # type: ignore[arg-type]
    assert b"".join(one.sent) == "hello\n[a] 好\n[a] x\n".encode("gbk")


@pytest.mark.parametrize("words", [[], [Deliver("bye"), Deliver("you", to=1)]])
def test_who_leaves_is_let_go_after_the_last_words(words: list[Deliver], loop: Loop) -> None:
    one = Someone(1)
    site = Site(loop, one)
    site.greet(one)
    site.fanout.close(one)  # type: ignore[arg-type]
    for out in words:
        site.fanout.put(out)
    site.turn()
    assert one.sent[1:] == ([b"bye\nyou\n"] if words else [])
    assert one.left_after == len(one.sent)


OUTS = st.lists(
    st.builds(
        Deliver,
        st.sampled_from(["a", "b\nc"]),
        to=st.none() | st.integers(1, 3),
        author=st.none() | st.integers(1, 3),
        presence=st.none(),
    )
)


@given(st.lists(OUTS | st.integers(1, 3), max_size=9))
def test_everybody_hears_all_of_it_in_order(turns: list[list[Deliver] | int]) -> None:
    with Loop() as loop, contextlib.ExitStack():
        members = [Someone(number) for number in (1, 2, 3)]
        site = Site(loop, *members)
        expected: dict[int, str] = {1: "", 2: "", 3: ""}
        admitted: set[int] = set()
        for turn in turns:
            if isinstance(turn, int):
                if turn not in admitted:
                    site.greet(members[turn - 1])
                    admitted.add(turn)
                    expected[turn] += f"hello {turn}\n"
                continue
            for out in turn:
                site.fanout.put(out)
                for number in expected:
                    hears = number in admitted and number != out.author
                    if hears if out.to is None else out.to == number:
                        expected[number] += f"{out.text}\n"
            if len(turn) % 2:
                site.turn()
        site.turn()
        assert {member.number: b"".join(member.sent).decode() for member in members} == expected


def test_a_newcomer_gets_what_was_held_back_after_its_greeting(loop: Loop) -> None:
    """From the moment when it came, in the middle of a turn."""
    one, late = Someone(1), Someone(2)
    site = Site(loop, one)
    site.greet(one)
    site.fanout.put(Deliver("before"))
    site.members[2] = late
    site.fanout.hold(late)  # type: ignore[arg-type]
    site.fanout.put(Deliver("[a] x"))
    site.turn()
    site.fanout.put(Deliver("[a] y"))
    site.turn()
    assert late.sent == []
    site.fanout.put(Deliver("[a] z"))
    site.greet(late)
    site.fanout.put(Deliver("* late joined", author=2))
    site.turn()
    assert b"".join(late.sent) == b"hello 2\n[a] x\n[a] y\n[a] z\n"
