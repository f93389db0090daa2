"""`sockkit echo`: its options and its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.input import check_input, input_of
from sockkit.cli.options import (
    ACCESS,
    GREET,
    LISTENING,
    OUTPUT,
    SERVER_SOCKET,
    SERVER_TIME,
    UDP,
    WORKERS,
    access_options,
    encoding,
)
from sockkit.cli.params import DURATION, LINE_ENCODING, File, Parsed, listening, listening_words
from sockkit.cli.tls import SERVER_TLS, server_tls
from sockkit.cli.views import VIEW
from sockkit.core.responder import Rule, parse_rule
from sockkit.core.units import parse_share
from sockkit.errors import UsageError

if TYPE_CHECKING:
    from sockkit.core.rule_notation import RuleReader

_HELP = """Echo what arrives, or answer by rules, for testing. Serves TCP and UDP on one port,
until stopped (Ctrl-C).

A rule is PATTERN=ANSWER. With --reply, PATTERN may contain the wildcards * and ?. With --reply-re,
it is a regular expression, and ANSWER may use its groups. A message is a line; over UDP, a
datagram; with --frame, a frame. The first rule that matches a message gives the answer. A
message that no rule matches is echoed.
"""

_EXAMPLES = """\
  sockkit echo -p 7007
  sockkit echo --upper --tcp -p 8080 --backlog 5
  sockkit echo -p 7007 --reply 'PING*=PONG' --reply-re '^ADD (\\d+)=OK \\1'
  sockkit echo --udp -p 7007 --drop 5% --delay 200ms
"""

_MOST = (
    *("port", "bind", "tcp", "udp", "upper", "rules", "rules_re", "delay", "drop", "hex"),
    *("encrypted", "verbose"),
)

_RULE = Parsed("rule", str)  # its notation depends on other options
_SHARE = Parsed("percent", parse_share)

_ANSWERS = Bundle(
    "Answers",
    (
        Option(["--tcp"], is_flag=True, help="Serve TCP only. With --tls this is the default."),
        UDP,
        Option(["--upper"], is_flag=True, help="Answer in capital letters."),
        Option(["--reply", "rules"], type=_RULE, multiple=True, metavar="GLOB=ANSWER",
               help="Answer a message that matches: 'PING*=PONG'. May be repeated."),
        Option(["--reply-re", "rules_re"], type=_RULE, multiple=True, metavar="REGEX=ANSWER",
               help=r"Answer a message that matches: '^ADD (\d+)=OK \1'. May be repeated."),
        Option(["--rules", "rules_file"], type=File(), metavar="FILE",
               help="Read more rules from FILE, one per line. re: starts a regular expression, # a "
                    "comment."),
        GREET,
        Option(["--delay"], type=DURATION, metavar="DURATION", default="0",
               help="Delay each answer by this long, for example 200ms."),
        Option(["--drop"], type=_SHARE, metavar="PERCENT", default="0%",
               help="Do not answer this share of datagrams, for example 5%."),
        Option(["--close-after"], type=click.IntRange(1), metavar="N",
               help="Close a connection after N answers."),
        WORKERS,
    ),
).saying(udp="Serve UDP only.")  # fmt: skip
_TEXT = Bundle("Text", (encoding("utf-8", LINE_ENCODING),)).saying(
    encoding="Set the encoding of messages and answers, for example gbk.",
)
_VIEW = VIEW.saying(
    timestamps="With --hex, start each message with the time.",
    frame="Split the byte stream into messages, for example len:2be. The rules, --hex and --json "
          "use these. SPEC is line, nul, fixed:16, delim:0d0a, len:2be (a length of 2 bytes, big "
          "endian, then that many bytes), start:aa55,len@2:1 (a marker, then a length), or "
          "gap:20ms (a silence). Without this option, a message is a line.",
)  # fmt: skip
_TIME = SERVER_TIME.only("timeout", "idle").saying(
    timeout="Give up when no client comes for this long, for example 30s. The exit status "
            "is then 28. Default: wait for ever. Not with --workers.",
    idle="Close a connection after this long without data, for example 30s. Data in either "
         "direction counts. With --udp, the command ends after this long without a datagram, with "
         "exit status 28.",
)  # fmt: skip
_ACCESS = ACCESS.saying(
    max_connections="Accept at most N clients at a time. Any more are closed at once. With "
                    "--workers, N is for each process.",
)  # fmt: skip
_TLS = SERVER_TLS.saying(
    encrypted="Encrypt connections (TLS). UDP is not served. Without --tls-cert, a certificate is "
              "made for this run, and a message shows the command that trusts it.",
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
        raise click.BadParameter(str(error), param_hint=option) from error


def _run(**values: Any) -> None:
    from sockkit.apps.echo import Echo, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    if values["timestamps"] and not values["hex"]:
        raise UsageError("--timestamps needs --hex", "add it, or remove --timestamps")
    address = listening(values)
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
    arguments=[listening_words()],
    bundles=[
        LISTENING,
        _ANSWERS,
        _TEXT,
        input_of("--greet and rules"),
        _VIEW,
        _TIME,
        _TLS,
        _ACCESS,
        OUTPUT,
        SERVER_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
