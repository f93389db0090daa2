from __future__ import annotations

import pytest

from sockkit.core.chat.password import (
    ADDRESSES,
    FIRST_WAIT,
    FORGOTTEN,
    LONGEST,
    LONGEST_WAIT,
    Gate,
    check_password,
    whole_address,
)
from sockkit.errors import UsageError


@pytest.mark.parametrize("password", ["x", " x ", "小雪👋", "/password x", "x" * LONGEST])
def test_what_may_be_one(password: str) -> None:
    check_password(password)
    gate = Gate(password, "utf-8")
    for line in (password, f"/password {password}"):
        assert gate.opens(line.encode(), "here")
    for line in (f"{password} ", f" {password}", ""):
        assert not gate.opens(line.encode(), "here")


@pytest.mark.parametrize(
    "password", ["", "\n", "sesame\n", "sesame\rx", "sesame" * LONGEST, "sesame\udcff"]
)
def test_what_may_not(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_password(password)
    assert "sesame" not in str(caught.value)


def test_the_encoding_counts() -> None:
    check_password("é" * LONGEST, "latin-1")
    with pytest.raises(UsageError):
        check_password("é" * LONGEST, "utf-8")


def test_a_wrong_one_makes_its_address_wait_longer_each_time() -> None:
    gate, now = Gate("sesame", "utf-8"), 100.0
    waits = []
    for _ in range(40):
        gate.shut("here", now)
        waits.append(gate.wait("here", now))
        assert gate.wait("elsewhere", now) == 0
        now += waits[-1]
        assert gate.wait("here", now) == pytest.approx(0)
    assert waits[:5] == pytest.approx([FIRST_WAIT * 2**n for n in range(4)] + [LONGEST_WAIT])
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT
    assert gate.opens(b"sesame", "here")
    gate.shut("here", now)
    assert gate.wait("here", now) == FIRST_WAIT
    gate.shut("here", now + FORGOTTEN)
    assert gate.wait("here", now + FORGOTTEN) == FIRST_WAIT


def test_the_addresses_are_bounded() -> None:
    gate = Gate("sesame", "utf-8")
    for number in range(ADDRESSES + 1):
        gate.shut(str(number), 0)
    assert [gate.wait(str(number), 0) for number in (0, 1, ADDRESSES)] == [0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.7:1", "10.0.0.7:2", True),
        ("10.0.0.7:1", "10.0.0.8:1", False),
        ("[2001:db8::1]:1", "[2001:db8::2:3]:9", True),
        ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", False),
        ("[fe80::1%eth0]:1", "[fe80::2%eth0]:1", True),
        ("unix", "unix", True),
        ("", "10.0.0.7:1", False),
    ],
)
def test_whom_an_address_stands_for(one: str, other: str, same: bool) -> None:
    assert (whole_address(one) == whole_address(other)) == same
