"""How many columns of a terminal characters fill (UAX 11); 0 for characters that are not drawn."""

from __future__ import annotations

import unicodedata

# Letters without a column, or with an empty one: the vowels and final consonants of a Hangul
# syllable that is written in parts, and the fillers.
_UNSEEN_LETTERS = {*range(0x115F, 0x1200), *range(0xD7B0, 0xD800), 0x3164, 0xFFA0}


def width(text: str) -> int:
    """The columns of `text`. Combining marks have none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )  # fmt: skip


def width_alone(character: str) -> int:
    """The columns of a character that stands alone, 0 if it must not be shown there.

    Not shown are control characters, bidirectional controls, combining marks, characters without a
    width, spaces other than U+0020, and characters that are private or not assigned.
    """
    if not character.isprintable() or ord(character) in _UNSEEN_LETTERS:
        return 0
    if unicodedata.category(character)[0] == "M":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
