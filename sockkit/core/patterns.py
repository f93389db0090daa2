"""Regular expressions of the command line, run by the package `regex`.

Its search has a timeout, and Python's own has none. Only Python's syntax is valid, and Python's
errors are clearer than those of `regex`.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from sockkit.errors import UsageError

if TYPE_CHECKING:
    import regex as engine


HINT = "write \\ before a sign that stands for itself, as in \\( or \\["


def compile_pattern(text: str) -> tuple[re.Pattern[str], engine.Pattern[str]]:
    """`text` compiled by Python, and by `regex` for its search.

    Raises UsageError if it is invalid, and SockkitError if `regex` is not installed.
    """
    try:
        import regex as engine
    except ImportError as error:
        from sockkit.core.packages import missing

        raise missing("regex", error, "a regular expression") from error

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of syntax that may change its meaning
            return re.compile(text), engine.compile(text)
    except (re.error, engine.error, OverflowError, RecursionError) as error:
        raise UsageError(str(error), HINT) from error


def search(pattern: engine.Pattern[str], text: str, seconds: float) -> engine.Match[str] | None:
    """What `pattern` finds in `text`.

    Raises TimeoutError if that takes more than `seconds` of processor time, twice: while a virtual
    machine is held up, that time may count.
    """
    try:
        return pattern.search(text, timeout=seconds)
    except TimeoutError:
        return pattern.search(text, timeout=seconds)
