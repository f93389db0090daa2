"""What many clients send, as one standard output: in whole lines, with labels where wanted."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.lines import LineMerger
from sockkit.errors import SockkitError
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.net.outbox import ReceivedOutbox
from sockkit.net.tcp.client import Client

LINE_PATIENCE = 1.0  # seconds a client may pause in a line before the line is written anyway
LINE_PATIENCE_TERMINAL = 0.1  # the same where somebody is looking


class MergedOutput:
    """Clients share standard output by it. `label` begins a peer's lines.

    `on_empty` is called when what had to wait is written, `on_fail` when nothing can be.
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
        self._patience = LINE_PATIENCE_TERMINAL if output.terminal else LINE_PATIENCE
        self._merger = LineMerger()
        self._pausing: set[Client] = set()  # those whose unfinished line has a timer
        self._outbox = ReceivedOutbox(output, on_empty=on_empty, on_fail=on_fail)

    @property
    def waits(self) -> bool:
        """Whether standard output accepts no more now."""
        return bool(self._outbox.size)

    def received(self, client: Client, data: bytes) -> None:
        before = self._merger.holds(client) + len(data)
        out = self._merger.feed(client, self._label(client.peer), data)
        held = self._merger.holds(client)
        self._outbox.put_received(out, before - held)
        if held and client not in self._pausing:
            self._pausing.add(client)
            self._loop.later(self._patience, lambda: self._release(client))

    def departed(self, client: Client) -> None:
        """Write what is held of its last line."""
        held = self._merger.holds(client)
        self._outbox.put_received(self._merger.end(client, self._label(client.peer)), held)

    def lost(self) -> str:
        """What to say of what was received and not written, if anything."""
        return self._outbox.lost()

    def stop(self) -> None:
        self._outbox.stop()

    def _release(self, client: Client) -> None:
        """Write the line a client has not finished, once it has paused for long enough."""
        self._pausing.discard(client)
        held = self._merger.holds(client)
        if not held:
            return
        paused_until = client.last_received + self._patience
        if self._loop.now < paused_until:
            self._pausing.add(client)
            self._loop.at(paused_until, lambda: self._release(client))
        else:
            out = self._merger.release(client, self._label(client.peer))
            self._outbox.put_received(out, held)
