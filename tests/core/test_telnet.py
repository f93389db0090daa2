from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.telnet import Telnet

WILL_WINDOW, DO_ECHO, SIZE = (
    b"\xff\xfb\x1f",
    b"\xff\xfd\x01",
    b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0",
)


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        (b"hi\r\n", b"hi\r\n"),
        ("你好\n".encode("gbk"), "你好\n".encode("gbk")),
        (b"a\0b\r\0", b"a\0b\r\0"),
        (WILL_WINDOW + b"hi\r\n", b"hi\r\n"),
        (b"a" + DO_ECHO + b"b" + SIZE + WILL_WINDOW + b"c\r\n", b"abc\r\n"),
        (DO_ECHO + b"hi\r\0you\r\n", b"hi\r\nyou\r\n"),
        (DO_ECHO + b"a\xff\xffb", b"a\xffb"),
        (b"\xff\xf4\xff\xfd\x06x", b"x"),
        (b"\xffhi", b"\xffhi"),
        (b"\xff\xfa" + b"x" * 300 + b"hi", b"\xff\xfa" + b"x" * 300 + b"hi"),
    ],
)
def test_only_what_is_typed_passes_however_it_is_cut(sent: bytes, typed: bytes) -> None:
    assert Telnet().feed(sent) == typed
    for place in range(len(sent)):
        telnet = Telnet()
        assert telnet.feed(sent[:place]) + telnet.feed(sent[place:]) == typed


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_without_the_byte_255_all_passes(pieces: list[bytes]) -> None:
    pieces = [piece.replace(b"\xff", b"") for piece in pieces]
    telnet = Telnet()
    assert b"".join(map(telnet.feed, pieces)) == b"".join(pieces)


@given(st.lists(st.binary(max_size=300).map(lambda data: b"\xff\xfa" + data), max_size=50))
def test_little_is_held(pieces: list[bytes]) -> None:
    telnet = Telnet()
    for piece in pieces:
        telnet.feed(piece)
        assert len(telnet._held) <= 260
