from __future__ import annotations

from typing import Literal

import pytest

from sockkit.cli.explain.story import Story

Direction = Literal["sent", "received"]


def story(address: str = "127.0.0.1:80") -> Story:
    return Story("conn", address, dialled=False)


@pytest.mark.parametrize(("first", "last"), [("sent", "received"), ("received", "sent")])
def test_one_fin_is_the_first_and_the_other_the_last(first: Direction, last: Direction) -> None:
    one = story()
    assert one.end(first) == "first"
    assert one.has_ended(first)
    assert not one.has_ended(last)
    assert one.end(last) == "last"
    assert one.first == first


def test_a_fin_may_have_come_before_it_is_read() -> None:
    one = story()
    one.first = "received"
    assert [one.end("sent"), one.end("received")] == ["last", "late"]


def test_a_unix_socket_has_no_fin() -> None:
    one = story("unix:/tmp/s")
    assert one.unix
    assert [one.end("sent"), one.end("received")] == ["unix", "unix"]


def test_it_adds_up_what_was_moved() -> None:
    one = story()
    for direction, size in (("sent", 2), ("received", 30), ("sent", 5)):
        one.moved(direction, size)  # type: ignore[arg-type]
    assert (one.sent, one.received) == (7, 30)
