from __future__ import annotations

import os
import sys
from errno import EMFILE

from sockkit.core.packages import missing
from sockkit.errors import ExitStatus


def test_it_says_what_is_missing_and_how_to_get_it() -> None:
    error = missing("regex", ImportError("no such"), "a pattern")
    assert str(error) == (
        "a pattern needs the Python package regex, which is not installed: "
        f"run {sys.executable} -m pip install regex"
    )
    assert error.status == ExitStatus.FAILED


def test_it_says_what_to_do_without_it() -> None:
    error = missing("regex", ImportError("no such"), "a pattern", "write a glob, or ")
    assert error.hint == f"write a glob, or run {sys.executable} -m pip install regex"


def test_a_package_that_cannot_be_opened_is_not_missing() -> None:
    error = missing("regex", ImportError(f"regex.so: {os.strerror(EMFILE)}"), "a pattern")
    assert str(error) == "too many open files: raise the limit with ulimit -n"
