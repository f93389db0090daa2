"""`sockkit relay`: its options and its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import (
    ACCESS,
    CLIENT_SOCKET,
    IDLE_TIME,
    ONCE,
    OUTPUT,
    PROXY,
    SERVER_SOCKET,
    TEXT,
    UDP,
    access_options,
    program,
    proxy_option,
)
from sockkit.cli.params import (
    DURATION,
    FINGERPRINT,
    SERVER_NAME,
    SIZE,
    EnumChoice,
    File,
    Parsed,
    client_address,
    server_address,
)
from sockkit.cli.tls import SERVER_TLS
from sockkit.cli.views import VIEW
from sockkit.core.faults import Disturbed
from sockkit.core.units import parse_share
from sockkit.errors import UsageError
from sockkit.net.endpoint import DEFAULT_BACKLOG

if TYPE_CHECKING:
    from sockkit.core.faults import FaultOptions

_HELP = """Forward each connection to HOST PORT, and show, record, convert or disturb what passes.

Each client gets a connection of its own to the target, or with --exec a program. Half-closes and
resets are passed on as they are, and nothing is lost or reordered. If the target cannot be reached,
the client is closed and the relay goes on.

Views show both directions on the target's side: "sent" is from the client to the target. With -E
the target has that encoding and the clients have UTF-8. --tls encrypts towards the clients,
--to-tls towards the target. Whoever reaches the port reaches the target: restrict it with --allow.
"""

_EPILOG = """\b
Examples:
  sockkit relay -p 8080 -x 192.168.1.20 80
  sockkit relay -p 8080 --record session.rec 192.168.1.20 80
  sockkit relay -p 8080 --to-tls www.example.org 443
  sockkit relay -p 7788 -E gbk 192.168.1.30 7788
  sockkit relay -p 7007 -x --exec 'tr a-z A-Z'
  sockkit relay --udp -p 5353 --drop 10% 192.168.1.1 53
