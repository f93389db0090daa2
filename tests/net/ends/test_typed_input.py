"""Lines and commands that are typed, in their order."""

from __future__ import annotations

import pytest

from sockkit.net.ends.end import Kind
from sockkit.net.ends.typed_input import TypedInput
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


class Reading:
    """Reads all that is typed; `did` is what was read, and what commands have noted."""

    def __init__(self, loop: Loop, size: int = 100) -> None:
        self.typed, self.did = TypedInput(loop), list[object]()
        self._loop, self._buffer = loop, memoryview(bytearray(size))

    def command(self, name: str) -> None:
        self.typed.put_command(lambda: self.did.append(name))

    def read(self) -> None:
        size = self.typed.read_into(self._buffer)
        self.did.append(bytes(self._buffer[:size]))
        if not size:
            self.typed.when_readable(None)

    def run(self) -> list[object]:
        """Everything that is done in some turns."""
        kit.settle(self._loop)
        return self.did


def test_it_is_a_terminals_input(loop: Loop) -> None:
    typed = TypedInput(loop)
    assert (typed.kind, typed.terminal, typed.never_waits) == (Kind.OTHER, True, True)
    assert typed.extent() == (0, 0)
    assert not typed.has_bytes()
    with pytest.raises(BlockingIOError):
        typed.read_into(memoryview(bytearray(9)))


def test_lines_and_commands_come_in_order(loop: Loop) -> None:
    reading = Reading(loop, size=4)
    typed = reading.typed
    typed.put(b"one\n")
    typed.put(b"two\n")
    reading.command("first")
    reading.command("second")
    typed.put(b"end")
    typed.end()
    assert typed.waits
    assert typed.has_bytes()
    typed.when_readable(reading.read)
    assert reading.run() == [b"one\n", b"two\n", "first", "second", b"end", b""]
    assert not typed.waits


def test_a_command_is_not_called_while_nobody_reads(loop: Loop) -> None:
    reading = Reading(loop)
    reading.command("first")
    assert reading.run() == []
    reading.typed.when_readable(reading.read)
    reading.typed.when_readable(None)
    assert reading.run() == []
    reading.typed.when_readable(reading.read)
    assert reading.run() == ["first"]


def test_what_comes_before_a_command_is_read_without_it(loop: Loop) -> None:
    """A reader that reads on at once must not take what follows the command."""
    reading = Reading(loop)
    reading.typed.put(b"one\n")
    reading.command("first")
    reading.typed.put(b"two\n")
    reading.read()
    with pytest.raises(BlockingIOError):
        reading.read()
    assert not reading.typed.has_bytes()


def test_a_command_that_holds_the_reader_back_holds_the_next_one_back(loop: Loop) -> None:
    reading = Reading(loop)
    typed = reading.typed
    typed.put_command(lambda: typed.when_readable(None))
    reading.command("second")
    typed.when_readable(reading.read)
    assert reading.run() == []
    assert typed.waits


def test_after_the_end_nothing_is_typed(loop: Loop) -> None:
    reading = Reading(loop)
    reading.typed.put(b"one\n")
    reading.typed.end()
    reading.typed.put(b"two\n")
    reading.command("first")
    reading.typed.when_readable(reading.read)
    assert reading.run() == [b"one\n", b""]
    reading.typed.when_readable(reading.read)  # another reader gets the end, too
    assert reading.run()[-1] == b""


def test_what_is_typed_is_delivered_with_its_end(loop: Loop) -> None:
    reading = Reading(loop)
    reading.typed.put(b"one\n")
    reading.command("first")
    reading.typed.end()
    reading.typed.deliver_to(reading.did.append)
    assert reading.run() == [b"one\n", "first", b""]
