from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sockkit.core.chat_operator import COMMANDS, ChatOperator
from sockkit.errors import UsageError
from sockkit.events import Answer, Event


class Place:
    """A room of alex and 小雪, and what was done in it."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.operator = ChatOperator(
            self, "utf-8", "q", self.answer, self.deliver, lambda: self.done.append("quit")
        )

    def names(self) -> list[str]:
        return ["alex", "小雪"]

    def announce(self, text: str) -> Iterable[Any]:
        return ["said", text]

    def kick(self, name: str) -> Iterable[Any]:
        if name not in self.names():
            raise UsageError(f"nobody here is {name}")
        return ["kicked", name]

    def deliver(self, out: Iterable[Any]) -> None:
        self.done.append(tuple(out))

    def answer(self, event: Event) -> None:
        assert isinstance(event, Answer)
        self.done.append(event.text)


@pytest.mark.parametrize(
    ("typed", "done"),
    [
        ("你好", [("said", "你好")]),
        ("  ", []),
        ("//who", [("said", "/who")]),
        ("/who", ["2 here: alex, 小雪"]),
        ("/kick 小雪", [("kicked", "小雪")]),
        ("/kick bob", ["nobody here is bob"]),
        ("/kick", ["there is no /kick like that: /help tells what there is"]),
        ("/x\x1b", ["there is no /x\\x1b like that: /help tells what there is"]),
        ("/quit", ["quit"]),
        ("q", ["quit"]),
        ("a\nq\n", [("said", "a"), "quit"]),
    ],
)
def test_what_a_line_does(typed: str, done: list[Any]) -> None:
    data = typed.encode()
    for place in range(len(data)):
        here = Place()
        here.operator.feed(data[: place + 1])
        if data[place + 1 :]:
            here.operator.feed(data[place + 1 :])
        here.operator.feed(b"")
        assert here.done == done


def test_help_names_every_command() -> None:
    here = Place()
    here.operator.feed(b"/help\n")
    assert [line.split()[0] for line in here.done] == list(COMMANDS)


@pytest.mark.parametrize(
    ("typed", "words"),
    [("/k", ["/kick"]), ("/kick A", ["alex"]), ("hi 小", ["小雪"]), ("", []), ("x", [])],
)
def test_commands_and_names_are_completed(typed: str, words: list[str]) -> None:
    assert [word for word, _ in Place().operator.complete(typed)] == words
