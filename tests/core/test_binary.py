from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.binary import binary_detector
from tests.support import splits

TEXT = "你好，世界！ça va\t\x1b[31mred\x1b[0m 👋\r\n"


def found(*pieces: bytes, encoding: str = "utf-8") -> int:
    """How often it is told."""
    told: list[bool] = []
    if detector := binary_detector(encoding, lambda: told.append(True)):
        for piece in pieces:
            detector.feed(piece)
    return len(told)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain\ttext\r\n" * 100,
        TEXT.encode(),
        "你好，世界\n".encode("gbk"),
        "好".encode("gbk"),
        b"bell \a back\b\x7f form \f feed \v\n",
        "你好".encode("iso2022_jp", "ignore"),
    ],
)
def test_text_is_not(data: bytes) -> None:
    for pieces in splits(data[:60]):
        assert found(*pieces) == 0
    assert found(data) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"text\x00\n",
        b"\x01\x03\x00\x0a",
        b"\xff\xfe",
        b"\x80\x81\xff\n",
        "déjà vu\n".encode("latin-1"),
        TEXT.encode() + b"\x02",
        bytes(range(256)),
    ],
)
def test_other_bytes_are_told_once(data: bytes) -> None:
    for pieces in splits(data[:60]):
        assert found(*pieces, data) == 1


@given(st.text(st.characters(min_codepoint=32)))
def test_utf8_is_text_wherever_it_is_cut(text: str) -> None:
    data = text.encode("utf-8", "ignore")
    assert found(*(bytes([byte]) for byte in data)) == 0


@pytest.mark.parametrize(
    ("encoding", "data", "times"),
    [
        ("gbk", b"\x01\x03", 1),
        ("gbk", b"\xff\xff\xff", 0),  # it is shown as it cannot be decoded
        ("cp1252", "déjà vu\n".encode("latin-1"), 0),
        ("utf-16-le", "AB\n".encode("utf-16-le"), 0),
        ("utf-32", "AB\n".encode("utf-32"), 0),
    ],
)
def test_with_another_encoding_control_characters_tell(
    encoding: str, data: bytes, times: int
) -> None:
    assert found(data, encoding=encoding) == times
