"""The answers of `sockkit echo`: the same bytes, the same text in capitals, or by rules.

A rule is `PATTERN=ANSWER`. A glob has `*` and `?` and must match a whole message. A regular
expression may match anywhere in it, and its answer may refer to groups by `\\1` and `\\g<name>`.
`\\=` in a pattern is an equals sign. A message is a datagram, a line of a stream, or a frame of it
(framed_responder.py). The line end is not part of the message, and also ends the answer. A message
that no rule matches is echoed.

The time for a message is bounded, whatever a peer sends. A glob takes time in proportion to the
message. Regular expressions have Python's syntax and are run by the package `regex`, whose search
has a timeout.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from sockkit.errors import UsageError
from sockkit.values import Value

if TYPE_CHECKING:
    import regex as engine

    from sockkit.core.rule_notation import RuleReader

MESSAGE_TIME = 0.010  # seconds of all regular expressions together for one message, tried twice
MAX_MESSAGE_BYTES = 64 * 1024  # a longer line is several messages

MAX_ESCAPED_BYTES = 4096  # decoded at once if bytes may need escaping, which takes 1 µs each

_SPLIT = re.compile(r"((?:[^=\\]|\\.)*)=(.*)", re.DOTALL)
_ENDS = (b"\r\n", b"\n")
_FAST = ("utf-8", "ascii")  # encodings in which escaping is fast


class Rule(Value):
    """A glob or a regular expression, and its answer. `search` is None for a glob."""

    pattern: re.Pattern[str]
    answer: str
    search: engine.Pattern[str] | None = None

    def respond(self, message: str, seconds: float = MESSAGE_TIME) -> str | None:
        """The answer if the rule matches, else None. Raises TimeoutError as `search` does."""
        if not self.search:
            return self.answer if self.pattern.search(message) else None
        from sockkit.core.patterns import search  # which compiled the pattern

        found = search(self.search, message, seconds)
        return found.expand(self.answer) if found else None


def parse_rule(text: str, *, regex: bool, reader: RuleReader | None = None) -> Rule:
    """The rule `text`, with a regular expression or a glob. Raises UsageError.

    `reader` reads globs and answers that are written in hexadecimal or with escapes.
    """
    parts = _SPLIT.fullmatch(text)
    if not parts or not parts[1]:
        raise UsageError(
            f"{text!r} is not a rule",
            "write PATTERN=ANSWER" + ("" if regex else ", or '*=ANSWER' for every message"),
        )
    pattern, answer = parts[1], parts[2]
    if not regex:
        from fnmatch import translate

        glob = pattern.replace("\\=", "=").replace("[", "[[]")
        if reader:
            glob, answer = reader.glob(pattern), reader.answer(answer, parts.start(2))
        return Rule(re.compile(rf"\A{translate(glob)}"), answer)
    if reader:
        answer = reader.template(answer, parts.start(2))
    from sockkit.core.patterns import compile_pattern

    try:
        compiled, search = compile_pattern(pattern)
        compiled.sub(answer, "")  # raises if the answer refers to a group that does not exist
    except (UsageError, re.error, IndexError, OverflowError, RecursionError) as error:
        raise UsageError(f"{text!r} is not a rule: {error}") from error
    return Rule(compiled, answer, search)


def parse_rules(text: str, name: str, reader: RuleReader | None = None) -> list[Rule]:
    """The rules of the file `name`, one on a line. `re:` begins a regular expression.

    Ignores empty lines and those that begin with `#`. Raises UsageError, which names the line.
    """
    rules = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            regex = line.startswith("re:")
            rules.append(parse_rule(line.removeprefix("re:"), regex=regex, reader=reader))
        except UsageError as error:
            raise UsageError(f"{name}, line {number}: {error}") from error
    if not rules:
        raise UsageError(f"{name} has no rules", "write PATTERN=ANSWER in each line")
    return rules


_PIECES = re.compile(rb"[^\n]*\n|[^\n]+")


class Responder:
    """Answers the bytes of one peer, fed in pieces of any size. Call `flush` at the end of input.

    `answer` is for one whole message.
    """

    @property
    def due(self) -> float | None:
        """When `expire` is to be called, unless more is fed before; None for never."""
        return None

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The answers, which may be made lazily: read all of them before the next call."""
        raise NotImplementedError

    def expire(self) -> Iterable[bytes]:
        """The answers to messages that a silence has completed."""
        return ()

    def flush(self) -> Iterable[bytes]:
        raise NotImplementedError

    def answer(self, message: bytes) -> bytes:
        raise NotImplementedError


class EchoResponder(Responder):
    """Answers each line, or piece of a line, with itself."""

    def feed(self, data: bytes) -> list[bytes]:
        return _PIECES.findall(data)

    def flush(self) -> list[bytes]:
        return []

    def answer(self, message: bytes) -> bytes:
        return message


class UpperResponder(Responder):
    """Answers in capitals. Bytes that are not text in `encoding` are echoed as they are."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._fast = _is_fast(encoding)
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self._fast or len(data) <= MAX_ESCAPED_BYTES:
            return self._capitals(data, final=False)
        places = range(0, len(data), MAX_ESCAPED_BYTES)
        pieces = (self._capitals(data[at : at + MAX_ESCAPED_BYTES], final=False) for at in places)
        return chain.from_iterable(pieces)

    def flush(self) -> list[bytes]:
        return self._capitals(b"", final=True)

    def answer(self, message: bytes) -> bytes:
        try:
            return _capitals(_decoded(message, self._encoding, self._fast), self._encoding)
        except UnicodeError:  # some encodings cannot escape every byte
            return message

    def _capitals(self, data: bytes, *, final: bool) -> list[bytes]:
        held = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(data, final)
            return _PIECES.findall(_capitals(text, self._encoding))
        except UnicodeError:  # some encodings cannot escape every byte
            self._decoder.reset()
            return [held + data]


class RuleResponder(Responder):
    """Answers a line by the first of `rules` that matches. Echoes other lines, `upper` in capitals.

    All regular expressions together have MESSAGE_TIME for one message. `clock` returns seconds. A
    rule that takes longer does not match, and `timed_out` is called with it.
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
        held, searched = self._held, len(self._held)  # no line ends in the bytes already held
        held += data
        begin = 0
        while begin < len(held):
            max_end = begin + MAX_MESSAGE_BYTES + 1
            end = held.find(b"\n", max(begin, searched), max_end) + 1 or max_end
            if end > len(held):
                break
            yield self.answer(bytes(held[begin:end]))
            begin = end
        del held[:begin]

    def flush(self) -> list[bytes]:
        held, self._held = bytes(self._held), bytearray()
        return [self.answer(held)] if held else []

    def answer(self, message: bytes) -> bytes:
        """The answer to one message, with the same line end."""
        end = next((end for end in _ENDS if message.endswith(end)), b"")
        try:
            text = _decoded(message[: len(message) - len(end)], self._encoding, self._fast)
            answer = self._match(text)
            if answer is not None:
                return answer.encode(self._encoding, "surrogateescape") + end
            return _capitals(text, self._encoding) + end if self._upper else message
        except UnicodeError:  # some encodings cannot escape every byte
            return message

    def _match(self, text: str) -> str | None:
        """The answer of the first rule that matches `text` in time; None if none does."""
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
    """The text of `data`. Raises UnicodeError for large data that is not text: escaping is slow."""
    return data.decode(
        encoding, "surrogateescape" if fast or len(data) <= MAX_ESCAPED_BYTES else "strict"
    )


def _capitals(text: str, encoding: str) -> bytes:
    """`text` in capitals, encoded. A letter stays if `encoding` does not have its capital."""
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
