from __future__ import annotations

from sockkit.core.chat.door import MAX_GUESSING, MAX_WAITING, Door
from sockkit.core.chat.lines import CROWDED, LOCKED


def test_without_a_password_nobody_is_held_up() -> None:
    door = Door(None, "utf-8")
    assert not door.locked
    assert {door.come(door.address("10.0.0.1:1"), 0.0) for _ in range(MAX_WAITING + 9)} == {""}
    assert door.wait("", 0.0) == 0
    assert not door.opens(b"", "")


def test_an_address_has_so_many_waiting_and_fewer_once_it_guesses() -> None:
    door = Door("sesame", "utf-8")
    here, there = door.address("10.0.0.1:1"), door.address("10.0.0.2:1")
    assert door.locked
    assert [door.come(here, 0.0) for _ in range(MAX_WAITING)] == [LOCKED] * MAX_WAITING
    assert (door.come(here, 0.0), door.come(there, 0.0)) == (CROWDED, LOCKED)
    assert door.waiting == MAX_WAITING + 2
    for _ in range(MAX_WAITING + 1 - MAX_GUESSING):
        door.go(here)
    assert door.come(here, 0.0) == LOCKED
    door.refuse(here, 0.0)
    assert door.wait(here, 0.0) > 0
    assert (door.come(here, 0.0), door.come(there, 0.0)) == (CROWDED, LOCKED)
    assert door.opens(b"sesame", here)
    assert door.wait(here, 0.0) == 0


def test_who_has_gone_is_forgotten() -> None:
    door = Door("sesame", "utf-8")
    door.come("here", 0.0)
    door.go("here")
    assert (door.waiting, len(door._waiting)) == (0, 0)
