"""Tests of sockkit.core.width."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from wcwidth import wcwidth

from sockkit.core.width import width, width_alone


def test_the_width_of_a_text() -> None:
    assert [width(text) for text in ("abc", "你好", "e\u0301", "")] == [3, 4, 1, 0]


@pytest.mark.parametrize(
    ("character", "columns"),
    [("a", 1), (" ", 1), ("é", 1), ("你", 2), ("，", 2), ("ｱ", 1), ("😀", 2), ("א", 1), ("─", 1)],
)
def test_a_character_that_is_shown(character: str, columns: int) -> None:
    assert width_alone(character) == columns


@pytest.mark.parametrize(
    "code",
    [
        *(0x00, 0x07, 0x09, 0x0A, 0x1B, 0x7F, 0x9B),  # controls
        *(0x061C, 0x200E, 0x202E, 0x2066, 0x2069),  # bidirectional controls
        *(0x0301, 0x0903, 0x20DD, 0xFE0F),  # combining marks
        *(0xAD, 0x200B, 0x200D, 0x2060, 0xFEFF),  # no width
        *(0x115F, 0x1160, 0x11A8, 0x3164, 0xFFA0),  # parts of syllables, and fillers
        *(0xA0, 0x3000, 0x2028, 0x2029),  # spaces and separators
        *(0xE000, 0x0378, 0xFFFF, 0xDCFF),  # private, not assigned, no character, a surrogate
    ],
)
def test_a_character_that_is_not(code: int) -> None:
    assert width_alone(chr(code)) == 0


def test_a_terminals_library_agrees_about_all_that_is_shown() -> None:
    """But for the symbols that Unicode 16 has made wide, which Python may not know yet."""
    shown = [
        character for character in map(chr, range(sys.maxunicode + 1)) if width_alone(character)
    ]
    wrong = [character for character in shown if width_alone(character) != wcwidth(character)]
    assert len(wrong) < 250
    assert all((width_alone(character), wcwidth(character)) == (1, 2) for character in wrong)
    assert all(unicodedata.category(character) in ("So", "No") for character in wrong)
