from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.skips import MAY_SKIP, judged

HERE = Path(__file__).parent
BUDGETED = f"tests/{next(iter(MAY_SKIP))}[a case of it]"


def report(nodeid: str, outcome: str) -> pytest.TestReport:
    why = ("here", 1, "Skipped: it is not there") if outcome == "skipped" else None
    return pytest.TestReport(nodeid, ("", 0, ""), {}, outcome, why, "call")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ci", "nodeid", "outcome", "expected"),
    [
        ("true", "tests/core/test_text.py::test_it", "skipped", "failed"),
        ("true", "tests/core/test_text.py::test_it", "passed", "passed"),
        ("true", BUDGETED, "skipped", "skipped"),
        ("true", BUDGETED, "failed", "failed"),
        ("", "tests/core/test_text.py::test_it", "skipped", "skipped"),
    ],
)
def test_what_is_skipped_in_ci_fails_unless_it_is_in_the_budget(
    ci: str, nodeid: str, outcome: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    got = judged(report(nodeid, outcome))
    assert got.outcome == expected
    assert ("it is not there" in str(got.longrepr)) == (outcome == "skipped")


def test_the_run_is_not_ended_as_if_all_were_well() -> None:
    assert hasattr(os._exit, "__code__")  # so that a fault here does not end the run
    with pytest.raises(AssertionError, match=r"os\._exit"):
        os._exit(0)


def test_pytest_asks_for_it(pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.pluginmanager.hook
    for hook in (asked.pytest_runtest_makereport, asked.pytest_make_collect_report):
        assert "tests.skips" in [one.function.__module__ for one in hook.get_hookimpls()]


@pytest.mark.parametrize("name", MAY_SKIP)
def test_the_budget_names_tests_that_there_are(name: str) -> None:
    file, _, test = name.partition("::")
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    (found,) = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == test
    ]
    assert "pytest.skip" in ast.unparse(found)
