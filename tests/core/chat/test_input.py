"""Tests of sockkit.core.chat.input: what a member sends, whatever it is cut into."""

from __future__ import annotations

import pytest

from sockkit.core.chat.input import MemberInput
from sockkit.core.chat.protocol import MARK

MARKED = f"{MARK}\n".encode()


def fed(pieces: list[bytes], room: str = "utf-8", client: str | None = None) -> bytes:
    member = MemberInput(room, client)
    return b"".join(member.feed(piece) for piece in pieces) + member.flush()


def cuts(data: bytes) -> list[list[bytes]]:
    whole = [[data[:place], data[place:]] for place in range(1, len(data))]
    return [[data], [data[at : at + 1] for at in range(len(data))], *whole]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (MARKED + b"hi\n", "hi\n"),
        (MARKED + "你好\n".encode(), "你好\n"),
        (MARKED, ""),
        ("你好\n".encode("gbk"), "你好\n"),
        (MARKED[:-2] + b"hi\n", MARKED[:-2].decode() + "hi\n"),
        (MARKED[:3], MARKED[:3].decode()),
    ],
    ids=["marked", "marked, in the room's own", "the mark alone", "another", "nearly", "begun"],
)
def test_who_begins_with_the_mark_speaks_as_the_room_does(sent: bytes, text: str) -> None:
    for pieces in cuts(sent):
        assert fed(pieces, client="gbk").decode() == text


def test_what_a_member_speaks_is_known_once_the_mark_is_there_or_not() -> None:
    member = MemberInput("utf-8", "gbk")
    assert (member.known, member.encoding) == (False, "gbk")
    assert member.feed(MARKED[:-1]) == b""
    assert not member.known
    assert member.feed(MARKED[-1:]) == b""
    assert (member.known, member.encoding) == (True, "utf-8")


@pytest.mark.parametrize("sent", [b"\xff\xfb\x01hi\r\n", b"hi\xff\xf9\r\n"])
def test_telnet_commands_are_taken_out(sent: bytes) -> None:
    assert MemberInput("utf-8", None).has_commands(sent)
    for pieces in cuts(sent):
        assert fed(pieces).rstrip(b"\r\n") == b"hi"


@pytest.mark.parametrize(
    ("encoding", "letter"), [("utf-8", False), ("gbk", False), ("latin-1", True), ("cp437", True)]
)
def test_where_255_is_a_letter_it_begins_no_command(encoding: str, letter: bool) -> None:
    member = MemberInput(encoding, None)
    assert member.has_commands(b"\xff") != letter
    assert (member.feed(b"a\xff\xf9b") == b"a\xff\xf9b") == letter
