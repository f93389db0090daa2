"""`sockkit probe`: its options and its help."""

from __future__ import annotations

# Part of the interpreter: importing `signal`, with its enums, takes a millisecond.
import _signal as signal  # type: ignore[import-not-found]
from functools import partial
from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import CLIENT_TLS, OUTPUT, PROBE_SOCKET, UDP
from sockkit.cli.params import DURATION, Parsed

_HELP = """Check which targets accept connections, or wait until they do.

A TARGET is HOST:PORTS, [IPV6]:PORTS or unix:/PATH, with PORTS as in 22,80,8000-8100. Two
words alone may be HOST PORTS. Each target is told as open, refused, no answer, or by what
else is wrong; with more than 24 on a terminal the open ones, and how many others there are.

The exit status is 0 if all are open. If not, it is what tcp-client's would be for one
target, and 7 for several. COMMAND is run in place of sockkit once all are open; its standard
output is its own, so the lines go to stderr then.

With --udp a target is open only if it answers. No answer means nothing: it may be open.
"""

_EPILOG = """\b
Examples:
  sockkit probe 192.168.1.1:22,80,8000-8100
  sockkit probe --wait 30s db:5432 cache:6379 -- ./serve --port 8000
  sockkit probe --send $'GET / HTTP/1.0\\r\\n\\r\\n' --match '^HTTP/1.. 200' 127.0.0.1 8000
  sockkit probe --tls www.example.org:443
"""


def _pattern(text: str) -> Any:
    from sockkit.core.patterns import compile_pattern  # which imports regex

    return compile_pattern(text)[1]


_PROBE = Bundle(
    "Probe",
    (
        Option(["--wait"], type=DURATION, metavar="DURATION",
               help="Try again, names too, until all are open; give up (status 28) after this "
                    "long. Only the end is told."),
        Option(["--any", "any_one"], is_flag=True,
               help="One that is open is enough: stop there, and tell only that."),
        Option(["--send"], metavar="TEXT",
               help="Send TEXT as it is, with no line end added, and leave the sending side open."),
        Option(["--match"], type=Parsed("regex", _pattern), metavar="REGEX",
               help="A target is open only if what it sends, first or in answer to --send, "
                    "matches."),
        UDP,
    ),
)  # fmt: skip

_COMMAND = "sockkit.command"  # the words after --, in the context's meta


class _Probe(BundledCommand):
    """A command that runs another one, whose words click must not see."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            args, words = args[:place], args[place + 1 :]
            if not words:
                raise click.UsageError("no COMMAND after --", ctx)
            ctx.meta[_COMMAND] = tuple(words)
        return super().parse_args(ctx, args)


def _run(targets: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.probe import Probe, run
    from sockkit.cli.start import start
    from sockkit.cli.tls import client_tls
    from sockkit.core.probing import Rules
    from sockkit.core.targets import parse_targets
    from sockkit.net.endpoint import service_port
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions

    words = click.get_current_context().meta.get(_COMMAND, ())
    if values["send"] is not None:
        values["send"] = values["send"].encode(errors="surrogateescape")
    protocol = "udp" if values["udp"] else "tcp"
    config = fold(
        Probe,
        values,
        targets=parse_targets(targets, partial(service_port, protocol=protocol)),
        connect=fold(ConnectOptions, values),
        sockets=fold(SocketOptions, values),
        rules=fold(Rules, values),
        tls=client_tls(values),
        command=words,
    )
    background = signal.getsignal(signal.SIGTTOU)
    start("probe", run, config, values)
    if words:
        from sockkit.cli.replace import replace

        replace(words, background)


command = _Probe(
    "probe",
    arguments=[click.Argument(["targets"], nargs=-1, metavar="TARGET... [-- COMMAND...]")],
    bundles=[_PROBE, PROBE_SOCKET, CLIENT_TLS, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
