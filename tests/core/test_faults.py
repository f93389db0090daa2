from __future__ import annotations

from typing import Any

import pytest

from sockkit.core.faults import Disturbed, FaultOptions


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
