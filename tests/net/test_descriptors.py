"""How many descriptors a process may still open."""

from __future__ import annotations

import os
import resource
import socket

import pytest

from sockkit.net.descriptors import free_descriptors


def limited(monkeypatch: pytest.MonkeyPatch, limit: int) -> int | None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    return free_descriptors()


def test_what_is_open_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    before = limited(monkeypatch, 500)
    assert before is not None
    assert 0 < before < 500
    one, other = socket.socketpair()
    with one, other:
        assert limited(monkeypatch, 500) == before - 2
        assert limited(monkeypatch, 600) == before + 98


def test_without_a_limit_there_is_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limited(monkeypatch, resource.RLIM_INFINITY) is None


def test_a_system_that_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda _: os.stat("/none"))
    assert limited(monkeypatch, 500) is None
