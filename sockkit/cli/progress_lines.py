"""Shows progress on standard error: on a terminal one redrawn line, otherwise a line at times."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from sockkit.cli.status_lines import StatusLines
from sockkit.core.progress import Progress, progress_line, progress_words
from sockkit.term.foreground import in_background

COLUMNS = 80  # of a terminal whose width is unknown
LINE_SECONDS = 5.0  # between two lines, where no line can be redrawn


def progress_lines(
    status: StatusLines, environment: Mapping[str, str]
) -> Callable[[Progress], None]:
    """A function that shows progress on `status`."""
    if os.isatty(2) and environment.get("TERM") != "dumb":
        return DrawnLine(status).show
    return PlainLines(status.say).show


class DrawnLine:
    """Draws each line over the one before, unless we are in the background."""

    def __init__(self, status: StatusLines) -> None:
        self._status = status

    def show(self, progress: Progress) -> None:
        if not in_background(2):
            self._status.draw(progress_line(progress, _columns()))


class PlainLines:
    """Calls `say` with a line every LINE_SECONDS, if bytes were moved since the last one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._due = LINE_SECONDS
        self._said = (0, 0)

    def show(self, progress: Progress) -> None:
        moved = (progress.sent, progress.received)
        if progress.seconds >= self._due and moved != self._said:
            self._due, self._said = progress.seconds + LINE_SECONDS, moved
            self._say(f"* {progress_words(progress)}")


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns or COLUMNS
    except OSError:  # the terminal has gone
        return COLUMNS
