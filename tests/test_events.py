"""How each is told is tests/cli/test_render.py."""

from __future__ import annotations

from typing import get_args

import pytest

from sockkit.events import Event, Peer


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Peer(2, "10.0.0.7:51234").number = 3  # type: ignore[misc]


def test_every_event_says_what_it_is() -> None:
    assert all(kind.__doc__ and kind.__annotations__ for kind in get_args(Event))
