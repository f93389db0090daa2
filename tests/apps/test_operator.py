from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.operator import open_peer_console
from sockkit.core.command_prompt import CommandPrompt
from sockkit.core.console import Assistant
from sockkit.core.server_console import TcpCommands
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from tests.core.test_server_console import Place
from tests.net import kit


class End:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal


class Operating:
    """What is typed at a server of peer 2; `told` is what the line editor hears of."""

    def __init__(self, terminal: bool = True) -> None:
        self.place = Place(2)
        self.told: list[Assistant] = []
        ends: Any = End(terminal), End(False)
        loop: Any = None
        self.offered: list[CommandPrompt] = []
        stdio = Stdio(*ends, "utf-8", self.told.append, self.offered.append)
        context: Context = kit.context(loop, stdio)
        self.typed = open_peer_console(TcpCommands(self.place, "utf-8", context.emit), context)


def test_the_line_editor_is_told_at_once_and_after_a_change_of_the_prompt() -> None:
    operating = Operating()
    assert [assistant.prompt for assistant in operating.told] == ["> "]
    operating.typed(b"hi\n")
    assert len(operating.told) == 1
    operating.typed(b"/to 2\nhi\n")
    first, second = operating.told
    assert first is second
    assert first.prompt == "[2]> "
    assert operating.place.done == [(None, b"hi\n"), (2, b"hi\n")]


@pytest.mark.parametrize("terminal", [False, True])
def test_the_end_of_what_is_typed_quits_at_a_terminal_alone(terminal: bool) -> None:
    operating = Operating(terminal)
    operating.typed(b"last words")
    operating.typed(b"")
    assert operating.place.done == [(None, b"last words"), *["quit"] * terminal]


def test_the_prompt_has_the_same_commands_without_a_slash() -> None:
    operating = Operating()
    (prompt,) = operating.offered
    names = [name for name, _ in prompt.complete("")]
    assert names == ["list", "to", "all", "kick", "hex", "send-file", "help", "quit"]
    prompt.run("to 2")
    assert [assistant.prompt for assistant in operating.told] == ["[2]> ", "[2]> "]
    prompt.run("hex 01")
    prompt.run("send-file x")
    prompt.run("kick 2")
    assert operating.place.done == [(2, b"\1", True), (2, "x"), "kick 2"]
    assert len(operating.told) == 2
