"""Points in time as people write them, in a zone that is not UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.since import parse_since
from sockkit.errors import UsageError


@pytest.fixture(autouse=True, scope="module")
def shanghai() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CST-8")
        time.tzset()
        yield
    time.tzset()


def at(*fields: int) -> int:
    """Microseconds since 1970 of a time in UTC."""
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type]


FIRST = at(2026, 1, 31, 20, 30)  # 04:30 on February 1 in Shanghai
NOW = at(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("5m", NOW - 300_000_000),
        ("1.5", NOW - 1_500_000),
        ("05:30", at(2026, 1, 31, 21, 30)),
        ("04:00:00.5", at(2026, 1, 31, 20) + 500_000),
        ("05:30Z", at(2026, 1, 31, 5, 30)),
        ("2026-02-01", at(2026, 1, 31, 16)),
        ("2026-02-01 05:30", at(2026, 1, 31, 21, 30)),
        ("2026-02-01T05:30:01.000002", at(2026, 1, 31, 21, 30, 1) + 2),
        ("2026-02-01T05:30:00Z", at(2026, 2, 1, 5, 30)),
        ("2026-02-01T05:30+01:00", at(2026, 2, 1, 4, 30)),
    ],
)
def test_a_time(text: str, since: int) -> None:
    assert parse_since(text)(FIRST, NOW) == since


@pytest.mark.parametrize(
    "text", ["", "now", "25:00", "5:30", "2026-W05-1", "2026-02-30", "T05:30", "-5m"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time: write 13:59"):
        parse_since(text)


@given(st.text(alphabet="0123456789:-TZ.+ mh"))
def test_nothing_but_a_usage_error(text: str) -> None:
    try:
        since = parse_since(text)
    except UsageError:
        return
    assert isinstance(since(FIRST, NOW), int)
