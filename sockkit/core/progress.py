"""What --progress shows: how far a transfer has come, its rate, and the time left.

A rate covers the last RATE_SECONDS, so it shows a transfer that has stalled. The clock begins with
the first byte: a server may wait for its client for hours.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from sockkit.core.units import MIN_RATED_BYTES, show_amount, show_clock, show_rate
from sockkit.events import Transferred

LOOK_SECONDS = 0.2  # between two looks at the counters
RATE_SECONDS = 5.0  # over which a rate is taken
MAX_SECONDS_LEFT = 100 * 3600.0  # a longer forecast is worthless
BAR_COLUMNS = (10, 40)  # the fewest and the most
BESIDE_BAR = 56  # columns for the figures beside the bar


class Counters(NamedTuple):
    """Bytes so far. `read` is the position in an input of `size` bytes; `size` is 0 if unknown."""

    sent: int
    received: int
    read: int = 0
    size: int = 0


class Progress(NamedTuple):
    """How far a transfer has come. The rates are in bytes a second, over the last RATE_SECONDS.

    `read` bytes were read of the `size` bytes of the input; both are 0 if that is not known.
    """

    seconds: float
    sent: int
    received: int
    read: int
    size: int
    sent_rate: float
    received_rate: float
    read_rate: float


class Meter:
    """Calculates rates from counters that are looked at every LOOK_SECONDS."""

    def __init__(self, now: float, counters: Counters) -> None:
        self._first = self._last = counters
        self._began = self._sent_at = self._received_at = now
        # The oldest look of these is RATE_SECONDS ago.
        self._looks = deque([(now, counters)], maxlen=int(RATE_SECONDS / LOOK_SECONDS) + 1)

    @property
    def moving(self) -> bool:
        """Whether any byte was counted yet."""
        return self._last[:3] != self._first[:3]

    def look(self, now: float, counters: Counters) -> None:
        before, self._last = self._last, counters
        if not self.moving:
            self._began = self._sent_at = self._received_at = now
            self._looks.clear()
        if counters.sent != before.sent:
            self._sent_at = now
        if counters.received != before.received:
            self._received_at = now
        self._looks.append((now, counters))

    def progress(self) -> Progress:
        """The progress at the last look."""
        (before, then), (now, last) = self._looks[0], self._looks[-1]
        spent = max(now - before, LOOK_SECONDS)
        sent, received, read = (
            max(late - early, 0) / spent for late, early in zip(last[:3], then[:3], strict=True)
        )
        begin = self._first.read
        known = begin < last.read <= last.size  # if not, the input is not read or its size is wrong
        return Progress(
            now - self._began,
            last.sent,
            last.received,
            last.read - begin if known else 0,
            last.size - begin if known else 0,
            sent,
            received,
            read,
        )

    def total(self) -> Transferred:
        ends = (self._looks[-1][0], self._sent_at, self._received_at)
        return Transferred(*self._last[:2], *(end - self._began for end in ends))


def progress_words(progress: Progress) -> str:
    """One line of text: a share while an input of known size is read, otherwise counts."""
    return ", ".join(_facts(progress) if _reads(progress) else _counts(progress))


def progress_line(progress: Progress, columns: int) -> str:
    """The same line with a bar, for a terminal with `columns` columns. The last one stays free."""
    if not _reads(progress):
        counts = _counts(progress)
        return _first_fitting([", ".join(counts), ", ".join(counts[:-1])], columns)
    share, *facts = _facts(progress)
    bar = f"{share:>4} {_bar(progress, columns)} "
    figures = ", ".join(facts[:3])
    lines = [f"{bar}{', '.join(facts)}", f"{bar}{figures}", f"{share}, {figures}"]
    return _first_fitting([*lines, ", ".join([share, *facts[1:3]])], columns)


def _reads(progress: Progress) -> bool:
    return 0 < progress.read < progress.size


def _facts(progress: Progress) -> list[str]:
    """The share, the bytes read and in all, the rate, the time left, and the bytes received."""
    remaining, rate = progress.size - progress.read, progress.read_rate
    facts = [
        f"{progress.read * 100 // progress.size}%",
        f"{show_amount(progress.read)} of {show_amount(progress.size)}",
        show_rate(rate) if rate >= 1 else "stalled",
    ]
    if rate * MAX_SECONDS_LEFT > remaining:
        facts.append(f"{show_clock(math.ceil(remaining / rate))} left")
    if progress.received:
        facts.append(_count("received", progress.received, progress.received_rate))
    return facts


def _counts(progress: Progress) -> list[str]:
    """The bytes sent and received, in each direction that has any, and the time."""
    directions = (
        ("sent", progress.sent, progress.sent_rate),
        ("received", progress.received, progress.received_rate),
    )
    counts = [_count(*direction) for direction in directions if direction[1]]
    return [*counts, show_clock(progress.seconds)]


def _count(direction: str, size: int, rate: float) -> str:
    speed = f" at {show_rate(rate)}" if rate >= 1 and size >= MIN_RATED_BYTES else ""
    return f"{direction} {show_amount(size)}{speed}"


def _bar(progress: Progress, columns: int) -> str:
    """The bar. Its length depends on `columns` alone, so it stays while the figures change."""
    fewest, most = BAR_COLUMNS
    length = min(max(columns - BESIDE_BAR, fewest), most)
    done = "=" * (length * progress.read // progress.size)
    return f"[{f'{done}>'[:length]:{length}}]"


def _first_fitting(lines: list[str], columns: int) -> str:
    """The first line that leaves the last column free; the last one is cut if it must be."""
    fitting = (line for line in lines if len(line) < columns)
    return next(fitting, lines[-1][: columns - 1])
