"""Whose a unix peer is, and whom a server admits."""

from __future__ import annotations

import os
import socket

import pytest

from sockkit.core.address import UnixPath
from sockkit.errors import UsageError
from sockkit.net import unix_users
from sockkit.net.unix_users import Credentials, OneUser, peer_credentials, users_admission

FILE, ABSTRACT = UnixPath("/run/x"), UnixPath("@x")


def test_a_peer_is_known_by_its_process() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = peer_credentials(ours)
    assert found == (os.getpid(), os.geteuid(), os.getegid())
    assert str(found) == f"process {os.getpid()} of user {os.geteuid()}"


def test_where_the_system_tells_nothing_nobody_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, monkeypatch.context() as patch:
        patch.delattr(socket, "SO_PEERCRED")
        assert peer_credentials(ours) is None
        with pytest.raises(UsageError, match="does not tell who a peer is: use --allow-users any"):
            users_admission(ABSTRACT, None)
        assert users_admission(FILE, None) is None


def test_one_user_is_admitted_and_root_is_another() -> None:
    rule = OneUser(1000)
    assert rule.refusal("", Credentials(1, 1000, 0)) == ""
    why = "another user: --allow-users any lets them in"
    for user in (0, 999, 65534):
        assert rule.refusal("", Credentials(1, user, 1000)) == why
    assert rule.refusal("", None) == why, "who is not known is another"


@pytest.mark.parametrize(
    ("address", "asked", "restricted"),
    [
        (ABSTRACT, None, True),
        (ABSTRACT, "own", True),
        (ABSTRACT, "any", False),
        (FILE, None, False),
        (FILE, "own", True),
        (FILE, "any", False),
    ],
)
def test_an_abstract_address_is_for_our_own_user_unless_told_otherwise(
    address: UnixPath, asked: str | None, restricted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_users.os, "geteuid", lambda: 1234)
    rule = users_admission(address, asked)
    assert bool(rule) is restricted
    if rule:
        assert rule.refusal("", Credentials(1, 1234, 0)) == ""
        assert rule.refusal("", Credentials(1, os.getuid(), 0))
