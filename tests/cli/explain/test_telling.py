from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from sockkit.cli.explain import en, telling, zh
from sockkit.cli.explain.telling import MAX_TOLD, Telling, explained, language, sentences
from sockkit.cli.render import NORMAL, Renderer
from sockkit.core.records import Message, Opened, Stream
from sockkit.errors import NO_ANSWER, TimedOut
from sockkit.events import Closed, CommandsOffered, Connected, NewPeer, Notice, Peer, SocketCall
from sockkit.net.context import Context
from sockkit.net.loop import Loop
from sockkit.net.views import Views
from sockkit.term.color import Palette

TABLE = {
    "begin": "here it begins",
    "more": "{count:,} times {kind}",
    "byte": "1 byte",
    "bytes": "{count:,} bytes",
    "long": "{size} in {name}.\nAnd why.",
    "long.again": "{size}.",
    "once": "Only once.",
    "kind.send": "send()",
}


class Lines(list[str]):
    """What was said; `telling` passes what `wanted` says."""

    def __init__(self, wanted: bool = True) -> None:
        super().__init__()
        self.asked: list[tuple[str, float]] = []
        self.wanted = wanted
        self.telling = Telling(TABLE, self.append, self._passes)

    def _passes(self, kind: str, rate: float) -> bool:
        self.asked.append((kind, rate))
        return self.wanted

    def step(self, code: str = "f()", *keys: str, kind: str = "send", **holes: str | int) -> bool:
        return self.telling.tell(kind, code, *keys, **holes)


def test_a_sentence_is_said_once_and_then_in_short() -> None:
    lines = Lines()
    assert lines.step("f()", "long", "once", size=1, name="x")
    assert lines == [">>> f()", "    1 byte in x.", "    And why.", "    Only once."]
    lines.clear()
    assert lines.step("g()", "long", "once", size=1234, name="x")
    assert lines == [">>> g()", "    1,234 bytes."]


def test_what_the_kernel_does_has_no_call() -> None:
    lines = Lines()
    lines.step("", "once")
    assert lines == ["    Only once."]


def test_a_call_that_waits_is_shown_once() -> None:
    lines = Lines()
    for kind in ("wait", "send", "send"):
        lines.telling._table = TABLE | {"kind.wait": "wait"}
        lines.step("f()", kind=kind)
    assert lines == [">>> f()", ">>> f()"]


def test_what_a_peer_chose_cannot_drive_a_terminal() -> None:
    lines = Lines()
    lines.step("f('\x1b[2J')", "long", size=0, name="\x1b[2J\u202e\n")
    assert lines == [
        r">>> f('\x1b[2J')",
        r"    0 bytes in \x1b[2J\u202e",
        "    .",
        "    And why.",
    ]


def test_too_many_at_once_are_counted() -> None:
    lines = Lines(wanted=False)
    assert not lines.step()
    assert lines == []
    assert lines.asked == [("send()", telling.TOLD_PER_SECOND)]


def test_a_lesson_has_an_end() -> None:
    lines = Lines()
    assert [lines.step() for _ in range(MAX_TOLD + 3)].count(True) == MAX_TOLD
    assert len(lines) == len(lines.asked) == MAX_TOLD
    lines.clear()
    lines.telling.finish()
    assert lines == ["3 times send()"]


def test_what_was_told_is_not_counted() -> None:
    lines = Lines()
    lines.step()
    lines.clear()
    lines.telling.finish()
    assert lines == []


@pytest.mark.parametrize(
    ("chosen", "environment", "name"),
    [
        (None, {}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "zh_TW.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        (None, {"LANG": "C", "LC_MESSAGES": "zh_CN"}, "zh"),
        (None, {"LANG": "zh_CN", "LC_MESSAGES": "zh_CN", "LC_ALL": "C.UTF-8"}, "en"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        (None, {"LANG": "de_DE.UTF-8"}, "en"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("zh", {}, "zh"),
    ],
)
def test_the_language(chosen: str | None, environment: Mapping[str, str], name: str) -> None:
    assert language(chosen, environment) == name


def test_the_tables() -> None:
    assert sentences("en") is en.SENTENCES
    assert sentences("zh") is zh.SENTENCES


STREAM = Stream(0, "tcp", "127.0.0.1:5", "127.0.0.1:80", dialled=True)
PEER = Peer(0, "127.0.0.1:80")


class Run:
    """A run that is explained to a person at a terminal."""

    def __init__(self, loop: Loop, views: Views | None = None, lang: str | None = "en") -> None:
        self.lines: list[str] = []
        palette, stdio = Palette(False), cast(Any, None)
        renderer = Renderer(NORMAL, typist=True, palette=palette)
        emit = renderer.emitter(self.lines.append)
        context = Context(loop, stdio, emit, palette, {"LANG": "zh_CN.UTF-8"}, views)
        passes = lambda kind, rate: True  # noqa: E731
        self.explained = explained(
            "tcp-client", context, {"lang": lang}, self.lines.append, renderer, passes
        )


def test_a_run_is_told_from_its_events_and_records() -> None:
    with Loop() as loop:
        run = Run(loop)
        with run.explained as context:
            assert context.views
            context.emit(SocketCall("connect", PEER.address))
            context.emit(Connected(PEER, "127.0.0.1:5"))
            context.views.show(Opened(0, STREAM), Message(0, STREAM, "sent", b"hello"))
    assert [line for line in run.lines if line.startswith(">>> ")] == [
        ">>> s.connect(('127.0.0.1', 80))",
        ">>> s.sendall(b'hello')",
    ]
    assert run.lines[0] == en.SENTENCES["begin"]


def test_notices_are_shown_as_always_and_the_lines_of_v_are_not() -> None:
    with Loop() as loop:
        run = Run(loop)
        with run.explained as context:
            run.lines.clear()
            context.emit(Notice("look"))
            context.emit(Closed(PEER, 1, 2, "lost"))
            context.emit(Closed(PEER, 1, 2))  # a typist is told of it, and of the next
            context.emit(NewPeer(PEER))
            context.emit(CommandsOffered("Ctrl-]"))
    shown = ["* look", "sockkit: lost (sent 1 byte, received 2 bytes)", "* Ctrl-] for commands"]
    assert run.lines == shown


def test_the_views_of_the_run_are_used_if_there_are_any() -> None:
    with Loop() as loop:
        views = Views(loop, lambda _: None)
        with Run(loop, views).explained as context:
            assert context.views is views


def test_the_reason_of_a_failure_comes_last() -> None:
    with Loop() as loop:
        run = Run(loop)
        with pytest.raises(TimedOut), run.explained:
            raise TimedOut("no", kind=NO_ANSWER)
    assert run.lines[-2:] == [
        f"    {line}" for line in en.SENTENCES["failed.no_answer"].split("\n")
    ]


def test_the_language_of_the_locale() -> None:
    with Loop() as loop:
        run = Run(loop, lang=None)
        with run.explained:
            pass
    assert run.lines == [zh.SENTENCES["begin"]]


def test_many_at_once_are_counted_in_the_language_of_the_run() -> None:
    with Loop() as loop:
        run = Run(loop)
        with run.explained as context:
            for _ in range(1000):
                context.emit(SocketCall("connect", PEER.address))
    most = telling.TOLD_PER_SECOND * 5
    assert sum(line.startswith(">>> ") for line in run.lines) == most
    assert run.lines[-1] == f"* {1000 - most:,.0f} more: connect()"
