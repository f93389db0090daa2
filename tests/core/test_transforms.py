"""The helpers are those of test_text.py."""

from __future__ import annotations

import pytest

from sockkit.core.printable import Printable
from sockkit.core.text import Crlf, TextOptions, Transcoder
from sockkit.core.transforms import Chain, Lenient
from sockkit.errors import TextError
from tests.core.test_text import outcome, transcoder
from tests.support import splits


@pytest.mark.parametrize(
    ("chain", "data", "out"),
    [
        (("gbk", "utf-8", "utf-16"), "你\n好".encode("gbk"), "你\n好".encode("utf-16")),
        (("utf-8", "gbk", "utf-8"), "你😀".encode(), "你".encode()),  # the first one faults
        (("gbk", "utf-8", "latin-1"), "é你".encode("gbk"), b"\xe9"),  # the last one faults
        (("gbk", "utf-8", "utf-8"), b"a\xc4", b"a"),  # the end faults
    ],
)
def test_chain_in_every_split(chain: tuple[str, ...], data: bytes, out: bytes) -> None:
    for pieces in splits(data):
        links = map(transcoder, chain, chain[1:])
        assert outcome(Chain(*links), pieces)[0] == out


@pytest.mark.parametrize(
    ("first", "second", "data", "out"),
    [
        # A fault of the first, and the é before it is half a character to the second.
        (transcoder("utf-8", "latin-1"), "utf-8", "abé你".encode(), b"ab"),
        # At the end the first gives five bytes in all: two characters and a half.
        (
            transcoder("utf-8", "utf-8", edits=(Printable(),)),
            "utf-16-le",
            b"a\r",
            "\u5c61\u3078".encode(),
        ),
    ],
    ids=["fault", "end"],
)
def test_chain_delivers_what_came_before_a_fault_further_on(
    first: Transcoder, second: str, data: bytes, out: bytes
) -> None:
    assert outcome(Chain(first, transcoder(second, "utf-8")), [data])[0] == out


def test_what_is_typed_goes_on_after_a_line_that_cannot_pass() -> None:
    told: list[str] = []
    text = TextOptions("gbk")
    typed = text.outbound("utf-8", "stdin")
    assert typed
    lenient = Lenient(typed, lambda error: told.append(str(error)))
    out = lenient.feed("你\na👋b\n好👋".encode()) + lenient.feed("\n再".encode()) + lenient.flush()
    assert out == "你\n\n再".encode("gbk")
    assert lenient.refused == 2
    assert [line.split(" of ")[0].split(" at ")[1] for line in told] == [
        "line 2, character 2",
        "line 3, character 2",
    ]


def test_a_fault_at_the_end_keeps_what_came_before_it() -> None:
    class Cut:
        def feed(self, data: bytes) -> bytes:
            return data

        def flush(self) -> bytes:
            raise TextError("cut", before=b"last\n")

    with pytest.raises(TextError) as caught:
        Chain(Cut(), Crlf(b"\r\n")).flush()
    assert caught.value.before == b"last\r\n"
