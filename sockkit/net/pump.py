"""Pumps: each moves the bytes of one direction, from a source to a sink, until the source ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.text import Transform
from sockkit.errors import SockkitError, without_traceback
from sockkit.net.bulk import MUCH_BYTES, Bulk
from sockkit.net.coalesce import PAUSE_SECONDS
from sockkit.net.ends.end import Sink, Source
from sockkit.net.kernel import LITTLE_BYTES, Unfit, Wait
from sockkit.net.lanes import Copy, First, Lane, Light, choose
from sockkit.net.loop import Loop

if TYPE_CHECKING:
    from sockkit.core.hints import Glance


class Pump:
    """Steps a lane whenever the end that it waits for is ready. Owns neither end.

    While the sink is full, it reads nothing. Unless it is stopped, it calls `on_end` once when all
    is written, or `on_fail` once with the error. It calls `on_progress` after each step that moved
    bytes. After each step it calls `should_pause` with the number of bytes that were read; if that
    returns True, it reads nothing for PAUSE_SECONDS (coalesce.py). With neither of these two
    callbacks, it moves small messages between two sockets with less work.

    The first bytes pass through `glance`, which must apply `transform` itself.
    """

    __slots__ = (
        "_began",
        "_buffer_size",
        "_bulk",
        "_ended",
        "_finishing",
        "_loop",
        "_on_end",
        "_on_fail",
        "_on_progress",
        "_should_pause",
        "_sink",
        "_source",
        "_waiting",
        "lane",
    )

    def __init__(
        self,
        loop: Loop,
        source: Source,
        sink: Sink,
        transform: Transform | None,
        buffer_size: int | None,
        *,
        on_progress: Callable[[], None] | None,
        on_end: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
        should_pause: Callable[[int], bool] | None = None,
        glance: Glance | None = None,
    ) -> None:
        self._loop, self._source, self._sink = loop, source, sink
        self._on_progress, self._on_end, self._on_fail = on_progress, on_end, on_fail
        self._waiting: Wait | None = None
        self._buffer_size = buffer_size
        self._finishing = False
        self._should_pause = should_pause
        self._began = self._ended = loop.now
        self.lane: Lane = choose(source, sink, transform, buffer_size, loop.pools)
        self._bulk: Bulk | None = None
        if glance:
            self.lane = First(source, sink, glance, buffer_size, self.lane)

    @property
    def bytes_read(self) -> int:
        return self.lane.bytes_read

    @property
    def bytes_written(self) -> int:
        return self.lane.bytes_written

    @property
    def seconds(self) -> float:
        """How long it ran; 0 until it has ended."""
        return self._ended - self._began

    @property
    def blocked(self) -> bool:
        """Whether it waits until the sink is writable."""
        return self._waiting is Wait.SINK

    def start(self) -> None:
        self._began = self._ended = self._loop.now
        self._wait(Wait.SOURCE)

    def pause(self) -> None:
        """Read no more until `resume`. Allowed only while nothing is held."""
        assert self._waiting in (Wait.SOURCE, Wait.END)
        self._wait(None)

    def resume(self) -> None:
        self._wait(Wait.SOURCE)

    def finish(self) -> None:
        """Read no more. `on_end` is called once the bytes read are written."""
        self._finishing = True
        self.lane.finish()
        self._loop.call_soon(self._step)

    def stop(self) -> None:
        """Use neither end any more. Calls nothing back."""
        self._wait(Wait.END)

    def close(self) -> None:
        self.stop()
        self.lane.close()

    def _step(self) -> None:
        if self._waiting is Wait.END:
            return
        lane = self.lane
        read, written = lane.bytes_read, lane.bytes_written
        try:
            wait = lane.step() if lane.steps == 1 else self._steps()
        except Unfit as unfit:
            self._change(unfit)
            self._step()
            return
        except SockkitError as error:
            self._fail(error)
            return
        if lane.bytes_read >= MUCH_BYTES:
            self._watch(lane.bytes_read - read)
        if self._on_progress and (lane.bytes_read, lane.bytes_written) != (read, written):
            self._on_progress()
        if wait is Wait.END:
            self._wait(wait)
            self._on_end()
        elif self._should_pause and self._should_pause(lane.bytes_read - read):
            self._wait(None)
            self._loop.later(PAUSE_SECONDS, lambda: self._wait(self._waiting or wait))
        elif wait is not self._waiting:
            self._wait(wait)

    def _watch(self, size: int) -> None:
        if not self._bulk:
            self._bulk = Bulk(self._loop, self._source, self._sink)
        self._bulk.received(size)

    def _pass_on(self) -> None:
        """Called instead of `_step` by a Light lane without callbacks: does less per message."""
        assert isinstance(self.lane, Light)
        try:
            if self.lane.passes():
                return
        except SockkitError as error:
            self._fail(error)
            return
        self._step()

    def _fail(self, error: SockkitError) -> None:
        self.stop()
        self._on_fail(without_traceback(error))

    def _change(self, unfit: Unfit) -> None:
        """Go on with the next lane."""
        lane = unfit.lane or Copy(
            self._source, self._sink, None, self._buffer_size, unfit, self._loop.pools
        )
        self._wait(None)  # the new lane may need another callback
        lane.bytes_read, lane.bytes_written = self.bytes_read, self.bytes_written
        self.lane.close()
        self.lane = lane
        if self._finishing:
            self.lane.finish()

    def _steps(self) -> Wait:
        """Step up to `lane.steps` times, while each step moves much and waits for the same end.

        After a small step there is rarely more, and another call would be wasted.
        """
        for _ in range(self.lane.steps):
            before = self.lane.bytes_written
            wait = self.lane.step()
            if wait is not self._waiting or self.lane.bytes_written - before < LITTLE_BYTES:
                break
        return wait

    def _wait(self, wait: Wait | None) -> None:
        """Have the loop call `_step` when the end that `wait` names is ready; after END, never."""
        if wait is self._waiting or self._waiting is Wait.END:
            return
        if wait is Wait.END:
            self._ended = self._loop.now
            if self._bulk:
                self._bulk.stop()
        if self._waiting is Wait.SOURCE:
            self._source.when_readable(None)
        elif self._waiting is Wait.SINK:
            self._sink.when_writable(None)
        self._waiting = wait
        if wait is Wait.SOURCE:
            told = self._on_progress or self._should_pause
            short = isinstance(self.lane, Light) and not told
            self._source.when_readable(self._pass_on if short else self._step)
        elif wait is Wait.SINK:
            self._sink.when_writable(self._step)
