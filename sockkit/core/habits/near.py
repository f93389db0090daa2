"""The message for an unknown option or command that is no habit of another tool."""

from __future__ import annotations

from collections.abc import Iterable

from sockkit.core.address import MAX_PORT
from sockkit.core.habits.line import Grammar
from sockkit.core.habits.table import WHY_NOT

_SHORT = 5  # letters; two mistakes in such a short word make another word
_LISTED = 5  # commands that a message names
_BEGUN = 3  # letters that an abbreviation must have


def unknown_option(command: str, name: str, grammar: Grammar) -> tuple[str, bool]:
    """The message, and whether it says what to write."""
    why = next((why for start, option, why in WHY_NOT if _is(command, start, option, name)), "")
    if why:
        return f"{command} has no {name}: {why}", True
    having = [other for other, options in grammar.items() if name in options and other]
    if having:
        verb = "have" if len(having) > 1 else "has"
        told = f"{command} has no {name};" if command else f"{name} comes after a command:"
        return f"{told} {_listed(having)} {verb} it", True
    if name[1:].isdigit():
        return f"{name!r} is not a port: give 1 to {MAX_PORT}", True
    told = f"{command} has no {name}" if command else f"no option {name}"
    near = nearest(name, grammar.get(command, ()))
    return (f"{told}: did you mean {near}?", True) if near else (told, False)


def _is(command: str, start: str, option: str, name: str) -> bool:
    return command.startswith(start) and option == name


def _listed(names: list[str]) -> str:
    if len(names) > _LISTED:
        names = [*names[: _LISTED - 1], f"{len(names) - _LISTED + 1} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def unknown_command(name: str, names: Iterable[str]) -> tuple[str, bool]:
    """The message, and whether it says what to write."""
    near = nearest(name, names)
    told = f"no command {name!r}"
    return (f"{told}: did you mean {near}?", True) if near else (told, False)


def nearest(word: str, words: Iterable[str]) -> str:
    """The only one of `words` that `word` begins, or one that it could be a typo of; or ""."""
    words = [*words]
    bare = _bare(word)
    begun = [other for other in words if len(bare) >= _BEGUN and _bare(other).startswith(bare)]
    if len(begun) == 1:
        return begun[0]
    close = sorted(
        (distance(bare, _bare(other)), other)
        for other in words
        if len(other) > 2 and abs(len(other) - len(word)) < 3
    )
    return close[0][1] if close and close[0][0] <= (1 if len(bare) <= _SHORT else 2) else ""


def _bare(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")


def distance(one: str, other: str) -> int:
    """How many letters to insert, delete, change or swap with the next one."""
    before: list[int] = []
    row: list[int] = [*range(len(other) + 1)]
    for at, letter in enumerate(one):
        before, last, row = row, before, [at + 1]
        for place, mate in enumerate(other):
            cost = min(row[-1] + 1, before[place + 1] + 1, before[place] + (letter != mate))
            if at and place and (letter, one[at - 1]) == (other[place - 1], mate):
                cost = min(cost, last[place - 1] + 1)
            row.append(cost)
    return row[-1]
