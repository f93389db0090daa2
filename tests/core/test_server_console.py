from __future__ import annotations

import pytest

from sockkit.core.console import Console
from sockkit.core.server_console import PeerCommands, TcpCommands, UdpCommands
from sockkit.events import Answer, Event, Peer


class Place:
    """A server, of either kind, that keeps what it is told to do."""

    def __init__(self, *numbers: int) -> None:
        self.here = [Peer(number, f"10.0.0.{number}:5") for number in numbers]
        self.done: list[object] = []

    def peers(self) -> list[tuple[Peer, str]]:
        return [(peer, "known") for peer in self.here]

    def last(self) -> Peer | None:
        return self.here[-1] if self.here else None

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        self.done.append((number, data, raw) if raw else (number, data))

    def send_file(self, number: int | None, path: str) -> None:
        self.done.append((number, path))

    def kick(self, number: int) -> None:
        self.done.append(f"kick {number}")

    def quit(self) -> None:
        self.done.append("quit")


class Typing:
    def __init__(self, *numbers: int, encoding: str = "utf-8", udp: bool = False) -> None:
        self.place = Place(*numbers)
        self.events: list[Event] = []
        kind = UdpCommands if udp else TcpCommands
        self.table: PeerCommands = kind(self.place, encoding, self.events.append)
        self.console = Console(self.table, self.events.append)

    def type(self, *lines: str) -> list[object]:
        """What is done for these lines."""
        self.place.done = []
        for line in lines:
            self.console.feed(f"{line}\n".encode())
        return self.place.done

    def answers(self) -> list[str]:
        texts = [event.text for event in self.events if isinstance(event, Answer)]
        self.events.clear()
        return texts


@pytest.fixture
def typing() -> Typing:
    return Typing(2, 3)


@pytest.mark.parametrize(
    ("lines", "done"),
    [
        (["hi"], [(None, b"hi\n")]),
        ([""], [(None, b"\n")]),
        (["@2 hi"], [(2, b"hi\n")]),
        (["@２ hi", "/to ３", "you"], [(2, b"hi\n"), (3, b"you\n")]),
        (["@you hi"], [(None, b"@you hi\n")]),
        (["//list"], [(None, b"/list\n")]),
        (["/to 3", "hi", "/all", "ho"], [(3, b"hi\n"), (None, b"ho\n")]),
        (["/to 3", "@2 you", "/hex 0d"], [(2, b"you\n"), (3, b"\r", True)]),
        (["/hex 48 65 0a"], [(None, b"He\n", True)]),
        (["/kick 2"], ["kick 2"]),
        (["/quit"], ["quit"]),
    ],
)
def test_what_is_typed_is_done(lines: list[str], done: list[object], typing: Typing) -> None:
    assert typing.type(*lines) == done
    assert typing.answers() == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/nope", "unknown command /nope"),
        ("/", "unknown command /"),
        ("/last", "unknown command /last"),
        ("/to", "usage: /to N"),
        ("@2", "usage: @N TEXT"),
        ("@2hi", "usage: @N TEXT"),
        ("@2hi there", "usage: @N TEXT"),
        ("/list 2", "usage: /list"),
        ("/to 9", "no peer 9"),
        ("/to x", "no peer x"),
        ("/kick 02", "no peer 02"),
        ("@9 hi", "no peer 9"),
        ("@0 hi", "no peer 0"),
        pytest.param(f"@{'9' * 9999} hi", "no peer 99", id="@999… hi"),
        ("/hex 4z", "column 2: 'z' is not a hexadecimal digit"),
    ],
)
def test_what_cannot_be_done_is_told(line: str, words: str, typing: Typing) -> None:
    assert typing.type(line) == []
    (answer,) = typing.answers()
    assert words in answer


def test_lists(typing: Typing) -> None:
    typing.type("/list")
    assert typing.answers() == ["[2] 10.0.0.2:5 known", "[3] 10.0.0.3:5 known"]


