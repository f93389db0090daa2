from __future__ import annotations

import pytest

from sockkit.cli.advice import options_of_commands
from sockkit.core.habits.draft import Draft
from sockkit.core.habits.options import every_option, read_options

GRAMMAR = options_of_commands()


def drafted(command: str, line: str, tool: str = "") -> Draft:
    draft = Draft(command)
    draft.origin = tool
    assert read_options(draft, line.split(), GRAMMAR) is draft
    return draft


def test_the_options_of_all_commands_are_known_with_their_values() -> None:
    every = every_option(GRAMMAR)
    assert every["--port"]
    assert not every["--tls"]
    assert every["--slow-timeout"]


def test_an_own_option_keeps_its_meaning() -> None:
    draft = drafted("tcp-client", "-i 5 127.0.0.1 80")
    assert (draft.options, draft.words) == ([("-i", "5")], ["127.0.0.1", "80"])
    assert not draft.acts


@pytest.mark.parametrize(("tool", "options"), [("nc", []), ("ncat", [("-i", "5")])])
def test_a_letter_means_what_it_means_in_its_tool(tool: str, options: list[str]) -> None:
    draft = drafted("", "-i 5 127.0.0.1 80", tool)
    assert draft.options == options


def test_a_flag_of_ours_has_a_value_if_there_is_a_word_too_many() -> None:
    assert drafted("tcp-client", "-q 1 127.0.0.1 80").options == [("--linger", "1")]
    assert drafted("tcp-client", "-q 127.0.0.1 80").options == [("-q",)]


def test_a_value_after_a_flag_is_removed_or_sent() -> None:
    removed = drafted("show", "--hex 16 x.rec")
    assert removed.words == ["x.rec"]
    assert removed.reason == "--hex takes no value, remove '16'"
    sent = drafted("tcp-client", "--hex-input 4869 127.0.0.1 80")
    assert (sent.words, sent.acts) == (["127.0.0.1", "80"], {"send": "4869"})


def test_an_option_that_we_do_not_have_is_refused() -> None:
    draft = drafted("", "--lua-exec x.lua 80", "ncat")
    assert draft.refusal.startswith("Lua is not supported")


@pytest.mark.parametrize("line", ["relay -d 127.0.0.1 80", "show --every 2 x.rec"])
def test_a_habit_that_makes_no_sense_for_the_command_gives_no_draft(line: str) -> None:
    command, *words = line.split()
    assert read_options(Draft(command), words, GRAMMAR) is None
