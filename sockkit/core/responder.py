"""What a responder answers: the same, in capitals, or what a rule says.

A rule is `PATTERN=ANSWER`. A glob has `*` and `?` and must match all of a message; a regular
expression is searched for, and its answer may have `\\1` and `\\g<name>`. `\\=` in a pattern is
an equals sign. A message is a datagram, or a line of a stream; its end is no part of it, and
ends the answer as well. What no rule matches is echoed.
"""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import translate
from typing import NamedTuple, Protocol

from sockkit.errors import UsageError

LONGEST = 64 * 1024  # bytes of a line that rules are asked about; a longer one comes in pieces

_SPLIT = re.compile(r"((?:[^=\\]|\\.)*)=(.*)", re.DOTALL)
_ENDS = (b"\r\n", b"\n")


class Rule(NamedTuple):
    """`expand`: the answer refers to what the pattern matched."""

    pattern: re.Pattern[str]
    answer: str
    expand: bool

    def respond(self, message: str) -> str | None:
        found = self.pattern.search(message)
        if not found:
            return None
        return found.expand(self.answer) if self.expand else self.answer


def parse_rule(text: str, *, regex: bool) -> Rule:
    """The rule that `text` is. Raises UsageError."""
    parts = _SPLIT.fullmatch(text)
    if not parts or not parts[1]:
        raise UsageError(f"{text!r} is not a rule", "write PATTERN=ANSWER")
    pattern, answer = parts[1], parts[2]
    if not regex:
        glob = translate(pattern.replace("\\=", "=").replace("[", "[[]"))
        return Rule(re.compile(rf"\A{glob}"), answer, False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a pattern may mean one day
            compiled = re.compile(pattern)
            compiled.sub(answer, "")  # an answer that refers to no group is found out here
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise UsageError(f"{text!r} is not a rule: {error}") from error
    return Rule(compiled, answer, True)


def parse_rules(text: str, name: str) -> list[Rule]:
    """The rules of the file `name`, one a line: globs, and `re:` before regular expressions.

    Empty lines and those that begin with `#` are left out. Raises UsageError, which names the
    line.
    """
    rules = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            rules.append(parse_rule(line.removeprefix("re:"), regex=line.startswith("re:")))
        except UsageError as error:
            raise UsageError(f"{name}, line {number}: {error}") from error
    return rules


_PIECES = re.compile(rb"[^\n]*\n|[^\n]+")


class Responder(Protocol):
    """Answers what one peer sends, in pieces of any size; `flush` at its end.

    `answer` is for a message that is whole.
    """

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The answers, which may be made one at a time: take them all before the next call."""
        ...

    def flush(self) -> Iterable[bytes]: ...

    def answer(self, message: bytes) -> bytes: ...


class Same:
    """Answers with what came, each line by itself, and what is there of one at once."""

    def feed(self, data: bytes) -> list[bytes]:
        return _PIECES.findall(data)

    def flush(self) -> list[bytes]:
        return []

    def answer(self, message: bytes) -> bytes:
        return message


class Upper:
    """The same in capitals. Bytes that are no text pass as they are."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")

    def feed(self, data: bytes) -> list[bytes]:
        return self._capitals(data, final=False)

    def flush(self) -> list[bytes]:
        return self._capitals(b"", final=True)

    def answer(self, message: bytes) -> bytes:
        return b"".join(self.feed(message) + self.flush())

    def _capitals(self, data: bytes, *, final: bool) -> list[bytes]:
        held = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(data, final)
            return _PIECES.findall(_capitals(text, self._encoding))
        except UnicodeError:  # of some encodings not every byte can be escaped
            self._decoder.reset()
            return [held + data]


class Ruled:
    """Answers lines by the first of `rules` that matches; others as they are, or in capitals."""

    def __init__(self, rules: Sequence[Rule], encoding: str, *, upper: bool = False) -> None:
        self._rules, self._encoding, self._upper = rules, encoding, upper
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            yield self.answer(line + b"\n")
        if len(self._held) > LONGEST:
            yield from self.flush()

    def flush(self) -> list[bytes]:
        held, self._held = self._held, b""
        return [self.answer(held)] if held else []

    def answer(self, message: bytes) -> bytes:
        """The answer to one message, with the end that the message has."""
        end = next((end for end in _ENDS if message.endswith(end)), b"")
        try:
            text = message[: len(message) - len(end)].decode(self._encoding, "surrogateescape")
            answers = (rule.respond(text) for rule in self._rules)
            answer = next((answer for answer in answers if answer is not None), None)
            if answer is not None:
                return answer.encode(self._encoding, "surrogateescape") + end
            return _capitals(text, self._encoding) + end if self._upper else message
        except UnicodeError:  # of some encodings not every byte can be escaped
            return message


def _capitals(text: str, encoding: str) -> bytes:
    """In capitals; a letter whose capital `encoding` lacks stays."""
    try:
        return text.upper().encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        if len(text) == 1:
            return text.encode(encoding, "surrogateescape")
        half = len(text) // 2
        return _capitals(text[:half], encoding) + _capitals(text[half:], encoding)
