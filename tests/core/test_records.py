"""Records: what every view relies on."""

from __future__ import annotations

from typing import get_args

from sockkit.core.records import Record, Stream


def test_each_record_begins_with_its_time_and_says_what_it_is() -> None:
    for kind in get_args(Record):
        assert kind._fields[0] == "time", kind
        assert kind.__doc__


def test_what_is_about_a_connection_has_it_second() -> None:
    for kind in get_args(Record):
        assert "stream" not in kind._fields or kind._fields[1] == "stream", kind


def test_a_stream_can_be_a_key() -> None:
    first = Stream(1, "tcp", "127.0.0.1:1", "127.0.0.1:2", dialled=True)
    assert {first: 1}[Stream(1, "tcp", "127.0.0.1:1", "127.0.0.1:2", True)] == 1