"""


_RELAY = Bundle("Relay", (UDP, ONCE))
_SHARE = Parsed("percent", parse_share)


def _share(name: str, text: str) -> Option:
    return Option([f"--{name}"], type=_SHARE, metavar="PERCENT", default="0%", help=text)


_FAULTS = Bundle(
    "Faults",
    (
        Option(["--delay"], type=DURATION, metavar="DURATION", default="0",
               help="Pass on everything this much later."),
        Option(["--jitter"], type=DURATION, metavar="DURATION", default="0",
               help="Make the delay up to this much shorter or longer, at random. A stream stays "
                    "in order."),
        Option(["--rate"], type=SIZE, metavar="SIZE",
               help="Pass on at most this many bytes a second, as in 64k."),
        Option(["--chunk"], type=SIZE, metavar="SIZE",
               help="Cut what passes into pieces of at most this many bytes, as in 7, and send "
                    "each by itself."),
        Option(["--stall-at"], type=SIZE, metavar="SIZE",
               help="Stop passing on after this many bytes, and keep the connection open."),
        Option(["--reset-at"], type=SIZE, metavar="SIZE",
               help="Reset both connections once this many bytes have been delivered."),
        Option(["--close-at"], type=SIZE, metavar="SIZE",
               help="Close both connections once this many bytes have been delivered."),
        _share("refuse", "Accept this share of connections and reset them at once, as in 10%."),
        _share("drop", "With --udp: drop this share of datagrams, as in 5%."),
        _share("duplicate", "With --udp: pass on this share of datagrams twice."),
        _share("reorder", "With --udp: pass on this share of datagrams after the next one."),
        _share("corrupt", "With --udp: change a bit in this share of datagrams."),
        Option(["--faults", "disturbed"], type=EnumChoice(Disturbed), default="both",
               show_default=True,
               help="The direction to disturb: sent is from the client to the target, received is "
                    "from the target to the client."),
        Option(["--seed"], type=int, metavar="N",
               help="Make the random choices of an earlier run again. Without it, -v tells the "
                    "seed of this run."),
    ),
)  # fmt: skip
_OF_STREAMS = ("chunk", "stall_at", "reset_at", "close_at", "refuse")
_OF_DATAGRAMS = ("drop", "duplicate", "reorder", "corrupt")
_PROGRAMS = Bundle(
    "Programs",
    (
        Option(["--exec", "execute"], metavar="CMD",
               help="In place of HOST PORT: run CMD for each client, which has the client as its "
                    "stdin and stdout. CMD is split into words as a shell would, and run without "
                    "a shell. Its stderr is ours. The client is closed when CMD exits, and a "
                    "client that resets ends CMD."),
        Option(["--shell"], metavar="CMD",
               help="The same, and /bin/sh runs CMD: pipes, variables and several commands work."),
    ),
)  # fmt: skip
_TO_TLS = Bundle(
    "TLS to the target",
    (
        Option(["--to-tls", "to_encrypted"], is_flag=True,
               help="Encrypt towards the target, and check its certificate and its name."),
        Option(["--to-tls-ca"], type=File(exists=True), metavar="FILE",
               help="Trust the certificates in FILE (PEM) instead of the system's."),
        Option(["--to-tls-fingerprint"], type=FINGERPRINT, metavar="SHA256",
               help="Trust the certificate that has this SHA-256 and no other, whoever signed it."),
        Option(["--to-tls-name"], type=SERVER_NAME, metavar="NAME",
               help="The server name to ask for and to check, if it is not HOST."),
        Option(["--to-tls-insecure"], is_flag=True,
               help="Check nothing: whoever is in between can read and change everything."),
    ),
)  # fmt: skip
_SOCKET = Bundle(
    "Socket",
    (
        *(option for option in SERVER_SOCKET.options if option.name not in ("timeout", "no_delay")),
        *(option for option in CLIENT_SOCKET.options if option.name in ("source", "timeout")),
    ),
)


def fault_options(values: dict[str, Any]) -> FaultOptions:
    """The faults that are asked for. Raises UsageError for those that this relay cannot make."""
    from sockkit.core.faults import FaultOptions

    datagrams = values.get("udp")
    for name in _OF_STREAMS if datagrams else _OF_DATAGRAMS:
        if values[name]:
            option = f"--{name.replace('_', '-')}"
            if datagrams:
                raise UsageError(f"{option} and --udp exclude each other", "leave out one")
            raise UsageError(f"{option} needs --udp", "it is about datagrams")
    options = fold(FaultOptions, values)
    if not (options.of_streams or options.of_datagrams):
        disturbed = None if options.disturbed is Disturbed.BOTH else options.disturbed
        for option, given in (("--seed", options.seed), ("--faults", disturbed)):
            if given is not None:
                raise UsageError(f"{option} needs a fault", "give one, as in --delay 200ms")
    return options


def _check(values: dict[str, Any]) -> None:
    """Raise UsageError for options that would do nothing."""
    if values["errors"] and not (values["encoding"] or values["send_encoding"]):
        raise UsageError("--errors needs -E", "without it nothing is converted")
    if values["timestamps"] and not values["hex"]:
        raise UsageError("--timestamps needs --hex", "add it")
    of_streams = {"--backlog": values["backlog"] != DEFAULT_BACKLOG}
    of_streams |= {"--keepalive": values["keepalive"], "--proxy": values["through"]}
    for option, given in of_streams.items():
        if given and values["udp"]:
            raise UsageError(f"{option} and --udp exclude each other", "leave out one")


def _run(address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.relay import Relay, run
    from sockkit.cli.start import start
    from sockkit.cli.tls import client_tls, server_tls
    from sockkit.core.text import TextOptions
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions

    words = program(values)
    without = [("HOST PORT", address), ("--proxy", values["through"]), ("--udp", values["udp"])]
    for what, given in without if words else []:
        if given:
            raise UsageError(f"{what} cannot be combined with --exec or --shell", "leave it out")
    _check(values)
    target = None if words else client_address(address, ask=False)
    proxy = proxy_option(values, target) if target else None
    here = server_address(values["bind"], values["port"], values["family"])
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
    arguments=[click.Argument(["address"], nargs=-1, metavar="[HOST PORT]")],
    bundles=[
        _SOCKET,
        _RELAY,
        TEXT,
        VIEW,
        IDLE_TIME,
        _PROGRAMS,
        _FAULTS,
        SERVER_TLS,
        _TO_TLS,
        PROXY,
        ACCESS,
        OUTPUT,
    ],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
