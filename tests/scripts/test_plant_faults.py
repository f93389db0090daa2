from __future__ import annotations

import functools
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from scripts.plant_faults import FAULTS, ROOT, Fault, Site, Trial, Verdict, load, lost, report

FAULT = Fault("a pause is left out", "sockkit/net/tcp/server.py", "wait()\n", "")
LEAST = {"core": 20, "net": 40, "apps": 15, "cli": 20, "term": 5}


DEFINITION = re.compile(r" *(async )?def ")


@functools.cache
def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def compiles(fault: Fault, text: str) -> None:
    """Raise what is wrong with the text that has the fault.

    There are a thousand faults, and their whole files would take seconds to compile. What is
    changed within a function is compiled with that function, and with all if that does not do.
    """
    planted = fault.planted(text)
    first = text[: text.index(fault.old)].count("\n")
    try:
        compile(function(planted.split("\n"), first, fault.new.count("\n")), fault.file, "exec")
    except (SyntaxError, ValueError):
        compile(planted, fault.file, "exec")


def function(lines: list[str], first: int, more: int) -> str:
    """The function of line `first`. Raises ValueError if the `more` lines go on beyond its end."""
    start = next((n for n in range(first, -1, -1) if DEFINITION.match(lines[n])), None)
    if start is None:
        raise ValueError("a line outside of functions")
    depth = indentation(lines[start])
    outside = (n for n in range(start + 1, len(lines)) if ends(lines[n], depth))
    end = next(outside, len(lines))
    if not start <= first <= first + more < end:
        raise ValueError("lines outside of the function")
    return textwrap.dedent("\n".join(lines[start:end]))


def ends(line: str, depth: int) -> bool:
    return bool(line.strip()) and indentation(line) <= depth and not line.lstrip().startswith(")")


def indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def problems(fault: Fault) -> list[str]:
    """Why it cannot be planted, or what it is to be run against and is not there."""
    found = [f"{fault.name}: nothing changes"] if fault.new == fault.old else []
    try:
        compiles(fault, source(fault.file))
    except (OSError, SyntaxError, ValueError) as error:
        found.append(f"{fault.name}: {error}")
    if not all(fault.stages()):
        found.append(f"{fault.name}: there are no tests to run it against")
    for test in (test for tests in fault.stages() for test in tests):
        file, _, name = test.partition("::")
        if not (ROOT / file).exists() or f"def {name.partition('[')[0]}" not in source(file):
            found.append(f"{fault.name}: there is no {test}")
    return found


def test_every_fault_fits() -> None:
    assert [problem for fault in load(FAULTS) for problem in problems(fault)] == []


@pytest.mark.parametrize(
    ("new", "fits"),
    [
        ("x = 2", True),
        ("x = (2", False),
        ("x = 2\nelse:", False),
        ("x = 2\nreturn 1", False),
        ("x = 2\n    nonlocal y", False),
        ("x = 2\n\n\ndef k():\n    pass", True),
        ("x = 2\n\n\ndef k():\n    pass\n  pass", False),
    ],
)
def test_a_fault_that_python_cannot_read_does_not_fit(new: str, fits: bool) -> None:
    text = "def f():\n    return 0\n\n\ndef g(\n    y,\n):\n    x = 1\n\n\ndef h():\n    pass\n"
    fault = FAULT._replace(old="x = 1", new=new)
    if fits:
        compiles(fault, text)
    else:
        with pytest.raises(SyntaxError):
            compiles(fault, text)
    compiles(fault._replace(old="def f():\n    return 0", new="y = 1"), text)


def test_there_are_enough_of_them() -> None:
    faults = load(FAULTS)
    packages = Counter(fault.package for fault in faults)
    assert {room for room, least in LEAST.items() if packages[room] < least} == set()
    names = Counter(fault.name for fault in faults)
    assert [name for name, count in names.items() if count > 1] == []


def test_a_text_that_is_there_twice_does_not_fit() -> None:
    assert FAULT.planted("ask()\nwait()\n") == "ask()\n"
    for text in ("wait()\nwait()\n", "ask()\n"):
        with pytest.raises(ValueError, match="not once"):
            FAULT.planted(text)


def test_what_a_fault_is_run_against() -> None:
    module, e2e = FAULT.stages()
    assert module == ("tests/net/tcp/test_server.py",)
    assert "tests/e2e/test_server.py" in e2e
    named = FAULT._replace(tests=("tests/net/test_loop.py",), e2e=("tests/e2e/test_http.py",))
    assert named.stages() == (named.tests, named.e2e)


class FakeSite(Site):
    """With the fault, each run in turn fails as `planted` says; without it, `broken` tests do."""

    def __init__(self, planted: list[list[str]], broken: str) -> None:
        self.planted, self.broken, self.has_fault = planted, broken, False
        self.left_out: list[list[str]] = []  # in each run with the fault

    @contextmanager
    def having(self, fault: Fault) -> Iterator[None]:
        self.has_fault = True
        yield
        self.has_fault = False

    def present(self, tests: Sequence[str]) -> list[str]:
        return [*tests]

    def failing(
        self, tests: Sequence[str], without: Sequence[str] = (), first: bool = True
    ) -> list[str]:
        if not self.has_fault:
            return [test for test in tests if test in self.broken]
        self.left_out.append([*without])
        return self.planted.pop(0)


@pytest.mark.parametrize(
    ("planted", "broken", "by", "left_out"),
    [
        ([["a"], ["a"]], "", "a", [[], []]),
        ([["a"], [], []], "", "", [[], [], ["a"]]),
        ([["a"], ["a"], ["b"], ["b"]], "a", "b", [[], [], ["a"], []]),
    ],
    ids=["it fails again", "it failed by chance", "it fails without the fault, too"],
)
def test_what_counts_as_noticed(
    planted: list[list[str]], broken: str, by: str, left_out: list[list[str]]
) -> None:
    site, trial = FakeSite(planted, broken), Trial(None)
    trial.judge(site, FAULT, 0)
    assert trial.verdicts[FAULT.name].by == by
    assert site.left_out == left_out


def test_what_was_caught_before() -> None:
    caught, survived = (
        Verdict("sockkit/net/tcp/server.py", "a", 1.0),
        Verdict("sockkit/net/tcp/server.py", "", 1.0),
    )
    before = {name: caught._asdict() for name in ("one", "two", "three")}
    before["four"] = survived._asdict()
    now = {"one": caught, "two": survived, "four": survived}
    assert lost(before, now, "") == ["two", "three"]
    assert lost(before, now, "thr") == ["three"]


def test_the_report_counts_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    other = FAULT._replace(name="an order is swapped", file="sockkit/core/text.py")
    caught = Verdict(FAULT.file, "tests/e2e/test_server.py::test_a", 1.0)
    assert report([FAULT], {FAULT.name: caught})
    assert not report([FAULT, other], {FAULT.name: caught, other.name: caught._replace(by="")})
    assert capsys.readouterr().out.splitlines()[2:] == [
        "net: 1 of 1 caught",
        "core: 0 of 1 caught",
        "in all: 1 of 2 caught, 1 of them by end-to-end tests",
        "SURVIVED: an order is swapped (sockkit/core/text.py)",
    ]
