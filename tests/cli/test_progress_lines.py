from __future__ import annotations

import os
from typing import Any

import pytest

from sockkit.cli import progress_lines as module
from sockkit.cli.progress_lines import COLUMNS, DrawnLine, PlainLines, progress_lines
from sockkit.core.progress import Progress, progress_line

SOME = Progress(1.0, 50_000, 0, 50_000, 100_000, 5e3, 0.0, 5e3)


class Status:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.say = self.draw = self.lines.append


def made(terminal: bool, monkeypatch: pytest.MonkeyPatch, **environment: str) -> type:
    monkeypatch.setattr(module.os, "isatty", lambda descriptor: terminal and descriptor == 2)
    status: Any = Status()
    return type(progress_lines(status, environment).__self__)  # type: ignore[attr-defined]


def test_only_a_capable_terminal_is_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(True, monkeypatch) is DrawnLine
    assert made(True, monkeypatch, TERM="xterm") is DrawnLine
    assert made(True, monkeypatch, TERM="dumb") is PlainLines
    assert made(False, monkeypatch, TERM="xterm") is PlainLines


@pytest.mark.parametrize(("told", "columns"), [(120, 120), (0, COLUMNS), (None, COLUMNS)])
def test_the_line_has_the_width_of_the_terminal(
    told: int | None, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def size(_: int) -> os.terminal_size:
        if told is None:
            raise OSError
        return os.terminal_size((told, 24))

    monkeypatch.setattr(module.os, "get_terminal_size", size)
    status: Any = Status()
    DrawnLine(status).show(SOME)
    assert status.lines == [progress_line(SOME, columns)]


def test_in_the_background_the_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    status: Any = Status()
    monkeypatch.setattr(module, "in_background", lambda _: True)
    DrawnLine(status).show(SOME)
    assert status.lines == []


def test_elsewhere_there_is_a_line_every_five_seconds_while_bytes_move() -> None:
    status: Any = Status()
    lines = PlainLines(status.say)
    for tenth in range(1, 310):
        moved = min(tenth, 120) * 1000
        lines.show(SOME._replace(seconds=tenth / 10, sent=moved, read=0, size=0, sent_rate=1e4))
    assert status.lines == [
        "* sent 50.0 kB at 10 kB/s, 0:05",
        "* sent 100 kB at 10 kB/s, 0:10",
        "* sent 120 kB at 10 kB/s, 0:15",
    ]
