"""Writes docs/events.md from the classes of records; with --check only compares the file."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from sockkit.core.json_lines import EVENTS, FAULTS, MARKS, TRANSPORTS, JsonLines
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

PATH = Path(__file__).resolve().parent.parent / "docs" / "events.md"

_ONE = Stream(1, "tcp", "127.0.0.1:7007", "127.0.0.1:51234", dialled=False)
_TWO = _ONE._replace(number=2, remote="127.0.0.1:51236")
_NOON = 1_769_860_800_000_000

# From a relay, as no other command injects faults.
FAULT = Injected(
    _NOON,
    Stream(1, "tcp", "127.0.0.1:51234", "127.0.0.1:80", dialled=True),
    "stalled",
    "sent",
    4096,
)
# A run of `tcp-server -p 7007 -E gbk --json`, used in the examples.
SAMPLE: list[Record] = [
    Begun(_NOON, "tcp-server", "gbk"),
    Listening(_NOON + 1_234, "tcp", "127.0.0.1:7007"),
    Opened(_NOON + 2_000_000, _ONE),
    Message(_NOON + 2_000_310, _ONE, "received", "你好\n".encode("gbk")),
    Opened(_NOON + 2_500_000, _TWO),
    Message(_NOON + 2_500_200, _TWO, "received", b"\x01\x03\x00\xff"),
    Message(_NOON + 2_750_000, _ONE, "sent", "再见\n".encode("gbk")),
    Ended(_NOON + 3_000_000, _ONE, "received"),
    Closed(_NOON + 3_000_400, _ONE),
    Closed(_NOON + 4_000_000, _TWO, "received"),
    Exit(_NOON + 9_000_000, 130, "interrupted"),
]

_EVERY = {
    "sockkit": ("number", "the version of this format, 1. It comes first in every line"),
    "time": ("string", "when, by RFC 3339, in UTC and with microseconds"),
    "event": ("string", "what happened: one of those below"),
}
_STREAM = {
    "peer": ("number", "the peer's number. A server counts from 1; a client's only peer is 0"),
    "transport": ("string", " ".join(f"`{name}`" for name in TRANSPORTS)),
    "local": ("string", "our own address, as `127.0.0.1:7007`, `[::1]:7007` or `unix:/path`"),
    "remote": ("string", "the peer's address; of a program its name"),
    "dialled": ("boolean", "whether we have connected to the peer, and not the peer to us"),
}
_DATA = {
    "size": ("number", "how many bytes"),
    "text": ("string", "the bytes as text, where encoding it again gives the same bytes"),
    "encoding": ("string", "beside `text`: in which it is. That of `-E`, otherwise utf-8"),
    "base64": (
        "string",
        "in place of `text` and `encoding`: the bytes, where they are no such text",
    ),
}
_FIELDS = {
    "command": ("string", "which"),
    "encoding": ("string", "as in `-E`"),
    "send_encoding": ("string", "as in `--send-encoding`"),
    "transport": _STREAM["transport"],
    "address": ("string", "where, as `127.0.0.1:7007`"),
    "direction": ("string", "`sent` by us, or `received`"),
    "mark": ("string", " ".join(f"`{mark}`" for mark in MARKS if mark)),
    "reset": ("string", "who has reset it: `sent` is we, `received` the peer"),
    "fault": ("string", " ".join(f"`{fault}`" for fault in FAULTS)),
    "passed": ("number", "how many bytes had passed in that direction, where it matters"),
    "detail": ("string", "beside `shaped`: how, as in `delay 0.2 s, rate 65,536 bytes a second`"),
    "status": ("number", "the exit status"),
    "error": ("string", "the error that stderr shows"),
}

_INTRODUCTION = """\
# Events

`--json` shows what passes as lines of JSON on stdout, an event a line, each written within 100 ms.
`--record FILE` keeps the same lines, and `sockkit show --json FILE` shows them again. `tcp-client`,
`tcp-server`, `udp-client`, `udp-server`, `echo`, `relay`, `chat serve` and `chat join` have both.

