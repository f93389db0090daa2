"""show: a recording as text, as a hex dump, as JSON, or as a file of packets."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from sockkit.apps.record_views import JsonView, LineView, PacketView, RecordView
from sockkit.core.printable import escape
from sockkit.core.recording import EMPTY, Line, Reader
from sockkit.core.selection import Selection
from sockkit.core.since import Since
from sockkit.core.text import TextOptions
from sockkit.errors import SockkitError, UsageError, raise_error, reason
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.ends.end import Sink, Source
from sockkit.net.ends.followed import OPEN, Followed
from sockkit.net.ends.output_file import OutputFile
from sockkit.net.ends.stdio import Input
from sockkit.net.pump import Pump
from sockkit.net.waiting import OnDone, Pending, wait_for
from sockkit.values import Value

STANDARD = "-"  # in place of a path: standard input, or output


class Show(Value):
    """What to show of the recording at `path`, and how: as text, if nothing else is wanted.

    Without `peers`, `sent` and `received` everything is shown. `pcap` is the path of a file.
    """

    path: str
    text: TextOptions
    as_text: bool = False
    hex: bool = False
    json: bool = False
    pcap: str | None = None
    peers: tuple[int, ...] = ()
    sent: bool = False
    received: bool = False
    since: Since | None = None
    follow: bool = False
    timestamps: bool = False


def run(config: Show, context: Context) -> None:
    """Return when all is shown. Raises SockkitError for what is no recording, or is damaged."""
    _check(config)
    name = "standard input" if config.path == STANDARD else escape(config.path)
    reader = Reader(name)
    shown = _Shown(reader, config, _view(config, context))
    with _source(config, context, reader) as source, _sink(config, context) as sink:
        wait_for(context.loop, partial(_Showing, context, source, sink, shown))
    for told in shown.notices(name):
        context.emit(Notice(told))


def _check(config: Show) -> None:
    """Raise UsageError for options that exclude each other."""
    views = {
        "--text": config.as_text,
        "--hex": config.hex,
        "--json": config.json,
        "--pcap": config.pcap is not None,
    }
    chosen = [name for name, wanted in views.items() if wanted] or ["--text"]
    if len(chosen) > 1:
        raise UsageError(f"{chosen[0]} and {chosen[1]} exclude each other", "leave out one")
    if config.timestamps and chosen[0] in ("--json", "--pcap"):
        raise UsageError(f"{chosen[0]} has the times already", "leave out --timestamps")
    if config.pcap is not None and config.text != TextOptions():
        raise UsageError("--pcap has the bytes as they are", "leave out the encoding")


class _Shown:
    """Turns the bytes of a recording into what is shown, as a Transform.

    What comes before a damaged line is still shown; `fault` is then what to raise.
    """

    def __init__(self, reader: Reader, config: Show, view: RecordView) -> None:
        self._reader, self._view = reader, view
        self._begin = view.begin()
        now = time.time_ns() // 1000
        self._selection = Selection(
            config.peers, sent=config.sent, received=config.received, since=config.since, now=now
        )
        self.fault: SockkitError | None = None

    def feed(self, data: bytes) -> bytes:
        return b"" if self.fault else self._all(self._reader.feed(data))

    def flush(self) -> bytes:
        return b"" if self.fault else self._all(self._reader.flush())

    def notices(self, name: str) -> Iterator[str]:
        """What is missing in the recording `name`."""
        if self._reader.missing:
            yield f"{name}: {self._reader.missing}"
        if self._reader.missing == EMPTY:
            return
        if missing := self._selection.missing():
            yield f"{name}: there is no peer {', '.join(map(str, missing))}"
        elif self._selection.in_vain:
            yield f"{name}: nothing matches"

    def _all(self, lines: Iterable[Line]) -> bytes:
        begin, self._begin = self._begin, b""
        parts = [begin]
        try:
            parts.extend(map(self._line, lines))
        except SockkitError as error:
            self.fault = error
        return b"".join(parts)

    def _line(self, line: Line) -> bytes:
        if self._selection.wants(line.record):
            return self._view.show(line)
        return self._view.pass_over(line.record)


class _Showing(Pending):
    """Moves a recording to where it is shown."""

    def __init__(
        self, context: Context, source: Source, sink: Sink, shown: _Shown, on_done: OnDone[None]
    ) -> None:
        self._shown, self._on_done = shown, on_done
        self._pump = Pump(
            context.loop,
            source,
            sink,
            shown,
            None,
            on_progress=self._check,
            on_end=lambda: on_done(shown.fault),
            on_fail=on_done,
        )
        self._pump.start()

    def cancel(self) -> None:
        self._pump.close()

    def _check(self) -> None:
        """Stop at a damaged line once what comes before it is written."""
        if self._shown.fault and not self._pump.lane.held:
            self._pump.close()
            self._on_done(self._shown.fault)


def _view(config: Show, context: Context) -> RecordView:
    if config.pcap is not None:
        return PacketView()
    if config.json:
        return JsonView(config.text)
    return LineView(context, config.text, dump=config.hex, timestamps=config.timestamps)


@contextmanager
def _source(config: Show, context: Context, reader: Reader) -> Iterator[Source]:
    if config.path == STANDARD:
        if context.stdio.input.terminal:
            raise UsageError("standard input is a terminal", "give the FILE of a recording")
        if config.follow:
            raise UsageError("standard input cannot be followed", "give the FILE of a recording")
        yield context.stdio.input
        return
    with _opened(config.path) as file:
        if not config.follow:
            source = Input(context.loop, file)
            source.name = config.path
            yield source
        elif stat.S_ISREG(os.fstat(file).st_mode):
            told = Notice(f"{escape(config.path)} was rewritten: it is shown from its beginning")
            own, again = os.dup(file), partial(context.emit, told)
            with closing(Followed(context.loop, own, config.path, reader, again)) as followed:
                yield followed
        else:
            raise UsageError(f"{config.path} cannot be followed", "only a file can")


@contextmanager
def _sink(config: Show, context: Context) -> Iterator[Sink]:
    output = context.stdio.output
    if config.pcap in (None, STANDARD):
        if config.pcap and output.terminal:
            raise UsageError("packets are not for a terminal", "give --pcap a file")
        output.when_gone(raise_error)
        yield output
        return
    assert config.pcap is not None
    _check_other(config, config.pcap)
    file = OutputFile(context.loop, config.pcap, option="--pcap", mode=0o600)
    with closing(file):
        yield file


def _check_other(config: Show, path: str) -> None:
    """Raise UsageError if the file of --pcap is the recording, which would be overwritten."""
    with suppress(OSError):  # there is no such file
        read = os.fstat(0) if config.path == STANDARD else os.stat(config.path)
        if os.path.samestat(os.stat(path), read):
            raise UsageError(f"{path} is the recording itself", "give --pcap another file")


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """The file at `path`. Raises UsageError."""
    try:
        file = os.open(path, OPEN)
    except OSError as error:
        raise UsageError(f"could not read {path}: {reason(error)}") from error
    try:
        yield file
    finally:
        os.close(file)
