from __future__ import annotations

from sockkit.core.chat.actions import Deliver


def test_several_lines_are_one_outcome() -> None:
    assert Deliver("a").lines == ["a"]
    assert Deliver("a\nb", author=1).lines == ["a", "b"]
