"""The budget of skipped tests. Where CI is set, a test that skips and is not here fails.

So does one that is expected to fail. Programs that tests talk to are installed there.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

# Tests of files in tests/, and what a machine that runs CI may have instead of what they need.
MAY_SKIP = {
    "e2e/test_floods.py::test_a_service_that_answers_everything_is_not_answered":
        "somebody else on port 19, or a user who may not bind it",
    "e2e/test_signals.py::test_process_1_of_a_container": "no namespaces, as within a container",
    "e2e/test_unix.py::test_another_users_process_gets_no_byte": "a user who is not root",
    "e2e/test_unix.py::test_another_users_datagram_is_dropped": "a user who is not root",
    "e2e/test_unix.py::test_many_of_another_user": "a user who is not root",
    "e2e/test_statuses.py::test_privileged_port": "no privileged ports, as within a container",
}  # fmt: skip

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def judged(report: Report) -> Report:
    """`report`, failed if it is of a skip beyond the budget."""
    name = report.nodeid.partition("[")[0].removeprefix("tests/")
    if report.skipped and os.environ.get("CI") and name not in MAY_SKIP:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI skips what tests/skips.py allows, and no more: {why}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return judged((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that skips as a whole."""
    return judged((yield))
