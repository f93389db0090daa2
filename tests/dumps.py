"""Reads a hex dump back, for tests."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

# Blanks may be missing at the end of a line; a character may begin in the space before the text.
_LINE = re.compile(
    r"(?P<mark>[<>! ]) (?P<offset>[0-9a-f]{8,})  (?P<bytes>[0-9a-f ]{48}) (?P<text>.*)"
)
_LABEL = re.compile(r"[<>] .*(?P<label>\[\d+ [^\]]*\]) .*")
_COLOR = re.compile(r"\x1b\[\d+m")


class Line(NamedTuple):
    """A line of a dump; `text` begins with the space before it unless that is used."""

    mark: str
    offset: int
    data: bytes
    text: str


def lines(dump: bytes, encoding: str = "utf-8") -> Iterator[Line | str]:
    """The lines of a dump, and the other lines as they are, without colours."""
    text = _COLOR.sub("", dump.decode(encoding))
    assert not text or text.endswith("\n")
    for line in text.split("\n")[:-1]:
        found = _LINE.fullmatch(line)
        yield _parsed(found) if found else line


def _parsed(found: re.Match[str]) -> Line:
    digits = found["bytes"]
    data = bytes.fromhex(digits)
    assert digits == f"{data[:8].hex(' '):23}  {data[8:].hex(' '):23}"
    assert 1 <= len(data) <= 16
    return Line(found["mark"], int(found["offset"], 16), data, found["text"])


def flows(dump: bytes, encoding: str = "utf-8") -> dict[tuple[str, str], bytes]:
    """The bytes of each flow, by the label above its lines and its mark."""
    found: dict[tuple[str, str], bytes] = defaultdict(bytes)
    label = ""
    for line in lines(dump, encoding):
        if isinstance(line, str):
            labelled = _LABEL.fullmatch(line)
            label = labelled["label"] if labelled else ""
        else:
            assert line.offset == len(found[label, line.mark])
            found[label, line.mark] += line.data
    return dict(found)
