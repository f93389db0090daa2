from __future__ import annotations

from sockkit.core.chat.outcome import Out


def test_several_lines_are_one_outcome() -> None:
    assert Out("a").lines == ["a"]
    assert Out("a\nb", author=1).lines == ["a", "b"]
