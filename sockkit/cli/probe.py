"""`sockkit probe`: its options and its help."""

from __future__ import annotations

# Part of the interpreter: importing `signal`, with its enums, takes a millisecond.
import _signal as signal  # type: ignore[import-not-found]
from functools import partial
from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import OUTPUT, PROBE_SOCKET, UDP
from sockkit.cli.params import DURATION, Parsed
from sockkit.cli.tls import CLIENT_TLS, client_tls

_HELP = """Check which targets accept connections, or wait until they do.

A TARGET is HOST:PORTS, [IPV6]:PORTS or unix:/PATH, with PORTS as in 22,80,8000-8100. Two
words alone may be HOST PORTS. A line for each says whether it is open, refused, or gives no
answer, or what else is wrong. On a terminal, of more than 24 only the open ones are shown,
and the others are counted.

The exit status is 0 if all are open. Otherwise it is that of tcp-client if there is one
target, and 7 if there are several. Once all are open, COMMAND replaces sockkit. Its stdout
is its own: the lines go to stderr then.

With --udp a target is open only if it answers. One that gives no answer may be open, too.
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
                    "long. 0 tries once. Only the result is shown."),
        Option(["--any", "any_one"], is_flag=True,
               help="One open target is enough: stop at the first, and show only that."),
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
    values["typist"] = False
    if words:
        from sockkit.cli.replace import replace

        values["then"] = partial(replace, words, signal.getsignal(signal.SIGTTOU))
    start("probe", run, config, values)


command = _Probe(
    "probe",
    arguments=[click.Argument(["targets"], nargs=-1, metavar="TARGET... [-- COMMAND...]")],
    bundles=[_PROBE, PROBE_SOCKET, CLIENT_TLS, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
