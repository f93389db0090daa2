"""Records as lines of JSON: what `--json` prints and what a recording holds. See docs/events.md.

A line is UTF-8, and letters of every script are readable in it. Characters that a terminal might
obey are escaped as in JSON, so a line is always one line and safe to show. Data is shown as text if
encoding that text again results in the same bytes, otherwise in base64.

A recording may be forged: `decode` checks every field, and raises nothing but ValueError.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from codecs import lookup
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json import JSONDecoder, loads
from json.encoder import encode_basestring
from re import compile as pattern
from re import escape as re_escape
from typing import Any, NamedTuple

from sockkit.core.faults import Fault
from sockkit.core.printable import UNSAFE, escape
from sockkit.core.records import (
    Begun,
    Closed,
    Ended,
    Exit,
    Injected,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.core.text import check_codec
from sockkit.errors import UsageError

VERSION = 1
HEAD = b'{"sockkit":%d,' % VERSION  # how every line begins
MAX_DATA_BYTES = 1024 * 1024  # in one line: longer data takes several, so that a line is bounded
MAX_LINE_BYTES = 6 * MAX_DATA_BYTES + 64 * 1024  # a byte is \u0000 at worst; the rest is names
MAX_NAME_CHARACTERS = 8 * 1024  # of an address or an error
MAX_CODEC_CHARACTERS = 64  # of the name of an encoding
MAX_STREAMS = 1024  # whose constant part of a line is cached

EVENTS: dict[str, type[Record]] = {
    "begun": Begun,
    "listening": Listening,
    "opened": Opened,
    "message": Message,
    "ended": Ended,
    "closed": Closed,
    "fault": Injected,
    "exit": Exit,
}
TRANSPORTS = ("tcp", "udp", "unix", "unix-datagram", "program")
FAULTS = tuple(map(str, Fault))
MARKS = ("", "overlong", "stray", "cut")

_SCAN = JSONDecoder().scan_once  # type: ignore[attr-defined]  # loads takes twice as long
_STREAM = ("peer", *Stream._fields[1:])
_NAMES = {kind: name for name, kind in EVENTS.items()}
_UNSAFE = pattern(f"[{re_escape(''.join(map(chr, UNSAFE)))}]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_TOO_LATE = (datetime(9000, 1, 1, tzinfo=UTC) - _EPOCH) // _SECOND  # no time zone can show more
_TIME = pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_STRICT = ("utf-8", "ascii", "iso8859-1")  # decoded text always encodes to the same bytes


class _Codec(NamedTuple):
    """How the bytes of a direction become text. `tail` ends a line with text."""

    name: str
    strict: bool
    tail: str


class JsonLines:
    """Encodes records. `sent` and `received` are the encodings of the data in each direction."""

    def __init__(self, sent: str | None = None, received: str | None = None) -> None:
        self._codecs = {"sent": _codec(sent), "received": _codec(received)}
        self._heads: dict[tuple[Stream, str], str] = {}
        self._since = -1_000_000  # the time of _second, in microseconds
        self._second = ""

    def show(self, record: Record) -> bytes:
        """The line of `record`, or several lines where a message is longer than MAX_DATA_BYTES."""
        if type(record) is not Message:
            return f"{self._begin(record.time)}{_rest(record)}}}\n".encode()
        if len(record.data) <= MAX_DATA_BYTES:
            return self._message(record)
        return b"".join(map(self._message, _pieces(record)))

    def _message(self, record: Message) -> bytes:
        time, stream, direction, data, mark = record
        head = self._heads.get((stream, direction)) or self._head(stream, direction)
        begin = f"{self._begin(time)}{head}{len(data)}"
        if mark:
            begin += f',"mark":"{mark}"'
        name, strict, tail = self._codecs[direction]
        try:
            text = str(data, name)
            if strict or text.encode(name) == data:
                return f'{begin},"text":{_quoted(text)}{tail}'.encode()
        except UnicodeError:
            pass  # it is not text, or has half a surrogate pair, which UTF-8 cannot encode
        return b'%b,"base64":"%b"}\n' % (begin.encode(), b2a_base64(data, newline=False))

    def _begin(self, time: int) -> str:
        microsecond = time - self._since
        if not 0 <= microsecond < 1_000_000:
            second, microsecond = divmod(time, 1_000_000)
            self._since = time - microsecond
            shown = (_EPOCH + second * _SECOND).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = f'{{"sockkit":{VERSION},"time":"{shown}.'
        # Four times as fast as {microsecond:06d}.
        return f"{self._second}{f'{1_000_000 + microsecond}'[1:]}Z"

    def _head(self, stream: Stream, direction: str) -> str:
        """The constant part of a message's line."""
        if len(self._heads) >= MAX_STREAMS:
            self._heads.clear()
        head = f'","event":"message"{_of(stream)},"direction":"{direction}","size":'
        self._heads[stream, direction] = head
        return head


