"""Any console, with a small table; those of the servers are tested beside it."""

from __future__ import annotations

import pytest

from sockkit.core.console import MAX_LINE_BYTES, Command, Completions, Console
from sockkit.errors import UsageError
from sockkit.events import Answer, Event

HINT = "/help lists the commands, //text sends /text"


class Table:
    """Two lamps, and what was done to them."""

    prompt, quit_summary = "lamp> ", "leave them on"

    def __init__(self, numbered: bool = True) -> None:
        self.done: list[object] = []
        row = Command("@N", "TEXT", "write on one", lambda what: self.did("@", what), self.lamps)
        self.commands = (
            Command("/on", "LAMP", "let there be light", self.on, self.lamps),
            Command("/off", "", "dark", lambda what: self.did("off", what)),
            *([row] if numbered else []),
            Command("so", "", "", lambda what: self.did("so", what)),
        )

    def did(self, *what: object) -> None:
        self.done.append(what)

    def on(self, lamp: str) -> None:
        if lamp == "moon":
            raise UsageError("that is no lamp", "it shines anyway")
        self.did("on", lamp)

    def lamps(self, word: str) -> Completions:
        return [(lamp, "a lamp") for lamp in ("1", "2") if lamp.startswith(word)]

    def decode(self, line: bytes) -> str:
        return line.decode("utf-8", "surrogateescape")

    def say(self, text: str) -> None:
        if text == "no\n":
            raise UsageError("not that")
        self.did(text)

    def complete(self, word: str) -> Completions:
        return [("words", "")] if word == "w" else []

    def quit(self) -> None:
        self.did("quit")


class Typing:
    def __init__(self, numbered: bool = True) -> None:
        self.table = Table(numbered)
        self.console = Console(self.table, self._answer)

    def _answer(self, event: Event) -> None:
        assert isinstance(event, Answer)
        self.table.done.append(event.text)


@pytest.mark.parametrize(
    ("typed", "done"),
    [
        ("hi\n", [("hi\n",)]),
        ("hi", [("hi",)]),
        ("\n", [("\n",)]),
        ("//on 1\n", [("/on 1\n",)]),
        ("///\n", [("//\n",)]),
        (" /off\n", [(" /off\n",)]),
        ("/on 1\n", [("on", "1")]),
        ("/on  a lamp \n", [("on", "a lamp")]),
        ("/off\n/off \n/off", [("off", "")] * 3),
        ("so\n", [("so", "")]),
        ("so", [("so", "")]),
        ("so what\n", [("so what\n",)]),
        ("@1 hi \n", [("@", "1 hi \n")]),
        ("@1 \n", [("@", "1 \n")]),
        ("@N\n@a 1\n", [("@N\n",), ("@a 1\n",)]),
        ("@1\n@1a b\n@1", ["usage: @N TEXT"] * 3),
        ("@1你好\n", [("@", "1 你好\n")]),
        ("\uff201 hi\n", [("@", "1 hi\n")]),
        ("\uff0foff\n\uff0fon 1\n", [("off", ""), ("on", "1")]),
        ("\uff0f\uff0fon\n", [("/on\n",)]),
        ("a\uff0fb \uff20c\n", [("a\uff0fb \uff20c\n",)]),
        ("/on\n/on  \n", ["usage: /on LAMP"] * 2),
        ("/off 1\n", ["usage: /off"]),
        ("/on moon\n", ["that is no lamp: it shines anyway"]),
        ("no\n", ["not that"]),
        ("/o\n", [f"unknown command /o: {HINT}"]),
        ("/\n", [f"unknown command /: {HINT}"]),
        ("/so\n", [f"unknown command /so: {HINT}"]),
        ("/\x1b 1\n", [f"unknown command /\\x1b: {HINT}"]),
        ("/quit\n", [("quit",)]),
        ("/quit now\n", ["usage: /quit"]),
        ("/help me\n", ["usage: /help"]),
    ],
)
def test_a_line_is_text_or_a_command(typed: str, done: list[object]) -> None:
    for place in range(1, len(typed) + 1):
        typing = Typing()
        typing.console.feed(typed[:place].encode())
        typing.console.feed(typed[place:].encode()) if typed[place:] else None
        typing.console.feed(b"")
        assert typing.table.done == done


def test_help_lists_the_table() -> None:
    typing = Typing()
    typing.console.feed(b"/help\n")
    assert typing.table.done == [
        "/on LAMP   let there be light",
        "/off       dark",
        "@N TEXT    write on one",
        "/help      this list; //text sends a line that begins with a slash",
        "/quit      leave them on",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/o", [("/on", "let there be light"), ("/off", "dark")]),
        ("/", "/on /off /help /quit"),
        ("/on ", "1 2"),
        ("/on 2", "2"),
        ("/on w", ""),
        ("/off w", "words"),
        ("w", "words"),
        ("so w", "words"),
        ("/on 1 w", "words"),
        ("s", ""),
        ("//", ""),
        ("hi /o", ""),
        ("@", "@1 @2"),
        ("@2", [("@2", "a lamp")]),
        ("w @", ""),
        ("@N ", ""),
    ],
)
def test_completions(text: str, words: str | list[tuple[str, str]]) -> None:
    completions = Typing().console.complete(text)
    assert completions == words or [word for word, _ in completions] == str(words).split()


def test_a_table_without_numbers_has_text_instead() -> None:
    typing = Typing(numbered=False)
    typing.console.feed(b"@1 hi\n@1\n")
    assert typing.table.done == [("@1 hi\n",), ("@1\n",)]
    assert typing.console.complete("@") == []


@pytest.mark.parametrize("piece", [10_000, MAX_LINE_BYTES, 3 * MAX_LINE_BYTES])
def test_a_line_too_long_is_refused_as_a_whole(piece: int) -> None:
    typing, longest = Typing(), b"x" * MAX_LINE_BYTES
    data = longest + b"\n" + longest + b"x\nnext\n"
    for place in range(0, len(data), piece):
        typing.console.feed(data[place : place + piece])
    assert typing.table.done == [
        (longest.decode() + "\n",),
        "a line of more than 1,048,576 bytes was not sent",
        ("next\n",),
    ]


def test_what_it_tells_the_line_editor() -> None:
    console = Typing().console
    assert (console.prompt, console.secret) == ("lamp> ", False)
