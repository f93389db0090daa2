"""Tests of sockkit.net.chat.member: text that is not quite text. Whole members: test_server.py."""

from __future__ import annotations

import pytest

from sockkit.net.chat.member import _is_letter


@pytest.mark.parametrize(
    ("encoding", "letter"), [("utf-8", False), ("gbk", False), ("latin-1", True), ("cp437", True)]
)
def test_where_255_is_a_letter_it_begins_no_telnet_command(encoding: str, letter: bool) -> None:
    assert _is_letter(b"\xff", encoding) == letter
