from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.peers import MAX_PEERS, PeerTable
from sockkit.events import Peer


def test_each_address_is_one_peer() -> None:
    table = PeerTable()
    one, two = table.heard("a", "A"), table.heard("b", "B")
    assert (one.peer, one.new, one.forgotten) == (Peer(1, "A"), True, None)
    assert two.peer == Peer(2, "B")
    again = table.heard("a", "A")
    assert (again.peer, again.new) == (Peer(1, "A"), False)
    assert table.peers() == [Peer(1, "A"), Peer(2, "B")]
    assert [table.address(number) for number in (1, 2)] == ["a", "b"]


def test_who_was_heard_last() -> None:
    table = PeerTable()
    assert table.last() is None
    for address in "aba":
        table.heard(address, address)
    assert table.last() == Peer(1, "a")


def test_the_longest_silent_makes_room_and_comes_back_as_another() -> None:
    table = PeerTable(2)
    for address in "aba":
        table.heard(address, address)
    heard = table.heard("c", "c")
    assert (heard.peer.number, heard.forgotten) == (3, Peer(2, "b"))
    with pytest.raises(KeyError):
        table.address(2)
    assert table.heard("b", "b").peer.number == 4


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_it_is_bounded_and_numbers_are_never_used_again(addresses: list[int], most: int) -> None:
    table = PeerTable(most)
    owners: dict[int, int] = {}
    for address in addresses:
        peer = table.heard(address, "").peer
        assert owners.setdefault(peer.number, address) == address
        assert table.address(peer.number) == address
        assert table.last() == peer
        assert len(table) <= most


def test_there_is_a_bound_without_being_asked_for() -> None:
    table = PeerTable()
    for address in range(MAX_PEERS + 100):
        table.heard(address, "")
    assert len(table) == MAX_PEERS
