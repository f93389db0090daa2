"""The pools: how many pipes there are, how wide, and that each is given out empty."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from sockkit.net import pools as module
from sockkit.net.pools import (
    DEFAULT_PIPE_BYTES,
    MAX_IDLE_PIPES,
    MAX_PIPE_BYTES,
    MAX_WIDE_PIPES,
    WIDE_PIPE_BYTES,
    Pipe,
    Pools,
)
from tests.net.kit import fail_nth


class Taking(Pools):
    """Pools that know which pipes they have given out."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Pipe] = []

    def take(self) -> Pipe:
        pipe = self.take_pipe()
        assert pipe
        self.taken.append(pipe)
        return pipe

    def end(self) -> None:
        for pipe in self.taken:
            self.drop(pipe)
        self.close()


@pytest.fixture
def pools() -> Iterator[Taking]:
    before = len(os.listdir("/proc/self/fd"))
    pools = Taking()
    yield pools
    pools.end()
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_buffer_of_each_size_is_shared(pools: Taking) -> None:
    assert pools.buffer(10) is pools.buffer(10)
    assert [len(pools.buffer(size)) for size in (10, 20)] == [10, 20]


def test_the_first_pipes_are_wide_and_all_together_are_bounded(
    pools: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WIDE_PIPES", 2)
    monkeypatch.setattr(module, "MAX_PIPE_BYTES", 2 * WIDE_PIPE_BYTES + 3 * DEFAULT_PIPE_BYTES)
    sizes = [pools.take().size for _ in range(5)]
    assert sizes == [WIDE_PIPE_BYTES] * 2 + [DEFAULT_PIPE_BYTES] * 3
    assert pools.take_pipe() is None
    pools.drop(pools.taken.pop(0))
    assert pools.take().size == WIDE_PIPE_BYTES


def test_an_ordinary_user_has_half_of_the_pages_left() -> None:
    assert MAX_PIPE_BYTES <= 16_384 * 4096 // 2
    assert MAX_WIDE_PIPES * WIDE_PIPE_BYTES < MAX_PIPE_BYTES


def test_a_pipe_that_is_given_back_is_taken_again(pools: Taking) -> None:
    pipe = pools.take()
    pools.give_back(pools.taken.pop())
    assert pools.take() == pipe


def test_few_are_kept_and_of_those_the_wide_ones(
    pools: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WIDE_PIPES", 3)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(MAX_IDLE_PIPES + 6):
        pools.take()
    while pools.taken:
        pools.give_back(pools.taken.pop(0))
    assert len(os.listdir("/proc/self/fd")) == before + 2 * MAX_IDLE_PIPES
    sizes = [pools.take().size for _ in range(4)]
    assert sizes == [WIDE_PIPE_BYTES] * 3 + [DEFAULT_PIPE_BYTES]


def test_without_a_descriptor_there_is_no_pipe(
    pools: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_nth(monkeypatch, os, "pipe", 1, OSError(errno.EMFILE, ""))
    assert pools.take_pipe() is None
    assert pools.take()


def test_some_descriptors_are_left_to_others(
    pools: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    out, into = os.pipe()
    os.close(out)
    os.close(into)
    limit = max(out, into) + module.SPARE_DESCRIPTORS
    monkeypatch.setattr(os, "sysconf", lambda _: limit)
    assert pools.take_pipe() is None
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_system_without_a_limit_of_descriptors_has_pipes(
    pools: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: -1)
    assert pools.take()


def test_a_pipe_does_not_block(pools: Taking) -> None:
    pipe = pools.take()
    with pytest.raises(BlockingIOError):
        os.read(pipe.out, 1)
