from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockkit.core.telnet import TelnetFilter

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
        (b"\xff\xfa" + b"x" * 255 + b"\xff\xf0hi", b"hi"),
        (b"\xff\xfa\x1f\xff\xff\xf0\xff\xf0hi", b"hi"),
        (b"\xff\xfa\xff\xfa\x1f\xff\xf0hi", b"\xff\xfahi"),
        (b"\xff\xfax" + DO_ECHO + b"hi", b"\xff\xfaxhi"),
        (b"\xff" * 6 + DO_ECHO + b"hi", b"\xff" * 3 + b"hi"),
        (b"a\0" + DO_ECHO + b"b\0", b"a\0b\n"),
    ],
)
def test_only_what_is_typed_passes_however_it_is_cut(sent: bytes, typed: bytes) -> None:
    assert TelnetFilter().feed(sent) == typed
    for place in range(len(sent)):
        telnet = TelnetFilter()
        assert telnet.feed(sent[:place]) + telnet.feed(sent[place:]) == typed
    telnet = TelnetFilter()
    assert b"".join(telnet.feed(bytes([byte])) for byte in sent) == typed


@pytest.mark.parametrize(
    ("sent", "left"),
    [(b"hi\xff", b"\xff"), (b"\xff\xfax", b"\xff\xfax"), (DO_ECHO + b"hi\xff\xfb", b"")],
)
def test_an_unfinished_command_at_the_end(sent: bytes, left: bytes) -> None:
    telnet = TelnetFilter()
    telnet.feed(sent)
    assert telnet.flush() == left
    assert telnet.flush() == b""


telnetish = st.lists(
    st.sampled_from([b"\xff", b"\xfa", b"\xf0", b"\xfb", b"\xf1", b"\0", b"\r", b"a", b"x" * 252]),
    max_size=12,
)


def typed(sent: bytes) -> bytes:
    """What a client typed, one byte after the other: RFC 854 and 855 as a table of states."""
    out, at, telnet = bytearray(), 0, False
    while at < len(sent):
        end = at + 1
        byte, following = sent[at], sent[at + 1 : at + 2]
        if byte != 255:
            out.append(10 if telnet and not byte else byte)
        elif following == b"\xff":
            out.append(255)
            end = at + 2
        elif ends := end_of_command(sent, at):
            end, telnet = ends, True
        elif unfinished(sent[at:]):
            return bytes(out)
        else:
            out.append(byte)
        at = end
    return bytes(out)


def end_of_command(sent: bytes, at: int) -> int:
    """Where the command that begins there ends, 0 for none."""
    kind = sent[at + 1 : at + 2]
    if b"\xf1" <= kind <= b"\xf9":
        return at + 2
    if b"\xfb" <= kind <= b"\xfe" and len(sent) > at + 2:
        return at + 3
    place, size = at + 2, 0
    while kind == b"\xfa" and place + 1 < len(sent):
        if sent[place] == 255 and sent[place + 1] == 0xF0:
            return place + 2
        if size == 255 or (sent[place] == 255 and sent[place + 1] != 255):
            return 0
        place, size = place + (2 if sent[place] == 255 else 1), size + 1
    return 0


def unfinished(rest: bytes) -> bool:
    if len(rest) == 1 or (len(rest) == 2 and b"\xfb" <= rest[1:] <= b"\xfe"):
        return True
    data = rest[2:].replace(b"\xff\xff", b"\0").removesuffix(b"\xff")
    return rest[1:2] == b"\xfa" and b"\xff" not in data and len(data) <= 255


@settings(max_examples=200)
@given(telnetish.map(b"".join), st.lists(st.integers(0, 3000), max_size=4))
def test_it_parses_as_a_table_of_states_does_however_it_is_cut(
    sent: bytes, cuts: list[int]
) -> None:
    places = [0, *sorted(cuts), len(sent)]
    telnet = TelnetFilter()
    pieces = [telnet.feed(sent[begin:end]) for begin, end in pairwise(places)]
    assert b"".join(pieces) == typed(sent)


@pytest.mark.parametrize(
    "hostile",
    [b"\xff\xfa", b"\xff\xfax", b"\xff\xf1", b"a\xff\xf1", b"\xff", b"\xff\xfa" + b"x" * 254],
)
def test_time_is_in_proportion_to_what_is_fed(hostile: bytes) -> None:
    """A bound against hanging: a subnegotiation looked for at each IAC takes some 3 s."""
    began = time.process_time()
    TelnetFilter().feed(hostile * (2**20 // len(hostile)))
    assert time.process_time() - began < 1.5


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_without_the_byte_255_all_passes(pieces: list[bytes]) -> None:
    pieces = [piece.replace(b"\xff", b"") for piece in pieces]
    telnet = TelnetFilter()
    assert b"".join(map(telnet.feed, pieces)) == b"".join(pieces)


@given(st.lists(st.binary(max_size=300).map(lambda data: b"\xff\xfa" + data), max_size=50))
def test_little_is_held(pieces: list[bytes]) -> None:
    telnet = TelnetFilter()
    for piece in pieces:
        telnet.feed(piece)
        assert len(telnet._held) <= 260
