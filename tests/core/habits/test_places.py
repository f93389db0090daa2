from __future__ import annotations

import pytest

from sockkit.core.habits.draft import Draft
from sockkit.core.habits.places import place
from sockkit.errors import UsageError

SERVICES = {"http": 80}


def draft_of(command: str, words: str, acts: dict[str, str] | None = None) -> Draft:
    draft = Draft(command, words.split())
    draft.because("because", 9)
    draft.acts |= acts or {}
    return draft


@pytest.mark.parametrize(
    ("command", "words", "acts", "placed"),
    [
        ("tcp-client", "", {}, "127.0.0.1 8080"),
        ("tcp-client", "", {"port": "9"}, "127.0.0.1 9"),
        ("tcp-client", "h", {}, "h 8080"),
        ("tcp-client", "h", {"port": "9"}, "h 9"),
        ("tcp-client", "80", {}, "127.0.0.1 80"),
        ("tcp-client", ":80", {}, "127.0.0.1 80"),
        ("tcp-client", "80 h", {}, "h 80"),
        ("tcp-client", "h http", {}, "h http"),
        ("tcp-client", "/x", {}, "unix:/x"),
        ("tcp-client", "x", {"unix": ""}, "unix:x"),
        ("tcp-client", "x", {"unix": "", "abstract": ""}, "unix:@x"),
        ("tcp-client", "80", {"host": "h"}, "h 80"),
        ("tcp-server", "", {}, "-p 8080"),
        ("tcp-server", "h 80", {}, "-p 80 --bind h"),
        ("tcp-server", "80 h.x", {}, "-p 80 --bind h.x"),
        ("tcp-server", ":80", {}, "-p 80"),
        ("replay", "h 80 x.rec", {}, "x.rec h 80"),
        ("replay", "x.rec", {"host": "h", "port": "80"}, "x.rec h 80"),
        ("replay", "x.rec", {"listen": "", "port": "80"}, "-p 80 x.rec"),
        ("replay", "80 x.rec", {"listen": ""}, "-p 80 x.rec"),
        ("relay", "80", {"target": "h:1"}, "-p 80 h:1"),
        ("relay", "8080 1", {"target": "h"}, "-p 8080 h 1"),
        ("show", "", {"file": "x.rec"}, "x.rec"),
        ("probe", "h 80", {"port": "-"}, "h:80,1-65535"),
        ("tcp-server", "h.x", {"port": "80"}, "-p 80 --bind h.x"),
        ("tcp-server", "80", {"from": "h"}, "-p 80 --bind h"),
        ("tcp-server", "/x", {}, "--bind unix:/x"),
        ("relay", "1 h 2", {}, "-p 1 h 2"),
        ("relay", "1 2", {}, "-p 1 127.0.0.1 2"),
        ("relay", "1", {}, "-p 1 127.0.0.1 80"),
        ("relay", "", {}, "-p 8080 127.0.0.1 80"),
        ("probe", "", {}, "127.0.0.1:8080"),
        ("probe", "h", {}, "h:8080"),
        ("probe", "80", {}, "127.0.0.1:80"),
        ("probe", "h 1 2-3", {}, "h:1,2-3"),
        ("probe", "::1 80", {}, "[::1]:80"),
        ("probe", "80 h", {}, "h:80"),
        ("probe", "a:1 b:2", {}, "a:1 b:2"),
        ("show", "a b", {}, "a b"),
    ],
)
def test_where(command: str, words: str, acts: dict[str, str], placed: str) -> None:
    assert place(draft_of(command, words, acts), SERVICES.get) == placed.split()


@pytest.mark.parametrize(
    ("words", "acts", "source"),
    [
        ("h 1", {"port": "5"}, "0.0.0.0:5"),
        ("::1 1", {"port": "5"}, "[::]:5"),
        ("h 1", {"from": "a"}, "a"),
        ("h 1", {"from": "a", "port": "5"}, "a:5"),
        ("h 1", {"from": "::1", "port": "5"}, "[::1]:5"),
        ("h 1", {"from": ":5"}, "0.0.0.0:5"),
        ("/x", {"unix": "", "from": "/y"}, "unix:/y"),
    ],
)
def test_where_from(words: str, acts: dict[str, str], source: str) -> None:
    draft = draft_of("tcp-client", words, acts)
    place(draft, SERVICES.get)
    assert draft.options == [("--source", source)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("tcp-client", "a b"),
        ("tcp-client", "a:x"),
        ("tcp-client", "a b c d"),
        ("tcp-server", "a b"),
        ("relay", "a b c"),
        ("relay", "h:1 2"),
    ],
)
def test_nowhere(command: str, words: str) -> None:
    with pytest.raises(UsageError):
        place(draft_of(command, words), SERVICES.get)


@pytest.mark.parametrize("command", ["tcp-client", "tcp-server", "relay"])
def test_nothing_is_completed_without_a_reason(command: str) -> None:
    with pytest.raises(UsageError):
        place(Draft(command), SERVICES.get)


@pytest.mark.parametrize(
    ("words", "placed", "program"),
    [
        ("a-z A-Z h 80", "h 80", "tr a-z A-Z"),
        ("h 80 a-z A-Z", "h 80", "tr a-z A-Z"),
        ("a-z h:80 A-Z", "h:80", "tr a-z A-Z"),
        ("h 80", "h 80", "tr"),
    ],
)
def test_a_program_s_own_words(words: str, placed: str, program: str) -> None:
    draft = draft_of("tcp-client", words)
    draft.add("--exec", "tr")
    assert place(draft, SERVICES.get) == placed.split()
    assert draft.options == [("--exec", program)]
    assert draft.before == ""


def test_text_after_an_address() -> None:
    draft = draft_of("tcp-client", "h 80 a;b c")
    assert place(draft, SERVICES.get) == ["h", "80"]
    assert draft.before == "echo 'a;b c' | "


def test_several_ports_are_probed() -> None:
    draft = draft_of("tcp-client", "h 1-9")
    assert place(draft, SERVICES.get) == ["h:1-9"]
    assert draft.command == "probe"


def test_a_name_after_an_address_of_a_room() -> None:
    draft = draft_of("chat join", "h 80 alex")
    assert place(draft, SERVICES.get) == ["h", "80"]
    assert draft.options == [("--name", "alex")]
