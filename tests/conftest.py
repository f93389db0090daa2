"""What makes a run fail that would otherwise look as if it had passed."""

from __future__ import annotations

import os

from tests.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

RUN = os.getpid()
leave = os._exit


def leave_unless_all_is_well(status: int) -> None:
    """The program's own end, `os._exit(0)`, would end the run, with the status of success."""
    if os.getpid() == RUN and not status:
        raise AssertionError("a test has called os._exit(0)")
    leave(status)


os._exit = leave_unless_all_is_well  # type: ignore[assignment]
