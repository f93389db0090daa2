"""Names in a chat room: which are valid, and which look alike.

Two members cannot have names that look alike, and none can have one that looks like the room's own:
names with a common skeleton, UTS 39 section 4. To find a member, only the case and the width of the
letters do not matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable
from functools import cache, lru_cache

from sockkit.core.lookalikes import INVISIBLE, STACKERS, prototypes
from sockkit.core.width import width
from sockkit.errors import UsageError

MAX_NAME_COLUMNS = 32
MAX_NAME_LENGTH = 4 * MAX_NAME_COLUMNS  # characters, including combining marks
MAX_MARKS = 4  # on one letter, of marks that have no column of their own, UTS 39 section 5.4
RESERVED = "server"
NOT_IN_ENCODING = "a name must be in the encoding of the room"  # it has backslash escapes instead
_MISLEADING = ("you", "operator", "sockkit")  # the room and the program speak of these

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
# The selector that has an emoji drawn in colour.
_EMOJI_SELECTOR = re.compile(r"(?<=[\xa9\xae\u203c-\u3299\U0001f000-\U0001faff])\ufe0f")
_MARKS = re.compile(r"([^\w\0-\x7f]{30})[^\w\0-\x7f]+")  # no real text has more, UAX 15
_FORBIDDEN = set("[]*:/@\\<>\"'`")
_DELIMITERS = set("[]*:")  # by which the lines of a room are recognised


def fold_name(name: str) -> str:
    """Equal for names that differ only in case, width and invisible characters (NFKC).

    Takes time in proportion to the length: it keeps 30 of consecutive marks, which normalising
    would sort.
    """
    if name.isascii():
        return name.casefold()
    folded = unicodedata.normalize("NFKC", _MARKS.sub(r"\1", name)).casefold()
    return _one_of(INVISIBLE).sub("", unicodedata.normalize("NFKC", folded))


@cache
def _one_of(characters: str) -> re.Pattern[str]:
    """A pattern for one of `characters`. Compiling takes 4 ms, and names in ASCII need none."""
    return re.compile(f"[{characters}]")


@lru_cache(1024)
def skeletons(name: str) -> frozenset[str]:
    """The skeletons of a name, as it is and in lower case. The name must not be too long.

    Two names look alike if they share one: `bob`, `b0b` and `BOB`; `Ian` and `lan`, but not `ian`
    and `lan`.
    """
    # Twice, as a letter that has become lower case may look like yet another one.
    return frozenset(_skeleton(_skeleton(written)) for written in (name, fold_name(name)))


def _skeleton(text: str) -> str:
    if not text.isascii():
        text = _one_of(INVISIBLE + STACKERS).sub("", unicodedata.normalize("NFD", text))
    drawn = text.translate(prototypes())
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", drawn))
    return plain.translate(prototypes()).casefold()


class Names:
    """The names in use, each with its owner."""

    def __init__(self) -> None:
        self._owners: dict[str, Hashable] = {}  # by the folded name
        self._skeleton_owners: dict[str, Hashable] = {}

    def find(self, name: str) -> Hashable | None:
        """The owner of `name`; the case and width of its letters do not matter."""
        return self._owners.get(fold_name(name)) if len(name) <= MAX_NAME_LENGTH else None

    def in_use(self, name: str, owner: Hashable | None = None) -> bool:
        """Whether anybody but `owner` has a name that looks like `name`."""
        owners = self._skeleton_owners
        return any(owners.get(skeleton, owner) != owner for skeleton in skeletons(name))

    def check(self, name: str, owner: Hashable | None = None) -> None:
        """Raises UsageError unless `owner` may have `name`."""
        check_name(name)
        if self.in_use(name, owner):
            raise UsageError(f'the name "{name}" is taken')

    def add(self, name: str, owner: Hashable) -> None:
        """Make `owner` the owner of `name`, which must not be in use."""
        self._owners[fold_name(name)] = owner
        self._skeleton_owners.update(dict.fromkeys(skeletons(name), owner))

    def remove(self, name: str) -> None:
        del self._owners[fold_name(name)]
        for skeleton in skeletons(name):
            del self._skeleton_owners[skeleton]


def check_name(name: str) -> str:
    """`name`, if it is valid. Raises UsageError, which says what is wrong with it."""
    if not name or len(name) > MAX_NAME_LENGTH or width(name) > MAX_NAME_COLUMNS:
        raise UsageError(f"a name must be 1 to {MAX_NAME_COLUMNS} columns wide")
    plain = unicodedata.normalize("NFKC", name)
    if len(plain) > MAX_NAME_LENGTH:  # some characters are compatible with whole phrases
        raise UsageError(f"a name must be 1 to {MAX_NAME_COLUMNS} columns wide")
    _check_characters(name, plain)
    letters = filter(str.isalpha, "" if plain.isascii() else plain)
    words = [unicodedata.name(letter, "").split(" ")[0] for letter in letters]
    if len({word for word in words if word in _ALPHABETS}) > 1:
        raise UsageError("a name cannot mix alphabets whose letters look alike")
    if any(skeletons(name) & skeletons(reserved) for reserved in (RESERVED, *_MISLEADING)):
        raise UsageError(f'the name "{name}" is reserved')
    return name


def _check_characters(name: str, plain: str) -> None:
    kinds = {unicodedata.category(character)[0] for character in name}
    if "C" in kinds or "Z" in kinds:
        raise UsageError("a name cannot contain spaces or invisible characters")
    if "\\x" in name:
        raise UsageError(NOT_IN_ENCODING)
    if _FORBIDDEN & set(name) or _FORBIDDEN & set(plain):
        raise UsageError("a name cannot contain any of " + " ".join(sorted(_FORBIDDEN)))
    if not name.isascii() and any(map(_like_a_delimiter, name)):
        raise UsageError(
            "a name cannot contain anything that looks like one of " + " ".join(sorted(_DELIMITERS))
        )
    if not name.isascii() and _one_of(INVISIBLE).search(_EMOJI_SELECTOR.sub("", name)):
        raise UsageError("a name cannot contain invisible characters")
    if not kinds & {"L", "N", "S"}:
        raise UsageError("a name must contain a letter, a digit or a symbol")
    if unicodedata.category(name[0])[0] == "M":
        raise UsageError("a name cannot begin with a combining mark")
    if _longest_run_of_marks(name) > MAX_MARKS:
        raise UsageError(f"a name can have at most {MAX_MARKS} combining marks on a letter")


def _like_a_delimiter(character: str) -> bool:
    """Whether it looks like one of _DELIMITERS, and is not a letter that words need."""
    kind = unicodedata.category(character)
    looks_like = prototypes().get(ord(character), "")
    return (kind[0] in "PS" or kind == "Lm") and not _DELIMITERS.isdisjoint(looks_like)


def _longest_run_of_marks(name: str) -> int:
    """The length of the longest run of marks that have no column of their own."""
    longest = run = 0
    for character in unicodedata.normalize("NFD", name):
        stacked = unicodedata.category(character) in ("Mn", "Me")
        run = run + 1 if stacked or unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest
