from __future__ import annotations

import pytest

from sockkit.core.chat.admission import (
    FIRST_RETRY_SECONDS,
    FORGET_SECONDS,
    MAX_FAILED_ADDRESSES,
    MAX_PASSWORD_BYTES,
    MAX_RETRY_SECONDS,
    MAX_WAITING,
    MAX_WAITING_AFTER_FAILURE,
    Admission,
    PasswordCheck,
    check_password,
    network_of,
)
from sockkit.core.chat.protocol import PASSWORD_REQUIRED, TOO_MANY_WAITING
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    "password", ["x", " x ", "小雪👋", "/password x", "x" * MAX_PASSWORD_BYTES]
)
def test_what_may_be_one(password: str) -> None:
    check_password(password)
    check = PasswordCheck(password, "utf-8")
    for line in (password, f"/password {password}"):
        assert check.accepts(line.encode(), "here")
    for line in (f"{password} ", f" {password}", ""):
        assert not check.accepts(line.encode(), "here")


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
        check.record_failure("here", now)
        waits.append(check.retry_delay("here", now))
        assert check.retry_delay("elsewhere", now) == 0
        now += waits[-1]
        assert check.retry_delay("here", now) == pytest.approx(0)
    assert waits[:5] == pytest.approx(
        [FIRST_RETRY_SECONDS * 2**n for n in range(4)] + [MAX_RETRY_SECONDS]
    )
    assert waits == sorted(waits)
    assert waits[-1] == MAX_RETRY_SECONDS
    assert check.accepts(b"sesame", "here")
    check.record_failure("here", now)
    assert check.retry_delay("here", now) == FIRST_RETRY_SECONDS
    check.record_failure("here", now + FORGET_SECONDS)
    assert check.retry_delay("here", now + FORGET_SECONDS) == FIRST_RETRY_SECONDS


def test_the_addresses_are_bounded() -> None:
    check = PasswordCheck("sesame", "utf-8")
    for number in range(MAX_FAILED_ADDRESSES + 1):
        check.record_failure(str(number), 0)
    assert [check.retry_delay(str(number), 0) for number in (0, 1, MAX_FAILED_ADDRESSES)] == [
        0,
        0.5,
        0.5,
    ]


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
    assert (network_of(one) == network_of(other)) == same


def test_without_a_password_nobody_is_held_up() -> None:
    admission = Admission(None, "utf-8")
    assert not admission.needs_password
    assert {
        admission.add(admission.address("10.0.0.1:1"), 0.0) for _ in range(MAX_WAITING + 9)
    } == {""}
    assert admission.retry_delay("", 0.0) == 0
    assert not admission.accepts(b"", "")


def test_an_address_has_so_many_waiting_and_fewer_once_it_guesses() -> None:
    admission = Admission("sesame", "utf-8")
    here, there = admission.address("10.0.0.1:1"), admission.address("10.0.0.2:1")
    assert admission.needs_password
    assert [admission.add(here, 0.0) for _ in range(MAX_WAITING)] == [
        PASSWORD_REQUIRED
    ] * MAX_WAITING
    assert (admission.add(here, 0.0), admission.add(there, 0.0)) == (
        TOO_MANY_WAITING,
        PASSWORD_REQUIRED,
    )
    assert admission.waiting == MAX_WAITING + 2
    for _ in range(MAX_WAITING + 1 - MAX_WAITING_AFTER_FAILURE):
        admission.remove(here)
    assert admission.add(here, 0.0) == PASSWORD_REQUIRED
    admission.record_failure(here, 0.0)
    assert admission.retry_delay(here, 0.0) > 0
    assert (admission.add(here, 0.0), admission.add(there, 0.0)) == (
        TOO_MANY_WAITING,
        PASSWORD_REQUIRED,
    )
    assert admission.accepts(b"sesame", here)
    assert admission.retry_delay(here, 0.0) == 0


def test_who_has_gone_is_forgotten() -> None:
    admission = Admission("sesame", "utf-8")
    admission.add("here", 0.0)
    admission.remove("here")
    assert (admission.waiting, len(admission._waiting)) == (0, 0)
