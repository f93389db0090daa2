"""Text on its way through: every transform takes bytes and gives bytes.

A transform keeps its state from chunk to chunk, so that where the network cuts makes no
difference: `feed` of any split equals `feed` of the whole. The end of the input is an
input too: `flush` gives what was held back. A transform belongs to one direction of one
connection.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from enum import StrEnum
from typing import AnyStr, Generic, Protocol

from sockkit.errors import TextError, UsageError
from sockkit.values import Value


class Errors(StrEnum):
    """What becomes of a character that has no place in an encoding."""

    STRICT = "strict"
    REPLACE = "replace"
    BACKSLASHREPLACE = "backslashreplace"
    IGNORE = "ignore"


class Transform(Protocol):
    """Bytes in, bytes out, in order.

    Both calls raise TextError for what cannot pass; its `before` holds the output that
    came before the fault and is still to be delivered.
    """

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Edit(Protocol):
    """The same between two encodings: text in, text out. Never raises."""

    def feed(self, text: str, /) -> str: ...

    def flush(self) -> str: ...


class Crlf(Generic[AnyStr]):
    """LF becomes CRLF; a CRLF stays one, also when it is cut in two.

    `crlf` is "\\r\\n" as bytes or as text, whichever is to be fed.
    """

    def __init__(self, crlf: AnyStr) -> None:
        self._crlf: AnyStr = crlf
        self._cr: AnyStr = crlf[:1]
        self._lf: AnyStr = crlf[1:]
        self._after_cr = False

    def feed(self, data: AnyStr, /) -> AnyStr:
        out = data.replace(self._crlf, self._lf).replace(self._lf, self._crlf)
        if self._after_cr and data.startswith(self._lf):
            out = out[1:]
        if data:
            self._after_cr = data.endswith(self._cr)
        return out

    def flush(self) -> AnyStr:
        return self._crlf[:0]


_MARKS: dict[str, tuple[bytes, ...]] = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}


class Transcoder:
    """Bytes of one encoding become bytes of another, by way of `edits`.

    `what` names the bytes that come in, for errors. After `flush`, `cut` holds the bytes
    of a character that the end of the input cut in two (shown as `decode_errors` says).
    """

    def __init__(
        self,
        source: str,
        target: str,
        what: str,
        *,
        decode_errors: Errors,
        encode_errors: Errors,
        edits: tuple[Edit, ...] = (),
    ) -> None:
        self.source = codecs.lookup(source).name
        self._source, self._target, self._what = source, target, what
        self._hear: Callable[[bytes], None] | None = None
        self._decoder = codecs.getincrementaldecoder(source)(decode_errors)
        self._encoder = codecs.getincrementalencoder(target)(encode_errors)
        self._edits = edits
        self._fed = self._lines = self._column = 0
        self.cut = b""
        self._marks = _MARKS.get(codecs.lookup(source).name, ())

    def hear(self, listener: Callable[[bytes], None]) -> None:
        """Let `listener` have all that is fed, as it comes."""
        self._hear = listener

    def feed(self, data: bytes) -> bytes:
        if self._hear:
            self._hear(data)
        return self._decode(data, final=False)

    def flush(self) -> bytes:
        self.cut = self._decoder.getstate()[0]
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> bytes:
        self._settle_order(data)
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, final)
        except UnicodeError:
            text = self._decode_as_last(data, state)
        self._fed += len(data)
        return self._encode(self._edit(text, final), final)

    def _settle_order(self, data: bytes) -> None:
        """Without a byte-order mark: nearly everything that leaves it out is little-endian."""
        if not self._marks:
            return
        held = self._decoder.getstate()[0]
        head = (held + data)[: len(self._marks[0])]
        if len(head) == len(self._marks[0]):
            if head not in self._marks:
                order = codecs.getincrementaldecoder(f"{self._source}-le")
                self._decoder = order(self._decoder.errors)
                self._decoder.setstate((held, 0))
            self._marks = ()

    def _decode_as_last(self, data: bytes, state: tuple[bytes, int]) -> str:
        """Decode `data` as if nothing followed: then a decoder says where the fault is.

        Before the end, Python's ISO 2022 decoders refuse an escape sequence that is longer than
        they can keep, whatever `decode_errors` says, and forget it and what came before it.
        """
        self._decoder.setstate(state)
        try:
            return self._decoder.decode(data, True)
        except UnicodeDecodeError as error:
            # What stands before the fault passes: decode that much again, from the same state.
            start = error.start - (len(error.object) - len(data))
            self._decoder.setstate(state)
            text = self._decoder.decode(data[: max(start, 0)])
            place = f"byte 0x{error.object[error.start]:02x} at byte {self._fed + start + 1}"
            self._fed += len(data)
            raise TextError(
                f"{self._what} is not {self._source}: {place}",
                "try --errors replace",
                self._encode(self._edit(text, final=True), final=True),
            ) from error
        except UnicodeError as error:
            raise TextError(
                f"{self._what} is not {self._source}: {error}", "try --errors replace"
            ) from error

    def _edit(self, text: str, final: bool) -> str:
        for edit in self._edits:
            text = edit.feed(text) + (edit.flush() if final else "")
        return text

    def _encode(self, text: str, final: bool) -> bytes:
        if not text and not self._lines and not self._column:
            return b""  # nothing yet: not even a byte-order mark
        state = self._encoder.getstate()
        try:
            data = self._encoder.encode(text, final)
        except UnicodeEncodeError as error:
            # The encoder may have held characters back: they stand before `text` in the error.
            passed = text[: max(error.start - (len(error.object) - len(text)), 0)]
            character = error.object[error.start]
            self._encoder.setstate(state)
            before = self._encoder.encode(passed, True)
            self._count(passed)
            place = f"line {self._lines + 1}, character {self._column + 1}"
            self._count(text[len(passed) :])
            raise TextError(
                f"{character!r} (U+{ord(character):04X}) at {place} of {self._what} "
                f"is not in {self._target}",
                "try --errors replace",
                before,
            ) from error
        self._count(text)
        return data

    def _count(self, text: str) -> None:
        if lines := text.count("\n"):
            self._lines += lines
            self._column = len(text) - text.rindex("\n") - 1
        else:
            self._column += len(text)


class Lenient:
    """A transform of lines that a person types: one that cannot pass is told of and left out.

    `refused` is how many were.
    """

    def __init__(self, transform: Transform, tell: Callable[[TextError], None]) -> None:
        self._transform, self._tell = transform, tell
        self.refused = 0

    def feed(self, data: bytes) -> bytes:
        out = b""
        for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
            try:
                out += self._transform.feed(line)
            except TextError as error:
                self.refused += 1
                self._tell(error)
        return out

    def flush(self) -> bytes:
        return self._transform.flush()


class Chain:
    """Transforms one after the other, the first nearest to the source."""

    def __init__(self, *transforms: Transform) -> None:
        self._transforms = transforms

    def feed(self, data: bytes) -> bytes:
        for index, transform in enumerate(self._transforms):
            try:
                data = transform.feed(data)
            except TextError as error:
                self._pass_on(error, index)
                raise
        return data

    def flush(self) -> bytes:
        data = b""
        for index, transform in enumerate(self._transforms):
            try:
                data = _feed_all(transform, data)
            except TextError as error:
                self._pass_on(error, index)
                raise
        return data

    def _pass_on(self, error: TextError, index: int) -> None:
        for transform in self._transforms[index + 1 :]:
            try:
                error.before = _feed_all(transform, error.before)
            except TextError as further:
                error.before = further.before


def _feed_all(transform: Transform, data: bytes) -> bytes:
    """Feed `data` and flush; a fault's `before` has all of what came before it."""
    out = transform.feed(data)
    try:
        return out + transform.flush()
    except TextError as error:
        error.before = out + error.before
        raise


