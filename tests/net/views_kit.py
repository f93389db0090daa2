"""Viewers, a view and a slow screen for the tests of views."""

from __future__ import annotations

import os

from sockkit.core.records import Message, Record, Stream
from sockkit.errors import OutputError
from sockkit.events import Event
from sockkit.net.ends.stdio import Output
from sockkit.net.loop import Loop
from sockkit.net.views import Views
from tests.net import kit

STREAM = Stream(1, "tcp", "127.0.0.1:1", "127.0.0.1:2", dialled=True)


def no_events(event: Event) -> None:
    pass


class Kept:
    """A viewer that keeps what it is shown, and fails on `fails`."""

    def __init__(self, fails: type | None = None) -> None:
        self.records: list[Record] = []
        self.closed = False
        self._fails = fails

    def show(self, *records: Record) -> None:
        for record in records:
            if self._fails and isinstance(record, self._fails):
                raise OutputError("could not write FILE: no space left on device")
            self.records.append(record)

    def close(self) -> None:
        self.closed = True

    @property
    def told(self) -> list[tuple[object, ...]]:
        """The records without times and streams."""
        fields = [record[1:] for record in self.records]
        return [
            (type(record).__name__, *(field for field in rest if field != STREAM))
            for record, rest in zip(self.records, fields, strict=True)
        ]


class Raw:
    """A view that shows the bytes of messages."""

    def show(self, record: Record, /) -> bytes:
        return record.data if isinstance(record, Message) else b""


class Pipe:
    """A screen on a pipe that holds little."""

    def __init__(self, loop: Loop, stack: kit.Stack, view: Raw | None = None) -> None:
        self.out, into = os.pipe()
        os.set_blocking(self.out, False)
        stack.callback(os.close, self.out)
        stack.callback(os.close, into)
        self.output = Output(loop, into)
        stack.callback(lambda: os.close(self.output.descriptor))
        self.views = Views(loop, no_events)
        self.payload = self.views.take_output(self.output, view)
        self.loop = loop

    def read(self) -> bytes:
        try:
            return os.read(self.out, 1 << 20)
        except BlockingIOError:
            return b""
