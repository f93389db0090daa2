"""Several peers' bytes in one output, without two of them in one line.

A peer's bytes are held until their line is complete, grows past MAX_LINE, or `release`
says that the peer has paused or left. With labels, each line begins with the peer's, and
a line left unfinished is ended when somebody else speaks. Without labels no byte is added:
what a peer sent comes out as it was, so an unfinished line runs into the next.
"""

from __future__ import annotations

from collections.abc import Hashable

MAX_LINE = 64 * 1024  # longest line held back for its end; more memory a peer is not given


class Merger:
    """`key` is whatever tells one peer from another."""

    def __init__(self) -> None:
        self._held: dict[Hashable, bytearray] = {}
        self._unfinished: Hashable | None = None

    def feed(self, key: Hashable, label: bytes, data: bytes) -> bytes:
        """What may be written of `data` and what was held before it; `label` may be empty."""
        whole, held = b"", self._held.pop(key, bytearray())
        end = data.rfind(b"\n") + 1
        if len(data) - end + (0 if end else len(held)) > MAX_LINE:
            end = len(data)
        if end:
            whole, held = bytes(held) + data[:end], bytearray(data[end:])
        else:
            held += data
        if held:
            self._held[key] = held
        return self._write(key, label, whole)

    def holds(self, key: Hashable) -> int:
        """How many bytes are held of this peer."""
        return len(self._held.get(key, b""))

    def release(self, key: Hashable, label: bytes) -> bytes:
        """What is held of this peer, although its line has no end yet."""
        return self._write(key, label, bytes(self._held.pop(key, b"")))

    def end(self, key: Hashable, label: bytes) -> bytes:
        """The peer has left: what is held, and the end of its line where lines are labelled."""
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


class Lines:
    """Cuts what is fed into lines, without their ends.

    Of a line longer than `most` bytes a beginning comes that is longer, too; the rest is dropped.
    """

    def __init__(self, most: int) -> None:
        self._most = most
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
        if len(self._held) > self._most:
            lines += self.flush()
            self._skipping = True
        return lines

    def flush(self) -> list[bytes]:
        """The last line, where it has no end."""
        held, self._held = bytes(self._held), bytearray()
        return [held] if held else []


class Labelled:
    """A transform for one peer alone: each of its lines gets `label`, nothing is held."""

    def __init__(self, label: bytes) -> None:
        self._merger = Merger()
        self._label = label

    def feed(self, data: bytes) -> bytes:
        return self._merger.feed(0, self._label, data) + self._merger.release(0, self._label)

    def flush(self) -> bytes:
        return self._merger.end(0, self._label)
