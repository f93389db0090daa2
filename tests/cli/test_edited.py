"""What is typed as a standard input; a whole edited run is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from sockkit.cli.edited import TypedInput
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import noise, run_until

loop = kit.loop


class Stops:
    """Notes the signals that it is told to behave by."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def stop(self, number: int) -> None:
        self.numbers.append(number)


@pytest.fixture
def stopping() -> Any:
    return Stops()


@pytest.fixture
def typed(loop: Loop, stopping: Any) -> Iterator[TypedInput]:
    typed = TypedInput(loop, "utf-8", stopping)
    yield typed
    loop.when_readable(typed.input.descriptor, None)
    typed.close()


def gather(loop: Loop, typed: TypedInput) -> bytes:
    """All that is typed until its end."""
    got: list[bytes] = []
    buffer = memoryview(bytearray(10_000))

    def read() -> None:
        size = typed.input.read_into(buffer)
        got.append(bytes(buffer[:size]))

    loop.when_readable(typed.input.descriptor, read)
    run_until(loop, lambda: bool(got) and not got[-1])
    return b"".join(got)


def test_it_is_a_terminals_input_with_an_end(loop: Loop, typed: TypedInput) -> None:
    assert typed.input.terminal
    typed.enter("hello")
    typed.enter("you \udcff")  # a byte that is no text, as it was pasted
    typed.end()
    assert gather(loop, typed) == b"hello\nyou \xff\n"


def test_much_that_is_pasted_blocks_nobody(loop: Loop, typed: TypedInput) -> None:
    data = noise(1_000_000)  # more than the pipe has room for
    typed.enter(data.decode("utf-8", "surrogateescape"))
    typed.end()
    assert gather(loop, typed) == data + b"\n"


def test_an_interrupt_is_the_signal(typed: TypedInput, stopping: Stops) -> None:
    typed.interrupt()
    assert stopping.numbers == [signal.SIGINT]
