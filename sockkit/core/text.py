"""Text encodings and line ends, as transforms from bytes to bytes.

A transform keeps its state between chunks: however the input is split, the output is the same.
Call `flush` at the end of the input: it returns the output that was held back. A transform belongs
to one direction of one connection.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from enum import StrEnum
from typing import AnyStr, Generic, Protocol

from sockkit.errors import NotationError, TextError, UsageError
from sockkit.values import Value

_RECEIVED = "what the peer sent"


class Errors(StrEnum):
    """What to do with a character that an encoding does not have: Python's error handlers."""

    STRICT = "strict"
    REPLACE = "replace"
    BACKSLASHREPLACE = "backslashreplace"
    IGNORE = "ignore"


class Transform(Protocol):
    """Bytes in, bytes out, in order.

    Both methods raise TextError for input that cannot be converted. Its `before` is the output
    before the fault, still to be delivered.
    """

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Edit(Protocol):
    """Text in, text out, between decoding and encoding. Never raises."""

    def feed(self, text: str, /) -> str: ...

    def flush(self) -> str: ...


class Crlf(Generic[AnyStr]):
    """Turns LF into CRLF. A CRLF stays as it is, also when it is split between chunks.

    `crlf` is "\\r\\n", as bytes or as text like the input.
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
    """Converts bytes from the encoding `source` to `target`. `edits` are applied to the text.

    `what` names the input in errors. After `flush`, `cut` holds the bytes of an incomplete last
    character. The output contains it as `decode_errors` says.
    """

    def __init__(
        self,
        source: str,
        target: str,
        what: str,
        *,
        decode_errors: str,
        encode_errors: str,
        edits: tuple[Edit, ...] = (),
    ) -> None:
        self.source = codecs.lookup(source).name
        self._source, self._target, self._what = source, target, what
        self._listeners: list[Callable[[bytes], None]] = []
        self._decoder = codecs.getincrementaldecoder(source)(decode_errors)
        self._encoder = codecs.getincrementalencoder(target)(encode_errors)
        self._edits = edits
        self._fed = 0
        self._at = (0, 0)  # the lines encoded, and the characters after them
        self.fed_at = (0, 0)  # `_at` before the last feed
        self._began = False  # whether any text was encoded
        self.cut = b""
        self._marks = _MARKS.get(codecs.lookup(source).name, ())

    def hear(self, listener: Callable[[bytes], None]) -> None:
        """Also call `listener` with all bytes that are fed."""
        self._listeners.append(listener)

    def begin_after(self, lines: int) -> None:
        """`lines` of the input came before what is fed."""
        self._at = (lines, 0)

    def follow(self, other: Transcoder) -> None:
        """Count lines and columns of the input of `other`, whose output is fed to this one."""

        def move(_: bytes) -> None:
            self._at = other.fed_at

        self.hear(move)

    def feed(self, data: bytes) -> bytes:
        for listener in self._listeners:
            listener(data)
        self.fed_at = self._at
        return self._decode(data, final=False)

    def flush(self) -> bytes:
        self.cut = self._decoder.getstate()[0]
        try:
            return self._decode(b"", final=True)
        finally:
            self._fed, self._at = 0, (0, 0)  # the next feed begins another input

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
        """Without a byte-order mark decode as little-endian, as nearly all such text is."""
        if not self._marks:
            return
        held = self._decoder.getstate()[0]
        head = (held + data)[: len(self._marks[0])]
        if len(head) == len(self._marks[0]):
            if head not in self._marks:
                order = codecs.getincrementaldecoder(f"{self.source}-le")
                self._decoder = order(self._decoder.errors)
                self._decoder.setstate((held, 0))
            self._marks = ()

    def _decode_as_last(self, data: bytes, state: tuple[bytes, int]) -> str:
        """Decode `data` as if it were the end of the input, so that an error has the place of the
        fault.

        If it is not the end, Python's ISO 2022 decoders refuse an escape sequence that is longer
        than they can keep, whatever `decode_errors` says, and lose it and the text before it.
        """
        self._decoder.setstate(state)
        try:
            return self._decoder.decode(data, True)
        except UnicodeDecodeError as error:
            # Decode the bytes before the fault again, from the same state.
            start = error.start - (len(error.object) - len(data))
            self._decoder.setstate(state)
            text = self._decoder.decode(data[: max(start, 0)])
            place = f"byte 0x{error.object[error.start]:02x} at byte {self._fed + start + 1}"
            self._fed += len(data)
            raise TextError(
                f"{self._what} is not {self._source}: {place}",
                self._hint(),
                self._encode(self._edit(text, final=True), final=True),
            ) from error
        except UnicodeError as error:
            raise TextError(f"{self._what} is not {self._source}: {error}", self._hint()) from error

    def _hint(self) -> str:
        """What to do about input that is not `source`: it may be `target` already."""
        if self._what == _RECEIVED:
            return "give its encoding with -E, or try --errors replace"
        other = self._target
        if self.source == codecs.lookup(other).name:
            other = "gbk" if self.source == "utf-8" else "utf-8"
        return f"if it is {other}, convert it with iconv -f {other}, or try --errors replace"

    def _edit(self, text: str, final: bool) -> str:
        for edit in self._edits:
            text = edit.feed(text) + (edit.flush() if final else "")
        return text

    def _encode(self, text: str, final: bool) -> bytes:
        self._began |= bool(text)
        if not self._began:
            return b""  # without any text there is no byte-order mark either
        state = self._encoder.getstate()
        try:
            data = self._encoder.encode(text, final)
        except UnicodeEncodeError as error:
            # The error's object may begin with characters that the encoder has held back.
            passed = text[: max(error.start - (len(error.object) - len(text)), 0)]
            character = error.object[error.start]
            self._encoder.setstate(state)
            before = self._encoder.encode(passed, True)
            self._count(passed)
            lines, column = self._at
            place = f"line {lines + 1}, character {column + 1}"
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
        lines, column = self._at
        if more := text.count("\n"):
            self._at = (lines + more, len(text) - text.rindex("\n") - 1)
        else:
            self._at = (lines, column + len(text))


def check_codec(name: str) -> str:
    """`name`, if Python has a text encoding of that name. Raises UsageError."""
    try:
        # Some of Python's codecs, such as idna, have no error handlers: they are not for text.
        "".encode(name, Errors.BACKSLASHREPLACE)
        b"a".decode(name, Errors.BACKSLASHREPLACE)
    except (LookupError, UnicodeError, ValueError) as error:
        raise UsageError(
            f"{name!r} is not an encoding", "try utf-8, gbk, gb18030, big5, shift_jis or latin-1"
        ) from error
    return name


def check_line_codec(name: str) -> str:
    """`name`, if bytes in this encoding can be split into lines at LF, and no other character is
    written in ASCII letters. Raises UsageError.
    """
    check_codec(name)
    spelled = rb"\u0041 +AEE-".decode(name, Errors.BACKSLASHREPLACE)
    if "\n".encode(name) != b"\n" or spelled.startswith("A") or spelled.endswith("A"):
        raise UsageError(
            f"{name} cannot be used: its line ends are not single bytes", "try utf-8 or gbk"
        )
    return name


class TextOptions(Value):
    """How to convert text between the user and the peer. Without options bytes are not converted.

    `encoding` is the peer's, and `send_encoding` the one to send in if it differs. If `errors` is
    None, characters that cannot be sent are refused, and bytes that cannot be decoded are shown as
    backslash escapes. With `hex_input`, the user writes in hexadecimal; with `escape_input`, with
    escapes.
    """

    encoding: str | None = None
    send_encoding: str | None = None
    errors: Errors | None = None
    crlf: bool = False
    hex_input: bool = False
    escape_input: bool = False

    @property
    def wire(self) -> str | None:
        """The encoding to send in, None for bytes."""
        return self.send_encoding or self.encoding

    def of_run(self, encoding: str, send_encoding: str) -> TextOptions:
        """These options, or with the encodings of a recorded run if they name none."""
        if self.encoding:
            return self
        return self._replace(
            encoding=encoding or None, send_encoding=self.send_encoding or send_encoding or None
        )

    @property
    def notation(self) -> str:
        """The option for the notation of the input; empty for plain text."""
        escapes = "--escape-input" if self.escape_input else ""
        return "--hex-input" if self.hex_input else escapes

    def outbound(self, user: str, what: str, lines: int = 0) -> Transform | None:
        """The transform for sending, from the user's encoding `user`; None for bytes.

        `what` names the input in errors. `lines` of it came before.
        """
        if self.hex_input:
            from sockkit.core.hexadecimal import HexInput

            return HexInput(what, lines + 1)
        if self.wire is None and not self.escape_input:
            return Crlf(b"\r\n") if self.crlf else None
        transcoder = self._transcoder(user, what)
        transcoder.begin_after(lines)
        return transcoder

    def _transcoder(self, user: str, what: str, *, keep: bool = False) -> Transcoder:
        """With `keep`, escapes are only checked and kept."""
        kind = Transcoder
        if self.escape_input:
            from sockkit.core.escapes import CheckedText, EscapedText

            kind = CheckedText if keep else EscapedText
        errors = self.errors or (Errors.STRICT if self.wire else "surrogateescape")
        return kind(
            user,
            self.wire or user,
            what,
            decode_errors=errors,
            encode_errors=errors,
            edits=(Crlf("\r\n"),) if self.crlf else (),
        )

    def for_all(self, user: str, what: str) -> Transform | None:
        """The transform that runs once for several peers. `for_one` makes the rest, for each peer.

        A peer may connect in the middle of a character of the input. So this one's output is whole
        characters in UTF-8, and each peer's own encoder begins with a whole one. The same holds for
        escapes.
        """
        if self.wire is None or self.hex_input:
            return self.outbound(user, what)
        return self._replace(send_encoding="utf-8")._transcoder(user, what, keep=True)

    def for_one(self, shared: Transform | None = None) -> Transform | None:
        """The transform for one peer. Its errors name the place in the input of `shared`."""
        if self.wire is None or self.hex_input:
            return None
        transcoder = self._replace(crlf=False)._transcoder("utf-8", "stdin")
        if isinstance(shared, Transcoder):
            transcoder.follow(shared)
        return transcoder

    def check(self, user: str, option: str, text: bytes) -> None:
        """Raise UsageError if the notation of `option`'s value is invalid, and TextError if it
        cannot be encoded.
        """
        try:
            if transform := self.outbound(user, option):
                transform.feed(text)
                transform.flush()
        except NotationError as error:
            raise UsageError(str(error.args[0]), error.hint) from error

    def inbound(self, user: str, edits: tuple[Edit, ...] = ()) -> Transcoder | None:
        """The transform for receiving, to the user's encoding `user`; None for bytes."""
        if self.encoding is None and not edits:
            return None
        errors = self.errors or Errors.BACKSLASHREPLACE
        return Transcoder(
            self.encoding or user,
            user,
            _RECEIVED,
            decode_errors=errors,
            encode_errors=errors,
            edits=edits,
        )
