"""The documents say what the program does: each command line in them is one that it takes.

A command line is parsed by the program itself, up to where it would run. Options in running text
are looked for in the commands that their section names.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sockkit.cli.chat import COMMANDS as CHAT
from sockkit.cli.chat import command as chat
from sockkit.cli.commands import COMMANDS, NAME, group
from sockkit.cli.main import status
from sockkit.errors import ExitStatus

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    "README.md",
    "README.zh-CN.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]
PLACEHOLDERS = {"HOST": "127.0.0.1", "PORT": "9", "$p": "9", "FILE": "/dev/null", "N": "1"}
PLACEHOLDERS |= {"SHA256": "ab" * 32, "COMMAND": "echo"}
ELIDED = "…"


def commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    with click.Context(group) as context:
        for name in COMMANDS:
            one = group.get_command(context, name)
            assert one
            found[name] = one
        for name in CHAT:
            one = chat.get_command(context, name)
            assert one
            found[f"chat {name}"] = one
    del found["chat"]
    return found


OPTIONS = {
    name: {"-h", "--help"}.union(
        *(one.opts + one.secondary_opts for one in command.params if isinstance(one, click.Option))
    )
    for name, command in commands().items()
}
EVERY = {"--version"}.union(*OPTIONS.values())


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def code(text: str) -> Iterator[str]:
    """Each line of a block of code, and each span of it in running text.

    Where a block has lines with a prompt, the others are what a program shows.
    """
    parts = re.split(r"^```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    for block in parts[1::2]:
        lines = block.replace("\\\n", " ").splitlines()
        yield from [line for line in lines if re.match(r"\w*\$ ", line)] or lines
    for prose in parts[::2]:
        for span in re.findall(r"`((?:[^`\n]|\n(?!\n))+)`", prose):
            yield span.replace("\\|", "|").replace("\n", " ")


def calls(line: str) -> Iterator[list[str]]:
    """The arguments of each `sockkit` in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] | None = None
    target = False  # whether the next word is a file's name
    for word in lexer:
        if set(word) <= set("|&;()"):
            yield from [words] if words is not None else []
            words = None
        elif set(word) <= set("<>"):
            target = True
        elif target:
            target = False
        elif words is not None:
            words.append(word)
        elif word.rpartition("/")[2] == NAME:
            words = []
    yield from [words] if words is not None else []


def unknown(words: list[str], known: set[str]) -> list[str]:
    """The options among `words` that are not `known`; in `-vv` each letter is one."""
    wrong = []
    for word in words:
        if re.fullmatch(r"--[a-z][\w-]*(=.*)?", word):
            wrong += [word] if word.partition("=")[0] not in known else []
        elif re.fullmatch(r"-[a-zA-Z]+|-\d", word):
            wrong += [word] if not {f"-{letter}" for letter in word[1:]} <= known else []
    return wrong


def command_of(words: list[str]) -> str:
    """The command that `words` begin with, or nothing."""
    return next((name for name in OPTIONS if words[: len(name.split())] == name.split()), "")


def why_not(words: list[str]) -> str:
    """What is wrong with a command line, `words` without the program's name; nothing if it is."""
    if ELIDED in words or words[:1] == ["COMMAND"]:
        return " ".join(unknown(words, OPTIONS.get(command_of(words), EVERY)))
    if len(words) <= 2 and words in [[], *([name] for name in COMMANDS), *map(str.split, OPTIONS)]:
        return ""  # a command's name
    errors: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sockkit.cli.start.start", lambda *_: None)
        patch.setattr("sockkit.cli.main.complain", errors.append)
        if status([PLACEHOLDERS.get(word, word) for word in words]):
            return errors[0] if errors else "it is no command line"
    return ""


def wrong_lines(text: str) -> list[str]:
    """What is wrong with the command lines in `text`."""
    found = [(" ".join(words), why_not(words)) for line in code(text) for words in calls(line)]
    return [f"{NAME} {line}: {why}" for line, why in found if why]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_command_line_of_the_documents_is_taken(document: str) -> None:
    assert not wrong_lines(read(document))


def test_the_documents_have_command_lines() -> None:
    every = [words for name in DOCUMENTS for line in code(read(name)) for words in calls(line)]
    assert {command_of(words) for words in every} >= set(OPTIONS)
    assert len(every) > 50


