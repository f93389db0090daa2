"""Ends that wrap another one are conformant: see test_end.py. This is what they inherit."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.ends.wrapped_end import WrappedEnd


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("local", ()),
        ("when_writable", (None,)),
        ("has_bytes", ()),
        ("write", (b"x",)),
        ("read_failed", (OSError(),)),
        ("write_failed", (OSError(),)),
        ("queued", ()),
        ("undelivered", (7,)),
        ("failure", ()),
        ("half_close", ()),
    ],
)
def test_a_call_is_one_of_the_end_below(name: str, arguments: tuple[Any, ...]) -> None:
    below = Mock(spec_set=SocketEnd)
    result = getattr(WrappedEnd(below), name)(*arguments)
    getattr(below, name).assert_called_once_with(*arguments)
    if name not in ("when_writable", "half_close"):
        assert result is getattr(below, name).return_value


def test_it_is_the_same_peer_but_has_no_descriptor_for_lanes() -> None:
    below = Mock(spec_set=SocketEnd)
    end = WrappedEnd(below)
    assert (end.peer, end.remote, end.name) == (below.peer, below.remote, below.name)
    assert end.descriptor == -1
