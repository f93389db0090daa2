"""What is typed as a standard input; a whole edited run is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from sockkit.cli.edited import Typing
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
def typed(loop: Loop, stopping: Any) -> Typing:
    return Typing(loop, "utf-8", stopping)


def gather(loop: Loop, typed: Typing) -> bytes:
    """All that is typed until its end."""
    got: list[bytes] = []
    buffer = memoryview(bytearray(10_000))

    def read() -> None:
        size = typed.input.read_into(buffer)
        got.append(bytes(buffer[:size]))

    typed.input.when_readable(read)
    run_until(loop, lambda: bool(got) and not got[-1])
    return b"".join(got)


def test_it_is_a_terminals_input_with_an_end(loop: Loop, typed: Typing) -> None:
    assert typed.input.terminal
    typed.enter("hello")
    typed.enter("you \udcff")  # a byte that is no text, as it was pasted
    typed.end()
    assert gather(loop, typed) == b"hello\nyou \xff\n"


def test_much_that_is_pasted_blocks_nobody(loop: Loop, typed: Typing) -> None:
    data = noise(1_000_000)  # more than the pipe has room for
    typed.enter(data.decode("utf-8", "surrogateescape"))
    typed.end()
    assert gather(loop, typed) == data + b"\n"


def test_an_interrupt_is_the_signal(typed: Typing, stopping: Stops) -> None:
    typed.interrupt()
    assert stopping.numbers == [signal.SIGINT]


class Commands:
    """Commands of which only `list` is done at once."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def at_once(self, line: str) -> bool:
        return line == "list"

    def run(self, line: str) -> None:
        self.did.append(line)


def test_a_command_waits_for_the_lines_before_it_unless_it_need_not(
    loop: Loop, typed: Typing
) -> None:
    commands: Any = Commands()
    typed.enter("hello")
    typed.command("hex 01", commands)
    typed.command("list", commands)
    kit.settle(loop)
    assert commands.did == ["list"]
    typed.end()
    assert gather(loop, typed) == b"hello\n"
    assert commands.did == ["list", "hex 01"]


@pytest.mark.parametrize("reads", [True, False])
def test_lines_settle_when_they_are_read(loop: Loop, typed: Typing, reads: bool) -> None:
    typed.enter("/to 2")
    outcomes: list[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(typed.settle()))
    if reads:
        typed.input.deliver_to(lambda _: None)
    thread.start()
    run_until(loop, lambda: bool(outcomes))
    thread.join(kit.WAIT)
    assert outcomes == [reads]
    typed.input.when_readable(None)
