"""Tests of sockkit.core.flows."""

from __future__ import annotations

import pytest

from sockkit.core import flows
from sockkit.core.flows import Flows
from sockkit.core.records import Direction, Stream


def stream(number: int) -> Stream:
    return Stream(number, "tcp", "127.0.0.1:80", f"127.0.0.1:{number}", dialled=False)


def made() -> tuple[Flows[list[str]], list[Direction]]:
    asked: list[Direction] = []

    def make(direction: Direction) -> list[str]:
        asked.append(direction)
        return [direction]

    return Flows(make), asked


def test_each_direction_of_each_stream_has_its_own() -> None:
    of, asked = made()
    assert of.of(stream(1), "sent") is of.of(stream(1), "sent")
    assert of.of(stream(1), "received") is not of.of(stream(2), "received")
    assert asked == ["sent", "received", "received"]


def test_what_is_forgotten_is_made_again() -> None:
    of, asked = made()
    of.of(stream(1), "sent")
    of.of(stream(2), "sent")
    of.forget(stream(1))
    of.forget(stream(3))
    of.of(stream(2), "sent")
    assert asked == ["sent"] * 2
    of.of(stream(1), "sent")
    assert asked == ["sent"] * 3
    of.clear()
    of.of(stream(2), "sent")
    assert asked == ["sent"] * 4


def test_there_are_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_STREAMS", 2)
    of, asked = made()
    for number in (1, 2, 3):
        of.of(stream(number), "sent")
        of.of(stream(number), "received")
    assert len(asked) == 6
    of.of(stream(2), "sent")
    assert len(asked) == 6
    of.of(stream(1), "sent")
    assert len(asked) == 7
