from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core import gbk as module
from sockkit.core.gbk import GbkDetector, looks_like_gbk
from sockkit.core.line_detector import MAX_EXAMINED_BYTES, MIN_EXAMINED_BYTES
from tests.support import fewer

CHINESE = "你好，世界！今天天气不错。\n"


def found(*pieces: bytes) -> int:
    """How often it is told."""
    told: list[bool] = []
    detector = GbkDetector(lambda: told.append(True))
    for piece in pieces:
        detector.feed(piece)
    return len(told)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030"])
@pytest.mark.parametrize("before", ["", "temp 21 C\nok: "])
def test_chinese_is_found_once_however_it_is_cut(encoding: str, before: str) -> None:
    data = (before + CHINESE).encode(encoding)
    for place in range(len(data) + 1):
        assert found(data[:place], data[place:], data, data) == 1
    assert found(*(bytes([byte]) for byte in data)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain text\n" * 100,
        CHINESE.encode(),
        "ça a été un été à la française, déjà vu\n".encode("latin-1"),
        "Größe: für Straßen, Übermaß ändern\n".encode("latin-1"),
        "¿Dónde está la niña? Mañana, señor\n".encode("latin-1"),
        b"\xff\xfe\x00\x80",
        b"\x00\x01" + CHINESE.encode("gbk"),
        "好\n".encode("gbk"),
    ],
)
def test_other_text_is_not(data: bytes) -> None:
    assert not looks_like_gbk(data)
    assert found(data) == 0


def test_it_gives_up_after_much_that_is_something_else() -> None:
    other = "déjà vu\n".encode("latin-1")
    assert (
        found(other * (MAX_EXAMINED_BYTES // len(other.rstrip()) + 1), CHINESE.encode("gbk")) == 0
    )


@fewer(40)
@given(st.text())
def test_what_is_utf8_is_never_taken_for_it(text: str) -> None:
    data = text.encode("utf-8", "ignore")
    assert not any(looks_like_gbk(data[:place]) for place in range(len(data)))
    assert found(data) == 0


def test_few_looks_are_taken_however_short_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bytes] = []

    def look(line: bytes) -> bool:
        looks.append(line)
        return False

    monkeypatch.setattr(module, "looks_like_gbk", look)
    detector = GbkDetector(lambda: None)
    detector.feed(b"\xff\n" * 100_000)
    assert len(looks) == MAX_EXAMINED_BYTES // MIN_EXAMINED_BYTES