def _codec(encoding: str | None) -> _Codec:
    name = encoding or "utf-8"
    return _Codec(name, lookup(name).name in _STRICT, f',"encoding":{_quoted(name)}}}\n')


def _quoted(text: str) -> str:
    """`text` as JSON, safe for a terminal."""
    quoted = encode_basestring(text)
    if quoted.isascii() and quoted.isprintable():
        return quoted  # as nearly all is; this check is much faster
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _pieces(record: Message) -> Iterator[Message]:
    for start in range(0, len(record.data), MAX_DATA_BYTES):
        yield record._replace(data=record.data[start : start + MAX_DATA_BYTES])


def _of(stream: Stream) -> str:
    named = stream._asdict()
    number = named.pop("number")
    return f',"peer":{number}' + "".join(f',"{name}":{_value(it)}' for name, it in named.items())


def _rest(record: Record) -> str:
    """The rest of a line, after the time. Fields with their default values are left out."""
    parts = [f'","event":"{_NAMES[type(record)]}"']
    for name, value in record._asdict().items():
        if name == "stream":
            parts.append(_of(value))
        elif name != "time" and value != record._field_defaults.get(name):
            parts.append(f',"{name}":{_value(value)}')
    return "".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(_printable(value))
    return str(value).lower() if isinstance(value, bool) else f"{value:d}"


def _printable(name: str) -> str:
    """`name` with everything escaped that a terminal obeys, or that is not text in a path."""
    return escape(str(name.encode(errors="backslashreplace"), "utf-8"))


def decode(line: bytes) -> Record:
    """The record of a line, with or without its line end.

    Raises ValueError, whose text says what is wrong with the line, as in "it is not JSON".
    """
    fields = _parse(line)
    version = fields.get("sockkit")
    if type(version) is not int:
        raise ValueError("it is not a sockkit record")
    if version != VERSION:
        raise ValueError(f"it has version {version} of the format, this sockkit reads {VERSION}")
    kind = EVENTS[_take(fields, "event", _one_of(*EVENTS))]
    if kind is Message:
        return _message(fields)
    make: Callable[..., Record] = kind
    values = (
        _stream(fields)
        if name == "stream"
        else _take(fields, name, _CHECKS[name], kind._field_defaults)
        for name in kind._fields
    )
    return make(*values)


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError("it is too long")
    try:
        text = str(line, "utf-8")
        fields, end = _SCAN(text, 0)
        if end != len(text):
            fields = loads(text)  # it also checks what follows
    except (ValueError, RecursionError, StopIteration) as error:
        raise ValueError("it is not JSON") from error
    if type(fields) is not dict:
        raise ValueError("it is not a sockkit record")
    return fields


def _message(fields: dict[str, Any]) -> Message:
    message = Message(
        _take(fields, "time", _time),
        _stream(fields),
        _take(fields, "direction", _DIRECTION),
        _data(fields),
        _take(fields, "mark", _MARK) if "mark" in fields else "",
    )
    if _take(fields, "size", _count) != len(message.data):
        raise ValueError(f"its size is {fields['size']}, but it has {len(message.data)} bytes")
    return message


