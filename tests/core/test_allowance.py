from __future__ import annotations

import pytest

from sockkit.core.allowance import BURST, SHARE, Allowance


@pytest.mark.parametrize("rate", [0.01, 0.2, 1.0, 10.0, 333.0])
def test_its_rate_is_kept(rate: float) -> None:
    allowance, now = Allowance(rate, 0.0), 0.0
    burst = max(int(rate * BURST), 1)
    for _ in range(burst + 100):
        now += allowance.wait(now)
        assert allowance.wait(now) == 0
        allowance.spend(10)
    assert now * rate == pytest.approx(100, abs=1.01)


def test_a_long_line_counts_as_several() -> None:
    allowance = Allowance(1.0, 0.0)
    allowance.spend(SHARE * 8)
    assert allowance.wait(0.0) == pytest.approx(4)
    assert allowance.wait(1.0) == pytest.approx(3)


def test_what_is_not_used_is_not_gathered() -> None:
    allowance = Allowance(1.0, 0.0)
    assert allowance.wait(1000.0) == 0
    for _ in range(int(BURST)):
        allowance.spend(0)
    assert allowance.wait(1000.0) == pytest.approx(1)


def test_no_limit() -> None:
    allowance = Allowance(0, 0.0)
    allowance.spend(10**9)
    assert allowance.wait(0.0) == 0
