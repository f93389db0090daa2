from __future__ import annotations

import pytest

from sockkit.core.patterns import compile_pattern
from sockkit.errors import UsageError


def test_a_pattern_is_compiled_by_both() -> None:
    plain, bounded = compile_pattern("a(b+)")
    for pattern in (plain, bounded):
        found = pattern.search("xabb")
        assert found
        assert found[1] == "bb"


@pytest.mark.parametrize("text", ["(", "[[:alpha:", "a{2,1}", "(?P<a>x)(?P<a>y)", "(?<a>x)"])
def test_what_is_no_regular_expression_of_python(text: str) -> None:
    with pytest.raises(UsageError):
        compile_pattern(text)


def test_a_warning_is_nobodys_business() -> None:
    assert compile_pattern("[[a]")[1].search("[")
