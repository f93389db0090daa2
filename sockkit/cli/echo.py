"""`sockkit echo`: its options and its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.input import INPUT, check_input
from sockkit.cli.options import (
    ACCESS,
    IDLE_TIME,
    OUTPUT,
    SERVER_SOCKET,
    UDP,
    access_options,
    encoding,
)
from sockkit.cli.params import DURATION, LINE_ENCODING, File, Parsed, server_address
from sockkit.cli.tls import SERVER_TLS, server_tls
from sockkit.cli.views import VIEW
from sockkit.core.responder import Rule, parse_rule
from sockkit.core.units import parse_share
from sockkit.errors import UsageError

if TYPE_CHECKING:
    from sockkit.core.rule_notation import RuleReader

_HELP = """Answer what comes with itself: a responder for tests, on TCP and UDP until stopped.

A rule answers a message, which is a datagram or, of a stream, a line (or a frame, with
--frame): PATTERN=ANSWER, where the pattern has * and ? (--reply) or is a regular expression
(--reply-re) whose groups the answer may name. The first rule that matches counts; what none
matches is echoed.
"""

_EPILOG = """\b
Examples:
  sockkit echo -p 7007
  sockkit echo --upper --tcp -p 8080 --backlog 5
  sockkit echo -p 7007 --reply 'PING*=PONG' --reply-re '^ADD (\\d+)=OK \\1'
  sockkit echo --udp -p 7007 --drop 5% --delay 200ms
"""

_RULE = Parsed("rule", str)  # how it is written depends on other options
_SHARE = Parsed("percent", parse_share)

_ANSWERS = Bundle(
    "Answers",
    (
        Option(["--tcp"], is_flag=True, help="By TCP alone, as always with --tls."),
        UDP,
        Option(["--upper"], is_flag=True, help="Answer in capitals."),
        Option(["--reply", "rules"], type=_RULE, multiple=True, metavar="GLOB=ANSWER",
               help="A rule, as in 'PING*=PONG'. May be given again."),
        Option(["--reply-re", "rules_re"], type=_RULE, multiple=True, metavar="REGEX=ANSWER",
               help=r"A rule, as in '^ADD (\d+)=OK \1'. May be given again."),
        Option(["--rules", "rules_file"], type=File(), metavar="FILE",
               help="More rules, one a line; re: begins a regular expression, # a comment."),
        encoding("utf-8", LINE_ENCODING),
        Option(["--greet"], default="", metavar="TEXT",
               help="Send TEXT to each client as it connects. No line end is added."),
        Option(["--delay"], type=DURATION, metavar="DURATION", default="0",
               help="Answer this much later."),
        Option(["--drop"], type=_SHARE, metavar="PERCENT", default="0%",
               help="Leave this share of datagrams without an answer, as in 5%."),
        Option(["--close-after"], type=click.IntRange(1), metavar="N",
               help="Close a connection after N answers."),
        Option(["--workers"], type=click.IntRange(1, 256), metavar="N", default=1,
               show_default=True,
               help="Processes that share the port; one that dies is replaced. --max-connections "
                    "is for each."),
    ),
)  # fmt: skip


def _reader(values: dict[str, Any]) -> RuleReader | None:
    check_input(values)
    if not (values["hex_input"] or values["escape_input"]):
        return None
    from sockkit.core.rule_notation import rule_reader

    return rule_reader(
        values["encoding"], hex_input=values["hex_input"], escape_input=values["escape_input"]
    )


def _rule(option: str, text: str, *, regex: bool, reader: RuleReader | None) -> Rule:
    try:
        return parse_rule(text, regex=regex, reader=reader)
    except UsageError as error:
        raise click.BadParameter(str(error), param_hint=repr(option)) from error


def _run(**values: Any) -> None:
    from sockkit.apps.echo import Echo, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    address = server_address(values["bind"], values["port"], values["family"])
    values["tcp"] = values["tcp"] or values["encrypted"]
    reader = _reader(values)
    values["rules"] = (
        *(_rule("--reply", text, regex=False, reader=reader) for text in values["rules"]),
        *(_rule("--reply-re", text, regex=True, reader=reader) for text in values["rules_re"]),
    )
    config = fold(
        Echo,
        values,
        reader=reader,
        access=access_options(values),
        listen=fold(ListenOptions, values, address=address),
        tls=server_tls(values),
        sockets=fold(SocketOptions, values),
    )
    start("echo", run, config, values)


command = BundledCommand(
    "echo",
    bundles=[SERVER_SOCKET, _ANSWERS, INPUT, VIEW, IDLE_TIME, SERVER_TLS, ACCESS, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
