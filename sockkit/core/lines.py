"""Lines of bytes: split, labelled, and merged from several peers into one output.

`LineMerger` keeps two peers out of one line. It holds a peer's bytes until their line is complete
or grows past MAX_HELD_LINE_BYTES, or until `release` or `end` is called. With labels each line
begins with its peer's label, and an unfinished line is ended before another peer's bytes. Without
labels no byte is added, so another peer's bytes can follow in an unfinished line.
"""

from __future__ import annotations

from collections.abc import Hashable

MAX_HELD_LINE_BYTES = 64 * 1024  # of one peer


class LineMerger:
    """`key` identifies a peer. A `label` may be empty."""

    def __init__(self) -> None:
        self._held: dict[Hashable, bytearray] = {}
        self._unfinished: Hashable | None = None

    def feed(self, key: Hashable, label: bytes, data: bytes) -> bytes:
        """What may be written now of the bytes held and `data`."""
        whole, held = b"", self._held.pop(key, bytearray())
        end = data.rfind(b"\n") + 1
        if len(data) - end + (0 if end else len(held)) > MAX_HELD_LINE_BYTES:
            end = len(data)
        if end:
            whole, held = bytes(held) + data[:end], bytearray(data[end:])
        else:
            held += data
        if held:
            self._held[key] = held
        return self._write(key, label, whole)

    def holds(self, key: Hashable) -> int:
        """How many bytes of this peer are held."""
        return len(self._held.get(key, b""))

    def release(self, key: Hashable, label: bytes) -> bytes:
        """The bytes held of this peer, although their line is not complete."""
        return self._write(key, label, bytes(self._held.pop(key, b"")))

    def end(self, key: Hashable, label: bytes) -> bytes:
        """The peer has departed: the bytes held, and with a label the end of their line."""
        out = self.release(key, label)
        if self._unfinished == key:
            self._unfinished = None
            out += b"\n" if label else b""
        return out

    def _write(self, key: Hashable, label: bytes, data: bytes) -> bytes:
        if not data or not label:
            return data
        begin = b"" if self._unfinished in (None, key) else b"\n"
        if self._unfinished != key:
            begin += label
        complete = data.endswith(b"\n")
        self._unfinished = None if complete else key
        body = data[:-1] if complete else data
        return begin + body.replace(b"\n", b"\n" + label) + (b"\n" if complete else b"")


class LineSplitter:
    """Splits the bytes fed into lines without their ends.

    Of a line longer than `max_bytes` it returns a beginning that is also longer than that, and
    drops the rest.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        if self._skipping:
            _, end, data = data.partition(b"\n")
            self._skipping = not end
        *lines, last = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._held) + lines[0]
            self._held.clear()
        self._held += last
        if len(self._held) > self._max_bytes:
            lines += self.flush()
            self._skipping = True
        return lines

    def flush(self) -> list[bytes]:
        """The last line, if it has no end."""
        held, self._held = bytes(self._held), bytearray()
        return [held] if held else []


class LineLabeller:
    """A transform that begins each line of one peer with `label`. It holds nothing back."""

    def __init__(self, label: bytes) -> None:
        self._merger = LineMerger()
        self._label = label

    def feed(self, data: bytes) -> bytes:
        return self._merger.feed(0, self._label, data) + self._merger.release(0, self._label)

    def flush(self) -> bytes:
        return self._merger.end(0, self._label)
