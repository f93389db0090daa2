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


def compile_pattern(text: str) -> tuple[re.Pattern[str], engine.Pattern[str]]:
    """`text` compiled by Python, and by `regex` for its search. Raises UsageError."""
    import regex as engine

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of syntax that may change its meaning
            return re.compile(text), engine.compile(text)
    except (re.error, engine.error, OverflowError, RecursionError) as error:
        raise UsageError(str(error)) from error
