"""`sockkit replay`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.options import (
    ADDRESS,
    ENCODINGS,
    LISTENING,
    ONCE,
    OUTPUT,
    PEERS,
    SERVER_SOCKET,
    SERVER_TIME,
)
from sockkit.cli.params import File, Parsed, client_address, server_address
from sockkit.cli.tls import CLIENT_TLS, SERVER_TLS, client_tls, server_tls
from sockkit.cli.views import VIEW
from sockkit.errors import UsageError

_HELP = """Send the client's side of a recording again to HOST PORT, or serve the server's side
(--serve).

FILE is a recording that a client or a server made with --record. Each recorded connection gets a
connection of its own, at its recorded time. The replies go to stdout, or are compared with
the recorded ones (--verify). Recorded half-closes and resets happen again, too.

With --serve, each client gets the server's side of the next recorded connection. After the last
one, the first comes again. Each reply waits until as much has been received as in the
recording.
"""

_EXAMPLES = """\
  sockkit replay --verify session.rec 127.0.0.1 6379
  sockkit replay --speed max session.rec 127.0.0.1 6379
  sockkit replay --serve -p 8080 session.rec
"""

_MOST = (
    *("serve", "port", "bind", "verify", "speed", "lockstep", "peers", "once", "idle", "hex"),
    *("encrypted", "verbose"),
)

_MOST_SPEED = 1_000_000.0


def _speed(text: str) -> float:
    """How much faster than recorded; 0 means without pauses."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1 / _MOST_SPEED <= speed <= _MOST_SPEED:
        raise UsageError(f"{text!r} is not a speed", "write 2, 0.5 or max")
    return speed


_REPLAY = Bundle(
    "Replay",
    (
        Option(["--serve"], is_flag=True,
               help="Play the server's side to clients. Needs -p, or --bind with a unix "
                    "socket."),
        Option(["--verify"], is_flag=True,
               help="Compare what is received with the recording. The first difference is shown as "
                    "two dumps, unless a view shows what is received. It ends the command (exit "
                    "status 1), or with --serve that connection."),
        Option(["--speed"], type=Parsed("speed", _speed), metavar="N",
               help="Play N times as fast, for example 2 or 0.5. max plays without pauses. "
               "Default: 1; with --serve, like --lockstep."),
        Option(["--lockstep"], is_flag=True,
               help="Send without pauses, but wait for the recorded replies. Before each piece, as "
                    "many bytes have to arrive as in the recording (over UDP: datagrams)."),
        PEERS,
        *ADDRESS.options,
    ),
).saying(peers="Play only the peer with this number, for example 2. May be repeated.")  # fmt: skip
_SERVING = Bundle("With --serve", (*LISTENING.without("family").options, ONCE)).saying(
    once="Serve one client, then exit.",
)
_TIME = SERVER_TIME.only("timeout", "idle").saying(
    timeout="Give up connecting after this long, for example 5s. The exit status is then 28. "
            "Default: 10s. With --serve: give up when no client connects for this long; default: "
            "wait for ever.",
    idle="Give up after this long without expected data, for example 30s. The exit status is then "
         "28. Default: 5s. With --serve: close that connection; default: wait for ever.",
)  # fmt: skip
_VIEW = VIEW.saying(timestamps="With --hex, start each message with the time.")
# There is no --errors, as views show bytes that are not text as they are.
_TEXT = ENCODINGS.without("errors").saying(
    encoding="Set the text encoding of --hex, --json and --record. What is sent is not converted.",
    send_encoding="Set the encoding of sent text, if it differs from --encoding.",
)  # fmt: skip
_SHARED_TLS = [str(option.name) for option in CLIENT_TLS.options]
_TLS = Bundle(
    "TLS", (*CLIENT_TLS.options, *SERVER_TLS.without(*_SHARED_TLS).options)
).saying(
    encrypted="Encrypt the connections (TLS). Without --serve, the server's certificate and name "
              "are checked. With --serve and without --tls-cert, a certificate is made for this "
              "run, and a message shows the command that trusts it.",
    tls_client_ca="Accept only clients with a certificate signed by one in FILE. Needs --serve.",
)  # fmt: skip


def _run(path: str, address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.replay import run
    from sockkit.cli.start import start

    _check_view(values)
    make = _serving if values["serve"] else _playing
    start("replay", run, make(path, address, values), {**values, "typist": False})


def _check_view(values: dict[str, Any]) -> None:
    """Raise UsageError for options of a view that was not chosen."""
    if not values["hex"]:
        _refuse(values, "needs --hex", "timestamps")
        if not values["json"] and values["record"] is None:
            _refuse(values, "needs --hex, --json or --record", "encoding", "send_encoding")


def _play_options(values: dict[str, Any]) -> Any:
    from sockkit.core.player import PlayOptions

    speed, lockstep = values["speed"], values["lockstep"]
    if lockstep and speed is not None:
        raise UsageError("--lockstep cannot be used with --speed", "remove one of them")
    if speed is None:
        speed, lockstep = 1.0, lockstep or values["serve"]
    return PlayOptions(
        serving=values["serve"],
        peers=frozenset(values["peers"]),
        speed=speed or None,
        lockstep=lockstep,
        verify=values["verify"],
    )


def _playing(path: str, words: tuple[str, ...], values: dict[str, Any]) -> Any:
    from sockkit.apps.replay import Replay
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions

    _refuse(values, "needs --serve", "port", "bind", "once", "port_file", "unix_mode")
    _refuse(values, "needs --serve", "tls_client_ca")
    if len(words) == 1 and words[0].isdigit():
        raise UsageError(f"no FILE, or no host before {words[0]}", "give FILE HOST PORT")
    if not words:
        raise UsageError("no address to connect to", "give HOST PORT, or --serve and -p PORT")
    return fold(
        Replay,
        values,
        path=path,
        play=_play_options(values),
        address=client_address(words),
        connect=ConnectOptions(timeout=values["timeout"] or 10.0, source=values["source"]),
        sockets=fold(SocketOptions, values, no_delay=True),
        client_tls=client_tls(values),
    )


def _serving(path: str, words: tuple[str, ...], values: dict[str, Any]) -> Any:
    from sockkit.apps.replay import Replay
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    if words:
        raise UsageError(f"--serve takes no address: {' '.join(words)}", "use -p PORT")
    without = "cannot be used with --serve"
    _refuse(values, without, "source", "tls_ca", "tls_fingerprint", "tls_name", "tls_insecure")
    address = server_address(values["bind"], values["port"], values["family"])
    return fold(
        Replay,
        values,
        path=path,
        play=_play_options(values),
        listen=fold(ListenOptions, values, address=address),
        sockets=fold(SocketOptions, values, no_delay=True, reuse_address=True),
        server_tls=server_tls(values),
    )


def _refuse(values: dict[str, Any], why: str, *names: str) -> None:
    """Raise UsageError if an option is given that has no effect here."""
    for name in names:
        value = values[name]
        if value is not None and value is not False and value != ():
            option = f"--{name.replace('_', '-')}"
            hint = "remove one of them" if "cannot" in why else f"add it, or remove {option}"
            raise UsageError(f"{option} {why}", hint)


command = BundledCommand(
    "replay",
    arguments=[
        click.Argument(["path"], type=File(), metavar="FILE"),
        click.Argument(["address"], nargs=-1, metavar="[HOST PORT]"),
    ],
    bundles=[
        _REPLAY,
        _SERVING,
        _TEXT,
        _VIEW,
        _TIME,
        _TLS,
        OUTPUT,
        SERVER_SOCKET.without("reuse_address", "no_delay"),  # both are always on
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