def check_codec(name: str) -> str:
    """`name`, if Python has a text codec of that name. Raises UsageError otherwise."""
    try:
        # Some of Python's codecs, as idna, are no text encodings: they take no error handler.
        "".encode(name, Errors.BACKSLASHREPLACE)
        b"a".decode(name, Errors.BACKSLASHREPLACE)
    except (LookupError, UnicodeError, ValueError) as error:
        raise UsageError(
            f"{name!r} is not an encoding", "try utf-8, gbk, gb18030, big5, shift_jis or latin-1"
        ) from error
    return name


def check_line_codec(name: str) -> str:
    """`name`, if its text has lines where its bytes have, and its letters are never made of
    ASCII. Raises UsageError.
    """
    check_codec(name)
    spelled = rb"\u0041 +AEE-".decode(name, Errors.BACKSLASHREPLACE)
    if "\n".encode(name) != b"\n" or spelled.startswith("A") or spelled.endswith("A"):
        raise UsageError(f"{name} has no line ends that are bytes", "try utf-8 or gbk")
    return name


class TextOptions(Value):
    """How text differs between the user's side and the wire; nothing set means bytes.

    `encoding` is what the wire speaks in both directions, `send_encoding` what it speaks
    towards the peer where that differs. `errors` None means: strict towards the peer,
    backslash escapes towards the user.
    """

    encoding: str | None = None
    send_encoding: str | None = None
    errors: Errors | None = None
    crlf: bool = False

    @property
    def wire(self) -> str | None:
        """The encoding towards the peer, None for bytes."""
        return self.send_encoding or self.encoding

    def outbound(self, user: str, what: str) -> Transform | None:
        """The transform from the user's encoding `user` to the wire, or None for bytes."""
        if self.wire is None:
            return Crlf(b"\r\n") if self.crlf else None
        errors = self.errors or Errors.STRICT
        edits = (Crlf("\r\n"),) if self.crlf else ()
        return Transcoder(
            user, self.wire, what, decode_errors=errors, encode_errors=errors, edits=edits
        )

    def inbound(self, user: str, edits: tuple[Edit, ...] = ()) -> Transcoder | None:
        """The transform from the wire to the user, or None for bytes."""
        if self.encoding is None and not edits:
            return None
        errors = self.errors or Errors.BACKSLASHREPLACE
        return Transcoder(
            self.encoding or user,
            user,
            "what the peer sent",
            decode_errors=errors,
            encode_errors=errors,
            edits=edits,
        )
