"""The prompt without a terminal; the whole editor is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from sockkit.system import FIONREAD, ioctl_number
from sockkit.term import prompt as module
from sockkit.term.prompt import MAX_UNFINISHED_CHARACTERS, Pause, Prompt, _Completer
from tests.support import WAIT

TURNS = 50  # of asyncio's loop, more than any completion needs


class Screen(DummyOutput):
    """Keeps what is printed; what prompt_toolkit draws does not come this way."""

    def __init__(self) -> None:
        self.printed: list[str] = []

    def write_raw(self, data: str) -> None:
        if data and not data.startswith("\x1b"):
            self.printed.append(data)


class Helper:
    prompt = "all> "
    secret = False

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        return [("/list", "the peers")]


class Secret(Helper):
    secret = True


class Commands:
    """A CommandPrompt, of which the editor asks this much."""

    prompt = "sockkit> "

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        return [("two words", "")] if " " in text else [("list", "")]


class Typist:
    """A prompt, what was accepted there, and the keys."""

    def __init__(self, keys: PipeInput) -> None:
        self.accepted: list[str] = []
        self.commands: list[str] = []
        self.keys = keys
        self.prompt = Prompt(sys.stdin, sys.stdout, None, self._accept, self.commands.append)

    def edit(self, *acts: Callable[[], object]) -> Pause | None:
        """Edit, and do one act after the other, each when the keys before it have been seen."""

        async def perform() -> None:
            for act in acts:
                act()
                await self._settle()

        async def edit() -> Pause | None:
            begun = asyncio.Event()
            editing = asyncio.create_task(self.prompt.edit(begun.set))
            await begun.wait()
            acting = asyncio.create_task(perform())
            try:
                return await asyncio.wait_for(editing, WAIT)
            finally:
                await acting

        return asyncio.run(edit())

    def type(self, keys: str) -> Callable[[], None]:
        return lambda: self.keys.send_text(keys)

    async def _settle(self) -> None:
        """Until the keys have been read, and for what they begin."""
        while ioctl_number(self.keys.fileno(), FIONREAD):
            await asyncio.sleep(0)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def _accept(self, buffer: Buffer) -> bool:
        self.accepted.append(buffer.text)
        return False


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def typist(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typist]:
    with create_pipe_input() as keys:
        monkeypatch.setattr(module, "keyboard", lambda _: keys)
        monkeypatch.setattr(module, "create_output", lambda _: screen)
        yield Typist(keys)


def test_a_completion_takes_the_place_of_the_last_word() -> None:
    prompt: Any = SimpleNamespace()
    prompt.complete = lambda text: ([("12", "10.0.0.7:80")] if text else [], 1)
    completer = _Completer(prompt)
    (found,) = completer.get_completions(Document("/to 1"), CompleteEvent())
    assert (found.text, found.start_position) == ("12", -1)
    assert list(completer.get_completions(Document(""), CompleteEvent())) == []


def test_a_line_without_its_end_is_ended_once(typist: Typist, screen: Screen) -> None:
    typist.prompt.end_unfinished()
    typist.prompt.unfinished = "login: "
    typist.prompt.end_unfinished()
    typist.prompt.end_unfinished()
    assert screen.printed == ["login: \n"]
    typist.prompt.unfinished = "password: "
    assert typist.prompt.pop_unfinished() == "password: \n"
    assert typist.prompt.pop_unfinished() == ""


def test_whole_lines_are_printed_above_the_line(typist: Typist, screen: Screen) -> None:
    show = typist.prompt.show
    kept: list[str] = []

    def arrive() -> None:
        for text in ("one\ntw", "o\nlog", "in: "):
            show(text)
            kept.append(typist.prompt.unfinished)
        kept.append(typist.prompt._message().value)

    assert typist.edit(arrive, typist.prompt.end) is None
    assert [text for text in screen.printed if text.strip()] == ["one\n", "two\n"]
    assert kept == ["tw", "log", "login: ", "login: \n> "]


def test_a_line_that_is_too_long_is_ended(typist: Typist, screen: Screen) -> None:
    long = "x" * MAX_UNFINISHED_CHARACTERS
    kept: list[int] = []

    def arrive() -> None:
        for text in (long, "y"):
            typist.prompt.show(text)
            kept.append(len(typist.prompt.unfinished))

    typist.edit(arrive, typist.prompt.end)
    assert kept == [len(long), 0]
    assert f"{long}y\n" in screen.printed


def test_without_the_line_what_arrives_is_printed_as_it_is(typist: Typist, screen: Screen) -> None:
    assert not typist.prompt.editing
    for text in ("one\ntw", "o"):
        typist.prompt.show(text)
    assert screen.printed == ["one\ntw", "o"]
    assert typist.prompt.unfinished == ""


def test_a_paused_line_comes_again(typist: Typist) -> None:
    prompt = typist.prompt
    prompt.pause(Pause.STOP_PROCESS)  # there is no line yet
    assert typist.edit(typist.type("hel"), lambda: prompt.pause(Pause.REDRAW)) is Pause.REDRAW
    assert typist.edit(typist.type("p\x1a")) is Pause.STOP_JOB
    assert typist.edit(typist.type("!\r"), prompt.end) is None
    assert typist.accepted == ["help!"]


@pytest.mark.parametrize(("key", "error"), [("\x04", EOFError), ("\x03", KeyboardInterrupt)])
def test_keys_that_end_it(key: str, error: type[BaseException], typist: Typist) -> None:
    with pytest.raises(error):
        typist.edit(typist.type(key))


def test_ctrl_backslash_is_the_signal(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    with pytest.raises(EOFError):
        typist.edit(typist.type("x\x1c"), typist.type("\x08\x04"))
    assert raised == [signal.SIGQUIT]


def test_ctrl_c_clears_a_half_typed_line_first(typist: Typist) -> None:
    with pytest.raises(KeyboardInterrupt):
        typist.edit(typist.type("hel\x03lo\r"), typist.type("x\x03"), typist.type("\x03"))
    assert typist.accepted == ["lo"]


@pytest.mark.parametrize(("assisted", "line"), [(False, "/l\t"), (True, "/list")])
def test_a_tab_completes_where_somebody_knows_how(
    assisted: bool, line: str, typist: Typist
) -> None:
    if assisted:
        typist.prompt.assistant = Helper()
    assert typist.prompt.assisted is assisted
    typist.edit(typist.type("/l\t"), typist.type("\r"), typist.prompt.end)
    assert typist.accepted == [line]


@pytest.fixture
def commanding(typist: Typist) -> Typist:
    commands: Any = Commands()
    typist.prompt.commands = commands
    return typist


def test_a_command_is_typed_in_place_of_the_line(commanding: Typist) -> None:
    prompts: list[str] = []

    def look() -> None:
        prompts.append(commanding.prompt._message().value)

    keys = (look, commanding.type("\x1d"), look, commanding.type(" list "), commanding.type("\r"))
    commanding.edit(
        commanding.type("ha"), *keys, look, commanding.type("lf\r"), commanding.prompt.end
    )
    assert commanding.commands == ["list"]
    assert commanding.accepted == ["half"]
    assert prompts == ["> ", "sockkit> ", "> "]


@pytest.mark.parametrize(
    "leave", ["\x03", "x\x03", "\x04", "\r", "  \r"], ids=["c-c", "typed", "c-d", "enter", "spaces"]
)
def test_the_prompt_is_left_without_a_command(leave: str, commanding: Typist) -> None:
    commanding.edit(commanding.type(f"ha\x1d{leave}lf\r"), commanding.prompt.end)
    assert commanding.commands == []
    assert commanding.accepted == ["half"]


def test_escape_leaves_the_prompt(commanding: Typist) -> None:
    app = commanding.prompt._session.app

    def wait() -> None:
        """As if no more of a sequence that begins with Escape came for a while."""
        app.key_processor.feed_multiple(app.input.flush_keys())
        app.key_processor.process_keys()

    keys = (commanding.type("ha\x1dx\x1b"), wait, commanding.type("lf\r"))
    commanding.edit(*keys, commanding.prompt.end)
    assert commanding.commands == []
    assert commanding.accepted == ["half"]


@pytest.mark.parametrize("before", ["", "\x1d"], ids=["line", "command"])
def test_in_a_paste_the_key_is_text(before: str, commanding: Typist) -> None:
    paste = "\x1b[200~a\x1dlist\r\x1b[201~"
    commanding.edit(commanding.type(before + paste), commanding.type("\r"), commanding.prompt.end)
    got = commanding.commands if before else commanding.accepted
    assert [line.rstrip("\n") for line in got] == ["a\x1dlist"]
    assert len(commanding.commands + commanding.accepted) == 1


def test_without_commands_the_key_does_nothing(typist: Typist) -> None:
    typist.edit(typist.type("a\x1db\r"), typist.prompt.end)
    assert typist.accepted == ["ab"]


def test_a_paused_command_comes_again(commanding: Typist) -> None:
    commanding.edit(commanding.type("half\x1dli"), lambda: commanding.prompt.pause(Pause.REDRAW))
    commanding.edit(commanding.type("st\r!\r"), commanding.prompt.end)
    assert (commanding.commands, commanding.accepted) == (["list"], ["half!"])


@pytest.mark.parametrize(
    ("keys", "command"), [("l\t", "list"), ("send-file a b\t", "send-file two words")]
)
def test_a_tab_completes_all_of_an_argument(keys: str, command: str, commanding: Typist) -> None:
    commanding.edit(commanding.type(f"\x1d{keys}"), commanding.type("\r"), commanding.prompt.end)
    assert commanding.commands == [command]


def test_a_command_is_seen_where_a_password_is_typed(commanding: Typist) -> None:
    commanding.prompt.assistant = Secret()
    hidden: list[bool] = []

    def look() -> None:
        hidden.append(commanding.prompt._session.is_password())  # type: ignore[operator]

    commanding.edit(look, commanding.type("\x1d"), look, commanding.prompt.end)
    assert hidden == [True, False]


def test_the_input_may_end_by_a_command(commanding: Typist) -> None:
    with pytest.raises(EOFError):
        commanding.edit(commanding.type("half"), commanding.prompt.end_input)
    commanding.prompt.end_input()  # there is no line any more
