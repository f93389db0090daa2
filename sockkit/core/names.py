"""Names in a chat room: what may be one, and which are the same to a reader's eye."""

from __future__ import annotations

import re
import unicodedata

from sockkit.errors import UsageError

WIDEST = 32  # columns
RESERVED = "server"

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
_UNSEEN = re.compile(  # drawn as nothing and no control characters, Default_Ignorable_Code_Point
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]"
    r"|[\U000e0100-\U000e01ef]"
)
_EMOJI = re.compile(r"(?<=[\u203c-\u3299\U0001f000-\U0001faff])\ufe0f")  # in colour
_FORBIDDEN = set("[]*:/@\\<>\"'`")


def key(name: str) -> str:
    """Equal for names that read the same: normalised (NFKC), case-folded, the unseen left out."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", folded))


def width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters have two, UAX 11."""
    return sum(
        0 if unicodedata.combining(character) else
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )  # fmt: skip


def check_name(name: str) -> str:
    """`name`, if it may be one. Raises UsageError that says what it must be."""
    if not name or width(name) > WIDEST or len(name) > 4 * WIDEST:
        raise UsageError(f"a name has 1 to {WIDEST} columns")
    kinds = {unicodedata.category(character)[0] for character in name}
    if "C" in kinds or "Z" in kinds:
        raise UsageError("a name has no spaces and no control characters")
    if _FORBIDDEN & set(name) or _FORBIDDEN & set(unicodedata.normalize("NFKC", name)):
        raise UsageError("a name has none of " + " ".join(sorted(_FORBIDDEN)))
    if not kinds & {"L", "N", "S"}:
        raise UsageError("a name has a letter, a digit or a symbol")
    if unicodedata.category(name[0])[0] == "M":
        raise UsageError("a name does not begin with a mark")
    if _UNSEEN.search(_EMOJI.sub("", name)):
        raise UsageError("a name has no characters that nobody sees")
    letters = filter(str.isalpha, unicodedata.normalize("NFKC", name))
    words = [unicodedata.name(letter, "").split(" ")[0] for letter in letters]
    if len({word for word in words if word in _ALPHABETS}) > 1:
        raise UsageError("a name does not mix alphabets that look alike")
    if key(name) in (RESERVED, "you"):
        raise UsageError(f"nobody is named {name}")
    return name
