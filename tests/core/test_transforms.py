from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.text import TextOptions
from sockkit.core.transforms import Lenient, WholeLines
from sockkit.errors import TextError
from tests.support import splits


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


def passed_on(lines: WholeLines, pieces: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield lines.feed(piece)
    yield lines.flush()


def whole_lines(encoding: str = "gbk", max_bytes: int = 4096) -> WholeLines:
    transform = TextOptions(encoding).outbound("utf-8", "stdin")
    assert transform
    return WholeLines(transform, max_bytes)


@pytest.mark.parametrize("text", ["小雪\n你好", "a\n\nb\n", "", "\n", "no end"])
def test_all_is_passed_on(text: str) -> None:
    for pieces in splits(text.encode()):
        *out, rest = passed_on(whole_lines(), pieces)
        assert all(not piece or piece.endswith(b"\n") for piece in out)
        assert b"".join([*out, rest]) == text.encode("gbk")


@pytest.mark.parametrize("text", ["one\ntwo😀\nthree\n", "one\n😀", "one\n两\n😀"])
def test_of_a_line_with_a_fault_no_part_is(text: str) -> None:
    for pieces in splits(text.encode()):
        out: list[bytes] = []
        with pytest.raises(TextError) as caught:
            out.extend(passed_on(whole_lines(), pieces))
        before = text.partition("😀")[0]
        expected = before[: before.rindex("\n") + 1].encode("gbk")
        assert b"".join(out) + caught.value.before == expected


def test_a_cut_character_at_the_end_takes_its_line_along() -> None:
    lines = whole_lines()
    assert lines.feed(b"one\ntwo\xe4") == b"one\n"
    with pytest.raises(TextError) as caught:
        lines.flush()
    assert caught.value.before == b""


@given(st.binary(max_size=30), st.integers(0, 9))
def test_no_more_than_the_bound_is_held(data: bytes, bound: int) -> None:
    lines = whole_lines("latin-1", bound)
    text = data.decode("latin-1").encode()
    held = len(data) - len(lines.feed(text))
    assert held <= bound
    assert len(lines.flush()) == held
