"""The views of a run: what is shown in place of the payload, and what is recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sockkit.core.text import TextOptions
from sockkit.errors import SockkitError, UsageError
from sockkit.net.context import Context
from sockkit.net.views import Views
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.frames import FrameRule
    from sockkit.core.headings import Headings
    from sockkit.core.json_lines import JsonLines
    from sockkit.core.records import Record
    from sockkit.net.recorder import Recorder


class ViewOptions(Value):
    """`switchable` lets the user choose the view while the command runs.

    With `many` peers, a view labels each message with its peer.
    """

    hex: bool = False
    json: bool = False
    timestamps: bool = False
    frame: FrameRule | None = None
    record: str | None = None
    append: bool = False
    output: str | None = None
    send_only: bool = False
    switchable: bool = False
    many: bool = False
    idle: float | None = None

    def check(self) -> None:
        """Raise UsageError for options that exclude each other."""
        if self.hex and self.json:
            raise UsageError("--hex cannot be used with --json", "remove one of them")
        if self.json and self.timestamps:
            raise UsageError("--json always shows the times", "remove --timestamps")
        if self.append and self.record is None:
            raise UsageError("--append needs --record", "add --record FILE")
        for name, path in (("--record", self.record), ("--output", self.output)):
            if path == "-":
                raise UsageError(
                    f"{name} writes a file, not stdout",
                    "remove it, or write ./- for a file of that name",
                )
        if self.record:
            check_other_file("--record", self.record, self)
        if self.send_only and self.output is not None:
            raise UsageError("--send-only cannot be used with --output", "remove one of them")


def check_other_file(option: str, path: str, options: ViewOptions) -> None:
    """Raise UsageError if a view writes the file of `option`, too."""
    for other, written in (("--record", options.record), ("--output", options.output)):
        if written and other != option and _is_one_file(path, written):
            raise UsageError(f"{option} and {other} are the same file", "use two different files")


def _is_one_file(first: str, second: str) -> bool:
    """Whether both paths are of one file, which need not exist yet."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


@contextmanager
def viewed(
    context: Context, options: ViewOptions, command: str, text: TextOptions
) -> Iterator[Context]:
    """The context of a run with the views that `options` describe.

    Raises SockkitError, also at the end, if a view could not be written.
    """
    options.check()
    make_framer = options.frame.framer if options.frame else None
    views = Views(context.loop, context.emit, make_framer, options.idle)
    context = context._replace(views=views)
    context.loop.when_hung_up(-1, None)  # prepares now, while a descriptor is free
    if options.record is not None:
        from sockkit.net.recorder import Recorder

        recorder = Recorder(context.loop, options.record, append=options.append)
        views.add(_Recording(recorder, _json_lines(text)))
    try:
        if options.hex or options.json or options.switchable:
            context = _taking_output(context, views, options, text)
        views.begin(command, text.encoding or "", text.send_encoding or "")
        if options.output is not None:
            _write_received(views, options.output)
        yield context
    except SockkitError as error:
        views.end(error)
        raise
    else:
        views.end()


def _taking_output(
    context: Context, views: Views, options: ViewOptions, text: TextOptions
) -> Context:
    """The context of a run in which a view uses standard output, or may be switched to it."""
    stdio = context.stdio
    output = views.take_output(stdio.output, _json_lines(text) if options.json else None)
    if options.hex or options.switchable:
        views.switch = _Switch(views, context, options, text)
    return context._replace(stdio=stdio._replace(output=output))


def _write_received(views: Views, path: str) -> None:
    from sockkit.net.ends.output_file import OutputFile, ReceivedBytes

    file = OutputFile(views.loop, path)
    views.show_on(file, ReceivedBytes(file.empty), file.close)


class _Switch:
    """Switches standard output between a hex dump and the payload."""

    def __init__(
        self, views: Views, context: Context, options: ViewOptions, text: TextOptions
    ) -> None:
        from sockkit.core.dump import DumpView

        assert views.screen
        self._screen, self._context, self._many = views.screen, context, options.many
        self.stamped = options.timestamps
        self._dump = DumpView(text, context.stdio.encoding, self._headings())
        self._screen.unshown = self._dump.count
        if options.hex:
            self.show_as("hex")

    def show_as(self, view: str) -> None:
        self._screen.view = self._dump if view == "hex" else None

    def timestamps(self, on: bool) -> None:
        self.stamped = on
        self._dump.headings = self._headings()

    def labels(self, on: bool) -> None:
        self._many = on
        self._dump.headings = self._headings()

    def _headings(self) -> Headings:
        from sockkit.apps.shown import labels, microsecond_stamp
        from sockkit.core.headings import Headings

        return Headings(
            paint=self._context.palette.paint,
            stamp=microsecond_stamp if self.stamped else None,
            label=labels(self._context) if self._many else None,
        )


def _json_lines(text: TextOptions) -> JsonLines:
    from sockkit.core.json_lines import JsonLines

    return JsonLines(sent=text.wire, received=text.encoding)


class _Recording:
    """Writes all records to a file."""

    def __init__(self, recorder: Recorder, lines: JsonLines) -> None:
        self._recorder, self._lines = recorder, lines
        self.close = recorder.close

    def show(self, *records: Record) -> None:
        self._recorder.put(b"".join(map(self._lines.show, records)))
