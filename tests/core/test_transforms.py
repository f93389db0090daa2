from __future__ import annotations

from sockkit.core.text import TextOptions
from sockkit.core.transforms import Lenient


def test_what_is_typed_goes_on_after_a_line_that_cannot_pass() -> None:
    told: list[str] = []
    text = TextOptions("gbk")
    typed = text.outbound("utf-8", "stdin")
    assert typed
    lenient = Lenient(typed, lambda error: told.append(str(error)))
    out = lenient.feed("你\na👋b\n好👋".encode()) + lenient.feed("\n再".encode()) + lenient.flush()
    assert out == "你\n\n再".encode("gbk")
    assert lenient.refused == 2
    assert [line.split(" of ")[0].split(" at ")[1] for line in told] == [
        "line 2, character 2",
        "line 3, character 2",
    ]
