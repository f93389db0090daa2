"""What is typed as a standard input; a whole edited run is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sockkit.cli.edited import _Typed
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import noise, run_until

loop = kit.loop


@pytest.fixture
def typed(loop: Loop) -> Iterator[_Typed]:
    typed = _Typed(loop)
    yield typed
    loop.when_readable(typed.input.descriptor, None)
    typed.close()


def gather(loop: Loop, typed: _Typed) -> bytes:
    """All that is typed until its end."""
    got: list[bytes] = []
    buffer = memoryview(bytearray(10_000))

    def read() -> None:
        size = typed.input.read_into(buffer)
        got.append(bytes(buffer[:size]))

    loop.when_readable(typed.input.descriptor, read)
    run_until(loop, lambda: bool(got) and not got[-1])
    return b"".join(got)


def test_it_is_a_terminals_input_with_an_end(loop: Loop, typed: _Typed) -> None:
    assert typed.input.terminal
    typed.put(b"hello\n")
    typed.put(b"you\n")
    typed.end()
    assert gather(loop, typed) == b"hello\nyou\n"


def test_much_that_is_pasted_blocks_nobody(loop: Loop, typed: _Typed) -> None:
    data = noise(1_000_000)  # more than the pipe has room for
    typed.put(data)
    typed.end()
    assert gather(loop, typed) == data
