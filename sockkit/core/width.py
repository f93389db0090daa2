"""How many columns of a terminal characters fill: UAX 11, and 0 for what is not drawn."""

from __future__ import annotations

import unicodedata

# Letters that have no column of their own, or none that can be seen: the vowels and the final
# consonants of a Hangul syllable that is written in parts, and the fillers.
_UNSEEN_LETTERS = {*range(0x115F, 0x1200), *range(0xD7B0, 0xD800), 0x3164, 0xFFA0}


def width(text: str) -> int:
    """Columns of `text`, whose combining marks have none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )  # fmt: skip


def width_alone(character: str) -> int:
    """Columns of a character that stands alone, 0 if it is not to be shown there.

    Not shown are controls, bidirectional controls, combining marks, whatever has no width, spaces
    but the usual one, and characters that are private or not assigned.
    """
    if not character.isprintable() or ord(character) in _UNSEEN_LETTERS:
        return 0
    if unicodedata.category(character)[0] == "M":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
