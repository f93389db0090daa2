"""The commands of the Ctrl-] prompt, with a small table."""

from __future__ import annotations

import pytest

from sockkit.core.command_prompt import (
    CommandPrompt,
    choice_command,
    hex_command,
    list_command,
)
from sockkit.core.console import Command
from sockkit.errors import UsageError
from sockkit.events import Answer, Event, Peer


class Prompting:
    """A prompt with one command of each kind; `did` is what they did, and what was answered."""

    def __init__(self, *peers: tuple[Peer, str]) -> None:
        self.did: list[object] = []
        self.prompt = CommandPrompt(
            [
                hex_command("hex", self.did.append),
                list_command("list", lambda: peers, "nobody is here", self._answer),
                choice_command("view", "hex or text", ("hex", "text"), self.did.append),
                Command("send-file", "PATH", "a file", self._send, lambda word: [(f"{word}!", "")]),
            ],
            self._answer,
        )

    def _send(self, path: str) -> None:
        if path == "none":
            raise UsageError("there is none", "make one")
        self.did.append(path)

    def _answer(self, event: Event) -> None:
        assert isinstance(event, Answer)
        self.did.append(event.text)

    def run(self, line: str) -> list[object]:
        self.prompt.run(line)
        return self.did


@pytest.mark.parametrize(
    ("line", "did"),
    [
        ("hex 01 03", [b"\1\3"]),
        ("hex  e4bda0 ", [b"\xe4\xbd\xa0"]),
        ("hex", ["usage: hex 48 65 0a"]),
        ("list", ["nobody is here"]),
        ("list all", ["usage: list"]),
        ("view hex", ["hex"]),
        ("view", ["usage: view hex|text"]),
        ("view both", ["usage: view hex|text"]),
        ("send-file a b  c", ["a b  c"]),
        ("send-file none", ["there is none: make one"]),
        ("quit now", ["usage: quit"]),
        ("/list", ["unknown command /list: help lists the commands"]),
        ("li\x1b", ["unknown command li\\x1b: help lists the commands"]),
        ("list\nquit", ["unknown command list\\x0aquit: help lists the commands"]),
    ],
)
def test_a_command_is_run_or_answered(line: str, did: list[object]) -> None:
    assert Prompting().run(line) == did


def test_a_fault_in_bytes_is_answered() -> None:
    (answer,) = Prompting().run("hex 4x")
    assert str(answer).startswith("column 2: 'x' is not a hexadecimal digit")


def test_peers_are_listed_with_their_numbers() -> None:
    """A client's only peer has none."""
    peers = [(Peer(0, "10.0.0.7:80"), "sent 1 byte"), (Peer(2, "10.0.0.8:81"), "")]
    assert Prompting(*peers).run("list") == ["10.0.0.7:80 sent 1 byte", "[2] 10.0.0.8:81"]


def test_help_lists_the_table_and_itself() -> None:
    assert Prompting().run("help") == [
        "hex 48 65 0a     send these bytes, without a line end",
        "list             list the connected peers",
        "view hex|text    hex or text",
        "send-file PATH   a file",
        "help             this list",
        "quit             send all that was typed, then end (also Ctrl-D)",
    ]


@pytest.mark.parametrize(
    ("line", "at_once"),
    [
        ("list", True),
        ("help", True),
        ("view hex", True),
        ("nothing", True),
        ("hex 01", False),
        ("send-file x", False),
    ],
)
def test_what_sends_waits_for_the_lines_before_it(line: str, at_once: bool) -> None:
    assert Prompting().prompt.at_once(line) is at_once


@pytest.mark.parametrize(("line", "quits"), [("quit", True), ("quit x", False), ("list", False)])
def test_quit_is_told_to_the_editor(line: str, quits: bool) -> None:
    assert Prompting().prompt.quits(line) is quits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["hex", "list", "view", "send-file", "help", "quit"]),
        ("h", ["hex", "help"]),
        ("x", []),
        ("view ", ["hex", "text"]),
        ("view t", ["text"]),
        ("send-file a b", ["a b!"]),
        ("hex 4", []),
        ("nothing ", []),
    ],
)
def test_completion(text: str, words: list[str]) -> None:
    assert [word for word, _ in Prompting().prompt.complete(text)] == words
