"""Tests of sockkit.net.tcp.merged_output: whose line is written when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sockkit.events import Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.tcp import merged_output
from sockkit.net.tcp.merged_output import MergedOutput
from tests.net import kit

loop, stack = kit.loop, kit.stack


class Client:
    """As far as the output knows one."""

    def __init__(self, number: int, loop: Loop) -> None:
        self.peer, self.last_received = Peer(number, f"there:{number}"), loop.now


class Case:
    def __init__(self, loop: Loop, stack: kit.Stack, *, terminal: bool = False) -> None:
        self.loop = loop
        self.made = kit.sink("pipe", stack, Path())
        self.made.end.terminal = terminal
        nothing: Any = None
        stdio = Stdio(nothing, self.made.end, "utf-8")
        self.empty = 0
        self.output = MergedOutput(
            kit.context(loop, stdio),
            lambda peer: b"%d: " % peer.number,
            on_empty=self._is_empty,
            on_fail=lambda error: None,
        )
        self.one: Any = Client(1, loop)
        self.two: Any = Client(2, loop)

    def _is_empty(self) -> None:
        self.empty += 1

    def written(self) -> bytes:
        self.output.stop()
        self.made.release()
        return self.made.far.take()


def test_lines_are_never_mixed(loop: Loop, stack: kit.Stack) -> None:
    case = Case(loop, stack)
    case.output.received(case.one, b"be")
    case.output.received(case.two, b"whole\n")
    case.output.received(case.one, b"gun\n")
    assert case.written() == b"2: whole\n1: begun\n"


def test_who_departs_is_written_to_its_last_byte(loop: Loop, stack: kit.Stack) -> None:
    case = Case(loop, stack)
    case.output.received(case.one, b"unfinished")
    case.output.departed(case.one)
    assert case.output.lost() == ""
    assert case.written().startswith(b"1: unfinished")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_pause_in_a_line_has_it_written(
    terminal: bool, loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sooner where somebody is looking."""
    clock = kit.Clock(loop, monkeypatch)
    case = Case(loop, stack, terminal=terminal)
    case.output.received(case.one, b"prompt> ")
    clock.passes(2 * merged_output.LINE_PATIENCE_TERMINAL)
    kit.settle(loop)
    assert case.written() == (b"1: prompt> " if terminal else b"")


def test_what_waits_is_told_and_what_is_lost(loop: Loop, stack: kit.Stack) -> None:
    case = Case(loop, stack)
    size = 200_000  # more than a pipe holds
    case.output.received(case.one, b"x" * (size - 1) + b"\n")
    assert case.output.waits
    case.output.received(case.two, b"y\n")
    gathering = kit.Gathering(case.made.far)
    kit.run_until(loop, lambda: case.empty > 0)
    assert (case.output.waits, case.output.lost()) == (False, "")
    case.made.release()
    assert len(gathering.result()) == size + 2 + 2 * 3
