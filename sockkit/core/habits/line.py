"""Splits a command line into options and words."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from sockkit.values import Value

# The options of each command, such as `chat serve`; "" is sockkit itself. True: with a value.
Grammar = Mapping[str, Mapping[str, bool]]
Takes = Callable[[str], "bool | None"]


class Flag(Value):
    """An option as it was written, with its value if it has one."""

    name: str
    value: str | None = None


class Line(Value):
    """`after` has, for each of `words`, the option without a value directly before it, or ""."""

    flags: list[Flag]
    words: list[str]
    after: list[str]


def split_command(words: Sequence[str], grammar: Grammar) -> tuple[str, Sequence[str]]:
    """The command that begins `words`, or an empty text, and the rest."""
    for size in (2, 1):
        name = " ".join(words[:size])
        if len(words) >= size and name and name in grammar:
            return name, words[size:]
    return "", words


def read(words: Sequence[str], takes: Takes) -> Line:
    """The options and the words of a line. `takes` says which options have a value.

    An option that it does not know is read without a value. An option that it knows is no value.
    """
    line = Line([], [], [])
    rest = deque(words)
    after = ""
    while rest:
        word = rest.popleft()
        if word == "--":
            _add_words(line, rest)
            break
        if word.startswith("--"):
            after = _long(line, word, rest, takes)
        elif word.startswith("-") and len(word) > 1:
            after = _cluster(line, word, rest, takes)
        else:
            line.words.append(word)
            line.after.append(after)
            after = ""
    return line


def _add_words(line: Line, words: Iterable[str]) -> None:
    for word in words:
        line.words.append(word)
        line.after.append("")


def _long(line: Line, word: str, rest: deque[str], takes: Takes) -> str:
    name, equals, value = word.partition("=")
    if takes(name):
        line.flags.append(Flag(name, value if equals else _value(rest, takes)))
        return ""
    line.flags.append(Flag(name, value if equals else None))
    return name


def _value(rest: deque[str], takes: Takes) -> str | None:
    """The next word, unless it is an option; -4 may be a number."""
    dashed = len(rest[0]) > 1 and rest[0].startswith("-") if rest else False
    if not rest or (dashed and takes(rest[0]) is not None and not rest[0][1:].isdigit()):
        return None
    return rest.popleft()


def _cluster(line: Line, word: str, rest: deque[str], takes: Takes) -> str:
    """Read the letters of `-lvnp`, the last of which may have a value."""
    for place, letter in enumerate(word[1:], 2):
        name = f"-{letter}"
        if takes(name):
            line.flags.append(Flag(name, word[place:] or _value(rest, takes)))
            return ""
        line.flags.append(Flag(name))
    return f"-{word[-1]}"
