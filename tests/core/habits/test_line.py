from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.habits.line import Flag, Line, read, split_command

TAKES = {"-l": False, "-v": False, "-p": True, "--exec": True, "--ssl": False}
GRAMMAR = {"": {}, "echo": {}, "chat": {}, "chat join": {}}


@pytest.mark.parametrize(
    ("words", "flags", "plain"),
    [
        ("-lvp 80 host", [Flag("-l"), Flag("-v"), Flag("-p", "80")], ["host"]),
        ("-p80 -l", [Flag("-p", "80"), Flag("-l")], []),
        ("--exec=cat host", [Flag("--exec", "cat")], ["host"]),
        ("--exec cat host", [Flag("--exec", "cat")], ["host"]),
        ("--exec", [Flag("--exec")], []),
        ("-p", [Flag("-p")], []),
        ("--ssl=yes host", [Flag("--ssl", "yes")], ["host"]),
        ("--new -z host", [Flag("--new"), Flag("-z")], ["host"]),
        ("-l -- -p 80", [Flag("-l")], ["-p", "80"]),
        ("- host", [], ["-", "host"]),
    ],
)
def test_options_and_words(words: str, flags: list[Flag], plain: list[str]) -> None:
    line = read(words.split(), TAKES.get)
    assert (line.flags, line.words) == (flags, plain)


def test_what_a_word_follows() -> None:
    assert read(["-l", "1", "2", "--ssl", "3", "-p", "80", "4", "--", "5"], TAKES.get) == Line(
        [Flag("-l"), Flag("--ssl"), Flag("-p", "80")],
        ["1", "2", "3", "4", "5"],
        ["-l", "", "--ssl", "", ""],
    )


@pytest.mark.parametrize(
    ("words", "command", "rest"),
    [
        ("echo -p 7", "echo", ["-p", "7"]),
        ("chat join h 1", "chat join", ["h", "1"]),
        ("chat h 1", "chat", ["h", "1"]),
        ("nc h 1", "", ["nc", "h", "1"]),
        ("", "", []),
    ],
)
def test_the_command(words: str, command: str, rest: list[str]) -> None:
    assert split_command(words.split(), GRAMMAR) == (command, rest)


@given(st.lists(st.text(max_size=5) | st.sampled_from(["-lp", "--", "--exec", "-p", "--ssl=1"])))
def test_each_word_is_read_once(words: list[str]) -> None:
    line = read(words, TAKES.get)
    assert len(line.words) == len(line.after) <= len(words)
    assert all(word in words for word in line.words)
