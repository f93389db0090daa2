from __future__ import annotations

import pytest

from sockkit.core.chat.members import Member, Members
from sockkit.core.token_bucket import TokenBucket


@pytest.fixture
def members() -> Members:
    """Of 1, who is called alex, and 2, who is not admitted."""
    members = Members()
    for key in (1, 2):
        members.add(Member(key, TokenBucket(0, 0.0), ""))
    members.rename(members[1], "alex")
    return members


def test_who_is_admitted_has_a_name(members: Members) -> None:
    assert (len(members), members.names(), members.find("ALEX")) == (2, ["alex"], 1)
    assert members.get(3) is None


def test_a_name_is_its_owners_until_it_has_another_or_goes(members: Members) -> None:
    assert "is taken" in members.why_refused(members[2], "Alex")
    assert members.why_refused(members[1], "Alex") == ""
    members.rename(members[1], "bob")
    assert members.why_refused(members[2], "alex") == ""
    assert "is taken" in members.why_refused(members[2], "bob")
    assert members.remove(1) is not None
    assert members.why_refused(members[2], "bob") == ""
    assert members.remove(1) is None


def test_a_guests_name_is_nobodys(members: Members) -> None:
    members.rename(members[1], "guest-1")
    assert [members.new_guest_name(), members.new_guest_name()] == [
        "guest-2",
        "guest-3",
    ]
    assert members.remove(2) is not None
