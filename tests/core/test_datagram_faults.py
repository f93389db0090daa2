"""Faults of datagrams: the shares are what was asked for, and nothing else is lost."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import pytest

from sockkit.core.datagram_faults import MAX_HELD, DatagramFaults, generator
from sockkit.core.faults import Fault, FaultOptions

MANY = 20_000
SENT = [b"%06d" % number for number in range(MANY)]


def run(
    options: FaultOptions, sent: list[bytes] = SENT, seed: int = 1, direction: str = "sent"
) -> tuple[list[bytes], Counter[str]]:
    """What is passed on of all that was sent, and how often each fault was told."""
    faults = DatagramFaults(options, generator(seed, 1, direction))
    passed: list[bytes] = []
    told: Counter[str] = Counter()
    for datagram in sent:
        some, injected = faults.feed(datagram)
        passed += some
        told.update(injected)
    some, injected = faults.flush()
    told.update(injected)
    return passed + some, told


def is_share(count: int, share: float, of: int = MANY) -> bool:
    """Whether it is within three standard deviations of a binomial distribution."""
    return abs(count - of * share) <= 3 * sqrt(of * share * (1 - share))


def test_nothing_is_done_unless_asked() -> None:
    assert run(FaultOptions()) == (SENT, Counter())


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_is_dropped(share: float) -> None:
    passed, told = run(FaultOptions(drop=share))
    assert len(passed) == MANY - told[Fault.DROPPED]
    assert is_share(told[Fault.DROPPED], share)
    assert passed == sorted(passed)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_comes_twice(share: float) -> None:
    passed, told = run(FaultOptions(duplicate=share))
    twice = [each for each, count in Counter(passed).items() if count == 2]
    assert len(twice) == told[Fault.DUPLICATED]
    assert is_share(len(twice), share)
    assert len(passed) == MANY + len(twice)
    assert passed == sorted(passed)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_has_one_bit_changed(share: float) -> None:
    passed, told = run(FaultOptions(corrupt=share))
    pairs = zip(SENT, passed, strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert len(changed) == told[Fault.CORRUPTED]
    assert is_share(len(changed), share)
    for old, new in changed:
        assert len(old) == len(new)
        bits = int.from_bytes(old, "big") ^ int.from_bytes(new, "big")
        assert bits.bit_count() == 1


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_comes_after_one_that_was_sent_later(share: float) -> None:
    passed, told = run(FaultOptions(reorder=share))
    assert sorted(passed) == SENT
    latest, late = b"", 0
    for datagram in passed:
        late += datagram < latest
        latest = max(latest, datagram)
    assert late == told[Fault.REORDERED]
    assert is_share(late, share)


def test_one_alone_is_passed_on_and_is_not_reordered() -> None:
    assert run(FaultOptions(reorder=1.0), [b"a"]) == ([b"a"], Counter())


def test_of_all_that_are_reordered_a_bounded_number_is_held() -> None:
    faults = DatagramFaults(FaultOptions(reorder=1.0), generator(1, 1, "sent"))
    passed = [len(faults.feed(b"%d" % number)[0]) for number in range(MAX_HELD + 1)]
    assert passed == [0] * MAX_HELD + [MAX_HELD + 1]
    assert not faults.held


def test_an_empty_datagram_has_nothing_to_change() -> None:
    assert run(FaultOptions(corrupt=1.0), [b"", b""]) == ([b"", b""], Counter())


ALL = FaultOptions(drop=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1)


def test_nothing_is_lost_but_what_is_told() -> None:
    passed, told = run(ALL)
    assert len(passed) == MANY - told[Fault.DROPPED] + told[Fault.DUPLICATED]


def test_a_seed_makes_the_same_choices_again() -> None:
    assert run(ALL) == run(ALL)
    assert run(ALL) != run(ALL, seed=2)
    assert run(ALL) != run(ALL, direction="received")
