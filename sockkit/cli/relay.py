"""`sockkit relay`: its options and its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.options import (
    ACCESS,
    ADDRESS,
    CLIENT_TIME,
    LISTENING,
    ONCE,
    OUTPUT,
    PROGRAMS,
    PROXY,
    SERVER_SOCKET,
    TEXT,
    UDP,
    WORKERS,
    access_options,
    program,
    proxy_option,
)
from sockkit.cli.params import (
    DURATION,
    SIZE,
    EnumChoice,
    Parsed,
    client_address,
    listening,
)
from sockkit.cli.tls import SERVER_TLS, TO_TLS
from sockkit.cli.views import VIEW
from sockkit.core.address import split_relay
from sockkit.core.faults import Disturbed
from sockkit.core.units import parse_share
from sockkit.errors import UsageError
from sockkit.net.endpoint import DEFAULT_BACKLOG

if TYPE_CHECKING:
    from sockkit.core.faults import FaultOptions

_HELP = """Forward each connection to HOST PORT; show, record, convert or disturb what passes.

Each client gets a connection of its own to the target, or with --exec a program. When one
side ends or resets, the other is told. If the target cannot be reached, the client is
closed, and the relay goes on.

Views show the target's side: "sent" is from the client to the target. With -E, the target
uses that encoding and the clients use UTF-8. --tls encrypts the connections of clients,
--to-tls those to the target. Anyone who can reach the relay can reach the target: restrict
that with --allow.
"""

_EXAMPLES = """\
  sockkit relay -p 8080 -x 192.168.1.20 80
  sockkit relay -p 8080 --record session.rec 192.168.1.20 80
  sockkit relay -p 8080 --to-tls www.example.org 443
  sockkit relay --udp -p 5353 --drop 10% 192.168.1.1 53
  sockkit relay -p 7788 -E gbk 192.168.1.30 7788
  sockkit relay -p 7007 -x --exec 'tr a-z A-Z'
