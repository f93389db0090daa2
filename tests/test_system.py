"""Tests of sockkit.system; without its calls: tests/e2e/test_elsewhere.py."""

from __future__ import annotations

import os

import pytest

from sockkit import system
from sockkit.system import FIONREAD, ioctl_number, pipe


def test_a_pipe_tells_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    try:
        assert ioctl_number(out, FIONREAD) == 0
        os.write(into, b"x" * 300)
        assert ioctl_number(out, FIONREAD) == 300
        monkeypatch.setattr(system, "fcntl", None)
        assert ioctl_number(out, FIONREAD) is None
    finally:
        os.close(out)
        os.close(into)


def test_what_has_no_such_number_tells_none() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        assert ioctl_number(null, system.TIOCOUTQ) is None
    finally:
        os.close(null)


def test_no_end_of_a_pipe_blocks_or_is_inherited() -> None:
    ends = pipe()
    try:
        assert not any(os.get_blocking(end) or os.get_inheritable(end) for end in ends)
        with pytest.raises(BlockingIOError):
            os.read(ends[0], 1)
    finally:
        for end in ends:
            os.close(end)
