"""Merges what many clients send into standard output: whole lines, with labels if wanted."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.lines import LineMerger
from sockkit.errors import SockkitError
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.net.outbox import ReceivedOutbox
from sockkit.net.tcp.client import Client

MAX_LINE_PAUSE_SECONDS = 1.0  # within a line, before its beginning is written anyway
MAX_LINE_PAUSE_TERMINAL_SECONDS = 0.1  # the same on a terminal


class MergedOutput:
    """Writes the lines of all clients to standard output. `label` makes what begins a peer's lines.

    `on_empty` is called when all that waited has been written, `on_fail` once, on an error.
    """

    def __init__(
        self,
        context: Context,
        label: Callable[[Peer], bytes],
        *,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
    ) -> None:
        self._loop, self._label = context.loop, label
        output = context.stdio.output
        self._max_line_pause = (
            MAX_LINE_PAUSE_TERMINAL_SECONDS if output.terminal else MAX_LINE_PAUSE_SECONDS
        )
        self._merger = LineMerger()
        self._pausing: set[Client] = set()  # clients whose unfinished line has a timer
        self._outbox = ReceivedOutbox(output, on_empty=on_empty, on_fail=on_fail)

    @property
    def waits(self) -> bool:
        """Whether bytes wait for standard output."""
        return bool(self._outbox.size)

    def received(self, client: Client, data: bytes) -> None:
        before = self._merger.holds(client) + len(data)
        out = self._merger.feed(client, self._label(client.peer), data)
        held = self._merger.holds(client)
        self._outbox.put_received(out, before - held)
        if held and client not in self._pausing:
            self._pausing.add(client)
            self._loop.later(self._max_line_pause, lambda: self._release(client))

    def departed(self, client: Client) -> None:
        """Write what is held of the client's last line."""
        held = self._merger.holds(client)
        self._outbox.put_received(self._merger.end(client, self._label(client.peer)), held)

    def lost(self) -> str:
        """What to report of bytes received and not written; empty for none."""
        return self._outbox.lost()

    def stop(self) -> None:
        self._outbox.stop()

    def _release(self, client: Client) -> None:
        """Write a client's unfinished line, once it has paused for long enough."""
        self._pausing.discard(client)
        held = self._merger.holds(client)
        if not held:
            return
        paused_until = client.last_received + self._max_line_pause
        if self._loop.now < paused_until:
            self._pausing.add(client)
            self._loop.at(paused_until, lambda: self._release(client))
        else:
            out = self._merger.release(client, self._label(client.peer))
            self._outbox.put_received(out, held)