TCP = ["/list", "/to", "/all", "@N", "/kick", "/hex", "/help", "/quit"]
UDP = ["/list", "/to", "/all", "/last", "@N", "/hex", "/help", "/quit"]


@pytest.mark.parametrize(("udp", "commands"), [(False, TCP), (True, UDP)])
def test_help_lists_the_commands_of_the_server(udp: bool, commands: list[str]) -> None:
    typing = Typing(udp=udp)
    typing.type("/help")
    lines = typing.answers()
    assert [line.split()[0] for line in lines] == commands
    assert lines[0] == "/list           list the connected peers"
    assert lines[-3] == "/hex 48 65 0a   send these bytes, without a line end"


def test_the_prompt_names_whom_it_goes_to(typing: Typing) -> None:
    prompts = [typing.console.prompt]
    for line in ("/to 2", "hi", "@3 you", "/to 9", "/all"):
        typing.type(line)
        prompts.append(typing.console.prompt)
    assert prompts == ["> ", "[2]> ", "[2]> ", "[2]> ", "[2]> ", "> "]


def test_text_for_one_who_has_left_goes_to_nobody(typing: Typing) -> None:
    typing.type("/to 2")
    typing.place.here.pop(0)
    assert typing.type("secret") == []
    assert "no peer 2" in typing.answers()[0]


def test_nobody_is_there() -> None:
    typing = Typing()
    assert typing.type("/hex 4z", "hi", "/list") == []
    assert "column 2: 'z' is not" in typing.events.pop(0).text  # type: ignore[union-attr]
    assert typing.answers() == [
        "nobody is connected: nothing was sent",
        "nobody is connected",
    ]


def test_where_there_are_no_connections_the_last_one_is_answered() -> None:
    typing = Typing(2, 3, udp=True)
    done = typing.type("hi", "/all", "ho", "/to 2", "you", "/last", "/hex 41", "back")
    assert done == [
        *[(3, b"hi\n"), (None, b"ho\n"), (2, b"you\n")],
        *[(3, b"A", True), (3, b"back\n")],
    ]
    typing.type("/kick 2")
    assert "unknown command /kick" in typing.answers()[0]
    typing.place.here.clear()
    assert typing.type("hi", "/all", "ho", "/list") == []
    assert typing.answers() == [
        *["no peer has sent anything yet: nothing was sent"] * 2,
        "no peer has sent anything yet",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_it_may_be_typed_in_any_pieces(encoding: str) -> None:
    data = "你好\n@2 再见\n/to 2\n嗯\n".encode(encoding)
    whole = [(None, "你好\n"), (2, "再见\n"), (2, "嗯\n")]
    for place in range(len(data) + 1):
        typing = Typing(2, encoding=encoding)
        typing.console.feed(data[:place]) if place else None
        typing.console.feed(data[place:]) if place < len(data) else None
        assert typing.place.done == [(to, text.encode(encoding)) for to, text in whole]


def test_bytes_that_are_no_text_are_sent_as_they_are() -> None:
    typing = Typing(2)
    typing.console.feed(b"\xff\n@2 \xfe\n")
    assert typing.place.done == [(None, b"\xff\n"), (2, b"\xfe\n")]


def test_a_last_line_without_an_end_is_sent_without_one() -> None:
    typing = Typing(2)
    typing.console.feed(b"last words")
    typing.console.feed(b"")
    typing.table.quit()
    assert typing.place.done == [(None, b"last words"), "quit"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/k", ["/kick"]),
        ("/", [name for name in TCP if name[0] == "/"]),
        ("/to ", ["2", "3"]),
        ("/kick 3", ["3"]),
        ("@", ["@2", "@3"]),
        ("@3", ["@3"]),
        ("hi @", []),
        ("/to 2 ", []),
        ("hi", []),
        ("hi /k", []),
        ("/hex ", []),
    ],
)
def test_completions(text: str, words: list[str], typing: Typing) -> None:
    assert [word for word, _ in typing.console.complete(text)] == words
