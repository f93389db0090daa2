from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.units import (
    parse_duration,
    parse_mode,
    parse_share,
    parse_size,
    parse_timeout,
    show_amount,
    show_average,
    show_clock,
    show_rate,
    show_seconds,
    show_size,
)
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1024", 1024),
        ("64k", 65536),
        ("64K", 65536),
        ("1M", 2**20),
        ("1MiB", 2**20),
        ("2kb", 2048),
        ("1g", 2**30),
        ("2147483647", 2**31 - 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "0k", "-1", "+1", " 1", "1 ", "1\n", "1.5k", "k", "1kk", "1ib", "1t"),
        *("0x10", "６４", "2g", "2147483648", "9" * 5000),
    ],
)
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("5", 5),
        ("5.", 5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5s", 5),
        ("500ms", 0.5),
        ("2m", 120),
        ("1.5h", 5400),
        ("315360000", 315360000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "s", "-1", "+1", " 1", "1 s", "1\n", "1e3", "inf", "nan", "1d", "1,5", "５"),
    ],
)
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0%", 0),
        ("5%", 0.05),
        ("0.5%", 0.005),
        ("5.%", 0.05),
        ("100%", 1),
        ("100.0%", 1),
        ("7", 0.07),
    ],
)
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text",
    [
        *("", "%", "-1%", "+1%", " 1%", "1 %", "1%\n", "1%%", "1e1%", "nan%", "inf", "a%", "５%"),
        *("100.1%", "101", "1,5%", "1/2", "9" * 5000),
    ],
)
def test_what_is_no_share_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is not a percentage"):
        parse_share(text)


@given(st.text(st.characters()) | st.from_regex(r"\A[0-9.]{1,12}[a-zA-Z]{0,3}\Z"))
def test_only_usage_errors_and_values_in_range(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 1 <= parse_size(text) < 2**31
    with contextlib.suppress(UsageError):
        assert 0 <= parse_duration(text) <= 315360000
    with contextlib.suppress(UsageError):
        assert 0 <= parse_share(text) <= 1


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 bytes"), (1, "1 byte"), (2, "2 bytes"), (1234567, "1,234,567 bytes")]
)
def test_sizes_are_shown_exactly(size: int, shown: str) -> None:
    assert show_size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (5.0, "5 s"), (0.25, "0.25 s"), (7200, "7200 s"), (1234567, "1234567 s")],
)
def test_seconds_are_shown_without_an_exponent(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown


@pytest.mark.parametrize(("text", "mode"), [("600", 0o600), ("0660", 0o660), ("000", 0)])
def test_modes(text: str, mode: int) -> None:
    assert parse_mode(text) == mode


@pytest.mark.parametrize(
    "text", ["", "6", "60", "0o600", "888", "1777", "04755", "rw-", "-600", "６００"]
)
def test_what_is_no_mode_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=f"{text!r} is not a file mode: write three octal digits"):
        parse_mode(text)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        *((0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.00 kB"), (9994, "9.99 kB")),
        *((9996, "10.0 kB"), (99_949, "99.9 kB"), (99_951, "100 kB"), (999_499, "999 kB")),
        *((999_500, "1.00 MB"), (2**31, "2.15 GB"), (10**15, "1,000 TB"), (10**17, "100,000 TB")),
    ],
)
def test_amounts_have_three_digits(size: int, shown: str) -> None:
    assert show_amount(size) == shown


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        *((1, "1 byte/s"), (999.4, "999 bytes/s"), (999.5, "1.0 kB/s"), (9940, "9.9 kB/s")),
        *((9960, "10 kB/s"), (512_345, "512 kB/s"), (5_432_100, "5.4 MB/s"), (1.8e9, "1.8 GB/s")),
    ],
)
def test_rates_have_two_digits_or_three(rate: float, shown: str) -> None:
    assert show_rate(rate) == shown


@pytest.mark.parametrize(
    ("size", "seconds", "shown"),
    [
        *((1000, 1, "1.0 kB/s"), (999, 1, ""), (0, 1, ""), (10**6, 0.0, "")),
        *((10**6, 0.0009, ""), (10**6, 0.001, "1.0 GB/s"), (10**6, 1e7, "0 bytes/s")),
    ],
)
def test_an_average_needs_bytes_and_time(size: int, seconds: float, shown: str) -> None:
    assert show_average(size, seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0.9, "0:00"), (5, "0:05"), (65, "1:05"), (3599.9, "59:59"), (3600, "1:00:00")),
        (100 * 3600 + 61, "100:01:01"),
    ],
)
def test_clocks(seconds: float, shown: str) -> None:
    assert show_clock(seconds) == shown


def test_no_time_is_no_timeout() -> None:
    assert parse_timeout("1ms") == 0.001
    for text in ("0", "0ms"):
        with pytest.raises(UsageError, match=f"^{text} leaves no time: give some, for example 5s$"):
            parse_timeout(text)


@pytest.mark.parametrize("text", ["315360001", "999999999999", "9" * 5000])
def test_a_duration_may_be_too_long(text: str) -> None:
    with pytest.raises(UsageError, match=r"^that is too long: give at most ten years$"):
        parse_duration(text)
