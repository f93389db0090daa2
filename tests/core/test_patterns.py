from __future__ import annotations

import sys

import pytest

from sockkit.core.patterns import compile_pattern
from sockkit.core.responder import parse_rules
from sockkit.errors import SockkitError, UsageError


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


def test_without_the_package_it_is_no_fault_of_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "regex", None)
    told = "^a regular expression needs the Python package regex, which is not installed: run "
    with pytest.raises(SockkitError, match=told) as raised:
        compile_pattern("a")
    assert not isinstance(raised.value, UsageError)
    with pytest.raises(SockkitError, match=told):
        parse_rules("a=b\nre:a=b", "rules")
    assert len(parse_rules("a=b", "rules")) == 1  # a glob needs no package
