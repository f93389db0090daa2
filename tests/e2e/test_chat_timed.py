"""The long and the timed rows of what a chat room must survive: `make torture`."""

from __future__ import annotations

import pytest

from tests.e2e import test_chat_torture as chat
from tests.support import Program, share

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


def test_two_hundred_members_who_all_talk() -> None:
    chat.all_talk(200, 50, 50)


def test_two_hundred_members_hear_soon() -> None:
    """Each says a line when all have heard what everybody said before."""
    waits = sorted(chat.all_talk(200, 50, 1))
    assert waits[len(waits) * 99 // 100] < 0.25  # p99


def test_64_mib_past_one_that_never_reads() -> None:
    chat.one_never_reads(65_600, 1)


def test_a_line_of_100_mib() -> None:
    chat.beyond_bounds(100)


@pytest.mark.parametrize("text", ["", "hello"])
def test_3_000_strangers_by_udp_keep_nobody_waiting(text: str) -> None:
    assert chat.strangers(text, 30) < 1


def test_more_members_than_descriptors() -> None:
    def at_rest(program: Program) -> None:
        assert share(program, 1) < 0.1

    chat.crowded_room(2, at_rest)
