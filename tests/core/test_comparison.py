"""What is received against what was recorded, however both are cut, and whichever is ahead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.comparison import ByteComparison, Comparison, DatagramComparison, Difference
from tests.support import noise

pieces = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=30)


def compare(comparison: Comparison, sides: list[tuple[bool, bytes]]) -> Difference | None:
    """The first difference of pieces, each expected or received."""
    for expected, data in sides:
        found = comparison.expect(data) if expected else comparison.receive(data)
        if found:
            return found
    return comparison.end()


def mixed(one: bytes, other: bytes, cuts: list[tuple[bool, int]]) -> list[tuple[bool, bytes]]:
    """Both in pieces, in some order."""
    rest = {True: one, False: other}
    made = []
    for expected, size in cuts:
        made.append((expected, rest[expected][:size]))
        rest[expected] = rest[expected][size:]
    return [*made, (True, rest[True]), (False, rest[False])]


@given(st.binary(max_size=200), st.binary(max_size=200), pieces)
def test_streams_in_any_pieces(same: bytes, other: bytes, cuts: list[tuple[bool, int]]) -> None:
    found = compare(ByteComparison(), mixed(same, same, cuts))
    assert found is None
    pairs = zip(same, other, strict=False)
    at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(same), len(other)))
    found = compare(ByteComparison(), mixed(same, other, cuts))
    if same == other:
        assert found is None
        return
    assert found
    assert found.dumps.startswith(f"first difference at byte {at} ")
    if at == len(other):
        assert found.what == f"ended after {at} of {len(same)} byte{'s' * (len(same) != 1)}"
    elif at == len(same):
        assert found.what == f"goes on after {at} byte{'s' * (at != 1)}"
    else:
        assert found.what == f"differs at byte {at}"


@pytest.mark.parametrize("size", [0, 15, 16, 33, 1000, 100_000])
def test_the_dumps_are_those_of_the_place(size: int) -> None:
    """However much came before, the offsets are right, and the lines around it are shown."""
    before = noise(size)
    comparison = ByteComparison()
    assert comparison.expect(before) is None
    assert comparison.receive(before) is None
    assert comparison.expect(b"hello") is None
    found = comparison.receive(b"heLl")
    assert found
    assert found.what == f"differs at byte {size + 2}"
    assert f"\n! {(size + 2) // 16 * 16:08x}  " in found.dumps
    assert "end" not in found.dumps  # either may go on
    assert found.dumps.count("\n") <= 3 + 2 * 5


def test_only_what_is_ahead_is_held() -> None:
    comparison = ByteComparison()
    comparison.expect(bytes(1000))
    assert (comparison.expected_ahead, comparison.received_ahead) == (1000, 0)
    comparison.receive(bytes(1500))
    assert (comparison.expected_ahead, comparison.received_ahead) == (0, 500)
    comparison.expect(bytes(500))
    assert (comparison.expected_ahead, comparison.received_ahead) == (0, 0)


def test_datagrams_keep_their_boundaries() -> None:
    same = [b"one", b"", b"two"]
    sides = [(True, each) for each in same] + [(False, each) for each in same]
    assert compare(DatagramComparison(), sides) is None
    assert compare(DatagramComparison(), sides[::-1][:3] + sides[:3][::-1]) is None
    found = compare(DatagramComparison(), [(True, b"onetwo"), (False, b"one"), (False, b"two")])
    assert found
    assert found.what == "differs at byte 3 of datagram 1"


@pytest.mark.parametrize(
    ("expected", "received", "what"),
    [
        ([b"a", b"b"], [b"a"], "ended after 1 of 2 datagrams"),
        ([b""], [], "ended after 0 of 1 datagram"),
        ([b"a"], [b"a", b""], "goes on after 1 datagram"),
        ([b"a", b"bc"], [b"a", b"bd"], "differs at byte 1 of datagram 2"),
    ],
)
def test_datagrams_that_differ(expected: list[bytes], received: list[bytes], what: str) -> None:
    sides = [(True, each) for each in expected] + [(False, each) for each in received]
    for order in (sides, sides[::-1][: len(received)][::-1] + sides[: len(expected)]):
        found = compare(DatagramComparison(), order)
        assert found
        assert found.what == what


def test_empty_datagrams_that_are_held_count_too() -> None:
    comparison = DatagramComparison()
    for _ in range(10):
        comparison.expect(b"")
    assert comparison.expected_ahead >= 1000
    for _ in range(10):
        comparison.receive(b"")
    assert comparison.expected_ahead == comparison.received_ahead == 0