A line is UTF-8 whatever the locale is. Letters of every script are readable in it, and what a
terminal might obey is escaped as in `\\u001b`: a line is always one line, and safe to show. The
bytes are those of the protocol: after TLS, before a conversion by `-E`. A message is a frame, a
datagram, or what one system call has moved. One of more than 1 MiB comes in several lines.

A program that reads these lines should ignore fields that it does not know. A field that says
nothing is left out: `mark`, `reset`, `error` and the encodings of a run where there is none. Every
line has these fields:
"""

# (purpose, command, its output for SAMPLE)
EXAMPLES = [
    (
        "The text that peers have sent, and who:",
        """jq -r 'select(.direction == "received" and .text) | "\\(.peer): \\(.text)"' \\
  server.json""",
        "1: 你好\n\n",
    ),
    (
        "Bytes that are no text:",
        """jq -r 'select(.base64).base64' server.json | base64 -d | od -An -tx1""",
        " 01 03 00 ff\n",
    ),
    (
        "How much each peer has sent and received:",
        "jq -s -c 'map(select(.size)) | group_by(.peer, .direction)[] | "
        "[.[0].peer, .[0].direction, (map(.size) | add)]' server.json",
        '[1,"received",5]\n[1,"sent",5]\n[2,"received",4]\n',
    ),
    (
        "How long each connection lasted, in milliseconds (`fromdate` takes whole seconds):",
        """jq -s -c 'def at: (.time[:19] + "Z" | fromdate) + (.time[19:26] | tonumber); """
        "group_by(.peer)[] | select(.[0].peer) | "
        "[.[0].peer, (((last | at) - (first | at)) * 1000 | round)]' server.json",
        "[1,1000]\n[2,1500]\n",
    ),
    (
        "How it ended:",
        """jq -r 'select(.event == "exit") | "\\(.status) \\(.error // "")"' server.json""",
        "130 interrupted\n",
    ),
]


def sample() -> bytes:
    return b"".join(map(JsonLines("gbk", "gbk").show, SAMPLE))


def _table(fields: dict[str, tuple[str, str]]) -> str:
    rows = "".join(f"| `{name}` | {kind} | {what} |\n" for name, (kind, what) in fields.items())
    return f"| field | type | meaning |\n| --- | --- | --- |\n{rows}"


def fields_of(kind: type[Record]) -> dict[str, tuple[str, str]]:
    """The fields of an event, in the order of its line. Raises KeyError for an unknown field."""
    found: dict[str, tuple[str, str]] = {}
    for name in kind._fields:
        if name == "stream":
            found |= _STREAM
        elif name == "data":
            found |= _DATA
        elif name != "time":
            found[name] = _FIELDS[name]
    return found


def _section(name: str, kind: type[Record]) -> str:
    lines = JsonLines("gbk", "gbk")
    records = [*SAMPLE, FAULT]
    examples = [lines.show(record).decode() for record in records if type(record) is kind]
    shown = "".join(examples[:2] if kind is Message else examples[:1])
    about = inspect.cleandoc(kind.__doc__ or "")
    return f"## {name}\n\n{about}\n\n{_table(fields_of(kind))}\n```json\n{shown}```\n"


def text() -> str:
    """The whole document."""
    sections = [_section(name, kind) for name, kind in EVENTS.items()]
    examples = [
        f"{what}\n\n```console\n$ {command}\n{shown}```\n" for what, command, shown in EXAMPLES
    ]
    with_jq = "## With jq\n\nAfter `sockkit tcp-server -p 7007 -E gbk --json > server.json`:\n"
    parts = [_INTRODUCTION, _table(_EVERY), *sections, with_jq, *examples]
    return "\n".join(parts)


def main() -> int:
    if "--check" not in sys.argv[1:]:
        PATH.write_text(text(), encoding="utf-8")
    elif not PATH.exists() or PATH.read_text(encoding="utf-8") != text():
        print("docs/events.md is out of date: run make events")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