"""

_MOST = (
    *("port", "bind", "udp", "hex", "record", "encoding", "delay", "rate", "drop", "execute"),
    *("encrypted", "to_encrypted", "allow"),
)

_SHARE = Parsed("percent", parse_share)


def _share(name: str, text: str) -> Option:
    return Option([f"--{name}"], type=_SHARE, metavar="PERCENT", default="0%", help=text)


_FAULTS = Bundle(
    "Faults",
    (
        Option(["--delay"], type=DURATION, metavar="DURATION", default="0",
               help="Delay everything by this long, for example 200ms."),
        Option(["--jitter"], type=DURATION, metavar="DURATION", default="0",
               help="Vary the delay at random by up to this much. A stream stays in order."),
        Option(["--rate"], type=SIZE, metavar="SIZE",
               help="Pass on at most this many bytes a second, for example 64k."),
        Option(["--chunk"], type=SIZE, metavar="SIZE",
               help="Cut what passes into pieces of at most this size. Each is sent by itself."),
        Option(["--stall-at"], type=SIZE, metavar="SIZE",
               help="Stop passing on data after this many bytes. The connection stays open."),
        Option(["--reset-at"], type=SIZE, metavar="SIZE",
               help="Reset both connections after this many bytes."),
        Option(["--close-at"], type=SIZE, metavar="SIZE",
               help="Close both connections after this many bytes."),
        _share("refuse", "Reset this share of connections at once, for example 10%."),
        _share("drop", "Drop this share of datagrams, for example 5%. Needs --udp."),
        _share("duplicate", "Pass on this share of datagrams twice. Needs --udp."),
        _share("reorder", "Pass on this share of datagrams after the next one. Needs --udp."),
        _share("corrupt", "Change one bit in this share of datagrams. Needs --udp."),
        Option(["--faults", "disturbed"], type=EnumChoice(Disturbed), default="both",
               show_default=True,
               help="Choose the direction of the faults. sent is from the client to the target, "
                    "received from the target to the client."),
        Option(["--seed"], type=int, metavar="N",
               help="Repeat the random choices of the run with this seed. Without this option, -v "
                    "shows the seed."),
    ),
)  # fmt: skip
_OF_STREAMS = ("chunk", "stall_at", "reset_at", "close_at", "refuse")
_OF_DATAGRAMS = ("drop", "duplicate", "reorder", "corrupt")
_RELAY = Bundle("Relay", (UDP, ONCE, *ADDRESS.only("source").options, WORKERS)).saying(
    udp="Relay datagrams, not TCP connections.",
    once="Relay one client, then exit with the status of that connection.",
    source="Connect from this local address, for example 192.168.1.5. A port may follow, as in "
           "192.168.1.5:40000, with --once or --max-connections 1. On a unix socket: unix:/PATH or "
           "unix:@NAME.",
    workers="Share the clients among N processes, to use several processors. One that dies is "
            "replaced. Not with views, faults, --once, --exec or --udp.",
)  # fmt: skip
_TEXT = TEXT.saying(
    encoding="Set the text encoding of the target, for example gbk. Text is converted from and to "
             "the UTF-8 of the clients. Without this option, bytes pass unchanged.",
    send_encoding="Send to the target in this encoding, if it differs from --encoding.",
    errors="Choose what happens to text that cannot be converted. strict: the connection is reset, "
           "a datagram dropped; replace: a question mark or U+FFFD; backslashreplace: an escape; "
           "ignore: left out. Default: strict.",
    crlf="Send each line end to the target as CR LF. HTTP, SMTP and many devices expect that.",
)  # fmt: skip
_VIEW = VIEW.saying(
    hex="Show a hex dump of what passes. > is to the target, < is from the target.",
    json="Show JSON of what passes. Each line is an event, described in docs/events.md.",
    timestamps="With --hex, start each message with the time.",
    record="Record what passes in FILE. `sockkit show FILE` shows it, `sockkit replay` plays it "
           "again.",
)  # fmt: skip
_TIME = CLIENT_TIME.only("timeout", "idle").saying(
    timeout="Give up connecting to the target after this long, for example 5s. Looking up the name "
            "is included.",
    idle="Close a connection after this long without data, for example 30s. Data in either "
         "direction counts. With --once, the command ends, with exit status 28. With --udp, a peer "
         "is forgotten, and the default is 60s.",
)  # fmt: skip
_PROGRAMS = PROGRAMS.saying(
    execute="Run CMD for each client, instead of connecting to HOST PORT. CMD is split into words "
            "as by a shell, and run without one: --exec 'tr a-z A-Z'. The client is closed when "
            "CMD exits, and a client that resets ends CMD.",
)  # fmt: skip
_TLS = SERVER_TLS.saying(
    encrypted="Encrypt the connections of clients (TLS). Without --tls-cert, a certificate is made "
              "for this run, and a message shows the command that trusts it.",
)  # fmt: skip
_TO_TLS = TO_TLS.saying(
    to_tls_name="Ask the target for this server name and check it, instead of HOST.",
)
_PROXY = PROXY.saying(
    through=str(PROXY.options[0].help).replace("Connect", "Connect to the target", 1)
)
_ACCESS = ACCESS.saying(
    max_connections="Accept at most N clients at a time. Any more are closed at once; with --udp, "
                    "the peer that was silent longest makes room. With --workers, N is for each "
                    "process. Default: no limit, with --exec or --shell 100, with --udp 1000.",
)  # fmt: skip


def fault_options(values: dict[str, Any]) -> FaultOptions:
    """The faults to inject. Raises UsageError for faults that do not fit this relay."""
    from sockkit.core.faults import FaultOptions

    datagrams = values.get("udp")
    for name in _OF_STREAMS if datagrams else _OF_DATAGRAMS:
        if values[name]:
            option = f"--{name.replace('_', '-')}"
            if datagrams:
                raise UsageError(f"{option} cannot be used with --udp", "remove one of them")
            raise UsageError(f"{option} needs --udp", "it affects only datagrams")
    options = fold(FaultOptions, values)
    if not (options.of_streams or options.of_datagrams):
        disturbed = None if options.disturbed is Disturbed.BOTH else options.disturbed
        for option, given in (("--seed", options.seed), ("--faults", disturbed)):
            if given is not None:
                raise UsageError(f"{option} needs a fault", "give one, as in --delay 200ms")
    return options


def _check(values: dict[str, Any]) -> None:
    """Raise UsageError for options that would have no effect."""
    if values["errors"] and not (values["encoding"] or values["send_encoding"]):
        raise UsageError("--errors needs -E", "without it nothing is converted")
    if values["timestamps"] and not values["hex"]:
        raise UsageError("--timestamps needs --hex", "add it")
    of_streams = {"--backlog": values["backlog"] != DEFAULT_BACKLOG}
    of_streams |= {"--keepalive": values["keepalive"], "--proxy": values["through"]}
    for option, given in of_streams.items():
        if given and values["udp"]:
            raise UsageError(f"{option} cannot be used with --udp", "remove one of them")


def _run(address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.relay import Relay, run
    from sockkit.cli.start import start
    from sockkit.cli.tls import client_tls, server_tls
    from sockkit.core.text import TextOptions
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions

    words = program(values)
    values["words"], target_words = (address, ()) if words else split_relay(address)
    target_given = len(address) > 1 and address[-1].isdigit() and values["port"] is not None
    without = [("HOST PORT", target_given)]
    without += [("--proxy", values["through"]), ("--udp", values["udp"])]
    for what, given in without if words else []:
        if given:
            raise UsageError(f"{what} cannot be used with --exec or --shell", "remove it")
    _check(values)
    if not words and "".join(target_words).isdigit():
        port = target_words[0]
        lacking = f"-p {port} HOST PORT" if values["port"] is None else f"HOST {port}"
        raise UsageError("no target to relay to", f"write {lacking}")
    alone = len(target_words) == 2 and values["port"] is None
    if alone and target_words[0].isdigit() and not target_words[1].isdigit():
        target_words = target_words[1:]  # the port to listen on, and a target without a port
    target = None if words else client_address(tuple(target_words), ask=False)
    proxy = proxy_option(values, target) if target else None
    here = listening(values)
    config = fold(
        Relay,
        values,
        address=target,
        access=access_options(values),
        listen=fold(ListenOptions, {**values, "timeout": None}, address=here),
        connect=fold(ConnectOptions, values, proxy=proxy),
        text=fold(TextOptions, values),
        faults=fault_options(values),
        tls=server_tls(values),
        to_tls=client_tls(values, "to_"),
        sockets=fold(SocketOptions, values, no_delay=True),
        program=words,
    )
    start("relay", run, config, values)


command = BundledCommand(
    "relay",
    arguments=[click.Argument(["address"], nargs=-1, metavar="[[ADDR] PORT] [HOST PORT]")],
    bundles=[
        LISTENING,
        _RELAY,
        _FAULTS,
        _TEXT,
        _VIEW,
        _TIME,
        _PROGRAMS,
        _TLS,
        _TO_TLS,
        _PROXY,
        _ACCESS,
        OUTPUT,
        SERVER_SOCKET.without("no_delay"),
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
