"""`sockkit show`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.options import ENCODINGS, PEERS, PLAIN_OUTPUT
from sockkit.cli.params import File, Parsed
from sockkit.cli.views import HEX, JSON, TIMESTAMPS

_HELP = """Show a recording that another command made with --record FILE.

Without FILE, or with -, the recording is read from stdin. A server's peers are numbered from 1; a
client's only peer is 0. If the recording has no end, because the command is still running or was
killed, everything recorded so far is shown, with a notice.
"""

_EXAMPLES = """\
  sockkit show session.rec
  sockkit show --hex --timestamps --peer 2 session.rec
  sockkit show --json --received session.rec | jq -r .text
  sockkit show --pcap session.pcapng session.rec; wireshark session.pcapng
  sockkit show --follow session.rec
"""

_MOST = (
    *("as_text", "hex", "json", "pcap", "timestamps", "follow", "peers", "sent", "received"),
    *("since", "encoding"),
)


def _since(text: str) -> Any:
    from sockkit.core.since import parse_since  # imports datetime

    return parse_since(text)


class _Path(File):
    """The path of a file, checked only when it is opened: click.Path takes 2 ms to load."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


_FORMAT = Bundle(
    "Format",
    (
        Option(["--text", "as_text"], is_flag=True,
               help="Show text: < received, > sent. This is the default."),
        HEX,
        JSON,
        Option(["--pcap"], type=_Path(), metavar="OUT",
               help="Write packets to the file OUT, as pcapng for Wireshark. They are made from "
               "the recorded addresses, times and bytes. OUT is overwritten if it exists; - is "
               "stdout."),
        TIMESTAMPS,
        Option(["--follow"], is_flag=True,
               help="Also show what is added to FILE, until stopped (Ctrl-C)."),
    ),
).saying(
    hex="Show a hex dump: < received, > sent.",
    json="Show JSON, one event per line. docs/events.md describes the events.",
    timestamps="Show the date and the time of each message.",
)  # fmt: skip
_SELECTION = Bundle(
    "Selection",
    (
        PEERS,
        Option(["--sent"], is_flag=True, help="Show only what was sent."),
        Option(["--received"], is_flag=True, help="Show only what was received."),
        Option(["--since"], type=Parsed("time", _since), metavar="TIME",
               help="Show only what passed since TIME. TIME is 13:59 (on the day the recording "
                    "begins), 2026-01-31T13:59, or 5m for five minutes ago."),
    ),
)  # fmt: skip
_TEXT = ENCODINGS.saying(
    encoding="Set the encoding of the recorded text, for example gbk. Default: that of the "
             "recorded command.",
    send_encoding="Set the encoding of sent text, if it differs from --encoding.",
    errors="Choose what happens to bytes that cannot be converted. strict: an error; replace: "
           "U+FFFD; backslashreplace: an escape; ignore: left out. Default: backslashreplace.",
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.show import Show, run
    from sockkit.cli.start import start
    from sockkit.core.text import TextOptions

    config = fold(Show, values, text=fold(TextOptions, values))
    # This run has no connections, so no views for these.
    start("show", run, config, {**values, "typist": False, "hex": False, "json": False})


command = BundledCommand(
    "show",
    arguments=[click.Argument(["path"], type=_Path(), metavar="[FILE]", default="-")],
    bundles=[_FORMAT, _SELECTION, _TEXT, PLAIN_OUTPUT],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
