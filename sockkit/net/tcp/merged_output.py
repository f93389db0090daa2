"""Merges the lines or frames of many clients into standard output, with labels if wanted."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.merging import Merger, Part
from sockkit.errors import SockkitError
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.net.outbox import ReceivedOutbox
from sockkit.net.tcp.client import Client

MAX_LINE_PAUSE_SECONDS = 1.0  # within a line, before its beginning is written anyway
MAX_LINE_PAUSE_TERMINAL_SECONDS = 0.1  # the same on a terminal


class MergedOutput:
    """Writes the lines of all clients, or their frames if `framed`, to standard output.

    `label` makes the beginning of a peer's lines or frames. `on_empty` is called when all waiting
    bytes have been written, and `on_fail` once if writing fails.
    """

    def __init__(
        self,
        context: Context,
        label: Callable[[Peer], bytes],
        *,
        framed: bool = False,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
    ) -> None:
        self._loop, self._label = context.loop, label
        output = context.stdio.output
        self._max_line_pause = (
            MAX_LINE_PAUSE_TERMINAL_SECONDS if output.terminal else MAX_LINE_PAUSE_SECONDS
        )
        self._merger = Merger(framed=framed)
        self._pausing: set[Client] = set()  # clients whose unfinished line has a timer
        self._outbox = ReceivedOutbox(output, on_empty=on_empty, on_fail=on_fail)

    @property
    def waits(self) -> bool:
        """Whether bytes wait for standard output."""
        return bool(self._outbox.size)

    def received(self, client: Client, parts: list[Part]) -> None:
        self._write(client, parts)
        if client.splitter.held and client not in self._pausing:
            self._pausing.add(client)
            self._loop.later(self._max_pause(client), lambda: self._release(client))

    def departed(self, client: Client) -> None:
        """Write the client's last line, even if it is unfinished."""
        self._write(client, client.splitter.release(self._loop.now))
        self._outbox.put_received(self._merger.finish(client), 0)

    def lost(self) -> str:
        """What to report of bytes received and not written; empty for none."""
        return self._outbox.lost()

    def stop(self) -> None:
        self._outbox.stop()

    def _max_pause(self, client: Client) -> float:
        return self._max_line_pause if client.splitter.pause is None else client.splitter.pause

    def _release(self, client: Client) -> None:
        """Write a client's unfinished line, once it has paused for long enough."""
        self._pausing.discard(client)
        if not client.splitter.held:
            return
        paused_until = client.last_received + self._max_pause(client)
        if self._loop.now < paused_until:
            self._pausing.add(client)
            self._loop.at(paused_until, lambda: self._release(client))
        else:
            self._write(client, client.splitter.release(self._loop.now))

    def _write(self, client: Client, parts: list[Part]) -> None:
        out = self._merger.write(client, self._label(client.peer), parts)
        self._outbox.put_received(out, sum(len(part.data) for part in parts))