@pytest.mark.parametrize("name", ["", "chat", *OPTIONS])
def test_each_command_line_of_the_help_is_taken(name: str) -> None:
    command = commands().get(name) or {"": group, "chat": chat}[name]
    text = f"{command.help}\n{command.epilog}"
    lines = [words for line in text.splitlines() for words in calls_of_example(line)]
    assert lines
    assert [why for words in lines if (why := why_not(words))] == []


def calls_of_example(line: str) -> Iterator[list[str]]:
    """An example is indented; all else is running text."""
    return calls(line) if line.startswith("  ") else iter(())


@pytest.mark.parametrize(
    "line",
    [
        "sockkit chat serve --nosuch",
        "$ sockkit chat serve -p 0 --reconnect",
        "sockkit chat join 127.0.0.1 9000 --history 20",
        "there$ LANG=C sockkit tcp-server -p 0 --upper > file",
        "echo hi | .venv/bin/sockkit tcp-client --expect=1 127.0.0.1 9 | cat",
        "cat file | sockkit tcp-client --no-linger … | wc",
        "sockkit tcp-client 127.0.0.1 \\\n  --lines 9",
        "sockkit tcp-client 127.0.0.1 99999",
        "sockkit tcp-client 127.0.0.1 9 more",
        "sockkit tcp-server 8080 -p 8081",
        "sockkit echo --upper",
        "sockkit echo -p 9 --backlog",
        "sockkit tcp-clent 127.0.0.1 9",
        "sockkit … --no-port-file port",
    ],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    assert len(wrong_lines(f"Try\n\n```console\n{line}\n```\n")) == 1
    if "\n" not in line:
        assert len(wrong_lines(f"or `{line.replace('|', chr(92) + '|')}`.")) == 1


def sections(text: str) -> list[tuple[str, set[str]]]:
    """Each section of a document with the options of the commands that it names, or of all."""
    found = []
    words = {name: rf"\b{name.split()[0]}\b" for name in OPTIONS}
    words["show"] = r"`show\b|sockkit show\b"  # which is a common word, too
    words |= {name: rf"{words[name]}|\b[Ss]ervers?\b" for name in OPTIONS if "-p" in OPTIONS[name]}
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        named = [name for name in OPTIONS if re.search(words[name], section)]
        found.append((section, set().union(*(OPTIONS[name] for name in named)) or EVERY))
    return found


def wrong_options(text: str) -> list[str]:
    """The options named in running text that no command it is about has."""
    wrong = []
    for section, known in sections(text):
        for span in code(section):
            words = span.split()
            if words[:1] and (words[0].startswith("-") or command_of(words)):
                wrong += unknown(words, OPTIONS.get(command_of(words), known))
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_option_in_running_text_exists(document: str) -> None:
    assert not wrong_options(read(document))


@pytest.mark.parametrize(
    "text",
    [
        "## The room\n\nWith `chat serve --expect 1` it ends.",
        "## The room\n\n`chat join` ends, `-X` or not.",
        "## A client\n\n`udp-client` waits for\n`--answer\nall`.",
        "`--nosuch`",
    ],
)
def test_a_wrong_option_is_found(text: str) -> None:
    assert len(wrong_options(text)) == 1


def test_the_reference_lists_the_options_of_each_command() -> None:
    rows = re.findall(
        r"^\| (every command|all but [a-z ]+|`[a-z -]+`) \| (`-.*) \|$",
        read("docs/reference.md"),
        re.MULTILINE,
    )
    listed = {name.strip("`"): set(re.findall(r"`(-[^`]+)`", options)) for name, options in rows}
    most = {name: listed.pop(name) for name in list(listed) if not OPTIONS.get(name)}
    found = dict(listed)
    for row, shared in most.items():
        but = row.removeprefix("all but ").split(" and ") if row != "every command" else []
        assert set(but) <= set(OPTIONS)
        for name in set(OPTIONS) - set(but):
            found[name] = found[name] | shared
            assert not shared & listed[name], f"{name} has an option that is in a row for most"
    assert found == OPTIONS


def test_the_reference_lists_every_exit_status_once() -> None:
    text = read("docs/reference.md")
    listed = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert listed == sorted(ExitStatus)
