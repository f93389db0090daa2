"""show: a recording as text, as a hex dump, as JSON, or as a file of packets."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from sockkit.apps.record_views import JsonView, LineView, PacketView, RecordView
from sockkit.core.json_lines import HEAD
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

STANDARD = "-"  # as a path: standard input or output


class Show(Value):
    """What to show of the recording at `path`, and how: as text, unless another view is chosen.

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
    """Return when all is shown. Raises SockkitError if the file is no recording, or is damaged."""
    _check(config)
    name = "stdin" if config.path == STANDARD else escape(config.path)
    reader = Reader(name)
    with _source(config, context, reader) as source, _sink(config, context) as sink:
        begin = sink.empty if isinstance(sink, OutputFile) else lambda: None
        shown = _Shown(reader, config, _view(config, context), begin)
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
        raise UsageError(f"{chosen[0]} cannot be used with {chosen[1]}", "remove one of them")
    if config.timestamps and chosen[0] in ("--json", "--pcap"):
        raise UsageError(f"{chosen[0]} always shows the times", "remove --timestamps")
    if config.pcap is not None and config.text != TextOptions():
        raise UsageError("--pcap writes the bytes unchanged", "remove the encoding")


class _Shown:
    """A Transform from the bytes of a recording to the output of a view.

    The lines before a damaged one are still shown; `fault` is then the error to raise. `begin` is
    called once, before the first output, but not if the file is no recording.
    """

    def __init__(
        self, reader: Reader, config: Show, view: RecordView, begin: Callable[[], None]
    ) -> None:
        self._reader, self._view = reader, view
        self._begin: Callable[[], None] | None = begin
        now = time.time_ns() // 1000
        self._selection = Selection(
            config.peers, sent=config.sent, received=config.received, since=config.since, now=now
        )
        self.fault: SockkitError | None = None

    def feed(self, data: bytes) -> bytes:
        return b"" if self.fault else self._all(self._reader.feed(data))

    def flush(self) -> bytes:
        if self.fault:
            return b""
        return self._all(self._reader.flush()) or self._head()

    def notices(self, name: str) -> Iterator[str]:
        """Notices about what the recording `name` lacks."""
        if self._reader.missing:
            yield f"{name}: {self._reader.missing}"
        if self._reader.missing == EMPTY:
            return
        if missing := self._selection.missing():
            yield f"{name}: no peer {', '.join(map(str, missing))}"
        elif self._selection.in_vain:
            yield f"{name}: nothing matches"

    def _all(self, lines: Iterable[Line]) -> bytes:
        parts: list[bytes] = []
        try:
            for line in lines:
                parts += (self._head(), self._line(line))
        except SockkitError as error:
            self.fault = error
        return b"".join(parts)

    def _head(self) -> bytes:
        """What the output begins with; nothing from the second time on, and after a fault."""
        begin, self._begin = self._begin, None
        if not begin or self.fault:
            return b""
        begin()
        return self._view.begin()

    def _line(self, line: Line) -> bytes:
        if self._selection.wants(line.record):
            return self._view.show(line)
        return self._view.pass_over(line.record)


class _Showing(Pending):
    """Pumps a recording from `source` through `shown` to `sink`."""

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
        """Stop at a damaged line, once all output before it is written."""
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
            raise UsageError("stdin is a terminal", "give the FILE of a recording")
        if config.follow:
            raise UsageError("stdin cannot be followed", "give the FILE of a recording")
        yield context.stdio.input
        return
    with _opened(config.path) as file:
        if not config.follow:
            source = Input(context.loop, file)
            source.name = config.path
            yield source
        elif stat.S_ISREG(os.fstat(file).st_mode):
            told = Notice(f"{escape(config.path)} was rewritten: showing it from the beginning")
            own, again = os.dup(file), partial(context.emit, told)
            with closing(Followed(context.loop, own, config.path, reader, again)) as followed:
                yield followed
        else:
            raise UsageError(f"{config.path} cannot be followed", "it is not a regular file")


@contextmanager
def _sink(config: Show, context: Context) -> Iterator[Sink]:
    output = context.stdio.output
    if config.pcap in (None, STANDARD):
        if config.pcap and output.terminal:
            raise UsageError("a terminal cannot show packets", "write them to a file: --pcap FILE")
        output.when_gone(raise_error)
        yield output
        return
    assert config.pcap is not None
    _check_other(config, config.pcap)
    file = OutputFile(context.loop, config.pcap, option="--pcap", mode=0o600)
    with closing(file):
        yield file


def _check_other(config: Show, path: str) -> None:
    """Raise UsageError if the file of --pcap is a recording, which would be overwritten."""
    with suppress(OSError):  # there is no such file
        read = os.fstat(0) if config.path == STANDARD else os.stat(config.path)
        there = os.stat(path)
        if os.path.samestat(there, read):
            raise UsageError(f"{path} is the recording itself", "write the packets to another file")
        if stat.S_ISREG(there.st_mode) and _begins_with(path, HEAD):
            raise UsageError(
                f"--pcap: {path} is a recording", f"give the packets a file: --pcap OUT {path}"
            )


def _begins_with(path: str, head: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(head)) == head


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
