"""A line typed with an input method of Chinese or Japanese, or pasted from a page: in ASCII.

Such a line has a full-width colon for a colon, or a long dash for the dashes of an option. A long
option with one dash only, as in other programs, gets its second.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

# U+FF01 to U+FF5E are the full-width forms of "!" to "~", then come the full stop and the comma
# of Chinese.
_MARKS = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_MARKS |= {ord("\u3002"): ".", ord("\u3001"): ","}
# Marks that mean nothing in a line: the space, the semicolon and the parentheses of Chinese.
_NEEDLESS = "\u3000\uff1b\uff08\uff09"
# Hyphens, the dashes that editors make of them, the minus sign, and their full-width forms.
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d"
_BEGINNING = re.compile(f"[-{DASHES}]+")


def in_ascii(words: Sequence[str], options: Container[str]) -> tuple[list[str], str]:
    """`words` as they were meant, and why; the reason is empty if they were typed so.

    `options` are the names of all options, by which the dashes of a name are one or two, and of
    all commands. Text that is not ASCII in any case is left alone.
    """
    whole = [part for word in words for part in _split(word, options)]
    meant = [_option(word, options) or _plain(word) for word in whole]
    changed = next((pair for pair in zip(whole, meant, strict=True) if pair[0] != pair[1]), None)
    if whole != [*words]:
        mark = next(mark for word in words for mark in word if mark in _NEEDLESS)
        shown = "the full-width space" if mark == "\u3000" else repr(mark)
        return meant, f"{shown} does not belong here"
    return meant, _why(*changed) if changed else ""


def _split(word: str, options: Container[str]) -> list[str]:
    """`word` without needless marks, if the rest of it can be ASCII."""
    parts = list(filter(None, re.split(f"[{_NEEDLESS}]+", word)))
    meant = all(part in options or _may_be_address(part) for part in parts)
    return parts if parts and meant else [word]


def _may_be_address(word: str) -> bool:
    """Whether `word` may belong to an address or be an option: text to send is left alone."""
    plain = _plain(word)
    return plain.isascii() and (plain[:1] == "-" or not {*".:0123456789"}.isdisjoint(plain))


def _option(word: str, options: Container[str]) -> str:
    """`word` with the dashes of an option; empty if it begins with none, or with `-` alone."""
    begins = _BEGINNING.match(word)
    if is_half_dashed(word, options):
        return f"-{word}"
    if not begins:
        return ""
    if begins[0].isascii():
        name, equals, value = word.partition("\uff1d")
        return f"{name}={value}" if equals and name in options else ""
    name, equals, value = word[begins.end() :].partition("=")
    name = _plain(name)
    long = len(begins[0]) > 1 or f"--{name.partition('=')[0]}" in options
    return f"{'--' if long else '-'}{name}{equals}{_plain(value)}"


def is_half_dashed(word: str, options: Container[str]) -> bool:
    """Whether `word` is a long option with one dash."""
    return word[:1] == "-" != word[1:2] and f"-{word.partition('=')[0]}" in options


def _plain(word: str) -> str:
    plain = re.sub(f"[{DASHES}]", "-", word.translate(_MARKS))
    return plain if plain.isascii() else word


def _why(word: str, meant: str) -> str:
    if word.isascii():
        return f"{word.partition('=')[0]} needs two dashes"
    wrong = next(letter for letter in word if not letter.isascii())
    return f"{wrong!r} is not {'-' if wrong in DASHES else wrong.translate(_MARKS)!r}"
