"""probe: checks which targets accept connections, or answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import secure_probing
from sockkit.core.printable import escape
from sockkit.core.probing import OPEN, Result, Rules, Tally
from sockkit.core.targets import Targets, show_target
from sockkit.errors import NO_ANSWER, UsageError, raise_error
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.lookups import Lookups
from sockkit.net.options import SocketOptions
from sockkit.net.outbox import Outbox
from sockkit.net.probe.attempt import AttemptOptions, attempt
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    import regex

    from sockkit.core.replies import Question
    from sockkit.net.probe.pool import Attempt
    from sockkit.net.tls.options import ClientTls

MAX_ROWS = 24  # of a table with all results; a longer table shows open targets only
MAX_WAITING_BYTES = 64 * 1024  # for standard output, before attempts pause
# While we wait, the outcome of a lookup is used again for this long; the next try looks up anew.
FRESH_SECONDS = 0.5
LAST_ATTEMPT = 0.9  # of the time of --wait: the most that one attempt takes

_COLORS = {OPEN: "green", NO_ANSWER: "yellow"}  # all other states are red


class Probe(Value):
    """With `send` or `match`, a target is open only if it answers, and the answer matches. `send`
    is sent first. With `command`, standard output belongs to that program, which runs afterwards.
    """

    targets: Targets
    connect: ConnectOptions
    sockets: SocketOptions
    rules: Rules
    udp: bool = False
    send: bytes | None = None
    match: regex.Pattern[str] | None = None
    tls: ClientTls | None = None
    command: tuple[str, ...] = ()
    quiet: bool = False


def run(config: Probe, context: Context) -> None:
    """Return if the targets satisfy the rules. Otherwise raises SockkitError."""
    _check(config)
    rules, report = config.rules, _Report(config, context)
    lookups = Lookups(FRESH_SECONDS if rules.wait else math.inf)
    trying = partial(attempt, context, _options(config, context, lookups))
    if rules.any_one or rules.wait:
        _keep_trying(config, context, trying, report)
    else:
        _try_once(config, context, trying, report)
    wait_for(context.loop, report.flush)
    if failure := report.tally.failure(rules):
        raise failure


def _check(config: Probe) -> None:
    """Raise UsageError for options that exclude or need each other."""
    if config.send is not None and config.match is None and not config.udp:
        raise UsageError(
            "--send needs --match", "add --match REGEX, or --match '' to accept any answer"
        )


def _options(config: Probe, context: Context, lookups: Lookups) -> AttemptOptions:
    sockets, connect = config.sockets, config.connect
    if connect.source and connect.source.port and not config.udp:
        sockets = sockets._replace(reuse_address=True)  # all attempts use that port
    if config.tls:
        sockets = sockets.for_tls()
    if config.rules.wait and config.rules.wait <= connect.timeout:
        # Otherwise the end of the wait would hide what a target that accepts has not answered.
        connect = connect._replace(timeout=LAST_ATTEMPT * config.rules.wait)
    addresses = [span.address for span in config.targets.spans]
    return AttemptOptions(
        lookups,
        connect,
        sockets,
        config.udp,
        _question(config),
        secure_probing(context, addresses, config.tls),
    )


def _question(config: Probe) -> Question | None:
    if config.send is None and config.match is None:
        return None
    from sockkit.core.replies import Question

    return Question(config.send or b"", config.match)


def _try_once(config: Probe, context: Context, trying: Attempt, report: _Report) -> None:
    from sockkit.net.probe.survey import Survey

    def start(on_done: OnDone[None]) -> Pending:
        survey = Survey(context.loop, config.targets, trying, report.add, report.has_space, on_done)
        report.on_space = survey.resume
        return survey

    wait_for(context.loop, start)


def _keep_trying(config: Probe, context: Context, trying: Attempt, report: _Report) -> None:
    from sockkit.net.probe.wait import MAX_TARGETS, WaitForTargets

    if len(config.targets) > MAX_TARGETS:
        told = f"--wait and --any work with at most {MAX_TARGETS:,} targets"
        raise UsageError(told, f"{len(config.targets):,} were given")
    start = partial(WaitForTargets, context.loop, list(config.targets), trying, config.rules)
    results = wait_for(context.loop, start)
    found = [result for result in results if not result.error]
    for result in (found or results) if config.rules.any_one else results:
        report.add(result)


class _Report:
    """Counts results, and shows them: as lines, as a table on a terminal, or not at all."""

    def __init__(self, config: Probe, context: Context) -> None:
        self.tally = Tally(len(config.targets))
        self.on_space: Callable[[], None] = lambda: None
        self._context = context
        self._outbox = Outbox(context.stdio.output, on_empty=lambda: self.on_space())
        self._show: Callable[[Result], None] = lambda result: None
        if config.command:
            self._show = self._notice
        elif not config.quiet:
            context.stdio.output.when_gone(raise_error)
            self._show = self._line
            if context.stdio.output.terminal:
                self._show = partial(self._row, config.targets.width, len(config.targets))

    def add(self, result: Result) -> None:
        self.tally.add(result)
        self._show(result)

    def has_space(self) -> bool:
        return self._outbox.size < MAX_WAITING_BYTES

    def flush(self, on_done: OnDone[None]) -> Pending:
        """Call `on_done` once all is written."""
        self.on_space = lambda: on_done(None)
        if not self._outbox.size:
            on_done(None)
        return Done()

    def _notice(self, result: Result) -> None:
        self._context.emit(Notice(result.line()))

    def _line(self, result: Result) -> None:
        self._put(result.line())

    def _row(self, width: int, rows: int, result: Result) -> None:
        """Show a row of the table. A long table has only the open targets."""
        if result.error and rows > MAX_ROWS:
            return
        palette, state = self._context.palette, escape(result.state)
        shown = palette.paint(state, _COLORS.get(state, "red"))
        took = "" if result.error else f"{1000 * result.seconds:14.1f} ms"
        self._put(f"{show_target(result.address):{width}}  {shown}{took}")

    def _put(self, line: str) -> None:
        encoding = self._context.stdio.encoding
        self._outbox.put(f"{line}\n".encode(encoding, "backslashreplace"))
