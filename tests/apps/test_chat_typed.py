"""What is typed while not in the room; more is in test_reconnect.py and test_chat_visit.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockkit.apps import chat_typed
from sockkit.apps.chat_typed import TypedAhead
from sockkit.errors import SendError, SockkitError
from sockkit.events import Event, Notice
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from tests.net import kit

loop, stack = kit.loop, kit.stack


class Person:
    def __init__(self, loop: Loop, stack: kit.Stack) -> None:
        self.loop = loop
        made, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        made.end.terminal = True
        self.source, self.far = made.end, made.far
        self.told: list[str] = []
        self.left: list[SockkitError | None] = []
        context = kit.context(loop, Stdio(made.end, sink.end, "utf-8"), self._emit)
        self.typed = TypedAhead(context, self._leave)

    def _emit(self, event: Event) -> None:
        assert isinstance(event, Notice)
        self.told.append(event.text)
        self.loop.stop()

    def _leave(self, error: SockkitError | None) -> None:
        self.left.append(error)
        self.loop.stop()

    def types(self, data: bytes) -> None:
        """Type, and wait for what that changes."""
        self.far.give(data)
        self.loop.run()


@pytest.fixture
def person(loop: Loop, stack: kit.Stack) -> Person:
    return Person(loop, stack)


def test_lines_are_kept_marked_and_counted(person: Person) -> None:
    person.typed.read()
    person.typed.mark()
    assert person.told == []
    person.types(b"one\n")
    person.types(b"two\nthree\n")
    assert person.typed.take() == b"one\ntwo\nthree\n"
    assert person.told == [
        "kept until you are in the room (1 line)",
        "kept until you are in the room (3 lines)",
        "sent 3 kept lines",
    ]
    assert person.typed.take() == b""
    assert len(person.told) == 3


def test_what_was_typed_before_is_marked_too(person: Person) -> None:
    person.typed.read()
    person.loop.later(0.05, person.loop.stop)
    person.types(b"one\n")
    assert person.told == []
    person.typed.mark()
    assert person.told == ["kept until you are in the room (1 line)"]


def test_nothing_is_said_of_what_is_sent_at_once(person: Person) -> None:
    person.typed.read()
    person.loop.later(0.05, person.loop.stop)
    person.types(b"one\n")
    assert (person.typed.take(), person.told) == (b"one\n", [])


def test_what_is_read_is_bounded(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_typed, "MAX_TYPED_BYTES", 10)
    person.typed.read()
    person.types(b"0123456789\n")
    assert person.told == ["10 bytes kept, and no more until you are in the room"]
    person.loop.later(0.05, person.loop.stop)
    person.types(b"more\n")
    assert person.typed.take() == b"0123456789\n"


@pytest.mark.parametrize("end", [b"/quit\nnot read\n", b"q\nnot read\n", b""])
@pytest.mark.parametrize("before", [b"", b"said\n"])
def test_leaving_tells_of_what_was_not_sent(before: bytes, end: bytes, person: Person) -> None:
    person.typed.read()
    if before:
        person.loop.later(0.05, person.loop.stop)
        person.types(before)
    if end:
        person.types(end)
    else:
        person.far.close()
        person.loop.run()
    (error,) = person.left
    assert bool(error) == bool(before)
    assert error is None or isinstance(error, SendError)


def test_stdin_that_nobody_types_is_not_read(person: Person) -> None:
    person.source.terminal = False
    person.typed.read()
    person.loop.later(0.05, person.loop.stop)
    person.types(b"/quit\n")
    assert (person.left, person.typed.take()) == ([], b"")


def test_it_takes_the_input_from_nobody(person: Person) -> None:
    """Somebody else may read it when the kept lines are taken."""
    got: list[int] = []

    def read() -> None:
        got.append(person.source.read_into(memoryview(bytearray(10))))
        person.loop.stop()

    person.typed.read()
    person.typed.stop()
    person.source.when_readable(read)
    assert person.typed.take() == b""
    person.types(b"x")
    assert got == [1]
