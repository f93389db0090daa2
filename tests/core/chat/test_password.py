from __future__ import annotations

import pytest

from sockkit.core.chat.password import (
    FIRST_WAIT,
    FORGOTTEN,
    MAX_ADDRESSES,
    MAX_PASSWORD_BYTES,
    MAX_WAIT,
    PasswordCheck,
    check_password,
    whole_address,
)
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    "password", ["x", " x ", "小雪👋", "/password x", "x" * MAX_PASSWORD_BYTES]
)
def test_what_may_be_one(password: str) -> None:
    check_password(password)
    check = PasswordCheck(password, "utf-8")
    for line in (password, f"/password {password}"):
        assert check.opens(line.encode(), "here")
    for line in (f"{password} ", f" {password}", ""):
        assert not check.opens(line.encode(), "here")


@pytest.mark.parametrize(
    "password", ["", "\n", "sesame\n", "sesame\rx", "sesame" * MAX_PASSWORD_BYTES, "sesame\udcff"]
)
def test_what_may_not(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_password(password)
    assert "sesame" not in str(caught.value)


def test_the_encoding_counts() -> None:
    check_password("é" * MAX_PASSWORD_BYTES, "latin-1")
    with pytest.raises(UsageError):
        check_password("é" * MAX_PASSWORD_BYTES, "utf-8")


def test_a_wrong_one_makes_its_address_wait_longer_each_time() -> None:
    check, now = PasswordCheck("sesame", "utf-8"), 100.0
    waits = []
    for _ in range(40):
        check.refuse("here", now)
        waits.append(check.wait("here", now))
        assert check.wait("elsewhere", now) == 0
        now += waits[-1]
        assert check.wait("here", now) == pytest.approx(0)
    assert waits[:5] == pytest.approx([FIRST_WAIT * 2**n for n in range(4)] + [MAX_WAIT])
    assert waits == sorted(waits)
    assert waits[-1] == MAX_WAIT
    assert check.opens(b"sesame", "here")
    check.refuse("here", now)
    assert check.wait("here", now) == FIRST_WAIT
    check.refuse("here", now + FORGOTTEN)
    assert check.wait("here", now + FORGOTTEN) == FIRST_WAIT


def test_the_addresses_are_bounded() -> None:
    check = PasswordCheck("sesame", "utf-8")
    for number in range(MAX_ADDRESSES + 1):
        check.refuse(str(number), 0)
    assert [check.wait(str(number), 0) for number in (0, 1, MAX_ADDRESSES)] == [0, 0.5, 0.5]


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
