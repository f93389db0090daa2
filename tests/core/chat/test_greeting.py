from __future__ import annotations

import pytest

from sockkit.core.chat import protocol
from sockkit.core.chat.greeting import MAX_FIRST_CHARACTERS, Greeting

LIKE_A_ROOM = "* you are guest-1; hi"
FIRST = [
    protocol.welcome("小雪"),
    protocol.PASSWORD_REQUIRED,
    protocol.ROOM_FULL,
    protocol.TOO_MANY_WAITING,
    protocol.refused('the name "bob" is taken'),
]


class Server:
    """What a member shows of a server, and what it says of one that is no room."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.greeting = Greeting(self.told.append)


@pytest.mark.parametrize("line", FIRST)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_room_is_shown_whole_however_it_is_cut(line: str, end: str) -> None:
    said = f"{line}{end}[a] hi\nrest"
    for place in range(len(said) + 1):
        here = Server()
        shown = here.greeting.feed(said[:place]) + here.greeting.feed(said[place:])
        assert (shown + here.greeting.flush(), here.told) == (said, [])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("/sockkit\n/nick bob\n", 'is not a sockkit chat room (it says "/sockkit")'),
        ("\r\n<!DOCTYPE HTML>\n", 'is not a sockkit chat room (it says "<!DOCTYPE HTML>")'),
        ("* OK IMAP4\r\n", 'is not a sockkit chat room (it says "* OK IMAP4")'),
        ("[a] hi\n", 'is not a sockkit chat room (it says "[a] hi")'),
        ("login: ", 'is not a sockkit chat room (it says "login:")'),
        ("\n", 'is not a sockkit chat room (it says "")'),
        ("\x1b[2Jx\n", 'is not a sockkit chat room (it says "\\x1b[2Jx")'),
        ("x" * 99, f'is not a sockkit chat room (it says "{"x" * 40}…")'),
        ("\x15\x03\x01\0\2\2F", "expects TLS: add --tls"),
        ("\\x15\\x03\\x01\\x00", "expects TLS: add --tls"),
    ],
)
def test_any_other_server_is_not_shown(said: str, words: str) -> None:
    here = Server()
    assert here.greeting.feed(said) + here.greeting.feed(f"{FIRST[0]}\n") == ""
    assert here.greeting.flush() == ""
    assert here.told == [words]


def test_a_first_line_that_does_not_end() -> None:
    here = Server()
    assert here.greeting.feed(LIKE_A_ROOM) == ""
    assert here.told == []
    assert here.greeting.feed("x" * MAX_FIRST_CHARACTERS) == ""
    assert len(here.told) == 1


def test_half_a_greeting_is_none() -> None:
    here = Server()
    assert here.greeting.feed(LIKE_A_ROOM) + here.greeting.flush() == ""
    assert len(here.told) == 1


def test_a_server_that_ends_without_a_word_is_judged_by_its_end() -> None:
    here = Server()
    assert (here.greeting.flush(), here.told) == ("", [])
