"""`sockkit replay`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import (
    CLIENT_SOCKET,
    ENCODINGS,
    IDLE,
    ONCE,
    OUTPUT,
    SERVER_SOCKET,
)
from sockkit.cli.params import File, Parsed, client_address, server_address
from sockkit.cli.tls import CLIENT_TLS, SERVER_TLS, client_tls, server_tls
from sockkit.cli.views import VIEW
from sockkit.errors import UsageError

_HELP = """Send the client's side of a recording again, to HOST PORT, or with --serve the server's.

FILE was made by --record FILE of a client or a server. Each recorded connection gets one of its
own, at its recorded time, and the answers go to stdout; --verify compares them instead. Datagrams
are sent as datagrams. What was half-closed or reset is so again.

--serve plays the server's side to each that connects: the next recorded connection, round and
round. An answer waits until as much has been received as in the recording.

Something that is awaited has to come within 5s, or -i. With --serve there is no bound unless -i is
given: a client that sends less than was recorded, and does not end its side, gets no answer.
"""

_EPILOG = """\b
Examples:
  sockkit tcp-client --record session.rec 127.0.0.1 6379
  sockkit replay --verify session.rec 127.0.0.1 6379
  sockkit replay --speed max session.rec 127.0.0.1 6379
  sockkit replay --serve -p 8080 session.rec
"""

_MOST_SPEED = 1_000_000.0


def _speed(text: str) -> float:
    """How much faster than recorded; 0 for without pauses."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1 / _MOST_SPEED <= speed <= _MOST_SPEED:
        raise UsageError(f"{text!r} is no speed", "as in 2, 0.5 or max")
    return speed


_REPLAY = Bundle(
    "Replay",
    (
        Option(["--serve"], is_flag=True,
               help="Play the server's side to whoever connects to the address of -p or --bind."),
        Option(["--verify"], is_flag=True,
               help="Compare what is received with the recording. The first difference is shown "
                    "as two dumps, and ends with status 1; with --serve that connection."),
        Option(["--speed"], type=Parsed("speed", _speed), metavar="N",
               help="How much faster than recorded: 2, 0.5, or max for no pauses. Default: 1; with "
                    "--serve as in --lockstep."),
        Option(["--lockstep"], is_flag=True,
               help="Send without pauses, but wait each time until as much has been received as "
                    "in the recording by then."),
        Option(["--peer", "peers"], type=click.IntRange(0), metavar="N", multiple=True,
               help="Only this peer, as in --peer 2; for several, give it again."),
        ONCE,
    ),
)  # fmt: skip
_SILENCE = Bundle("Time", (IDLE,))
_LEFT_OUT = ("reuse_address", "no_delay")  # a server's, and always on
_SOURCE = next(option for option in CLIENT_SOCKET.options if option.name == "source")
_SOCKET = Bundle(
    "Socket",
    (
        *(option for option in SERVER_SOCKET.options if option.name not in _LEFT_OUT),
        _SOURCE,
    ),
)
# A view shows bytes that are no text as they are, whatever --errors says.
_TEXT = Bundle("Text", tuple(each for each in ENCODINGS.options if each.name != "errors"))
_SHARED_TLS = {option.name for option in CLIENT_TLS.options}
_TLS = Bundle(
    "TLS",
    (
        *CLIENT_TLS.options,
        *(option for option in SERVER_TLS.options if option.name not in _SHARED_TLS),
    ),
)


def _run(path: str, address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.replay import run
    from sockkit.cli.start import start

    _check_view(values)
    make = _serving if values["serve"] else _playing
    start("replay", run, make(path, address, values), {**values, "typist": False})


def _check_view(values: dict[str, Any]) -> None:
    """Raise UsageError for options of a view that is not asked for."""
    if not values["hex"]:
        _refuse(values, "needs --hex", "timestamps")
        if not values["json"] and values["record"] is None:
            _refuse(values, "needs --hex, --json or --record", "encoding", "send_encoding")


def _play_options(values: dict[str, Any]) -> Any:
    from sockkit.core.player import PlayOptions

    speed, lockstep = values["speed"], values["lockstep"]
    if lockstep and speed is not None:
        raise UsageError("--lockstep and --speed exclude each other", "leave out one")
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
        raise UsageError(f"--serve connects to nobody: {' '.join(words)}", "give -p PORT")
    without = "and --serve exclude each other"
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
    """Raise UsageError if an option is given that does nothing here."""
    for name in names:
        value = values[name]
        if value is not None and value is not False and value != ():
            raise UsageError(f"--{name.replace('_', '-')} {why}")


command = BundledCommand(
    "replay",
    arguments=[
        click.Argument(["path"], type=File(), metavar="FILE"),
        click.Argument(["address"], nargs=-1, metavar="[HOST PORT]"),
    ],
    bundles=[_REPLAY, _SILENCE, _SOCKET, VIEW, _TEXT, _TLS, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
