from __future__ import annotations

from typing import Any

from sockkit.apps.operator import operate
from sockkit.core.operator import Assistant
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from tests.core.test_operator import Place
from tests.net import kit


class End:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal


def context(typed: bool, told: list[Assistant]) -> Context:
    ends: Any = End(typed), End(False)
    loop: Any = None
    return kit.context(loop, Stdio(*ends, "utf-8", told.append))


def test_where_nobody_types_there_is_no_operator() -> None:
    told: list[Assistant] = []
    assert operate(Place(2), context(False, told)) is None
    assert told == []


def test_the_line_editor_is_told_at_once_and_after_a_change_of_the_prompt() -> None:
    told: list[Assistant] = []
    place = Place(2)
    feed = operate(place, context(True, told))
    assert feed
    assert [assistant.prompt for assistant in told] == ["> "]
    feed(b"/to 2\nhi\n")
    assert [assistant.prompt for assistant in told] == ["[2]> ", "[2]> "]  # the same one, twice
    assert place.done == [(2, b"hi\n")]
