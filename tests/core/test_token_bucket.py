from __future__ import annotations

import pytest

from sockkit.core.token_bucket import BURST_SECONDS, CHARACTERS_PER_TOKEN, TokenBucket


@pytest.mark.parametrize("rate", [0.01, 0.2, 1.0, 10.0, 333.0])
def test_its_rate_is_kept(rate: float) -> None:
    bucket, now = TokenBucket(rate, 0.0), 0.0
    burst = max(int(rate * BURST_SECONDS), 1)
    for _ in range(burst + 100):
        now += bucket.wait(now)
        assert bucket.wait(now) == 0
        bucket.spend(10)
    assert now * rate == pytest.approx(100, abs=1.01)


def test_a_long_line_counts_as_several() -> None:
    bucket = TokenBucket(1.0, 0.0)
    bucket.spend(CHARACTERS_PER_TOKEN * 8)
    assert bucket.wait(0.0) == pytest.approx(4)
    assert bucket.wait(1.0) == pytest.approx(3)


def test_what_is_not_used_is_not_gathered() -> None:
    bucket = TokenBucket(1.0, 0.0)
    assert bucket.wait(1000.0) == 0
    for _ in range(int(BURST_SECONDS)):
        bucket.spend(0)
    assert bucket.wait(1000.0) == pytest.approx(1)


def test_no_limit() -> None:
    bucket = TokenBucket(0, 0.0)
    bucket.spend(10**9)
    assert bucket.wait(0.0) == 0


@pytest.mark.parametrize("rate", [0, 0.1, 3.7, 1000])
@pytest.mark.parametrize("size", [0, 1024, 1500])
def test_lines_together_cost_what_they_do_one_by_one(rate: float, size: int) -> None:
    together, alone = TokenBucket(rate, 0.0), TokenBucket(rate, 0.0)
    for now in (0.0, 0.3, 7.0):
        count = 0
        while count < 40 and not alone.wait(now):
            alone.spend(size)
            count += 1
        assert together.spend_lines([size] * 40, now) == count
        assert together.wait(now) == alone.wait(now)
