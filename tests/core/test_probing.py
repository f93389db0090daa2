from __future__ import annotations

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.core.probing import Result, Rules, Tally, result_of
from sockkit.errors import (
    ConnectError,
    ResolveError,
    SockkitError,
    TimedOut,
    TrustError,
)

DB = HostPort("db", 5432)
REFUSED = ConnectError("could not connect to db port 5432: refused", kind="refused")
SILENT = TimedOut("could not connect to db port 5432", kind="no answer")


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (Result(DB, 0.00123), "db:5432 open 1.2ms"),
        (Result(HostPort("::1", 80), 2.0), "[::1]:80 open 2000.0ms"),
        (Result(DB, error=REFUSED), "db:5432 refused"),
        (Result(DB, error=SILENT), "db:5432 no answer"),
        (Result(UnixPath("/x"), error=SockkitError("why")), "unix:/x why"),
        (Result(DB, error=TrustError("long", "hint", kind="not trusted: old")),
         "db:5432 not trusted: old"),
        (Result(DB, error=SockkitError("", kind="no match: a\nb")), "db:5432 no match: a\\x0ab"),
    ],
)  # fmt: skip
def test_a_result_is_a_line(result: Result, line: str) -> None:
    assert result.line() == line


def test_an_outcome_is_a_result() -> None:
    assert result_of(DB, 0.5) == Result(DB, 0.5)
    assert result_of(DB, REFUSED).error is REFUSED


def tally(*results: Result) -> Tally:
    made = Tally(len(results))
    for result in results:
        made.add(result)
    return made


OPEN, CLOSED, LOST = Result(DB), Result(DB, error=REFUSED), Result(DB, error=SILENT)


@pytest.mark.parametrize(
    ("results", "any_one", "well"),
    [
        ([OPEN], False, True),
        ([CLOSED], False, False),
        ([OPEN, CLOSED], False, False),
        ([OPEN, CLOSED], True, True),
        ([CLOSED, CLOSED], True, False),
    ],
)
def test_when_all_is_well(results: list[Result], any_one: bool, well: bool) -> None:
    rules = Rules(any_one)
    assert tally(*results).satisfies(rules) is well
    assert (tally(*results).failure(rules) is None) is well
    assert (tally(*results).failure(rules._replace(wait=3.0)) is None) is well


@pytest.mark.parametrize("error", [REFUSED, SILENT, ResolveError("x"), TrustError("y", "hint")])
def test_the_error_of_one_target_is_its_own(error: SockkitError) -> None:
    assert tally(Result(DB, error=error)).failure(Rules()) is error


def test_the_error_of_several_counts_them() -> None:
    matched = [Result(DB, error=SockkitError("", kind=f"no match: {n}")) for n in range(3)]
    failure = tally(OPEN, CLOSED, CLOSED, LOST, *matched).failure(Rules())
    assert isinstance(failure, ConnectError)
    assert str(failure) == "1 of 7 targets is open (3 no match, 2 refused, 1 no answer)"


HINT = "allow more time with --wait"


def test_the_error_of_a_wait_is_that_it_ran_out() -> None:
    rules = Rules(wait=1.5)
    failure = tally(CLOSED).failure(rules)
    assert isinstance(failure, TimedOut)
    assert str(failure) == f"not open after 1.5 s: {REFUSED}: {HINT}"
    failure = tally(CLOSED).failure(Rules(wait=0.0))
    assert isinstance(failure, TimedOut)
    assert str(failure) == f"not open after 0 s: {REFUSED}: {HINT}"
    failure = tally(OPEN, CLOSED).failure(rules)
    assert isinstance(failure, TimedOut)
    assert str(failure) == "1 of 2 targets is open after 1.5 s (1 refused)"
