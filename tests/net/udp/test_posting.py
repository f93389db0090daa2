from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.errors import SendError, SockkitError, TextError
from sockkit.events import Event, Exchanged, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.datagrams import LARGEST, DatagramSocket
from sockkit.net.udp.posting import HOLD, Posting, PostOptions
from tests.net import kit
from tests.net.kit import noise, run_for, run_until
from tests.net.udp.site import Full
from tests.support import HERE

loop, stack = kit.loop, kit.stack


class Post:
    """A Posting on a pipe each way, with a socket of the test's at the other end."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack, options: PostOptions) -> None:
        self.loop = loop
        self.events: list[Event] = []
        self.failed: list[SockkitError] = []
        self.ended = 0
        self.input = kit.source("pipe", stack, Path())
        self.output = kit.sink("pipe", stack, Path())
        self.near, self.far = self._bound(stack), self._bound(stack)
        self.targets: list[Any] = [(HERE, self.far.port)]
        self.posting = Posting(
            loop,
            self.near,
            Stdio(self.input.end, self.output.end, "utf-8"),
            options,
            self.events.append,
            targets=lambda: self.targets,
            heard=lambda got: Peer(1, "there"),
            on_input_end=self._end,
            on_fail=self.failed.append,
        )
        stack.callback(self.posting.stop)
        self.posting.start()

    def _bound(self, stack: contextlib.ExitStack) -> DatagramSocket:
        options = ListenOptions(HostPort(HERE, 0))
        sock = kit.bound(self.loop, options)
        stack.callback(sock.close)
        return sock

    def _end(self) -> None:
        self.ended += 1

    def received(self, count: int) -> list[bytes]:
        got: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(BlockingIOError):
                got.extend(self.far.receive().datagrams())

        self.loop.when_readable(self.far.descriptor, read)
        run_until(self.loop, lambda: len(got) >= count)
        self.loop.when_readable(self.far.descriptor, None)
        return got

    def say(self, data: bytes) -> None:
        self.far.send(data, LARGEST, (HERE, self.near.port))


Make = Callable[..., Post]


@pytest.fixture
def make(loop: Loop, stack: contextlib.ExitStack) -> Make:
    return lambda *options, **more: Post(loop, stack, PostOptions(*options, **more))


def pack(line: bytes) -> bytes:
    if line == b"bad":
        raise TextError("no such text")
    return b"<" + line + b">"


def test_input_is_cut(make: Make) -> None:
    post = make(1000)
    data = noise(2500)
    post.input.far.give(data)
    post.input.far.close()
    assert post.received(3) == [data[:1000], data[1000:2000], data[2000:]]
    assert post.ended == 1


def test_what_is_not_full_waits_a_moment(make: Make) -> None:
    post = make(1000, hold=True)
    data = noise(2000)
    post.input.far.give(data[:700])
    run_for(post.loop, 0.002)
    post.input.far.give(data[700:])
    assert post.received(2) == [data[:1000], data[1000:]]
    run_for(post.loop, 2 * HOLD)
    post.input.far.give(b"rest")
    assert post.received(1) == [b"rest"]
    assert post.posting.sent.count == 3


def test_lines_are_packed_and_what_cannot_be_is_told(make: Make) -> None:
    post = make(pack=pack, first=b"first", last=b"last")
    post.input.far.give(b"a\nbad\n\n" + b"x" * LARGEST + b"\nlong")
    post.input.far.close()
    assert post.received(5) == [b"first", b"<a>", b"<>", b"<long>", b"last"]
    assert [type(error) for error in post.failed] == [TextError, SendError]


def test_input_is_not_read_while_nobody_is_there(make: Make) -> None:
    post = make()
    target, post.targets = post.targets, []
    post.posting.review()
    post.input.far.give(b"hi")
    run_for(post.loop, 0.02)
    assert post.posting.sent.count == 0
    post.targets = target
    post.posting.review()
    assert post.received(1) == [b"hi"]


def test_output(make: Make) -> None:
    shown = make(show=lambda peer, data: b"%d %s\n" % (peer.number, data))
    plain = make()
    for post in (shown, plain):
        for data in (b"a", b"", b"b"):
            post.say(data)
        run_until(post.loop, lambda post=post: post.posting.received.count == 3)
        post.posting.stop()
        post.output.release()
    assert shown.output.far.take() == b"1 a\n1 \n1 b\n"
    assert plain.output.far.take() == b"ab"
    assert kit.of_kind(plain.events, Exchanged)[1] == Exchanged("received", 3, 2)


def test_an_output_that_takes_nothing_pauses_receiving(make: Make, loop: Loop) -> None:
    post = make()
    kit.fill(post.output.shared)
    post.say(noise(60_000))
    run_until(loop, lambda: not post.posting.idle)
    before = post.posting.received.count
    post.say(b"more")
    run_for(loop, 0.05)
    assert post.posting.received.count == before


@pytest.mark.parametrize("lines", [True, False])
def test_a_system_that_takes_nothing_pauses_both_sides(
    lines: bool, make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = make(pack=pack) if lines else make()
    system = Full(monkeypatch, post.near)
    post.input.far.give(b"one\n")
    run_until(loop, lambda: not post.posting.idle)
    post.input.far.give(b"two\n")
    post.say(b"hi")
    run_for(loop, 0.02)
    assert post.input.end.has_bytes()
    assert post.posting.received.count == 0
    system.off()
    assert post.received(2) == ([b"<one>", b"<two>"] if lines else [b"one\n", b"two\n"])
    run_until(loop, lambda: post.posting.received.count == 1)


def test_finish_ends_the_run_once_all_is_given(make: Make, loop: Loop) -> None:
    post = make()
    post.input.far.give(b"x")
    assert post.received(1) == [b"x"]
    loop.call_soon(post.posting.finish)
    loop.run()
    assert post.posting.idle
