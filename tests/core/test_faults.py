from __future__ import annotations

from typing import Any

import pytest

from sockkit.core.faults import Disturbed, FaultOptions, Pacer


@pytest.mark.parametrize(
    "asked",
    [
        {"delay": 0.1},
        {"jitter": 0.1},
        {"rate": 1},
        {"chunk": 1},
        {"stall_at": 1},
        {"reset_at": 1},
        {"close_at": 1},
        {"refuse": 0.1},
    ],
)
def test_each_fault_of_a_stream_is_one(asked: dict[str, Any]) -> None:
    assert FaultOptions(**asked).of_streams


@pytest.mark.parametrize(
    "asked", [{}, {"seed": 1}, {"disturbed": Disturbed.SENT}, {"drop": 0.5}, {"corrupt": 1.0}]
)
def test_a_stream_is_left_alone_otherwise(asked: dict[str, Any]) -> None:
    assert not FaultOptions(**asked).of_streams


@pytest.mark.parametrize("name", ["jitter", "refuse", "drop", "duplicate", "reorder", "corrupt"])
def test_what_is_chosen_at_random(name: str) -> None:
    assert FaultOptions(**{name: 0.1}).random


def test_what_is_not_random() -> None:
    assert not FaultOptions(delay=1, rate=1, chunk=1, stall_at=1, reset_at=1, close_at=1).random


def test_the_shape_in_words() -> None:
    options = FaultOptions(delay=0.2, jitter=0.05, rate=65_536, chunk=7, stall_at=1)
    assert options.shape == (
        "delay 0.2 s, jitter 0.05 s, rate 65,536 bytes a second, chunks of 7 bytes"
    )
    assert FaultOptions(stall_at=1, refuse=0.5).shape == ""


# When what passes is due.


def pacer(**options: float) -> Pacer:
    return Pacer(FaultOptions(**options), "1 1 sent")  # type: ignore[arg-type]


def test_each_comes_later_by_the_delay() -> None:
    pace = pacer(delay=2.0)
    assert [pace.due(10, now) for now in (1.0, 1.5)] == [3.0, 3.5]


def test_a_rate_takes_time_for_every_byte() -> None:
    pace = pacer(rate=100)
    assert [pace.due(50, 1.0), pace.due(50, 1.0), pace.due(0, 1.0)] == [1.5, 2.0, 2.0]
    assert pace.due(50, 10.0) == 10.5


def test_the_delay_comes_after_the_rate() -> None:
    pace = pacer(rate=100, delay=1.0)
    assert [pace.due(50, 1.0), pace.due(50, 1.0)] == [2.5, 3.0]


def test_jitter_varies_the_delay_either_way_and_keeps_the_order() -> None:
    pace = pacer(delay=1.0, jitter=0.5)
    late = [pace.due(1, 10.0 * number) - 10.0 * number for number in range(2000)]
    assert 0.5 <= min(late) < 0.52
    assert 1.48 < max(late) <= 1.5
    assert 0.95 < sum(late) / len(late) < 1.05
    close = [pace.due(1, 30_000.0 + number / 1000) for number in range(1000)]
    assert close == sorted(close)


def test_no_jitter_makes_a_datagram_early() -> None:
    pace = pacer(jitter=5.0)
    assert all(pace.due(1, 100.0 * number) >= 100.0 * number for number in range(100))


def test_each_of_several_empty_datagrams_has_its_own_jitter() -> None:
    pace = pacer(delay=1.0, jitter=0.5)
    assert len({pace.due(0, 10.0 * number) - 10.0 * number for number in range(9)}) == 9
