"""`sockkit probe`: its options and its help."""

from __future__ import annotations

# Part of the interpreter: importing `signal`, with its enums, takes a millisecond.
import _signal as signal  # type: ignore[import-not-found]
from functools import partial
from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.options import ADDRESS, OUTPUT, PROBE_TIME, UDP
from sockkit.cli.params import DURATION, Parsed
from sockkit.cli.tls import CLIENT_TLS, client_tls

_HELP = """Check which targets accept connections, or wait until they do (--wait).

A TARGET is HOST:PORTS, [IPV6]:PORTS or unix:/PATH, with PORTS such as 22,80,8000-8100. A single
target may also be two words: HOST PORTS. Each target gets a line: open, refused, no answer, or
another error. On a terminal, with more than 24 targets, only the open ones are shown, and
the others are counted.

The exit status is 0 if all targets are open, otherwise 7. If there is only one target, the exit
status is that of its error. When all targets are open, COMMAND replaces sockkit: it has
stdout to itself, so the lines go to stderr.

With --udp, a target is open only if it answers. One that gives no answer may be open, too.
"""

_EXAMPLES = """\
  sockkit probe 192.168.1.1:22,80,8000-8100
  sockkit probe --wait 30s db:5432 cache:6379 -- ./serve --port 8000
  sockkit probe --send $'GET / HTTP/1.0\\r\\n\\r\\n' --match HTTP 127.0.0.1 8000
  sockkit probe --tls www.example.org:443
"""

_MOST = (
    *("wait", "any_one", "timeout", "send", "match", "udp", "encrypted", "tls_ca"),
    *("source", "quiet", "verbose"),
)


def _pattern(text: str) -> Any:
    from sockkit.core.patterns import compile_pattern  # imports regex

    return compile_pattern(text)[1]


_PROBE = Bundle(
    "Probe",
    (
        Option(["--wait"], type=DURATION, metavar="DURATION",
               help="Try until all targets are open, for up to this long, such as 30s. After that, "
               "the exit status is 28. Names are looked up again each time. 0 tries once. "
               "Only the last result is shown."),
        Option(["--any", "any_one"], is_flag=True,
               help="Stop at the first open target, and show only that."),
        Option(["--send"], metavar="TEXT",
               help="Send TEXT to each target. No line end is added: in bash, $'hi\\n' has one. "
                    "Needs --match."),
        Option(["--match"], type=Parsed("regex", _pattern), metavar="REGEX",
               help="Expect data that matches REGEX, for example '^HTTP'. Otherwise the target "
                    "does not count as open. All that the target sends is searched."),
        UDP,
    ),
).saying(udp="Probe with datagrams, not with TCP.")  # fmt: skip
_TIME = PROBE_TIME.saying(
    timeout="Give up on a target after this long, for example 500ms. This includes looking up "
    "the name and waiting for the reply to --match.",
)  # fmt: skip
_TLS = CLIENT_TLS.saying(
    encrypted="Do the TLS handshake, too. The target's certificate and its name are checked.",
    tls_name="Ask for this server name and check it, instead of the host.",
)
_OUTPUT = OUTPUT.saying(quiet="Show no messages but errors, and no results.")

_COMMAND = "sockkit.command"  # the words after --, in the context's meta


class _Probe(BundledCommand):
    """The command probe. click must not see the words of the COMMAND that it runs."""

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
    bundles=[_PROBE, ADDRESS, _TIME, _TLS, _OUTPUT],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
