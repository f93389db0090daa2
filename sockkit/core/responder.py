"""What a responder answers: the same, in capitals, or what a rule says.

A rule is `PATTERN=ANSWER`. A glob has `*` and `?` and must match all of a message; a regular
expression is searched for, and its answer may have `\\1` and `\\g<name>`. `\\=` in a pattern is
an equals sign. A message is a datagram, or a line of a stream; its end is no part of it, and
ends the answer as well. What no rule matches is echoed.

What a message costs is bounded, whatever a peer sends. A glob takes time in proportion to it.
Regular expressions are Python's, run by the package `regex`, for its search can be given a
time and Python's own cannot.
"""

from __future__ import annotations

import codecs
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from sockkit.errors import UsageError
from sockkit.values import Value

if TYPE_CHECKING:
    import regex as engine

MESSAGE_TIME = 0.010  # seconds that the regular expressions have for a message, together
LONGEST = 64 * 1024  # bytes of a line that rules are asked about; a longer one comes in pieces

ESCAPED = 4096  # bytes at once of which each may have to be escaped: that takes 1 us a byte

_SPLIT = re.compile(r"((?:[^=\\]|\\.)*)=(.*)", re.DOTALL)
_ENDS = (b"\r\n", b"\n")
_FAST = (
    "utf-8",
    "ascii",
)  # encodings in which escaping takes no time, and capitals are never lacking


class Rule(Value):
    """A glob's `pattern`, or a regular expression's `search`, whose answer may refer to groups."""

    pattern: re.Pattern[str]
    answer: str
    search: engine.Pattern[str] | None = None

    def respond(self, message: str, seconds: float = MESSAGE_TIME) -> str | None:
        """The answer, if it matches. Raises TimeoutError where that took `seconds`."""
        if not self.search:
            return self.answer if self.pattern.search(message) else None
        found = self.search.search(message, timeout=seconds)
        return found.expand(self.answer) if found else None


def parse_rule(text: str, *, regex: bool) -> Rule:
    """The rule that `text` is. Raises UsageError."""
    parts = _SPLIT.fullmatch(text)
    if not parts or not parts[1]:
        raise UsageError(f"{text!r} is not a rule", "write PATTERN=ANSWER")
    pattern, answer = parts[1], parts[2]
    if not regex:
        from fnmatch import translate

        glob = translate(pattern.replace("\\=", "=").replace("[", "[[]"))
        return Rule(re.compile(rf"\A{glob}"), answer)
    try:
        import regex as engine

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a pattern may mean one day
            # What Python would not take is no rule either, and Python's reason is the clearer.
            compiled = re.compile(pattern)
            compiled.sub(answer, "")  # an answer that refers to no group is found out here
            return Rule(compiled, answer, engine.compile(pattern))
    except (re.error, engine.error, IndexError, OverflowError, RecursionError) as error:
        raise UsageError(f"{text!r} is not a rule: {error}") from error


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
        self._fast = _is_fast(encoding)
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self._fast or len(data) <= ESCAPED:
            return self._capitals(data, final=False)
        places = range(0, len(data), ESCAPED)
        pieces = (self._capitals(data[at : at + ESCAPED], final=False) for at in places)
        return chain.from_iterable(pieces)

    def flush(self) -> list[bytes]:
        return self._capitals(b"", final=True)

    def answer(self, message: bytes) -> bytes:
        try:
            return _capitals(_decoded(message, self._encoding, self._fast), self._encoding)
        except UnicodeError:  # of some encodings not every byte can be escaped
            return message

    def _capitals(self, data: bytes, *, final: bool) -> list[bytes]:
        held = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(data, final)
            return _PIECES.findall(_capitals(text, self._encoding))
        except UnicodeError:  # of some encodings not every byte can be escaped
            self._decoder.reset()
            return [held + data]


class Ruled:
    """Answers lines by the first of `rules` that matches; others as they are, or in capitals.

    By `clock`, in seconds, the regular expressions have MESSAGE_TIME for a message. What runs
    out of it has not matched, and `timed_out` is told.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        encoding: str,
        *,
        upper: bool = False,
        clock: Callable[[], float] = lambda: 0.0,
        timed_out: Callable[[Rule], None] = lambda rule: None,
    ) -> None:
        self._rules, self._encoding, self._upper = rules, encoding, upper
        self._clock, self._timed_out = clock, timed_out
        self._fast = _is_fast(encoding)
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        held, looked = self._held, len(self._held)  # no line ends in what was looked at
        held += data
        begin = 0
        while begin < len(held):
            most = begin + LONGEST + 1
            end = held.find(b"\n", max(begin, looked), most) + 1 or most
            if end > len(held):
                break
            yield self.answer(bytes(held[begin:end]))
            begin = end
        del held[:begin]

    def flush(self) -> list[bytes]:
        held, self._held = bytes(self._held), bytearray()
        return [self.answer(held)] if held else []

    def answer(self, message: bytes) -> bytes:
        """The answer to one message, with the end that the message has."""
        end = next((end for end in _ENDS if message.endswith(end)), b"")
        try:
            text = _decoded(message[: len(message) - len(end)], self._encoding, self._fast)
            answer = self._match(text)
            if answer is not None:
                return answer.encode(self._encoding, "surrogateescape") + end
            return _capitals(text, self._encoding) + end if self._upper else message
        except UnicodeError:  # of some encodings not every byte can be escaped
            return message

    def _match(self, text: str) -> str | None:
        """The answer of the first rule that matches `text` in time."""
        end: float | None = None
        for rule in self._rules:
            seconds = MESSAGE_TIME
            if rule.search:
                now = self._clock()
                end = now + MESSAGE_TIME if end is None else end
                seconds = end - now
                if seconds <= 0:
                    continue
            try:
                if (answer := rule.respond(text, seconds)) is not None:
                    return answer
            except TimeoutError:
                end = -math.inf
                self._timed_out(rule)
        return None


def _is_fast(encoding: str) -> bool:
    return codecs.lookup(encoding).name in _FAST


def _decoded(data: bytes, encoding: str, fast: bool) -> str:
    """As text. Raises UnicodeError where that would take long: for much that is no text."""
    return data.decode(encoding, "surrogateescape" if fast or len(data) <= ESCAPED else "strict")


def _capitals(text: str, encoding: str) -> bytes:
    """In capitals; a letter whose capital `encoding` lacks stays."""
    try:
        return text.upper().encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        letters = {ord(letter): _capital(letter, encoding) for letter in set(text)}
        return text.translate(letters).encode(encoding, "surrogateescape")


def _capital(letter: str, encoding: str) -> str:
    capital = letter.upper()
    try:
        return capital if capital == letter or capital.encode(encoding) else letter
    except UnicodeEncodeError:
        return letter
