"""Merges what peers send into one output, by whole lines or whole frames, with optional labels.

A splitter holds what one peer sends until its line or frame is complete, and a `Merger` writes what
comes out. So two peers never share a line or a frame, unless one of them pauses within it: then the
held bytes are released. With labels each line begins with its peer's label, and an unfinished line
is ended before another peer's bytes. Without labels no byte is added, so another peer's bytes can
follow in an unfinished line.

Frames are found in the bytes on the wire, lines in the text that the transform makes of these. Each
frame begins with a label, and a line end follows it. Further lines within a frame are indented, so
that nothing in them can be taken for a label.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from sockkit.errors import TextError, without_traceback

if TYPE_CHECKING:
    from sockkit.core.frames import Frame, Framer, FrameRule
    from sockkit.core.text import Transform

MAX_HELD_LINE_BYTES = 64 * 1024  # of one peer

INDENT = b"    "  # of further lines of a frame; a label begins with [


class Part(NamedTuple):
    """Bytes to write. If `whole`, a frame with this mark ends after them."""

    data: bytes
    whole: bool = False
    mark: str = ""


class Splitter:
    """Holds what one peer sends until it is complete. `transform` converts it to text.

    `problem` is set when bytes cannot be converted. All bytes after these are dropped. If `pause`
    is set, a silence of so many seconds ends a frame.
    """

    pause: float | None = None

    def __init__(self, transform: Transform | None = None) -> None:
        self._transform = transform
        self.problem: TextError | None = None

    @property
    def held(self) -> int:
        """How many bytes are held."""
        raise NotImplementedError

    def feed(self, data: bytes, now: float = 0.0) -> list[Part]:
        """The parts of the held bytes and `data` that may be written now."""
        raise NotImplementedError

    def release(self, now: float = 0.0) -> list[Part]:
        """All that is held, although it is not complete."""
        raise NotImplementedError

    def flush(self) -> list[Part]:
        """The parts that the end of the peer's side completes. More may still be held."""
        raise NotImplementedError

    def _text(self, data: bytes) -> bytes:
        """The text of `data`; no data means the end."""
        if self.problem or not self._transform:
            return b"" if self.problem else data
        try:
            return self._transform.feed(data) if data else self._transform.flush()
        except TextError as error:
            self.problem = without_traceback(error)
            return error.before


class Lines(Splitter):
    """Holds a line until it is complete or grows past MAX_HELD_LINE_BYTES."""

    def __init__(self, transform: Transform | None = None) -> None:
        super().__init__(transform)
        self._held = bytearray()

    @property
    def held(self) -> int:
        return len(self._held)

    def feed(self, data: bytes, now: float = 0.0) -> list[Part]:
        return self._split(self._text(data))

    def release(self, now: float = 0.0) -> list[Part]:
        held, self._held = bytes(self._held), bytearray()
        return [Part(held)] if held else []

    def flush(self) -> list[Part]:
        return self._split(self._text(b""))

    def _split(self, data: bytes) -> list[Part]:
        end = data.rfind(b"\n") + 1
        if len(data) - end + (0 if end else len(self._held)) > MAX_HELD_LINE_BYTES:
            end = len(data)
        if not end:
            self._held += data
            return []
        whole, self._held = bytes(self._held) + data[:end], bytearray(data[end:])
        return [Part(whole)]


class Frames(Splitter):
    """Holds a frame until it is complete, or until `framer` releases it."""

    def __init__(self, framer: Framer, transform: Transform | None = None) -> None:
        super().__init__(transform)
        self._framer, self.pause = framer, framer.pause
        self._released = 0  # bytes that the framer still holds

    @property
    def held(self) -> int:
        return self._framer.held - self._released

    def feed(self, data: bytes, now: float = 0.0) -> list[Part]:
        return self._parts(self._framer.feed(data, now))

    def release(self, now: float = 0.0) -> list[Part]:
        parts = self._parts(self._framer.expire(now))
        if rest := self._framer.pending(self._released):
            self._released += len(rest)
            parts.append(Part(self._text(rest)))
        return parts

    def flush(self) -> list[Part]:
        parts = self._parts(self._framer.flush())
        last = self._text(b"")
        return [*parts, Part(last, whole=True)] if last else parts

    def _parts(self, frames: Iterable[Frame]) -> list[Part]:
        parts = []
        for data, mark in frames:
            rest = data[self._released :]
            self._released -= len(data) - len(rest)
            parts.append(Part(self._text(rest) if rest else b"", whole=True, mark=mark))
        return parts


def splitter(rule: FrameRule | None, transform: Transform | None) -> Splitter:
    """Splits what one peer sends into frames by `rule`, or into lines without one."""
    return Frames(rule.framer(), transform) if rule else Lines(transform)


class Merger:
    """Writes the parts of all peers. `key` identifies a peer. A `label` may be empty.

    Each line has a label, or each frame if `framed`.
    """

    def __init__(self, *, framed: bool = False) -> None:
        self._framed = framed
        self._unfinished: Hashable | None = None

    def write(self, key: Hashable, label: bytes, parts: list[Part]) -> bytes:
        """The output for `parts` of the peer `key`."""
        if not label:
            return b"".join([part.data for part in parts])
        return b"".join([self._labelled(key, label, part) for part in parts])

    def finish(self, key: Hashable) -> bytes:
        """The end of the peer's unfinished line; empty if there is none."""
        if self._unfinished != key:
            return b""
        self._unfinished = None
        return b"\n"

    def _labelled(self, key: Hashable, label: bytes, part: Part) -> bytes:
        data, whole, mark = part
        if not data:
            return self.finish(key) if whole else b""
        begin = b"" if self._unfinished in (None, key) else b"\n"
        if self._unfinished != key:
            begin += label + (b"(%s) " % mark.encode() if mark else b"")
        body = data.removesuffix(b"\n")
        complete = whole or body != data
        self._unfinished = None if complete else key
        body = body.replace(b"\n", b"\n" + (INDENT if self._framed else label))
        return begin + body + (b"\n" if complete else b"")


class Labeller:
    """A transform that begins each line of one peer, or each frame by `rule`, with `label()`.

    `transform` converts the bytes first. Nothing is held back: an unfinished line is passed on as
    far as it was received. `clock` returns the time in seconds, for frames that a silence ends.
    """

    def __init__(
        self, label: Callable[[], bytes], rule: FrameRule | None, transform: Transform | None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:  # fmt: skip
        self._label, self._clock = label, clock
        self._splitter, self._merger = splitter(rule, transform), Merger(framed=bool(rule))

    def feed(self, data: bytes) -> bytes:
        now = self._clock()
        return self._write(self._splitter.feed(data, now) + self._splitter.release(now))

    def flush(self) -> bytes:
        parts = self._splitter.flush() + self._splitter.release()
        return self._write(parts) + self._merger.finish(0)

    def _write(self, parts: list[Part]) -> bytes:
        out = self._merger.write(0, self._label(), parts)
        if problem := self._splitter.problem:
            problem.before = out
            raise problem
        return out
