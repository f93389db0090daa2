"""What is offered at the Ctrl-] prompt; that it is typed there is in tests/e2e/test_prompt.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps import prompt as module
from sockkit.apps.prompt import (
    client_commands,
    complete_path,
    file_command,
    listener_commands,
    member_commands,
    offer_commands,
    view_commands,
)
from sockkit.core.command_prompt import CommandPrompt
from sockkit.events import Answer, CommandsOffered, Event, Peer
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from tests.net import kit

NOTHING: Any = None


class Conversation:
    """Somebody to whom bytes and files are sent."""

    def __init__(self) -> None:
        self.did: list[object] = []

    def peers(self) -> list[tuple[Peer, str]]:
        return [(Peer(0, "10.0.0.7:80"), "known")]

    def say(self, data: bytes) -> None:
        self.did.append(data)

    def send_file(self, path: str) -> None:
        self.did.append(path)


class Switch:
    """What is shown."""

    def __init__(self) -> None:
        self.did: list[object] = []

    def show_as(self, view: str) -> None:
        self.did.append(view)

    def labels(self, on: bool) -> None:
        raise AssertionError("no command of a person")

    def timestamps(self, on: bool) -> None:
        self.did.append(on)


class Editing:
    """A run with a line editor, or without one; `offered` is what the editor got."""

    def __init__(self, *, edited: bool = True, switch: Switch | None = None) -> None:
        self.offered: list[CommandPrompt] = []
        self.events: list[Event] = []
        offer = self.offered.append if edited else None
        stdio = Stdio(NOTHING, NOTHING, "utf-8", offer=offer)
        self.context: Context = kit.context(
            NOTHING, stdio, self.events.append, environment={"HOME": "/home/alex"}
        )
        if switch:
            views: Any = type("Views", (), {"switch": switch})()
            self.context = self.context._replace(views=views)

    def names(self) -> list[str]:
        return [name for name, _ in self.offered[0].complete("")]


def test_nothing_is_offered_without_a_line_editor() -> None:
    editing = Editing(edited=False)
    offer_commands(editing.context, [])
    assert (editing.offered, editing.events) == ([], [])


def test_the_person_is_told_of_the_key() -> None:
    editing = Editing()
    offer_commands(editing.context, [])
    assert editing.events == [CommandsOffered("Ctrl-]")]
    assert editing.names() == ["help", "quit"]


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (client_commands, ["hex", "send-file", "list"]),
        (member_commands, ["hex", "list"]),
        (listener_commands, ["list"]),
    ],
)
def test_each_kind_of_client_has_what_makes_sense_there(make: Any, names: list[str]) -> None:
    editing, conversation = Editing(), Conversation()
    offer_commands(editing.context, make(editing.context, conversation))
    assert editing.names() == [*names, "help", "quit"]
    for line in ("list", *(["hex 01"] * ("hex" in names)), *(["send-file x"] * (len(names) > 2))):
        editing.offered[0].run(line)
    assert conversation.did == [*([b"\1"] * ("hex" in names)), *(["x"] * (len(names) > 2))]
    assert editing.events[1:] == [Answer("10.0.0.7:80 known")]


def test_the_view_is_chosen_where_it_can_be() -> None:
    switch = Switch()
    editing = Editing(switch=switch)
    offer_commands(editing.context, [])
    assert editing.names() == ["view", "timestamps", "help", "quit"]
    for line in ("view hex", "view text", "timestamps on", "timestamps off", "timestamps maybe"):
        editing.offered[0].run(line)
    assert switch.did == ["hex", "text", True, False]
    assert editing.events[1:] == [Answer("usage: timestamps on|off")]
    assert all(command.at_once for command in view_commands(switch))


@pytest.mark.parametrize(
    ("path", "sent"), [("~/a b", "/home/alex/a b"), ("~a", "~a"), ("a~/b", "a~/b"), ("~", "~")]
)
def test_a_path_may_begin_at_home(path: str, sent: str) -> None:
    conversation = Conversation()
    file_command(Editing().context, conversation.send_file).run(path)
    assert conversation.did == [sent]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("one.txt", "one two", "二.bin", ".hidden", "a\nb", "a\x1b[2J", "\u202eb"):
        (tmp_path / name).touch()
    (tmp_path / os.fsdecode(b"\xff")).touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "inner").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("{}/", ["one two", "one.txt", "other/", "二.bin"]),
        ("{}/one", ["one two", "one.txt"]),
        ("{}/one ", ["one two"]),
        ("{}/other/", ["other/inner"]),
        ("{}/.", [".hidden"]),
        ("{}/none", []),
        ("{}/none/", []),
        ("{}/one.txt/", []),
        ("{}/二", ["二.bin"]),
        ("{}/a", []),
        ("nowhere\0", []),
    ],
)
def test_paths_are_completed(word: str, found: list[str], place: Path) -> None:
    """Names that no terminal shows as they are are not."""
    assert complete_path(word.format(place), "") == [(f"{place}/{name}", "") for name in found]


def test_paths_are_completed_here_and_at_home(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert complete_path("oth", "") == [("other/", "")]
    monkeypatch.chdir("/")
    assert complete_path("~/oth", str(place)) == [("~/other/", "")]
    assert complete_path("~/oth", "") == []


def test_of_a_large_directory_few_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"file{number:02}").touch()
    monkeypatch.setattr(module, "MAX_PATHS", 5)
    assert len(complete_path(f"{tmp_path}/", "")) == 5
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    assert len(complete_path(f"{tmp_path}/", "")) == 3
