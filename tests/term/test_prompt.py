"""The prompt without a terminal; the whole editor is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

import asyncio
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


class Typist:
    """A prompt, what was accepted there, and the keys."""

    def __init__(self, keys: PipeInput) -> None:
        self.accepted: list[str] = []
        self.keys = keys
        self.prompt = Prompt(sys.stdin, sys.stdout, None, self._accept)

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
    prompt: Any = SimpleNamespace(assistant=SimpleNamespace())
    prompt.assistant.complete = lambda text: [("12", "10.0.0.7:80")] if text else []
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
