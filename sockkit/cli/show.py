"""`sockkit show`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import ENCODINGS, OUTPUT
from sockkit.cli.params import File, Parsed
from sockkit.cli.views import HEX, JSON, TIMESTAMPS

_HELP = """Show a recording, which --record FILE of another command has made.

Without FILE, or with -, it is read from stdin. A server's peers have numbers, and a client's only
peer is 0. Text is in the encoding of the recorded run, unless -E names another. If the last line is
cut, or the recording has no end because the command was killed or still runs, everything up to
there is shown, and a notice says so.
"""

_EPILOG = """\b
Examples:
  sockkit show session.rec
  sockkit show --hex --timestamps --peer 2 session.rec
  sockkit show --json --received session.rec | jq -r .text
  sockkit show --pcap session.pcapng session.rec; wireshark session.pcapng
  sockkit show --follow session.rec
"""


def _since(text: str) -> Any:
    from sockkit.core.since import parse_since  # which imports datetime

    return parse_since(text)


class _Path(File):
    """The path of a file. What it is turns out when it is opened: click.Path takes 2 ms to load."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


_VIEW = Bundle(
    "View",
    (
        Option(["--text", "as_text"], is_flag=True,
               help="Show text: < received, > sent. This is the default."),
        HEX,
        JSON,
        Option(["--pcap"], type=_Path(), metavar="OUT",
               help="Write packets to the file OUT, or with - to stdout, as pcapng: for Wireshark. "
                    "They are made of the recorded addresses, times and bytes. A file that exists "
                    "is overwritten."),
        TIMESTAMPS,
        Option(["--follow"], is_flag=True,
               help="Show what is added to FILE, until stopped (Ctrl-C)."),
    ),
)  # fmt: skip
_SELECTION = Bundle(
    "Selection",
    (
        Option(["--peer", "peers"], type=click.IntRange(0), metavar="N", multiple=True,
               help="Only this peer, as in --peer 2; for several, give it again."),
        Option(["--sent"], is_flag=True, help="Only what we have sent."),
        Option(["--received"], is_flag=True, help="Only what we have received."),
        Option(["--since"], type=Parsed("time", _since), metavar="TIME",
               help="Only from then on: 13:59 on the day the recording begins, 2026-01-31T13:59, "
                    "or 5m for five minutes ago."),
    ),
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.show import Show, run
    from sockkit.cli.start import start
    from sockkit.core.text import TextOptions

    config = fold(Show, values, text=fold(TextOptions, values))
    # Nothing passes through this run, so it has no views of its own.
    start("show", run, config, {**values, "typist": False, "hex": False, "json": False})


command = BundledCommand(
    "show",
    arguments=[click.Argument(["path"], type=_Path(), metavar="[FILE]", default="-")],
    bundles=[_VIEW, _SELECTION, ENCODINGS, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