def _data(fields: dict[str, Any]) -> bytes:
    if "text" not in fields:
        data: bytes = _take(fields, "base64", _from_base64)
        return data
    text: str = _take(fields, "text", _string)
    name: str = _take(fields, "encoding", _string)
    try:
        return text.encode(name if name == "utf-8" else _known_codec(name))
    except UnicodeError as error:
        raise ValueError(f"its text is not in {name}") from error


def _stream(fields: dict[str, Any]) -> Stream:
    try:
        return _known_stream(*map(fields.get, _STREAM))
    except (TypeError, ValueError):  # TypeError: a list is no key of a cache
        return _new_stream(fields)  # its error says what is wrong


@lru_cache(MAX_STREAMS, typed=True)  # typed: True is not 1
def _known_stream(*values: Any) -> Stream:
    """A stream whose fields were checked before."""
    return _new_stream(dict(zip(_STREAM, values, strict=True)))


def _new_stream(fields: dict[str, Any]) -> Stream:
    return Stream(
        _take(fields, "peer", _count),
        _take(fields, "transport", _TRANSPORT),
        _take(fields, "local", _name),
        _take(fields, "remote", _name),
        _take(fields, "dialled", _boolean),
    )


def _take(
    fields: dict[str, Any],
    name: str,
    check: Callable[[Any], Any],
    defaults: dict[str, Any] | None = None,
) -> Any:
    """The field `name`, as `check` returns it. The ValueError of `check` says what it must be."""
    try:
        return check(fields[name])
    except KeyError as error:
        if defaults and name in defaults:
            return defaults[name]
        raise ValueError(f"it has no {name}") from error
    except ValueError as error:
        raise ValueError(f"its {name} is not {error}") from error


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if type(value) is not str or value not in words:
            raise ValueError(f"one of {', '.join(repr(word) for word in words)}")
        return value

    return check


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError("a count")
    return value


def _status(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 256:
        raise ValueError("an exit status")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("a string")
    return value


def _name(value: Any) -> str:
    """An address, a command or an error. These are shown, so they must be safe for a terminal."""
    if type(value) is not str or len(value) > MAX_NAME_CHARACTERS or value != _printable(value):
        raise ValueError("a printable string")
    return value


def _encoding(value: Any) -> str:
    try:
        return _known_codec(_name(value))
    except ValueError as error:
        raise ValueError("one that is known") from error


def _time(value: Any) -> int:
    if type(value) is not str or not _TIME.fullmatch(value):
        raise ValueError("like 2026-01-31T13:59:59.000000Z")
    second = _second_of(value[:19])
    if not 0 <= second < _TOO_LATE:
        raise ValueError("between 1970 and 9000")
    return second * 1_000_000 + int(value[20:26])


@lru_cache(64)
def _second_of(text: str) -> int:
    try:
        return (datetime.fromisoformat(f"{text}+00:00") - _EPOCH) // _SECOND
    except ValueError as error:
        raise ValueError("a time") from error


def _from_base64(value: Any) -> bytes:
    try:
        return a2b_base64(_string(value), strict_mode=True)
    except ValueError as error:
        raise ValueError("base64") from error


@lru_cache(16)
def _known_codec(name: str) -> str:
    """`name`, if it is an encoding of text. Not punycode or idna, whose time grows too fast."""
    try:
        return check_codec(name[:MAX_CODEC_CHARACTERS])
    except UsageError as error:
        raise ValueError(f"{name[:MAX_CODEC_CHARACTERS]!r} is not an encoding") from error


_TRANSPORT, _MARK = _one_of(*TRANSPORTS), _one_of(*MARKS)
_DIRECTION = _one_of("sent", "received")
_CHECKS: dict[str, Callable[[Any], Any]] = {
    "time": _time,
    "command": _name,
    "encoding": _encoding,
    "send_encoding": _encoding,
    "transport": _TRANSPORT,
    "address": _name,
    "direction": _DIRECTION,
    "reset": _one_of("", "sent", "received"),
    "fault": _one_of(*FAULTS),
    "passed": _count,
    "detail": _name,
    "status": _status,
    "error": _name,
}
