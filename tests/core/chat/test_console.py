from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sockkit.core.chat.commands import OPERATOR
from sockkit.core.chat.console import ChatCommands
from sockkit.core.console import Console
from sockkit.errors import UsageError
from sockkit.events import Answer, Event, Peer


class Place:
    """A room of alex and 小雪 and its server, and what was done there."""

    operator_rows = OPERATOR

    def __init__(
        self, quit_word: str = "q", encoding: str = "utf-8", spoken: str = "utf-8"
    ) -> None:
        self.done: list[Any] = []
        table = ChatCommands(self, self, quit_word, encoding, spoken, self.answer)
        self.console = Console(table, self.answer)

    def names(self) -> list[str]:
        return ["alex", "小雪"]

    def announce(self, text: str) -> Iterable[Any]:
        return ["said", text]

    def whisper(self, name: str, text: str) -> Iterable[Any]:
        return ["whispered", name, text]

    def peers(self) -> list[tuple[Peer, str]]:
        return [(Peer(1, "here:1"), "alex")]

    def kick(self, name: str) -> Iterable[Any]:
        if name not in self.names():
            raise UsageError(f"nobody here is {name}")
        return ["kicked", name]

    def handle(self, events: Iterable[Any], /) -> None:
        self.done.append(tuple(events))

    def quit(self) -> None:
        self.done.append("quit")

    def answer(self, event: Event) -> None:
        assert isinstance(event, Answer)
        self.done.append(event.text)


HINT = "/help lists the commands, //text sends /text"


@pytest.mark.parametrize(
    ("typed", "done"),
    [
        ("你好", [("said", "你好")]),
        ("  ", []),
        ("//who", [("said", "/who")]),
        ("/who", ["2 here: alex, 小雪"]),
        ("/kick 小雪", [("kicked", "小雪")]),
        ("/kick bob", ["nobody here is bob"]),
        (" /who ", ["2 here: alex, 小雪"]),
        ("、who", ["2 here: alex, 小雪"]),
        ("、、", [("said", "、、")]),
        ("／msg　小雪　hi　there", [("whispered", "小雪", "hi　there")]),
        ("/kick", ["usage: /kick NAME"]),
        ("/me waves", [("said", "*waves*")]),
        ("/msg 小雪 hi there", [("whispered", "小雪", "hi there")]),
        ("/msg 小雪", ["usage: /msg NAME TEXT"]),
        ("/list", ["[1] here:1 alex"]),
        ("//TEXT", [("said", "/TEXT")]),
        ("/who all", ["usage: /who"]),
        ("/x\x1b", [f"unknown command /x\\x1b: {HINT}"]),
        ("/quit", ["quit"]),
        ("q", ["quit"]),
        (" q ", ["quit"]),
        ("q now", [("said", "q now")]),
        ("a\nq\n", [("said", "a"), "quit"]),
    ],
)
def test_what_a_line_does(typed: str, done: list[Any]) -> None:
    data = typed.encode()
    for place in range(len(data)):
        here = Place()
        here.console.feed(data[: place + 1])
        if data[place + 1 :]:
            here.console.feed(data[place + 1 :])
        here.console.feed(b"")
        assert here.done == done


@pytest.mark.parametrize(
    ("quit_word", "quits"),
    [("q", False), ("/bye", True), ("", False)],
)
def test_the_quit_word_may_look_like_a_command(quit_word: str, quits: bool) -> None:
    here = Place(quit_word)
    here.console.feed(b"\n/bye\n")
    assert here.done == (["quit"] if quits else [f"unknown command /bye: {HINT}"])


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    here = Place(encoding="gbk")
    here.console.feed("你好".encode("gbk") + b"\xff\n")
    assert here.done == [("said", "你好\\xff")]


@pytest.mark.parametrize("typed", ["嗨😀", "/me 😀", "/msg 小雪 😀"])
def test_what_the_room_cannot_encode_is_not_said(typed: str) -> None:
    here = Place(spoken="gbk")
    here.console.feed(typed.encode() + b"\n")
    assert here.done == ["not sent: '😀' does not exist in gbk"]


def test_help_lists_every_command() -> None:
    here = Place()
    here.console.feed(b"/help\n")
    assert here.done == [
        "/who             list who is here",
        "/list            list who is here, with number and address",
        "/msg NAME TEXT   send TEXT to NAME only",
        "/me TEXT         say *TEXT*, to show what you are doing",
        "/kick NAME       disconnect NAME",
        "//TEXT           send /TEXT, a line that begins with a slash",
        "/help            show this list",
        "/quit            close the room (also: q, Ctrl-D)",
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("/k", ["/kick"]),
        ("/", ["/who", "/list", "/msg", "/me", "/kick", "/help", "/quit"]),
        ("/msg A", ["alex"]),
        ("/kick A", ["alex"]),
        ("/kick ", []),
        ("hi 小", ["小雪"]),
        ("al", ["alex"]),
        ("", []),
        ("x", []),
    ],
)
def test_commands_and_names_are_completed(typed: str, words: list[str]) -> None:
    assert [word for word, _ in Place().console.complete(typed)] == words
