from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.cli.advice import options_of_commands
from sockkit.core.habits.advice import MAX_WORDS, advise
from tests.core.habits import examples, to_paste

GRAMMAR = options_of_commands()
SERVICES = {"http": 80}
LINES = [words for words, _ in examples()]
KNOWN = sorted({word for words in LINES for word in words})
OPTIONS = sorted({name for options in GRAMMAR.values() for name in options})
ODD = ["²", "٣", "h:²", "http://h:²", "-w", "²-٣", "1²"]  # not all digits are numbers
WORDS = (
    st.sampled_from([*KNOWN, *ODD]) | st.sampled_from([*GRAMMAR, *OPTIONS]) | st.text(max_size=6)
)


@pytest.mark.parametrize(
    "words",
    [
        "tcp-client 127.0.0.1 8080",
        "tcp-client -w 3 -x 127.0.0.1 8080",
        "tcp-client -q 127.0.0.1 8080",
        "tcp-client",
        "tcp-server 0.0.0.0 8080",
        "tcp-server",
        "relay 8080 127.0.0.1 80",
        "relay -p 1 -q 127.0.0.1 80",
        "chat join 127.0.0.1 9000",
        "chat",
        "probe 127.0.0.1:80 -q",
        "show x.rec",
        "replay x.rec 127.0.0.1 80",
        "tpc-client 127.0.0.1 80",
        "ecko 7",
        "-1",
        "",
    ],
)
def test_a_line_without_a_habit_gets_no_advice(words: str) -> None:
    assert advise(words.split(), GRAMMAR, SERVICES.get) is None


def test_each_text_of_several_words_is_quoted() -> None:
    line = "probe 127.0.0.1:80 --send hello world --match a b"
    shown = "sockkit probe 127.0.0.1:80 --send 'hello world' --match 'a b'"
    told = advise(line.split(), GRAMMAR, SERVICES.get)
    assert told == f"quote a value of several words: {shown}"


def test_a_long_line_is_not_looked_at() -> None:
    line = ["nc", *["-v"] * (MAX_WORDS - 3), "127.0.0.1", "80"]
    assert advise(line, GRAMMAR, SERVICES.get)
    assert advise([*line, "x"], GRAMMAR, SERVICES.get) is None


@given(st.lists(WORDS, max_size=6))
def test_any_line_gets_one_line_or_nothing(words: list[str]) -> None:
    """A line to paste can be split into words, and begins with a command that there is."""
    told = advise(words, GRAMMAR, SERVICES.get)
    if told is None:
        return
    assert told
    if line := to_paste(told):
        pasted = shlex.split(line[line.index("sockkit ") :])
        assert pasted[1] in {name.split()[0] for name in GRAMMAR if name}


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_what_is_advised_has_no_habit(words: list[str]) -> None:
    told = advise(words, GRAMMAR, SERVICES.get)
    if line := to_paste(told or ""):
        if line.endswith("; done"):  # of a loop around the command
            line = line.split("; ")[1].removeprefix("do ")
        pasted = shlex.split(line[line.index("sockkit ") :])[1:]
        ends = [at for at, word in enumerate(pasted) if word in ("<", ">", ">>")]
        plain = pasted[: min(ends, default=len(pasted))]
        assert advise(plain, GRAMMAR, SERVICES.get) is None
