"""Runs programs in turn, and makes a Markdown table of the results.

A ratio is the median of the ratios of single rounds, so that a temporary slowdown of the machine
favours none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.machine import stolen
from benchmarks.process import RunError

MAX_STOLEN = 0.05  # of one processor
MAX_TRIES = 4

Samples = list[float | None]  # one a round; None where the run failed


@dataclass(frozen=True)
class Goal:
    """sockkit is to be at least `times` as fast as `peer`, or with `at_most` to take at most
    `times` as much.

    0 means no goal: the peer is only shown.
    """

    peer: str
    times: float = 0.0
    at_most: bool = False

    def __str__(self) -> str:
        if not self.times:
            return "–"
        if self.at_most:
            return f"at most {self.times:g} times {self.peer}"
        return f"{self.times:g} times as fast as {self.peer}"

    def ratios(self, ours: Samples, theirs: Samples) -> list[float]:
        """The ratio of each round in which both runs succeeded."""
        pairs = [(our, their) for our, their in zip(ours, theirs, strict=True) if our and their]
        return [our / their if self.at_most else their / our for our, their in pairs]

    def verdict(self, ratio: float) -> str:
        if not self.times:
            return "–"
        margin = ratio / self.times - 1
        return verdict(-margin if self.at_most else margin)


@dataclass
class Row:
    """A row of the table: what is measured, the goals, and after the runs the results."""

    name: str
    what: str
    unit: Callable[[float], str]
    goals: Sequence[Goal]
    ceiling: float | None = None  # every run of sockkit must stay below this
    slowest: float | None = None  # the same for a rate: the most seconds for each
    samples: dict[str, Samples] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        ours = self.samples["sockkit"]
        peers, ratios, targets, results = [], [], [], []
        if self.ceiling is not None:
            targets.append(f"under {self.unit(self.ceiling)}")
            worst = max(filter(None, ours), default=None)
            results.append(verdict(1 - worst / self.ceiling) if worst else "not measured")
        if self.slowest is not None:
            targets.append(f"at least {self.unit(self.slowest)}")
            worst = max(filter(None, ours), default=None)
            results.append(verdict(self.slowest / worst - 1) if worst else "not measured")
        for goal in self.goals:
            theirs = self.samples.get(goal.peer)
            found = goal.ratios(ours, theirs) if theirs else []
            told = spread(theirs, self.unit) if theirs else "not installed"
            peers.append(f"{goal.peer}: {told}")
            ratios.append(f"{goal.peer}: {spread(found, '{:.2f}'.format)}")
            targets.append(str(goal))
            results.append(goal.verdict(median(found)) if found else "not measured")
        columns = ["<br>".join(column) for column in (peers, ratios, targets, results)]
        return [self.what, spread(ours, self.unit), *columns]


def in_turn(row: Row, contestants: Mapping[str, Callable[[bool], float]], runs: int) -> Row:
    """Run A B C A B C ... after one uncounted round, and store the results in the row.

    A contestant is called with True for the warm-up. One that fails in it is not run again. A
    failure is printed at once, and again below the table.
    """
    row.samples = {name: [] for name in contestants}
    broken = set()
    for number in range(runs + 1):
        print(
            f"{row.name}: {f'round {number} of {runs}' if number else 'warm-up'}", file=sys.stderr
        )
        for name, contestant in contestants.items():
            value = None
            try:
                value = undisturbed(contestant, number == 0) if name not in broken else None
            except RunError as error:
                row.failures.append(f"{row.name}, {name}, round {number}: {error}")
                print(row.failures[-1], file=sys.stderr)
                if number == 0:
                    broken.add(name)
            if number:
                row.samples[name].append(value)
    return row


def undisturbed(contestant: Callable[[bool], float], warm_up: bool) -> float:
    """Run up to MAX_TRIES times, until the host takes no more than MAX_STOLEN for others."""
    for _ in range(MAX_TRIES):
        began, before = time.monotonic(), stolen()
        value = contestant(warm_up)
        if stolen() - before <= MAX_STOLEN * (time.monotonic() - began):
            break
    return value


def spread(samples: Sequence[float | None], unit: Callable[[float], str]) -> str:
    """The median, minimum and maximum of the runs that succeeded."""
    values = [value for value in samples if value is not None]
    if not values:
        return "–"
    return f"{unit(median(values))} ({unit(min(values))} – {unit(max(values))})"


def verdict(margin: float) -> str:
    return f"{'met' if margin >= 0 else '**missed**'} by {abs(margin):.0%}"


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:.1f} MiB"


def size_name(size: int) -> str:
    """A size for people: 2 GiB, 1.5 MiB, 1000 bytes."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:.4g} {unit}"
    return f"{size} bytes"


def markdown(rows: Sequence[Row]) -> str:
    """The table, followed by every run that failed."""
    head = ["what", "sockkit", "peers", "ratio", "target", "result"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    failures = [f"- {' '.join(failure.split())}" for row in rows for failure in row.failures]
    told = ["", "Runs that failed, and are not counted:", "", *failures] if failures else []
    return "\n".join([table, *told])
