"""Names in a chat room: what may be one, and which are the same to a reader's eye.

Two names that look alike cannot be there at once, nor can one that looks like the room's own:
their skeletons are compared, UTS 39 section 4. To name somebody, a name is typed as it is,
whatever its case and width.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable
from functools import cache, lru_cache

from sockkit.core.lookalikes import STACKERS, UNSEEN, prototypes
from sockkit.errors import UsageError

MAX_NAME_COLUMNS = 32
MAX_NAME_LENGTH = 4 * MAX_NAME_COLUMNS  # characters, with marks
MAX_MARKS = 4  # marks that take no column, on one letter, UTS 39 section 5.4
RESERVED = "server"

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
_EMOJI = re.compile(r"(?<=[\xa9\xae\u203c-\u3299\U0001f000-\U0001faff])\ufe0f")  # in colour
_MARKS = re.compile(r"([^\w\0-\x7f]{30})[^\w\0-\x7f]+")  # more than is a text's, UAX 15
_FORBIDDEN = set("[]*:/@\\<>\"'`")
_FRAME = set("[]*:")  # what the room's lines are told by


def key(name: str) -> str:
    """Equal for names that are written the same: normalised (NFKC), case-folded, none unseen.

    Takes a time that is linear in its length: of marks in a row, which normalising would sort,
    it keeps 30.
    """
    if name.isascii():
        return name.casefold()
    folded = unicodedata.normalize("NFKC", _MARKS.sub(r"\1", name)).casefold()
    return _one_of(UNSEEN).sub("", unicodedata.normalize("NFKC", folded))


@cache
def _one_of(characters: str) -> re.Pattern[str]:
    """Compiled when it is first used, which takes 4 ms: names in ASCII never need it."""
    return re.compile(f"[{characters}]")


@lru_cache(1024)
def looks(name: str) -> frozenset[str]:
    """What a name that is not too long looks like, in its own case and in the other.

    Two that share one of these look alike: `bob`, `b0b` and `BOB`; `Ian` and `lan`, but not `ian`
    and `lan`.
    """
    # Once more, for what has become lower case may look like something else.
    return frozenset(_skeleton(_skeleton(written)) for written in (name, key(name)))


def _skeleton(text: str) -> str:
    if not text.isascii():
        text = _one_of(UNSEEN + STACKERS).sub("", unicodedata.normalize("NFD", text))
    drawn = text.translate(prototypes())
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", drawn))
    return plain.translate(prototypes()).casefold()


class Names:
    """Who has which name."""

    def __init__(self) -> None:
        self._owners: dict[str, Hashable] = {}  # by key
        self._looks: dict[str, Hashable] = {}

    def find(self, name: str) -> Hashable | None:
        """Who has `name`, whatever its case and width."""
        return self._owners.get(key(name)) if len(name) <= MAX_NAME_LENGTH else None

    def taken(self, name: str, owner: Hashable | None = None) -> bool:
        """Whether somebody else than `owner` has a name that looks like it."""
        return any(self._looks.get(look, owner) != owner for look in looks(name))

    def check(self, name: str, owner: Hashable | None = None) -> None:
        """Raises UsageError unless `owner` may be called `name`."""
        check_name(name)
        if self.taken(name, owner):
            raise UsageError(f"{name} is taken")

    def add(self, name: str, owner: Hashable) -> None:
        """Call `owner` so: nobody has it."""
        self._owners[key(name)] = owner
        self._looks.update(dict.fromkeys(looks(name), owner))

    def remove(self, name: str) -> None:
        del self._owners[key(name)]
        for look in looks(name):
            del self._looks[look]


def width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters have two, UAX 11."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )  # fmt: skip


def check_name(name: str) -> str:
    """`name`, if it may be one. Raises UsageError that says what it must be."""
    if not name or len(name) > MAX_NAME_LENGTH or width(name) > MAX_NAME_COLUMNS:
        raise UsageError(f"a name has 1 to {MAX_NAME_COLUMNS} columns")
    plain = unicodedata.normalize("NFKC", name)
    if len(plain) > MAX_NAME_LENGTH:  # of letters that are whole phrases
        raise UsageError(f"a name has 1 to {MAX_NAME_COLUMNS} columns")
    _check_characters(name, plain)
    letters = filter(str.isalpha, "" if plain.isascii() else plain)
    words = [unicodedata.name(letter, "").split(" ")[0] for letter in letters]
    if len({word for word in words if word in _ALPHABETS}) > 1:
        raise UsageError("a name does not mix alphabets that look alike")
    if any(looks(name) & looks(reserved) for reserved in (RESERVED, "you")):
        raise UsageError(f"nobody is named {name}")
    return name


def _check_characters(name: str, plain: str) -> None:
    kinds = {unicodedata.category(character)[0] for character in name}
    if "C" in kinds or "Z" in kinds:
        raise UsageError("a name has no spaces and no control characters")
    if _FORBIDDEN & set(name) or _FORBIDDEN & set(plain):
        raise UsageError("a name has none of " + " ".join(sorted(_FORBIDDEN)))
    if not name.isascii() and any(map(_frames, name)):
        raise UsageError("a name has nothing that looks like one of " + " ".join(sorted(_FRAME)))
    if not name.isascii() and _one_of(UNSEEN).search(_EMOJI.sub("", name)):
        raise UsageError("a name has no characters that nobody sees")
    if not kinds & {"L", "N", "S"}:
        raise UsageError("a name has a letter, a digit or a symbol")
    if unicodedata.category(name[0])[0] == "M":
        raise UsageError("a name does not begin with a mark")
    if _most_marks(name) > MAX_MARKS:
        raise UsageError(f"a name has at most {MAX_MARKS} marks on a letter")


def _frames(character: str) -> bool:
    """Whether it looks like a sign that lines are told by, and is no letter that words need."""
    kind = unicodedata.category(character)
    looks_like = prototypes().get(ord(character), "")
    return (kind[0] in "PS" or kind == "Lm") and not _FRAME.isdisjoint(looks_like)


def _most_marks(name: str) -> int:
    """The longest run of marks that take no column of their own."""
    most = run = 0
    for character in unicodedata.normalize("NFD", name):
        stacked = unicodedata.category(character) in ("Mn", "Me")
        run = run + 1 if stacked or unicodedata.combining(character) else 0
        most = max(most, run)
    return most
