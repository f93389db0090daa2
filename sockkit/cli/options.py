"""The options that commands share, each in the section of the help to which it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click import Option

from sockkit.cli.commands import Bundle, fold
from sockkit.cli.params import (
    BIND,
    COLOR,
    DURATION,
    ENCODING,
    LINE_ENCODING,
    MODE,
    NAME,
    PORT,
    PROXY_URL,
    RULE,
    SIZE,
    SOURCE,
    EnumChoice,
    File,
    Parsed,
)
from sockkit.core.ending import HalfClose, Until
from sockkit.core.text import Errors
from sockkit.errors import UsageError
from sockkit.net.endpoint import DEFAULT_BACKLOG
from sockkit.term.color import COLORS

if TYPE_CHECKING:
    from sockkit.core.address import Address
    from sockkit.core.proxy import Proxy
    from sockkit.net.access import AccessOptions

_FAMILY = (
    Option(["-4", "family"], flag_value=4, type=int, help="Use IPv4 only."),
    Option(["-6", "family"], flag_value=6, type=int, help="Use IPv6 only."),
)
_SOCKET = (
    Option(["--buffer-size"], type=SIZE, metavar="SIZE",
           help="Most bytes one receive takes, as in 1024, 64k or 1M."),
    Option(["--reuse-port"], is_flag=True,
           help="Let other sockets with this option share the port (SO_REUSEPORT)."),
    Option(["--send-buffer"], type=SIZE, metavar="SIZE",
           help="Size of the system's buffer for sending (SO_SNDBUF)."),
    Option(["--receive-buffer"], type=SIZE, metavar="SIZE",
           help="Size of the system's buffer for receiving (SO_RCVBUF)."),
    Option(["--ttl"], type=click.IntRange(1, 255), metavar="N",
           help="Most routers a packet may pass (IP_TTL)."),
    Option(["--tos"], type=click.IntRange(0, 255), metavar="N",
           help="The packets' type of service (IP_TOS), as in 184 for voice."),
)  # fmt: skip
_STREAM = (
    Option(["--no-delay"], is_flag=True,
           help="Send small pieces at once instead of gathering them (TCP_NODELAY)."),
    Option(["--keepalive"], is_flag=True,
           help="Probe a silent peer now and then, to notice when it is gone (SO_KEEPALIVE)."),
)  # fmt: skip
_BACKLOG = Option(
    ["--backlog"], type=click.IntRange(0, 2**31 - 1), default=DEFAULT_BACKLOG,
    show_default=True, metavar="N",
    help="Connections that may wait to be accepted; the system may allow fewer.",
)  # fmt: skip


def _reuse_address(default: bool) -> Option:
    return Option(
        ["--reuse-address/--no-reuse-address"],
        default=default,
        show_default=True,
        help="Bind although an earlier connection on the port is still closing (SO_REUSEADDR).",
    )


def _connect_timeout(default: str | None) -> Option:
    return Option(
        ["-w", "--connect-timeout", "timeout"], type=DURATION, metavar="DURATION",
        default=default, show_default=default is not None,
        help="Give up (status 28) connecting after this long, as in 5, 500ms or 2m. This includes "
             "looking up the name. A server gives up when no client has come by then; without the "
             "option it waits for ever. udp-client --expect gives up waiting for the answers, and "
             "probe and relay give up on a target; relay waits for a client as long as it takes.",
    )  # fmt: skip


def _dialling(timeout: str) -> tuple[Option, ...]:
    """Where to connect from, and for how long to try: `timeout` by default."""
    return (
        *_FAMILY,
        Option(["--source"], type=SOURCE, metavar="ADDR[:PORT]",
               help="Send from this address, and port, of this machine, or for a unix socket from "
                    "unix:/PATH or unix:@NAME."),
        _connect_timeout(timeout),
    )  # fmt: skip


def _client_socket(*more: Option) -> Bundle:
    return Bundle(
        "Socket",
        (
            *_dialling("10s"),
            _reuse_address(False),
            *_SOCKET,
            *more,
        ),
    )  # fmt: skip


def _server_socket(reuse: bool, *more: Option) -> Bundle:
    return Bundle(
        "Socket",
        (
            Option(["-p", "--port"], type=PORT, metavar="PORT",
                   help="Port to listen on, or a service name; 0 for any free one."),
            Option(["--bind"], type=BIND, metavar="ADDR",
                   help="Address to listen on: 127.0.0.1 (the default: this machine only), "
                        "0.0.0.0 (every IPv4 address), :: (every address), unix:/PATH or "
                        "unix:@NAME (abstract: no file, Linux only)."),
            Option(["--unix-mode"], type=MODE, metavar="MODE",
                   help="Create the file of unix:/PATH with this mode, as in 600 or 0660: who may "
                        "write to it can connect. Default: what the umask allows."),
            *_FAMILY,
            Option(["--port-file"], type=File(), metavar="FILE",
                   help="Write the port to FILE once listening. If FILE is a FIFO (mkfifo FILE), a "
                        "script's `read p < FILE` waits until then. A file that sockkit created "
                        "is removed at the end."),
            _connect_timeout(None),
            _reuse_address(reuse),
            *_SOCKET,
            *more,
        ),
    )  # fmt: skip


PROBE_SOCKET = Bundle("Socket", _dialling("3s"))
CLIENT_SOCKET = _client_socket(*_STREAM)
SERVER_SOCKET = _server_socket(True, _BACKLOG, *_STREAM)
UDP_CLIENT_SOCKET = _client_socket(
    Option(["--broadcast"], is_flag=True,
           help="Let datagrams go to everybody on a network, as in 192.168.1.255."),
)  # fmt: skip
UDP_SERVER_SOCKET = _server_socket(
    False,  # two UDP servers could have one port, and one of them hear nothing
    Option(["--join"], metavar="GROUP",
           help="Hear this multicast group, as 239.1.2.3 or ff02::1%eth0, by the interface that "
                "has the address of --bind."),
)  # fmt: skip


def encoding(default: str | None = None, kind: Parsed = ENCODING) -> Option:
    return Option(
        ["-E", "--encoding"], type=kind, metavar="NAME", default=default, show_default=True,
        help="What the peer speaks: gbk, gb18030, big5, shift_jis, latin-1, utf-8 …. Text is "
             "converted both ways. Where nothing is given, bytes pass unchanged.",
    )  # fmt: skip


ERRORS = Option(
    ["--errors"], type=EnumChoice(Errors),
    help="What to do with a character the encoding does not have. Default: refuse to send it, "
         "show what is received as a backslash escape.",
)  # fmt: skip
_ENCODINGS = (
    encoding(),
    Option(["--send-encoding"], type=ENCODING, metavar="NAME",
           help="What to send in, where it is not what the peer sends in."),
    ERRORS,
)  # fmt: skip
ENCODINGS = Bundle("Text", _ENCODINGS)
TEXT = Bundle(
    "Text",
    (
        *_ENCODINGS,
        Option(["-C", "--crlf"], is_flag=True,
               help="Send each line end as CR LF, as HTTP, SMTP and many devices want it."),
    ),
)  # fmt: skip

_ONE_WAY = (
    Option(["--recv-only"], is_flag=True,
           help="Only receive: stdin is never read, a terminal neither. A connection ends when the "
                "peer has ended it. udp-client needs --source with a port, and ends when stopped, "
                "or by --expect, --linger or --idle-timeout."),
    Option(["--send-only"], is_flag=True,
           help="Only send: what arrives is dropped. When stdin has ended and the peer's system "
                "has everything, the command ends; a server of many goes on."),
    Option(["-o", "--output"], type=File(), metavar="FILE",
           help="Write what arrives to FILE as well, as it was on the wire. FILE is created, or "
                "emptied first."),
)  # fmt: skip
UDP_DIRECTION = Bundle("Direction", _ONE_WAY)
DIRECTION = Bundle(
    "Direction",
    (
        *_ONE_WAY,
        Option(["--half-close"], type=EnumChoice(HalfClose),
               help="When to tell the peer that stdin has ended: now, never, or auto: 1s after its "
                    "answer, or after 10s without one. Some servers drop their answer when told, "
                    "others wait for it. Default: now; with TLS or a proxy auto. A tcp-server "
                    "needs --once, --exec or --shell."),
    ),
)  # fmt: skip

IDLE = Option(
    ["-i", "--idle-timeout", "idle"], type=DURATION, metavar="DURATION",
    help="Give up (status 28) when nothing moves either way for this long. A server of many, "
         "or a relay, closes that connection and goes on. Over UDP a server gives up when nobody "
         "sends or is sent anything, and a relay gives up that peer: after 60s by default.",
)  # fmt: skip
LINGER = Option(
    ["--linger"], type=DURATION, metavar="DURATION",
    help="Once one side has ended, leave after this long a silence of the other. Default: 5s "
         "when the peer has ended, no bound when stdin has, 1s for datagrams and typists.",
)  # fmt: skip
_SILENCE = (
    LINGER,
    IDLE,
)  # fmt: skip
_UNTIL = Option(
    ["--until"],
    type=EnumChoice(Until),
    help="Whose end ends the conversation. Default: both; peer when stdin is a terminal.",
)

IDLE_TIME = Bundle("Time", (IDLE,))
CLIENT_TIME = Bundle("Time", (_UNTIL, *_SILENCE))
SERVER_TIME = Bundle(
    "Time",
    (
        _UNTIL,
        *_SILENCE,
        Option(["--slow-timeout"], type=DURATION, metavar="DURATION",
               help="Drop a client that holds the others up for this long. Default: 30s."),
    ),
)  # fmt: skip

_RULES = (
    Option(["--allow"], type=RULE, multiple=True, metavar="RULE",
           help="Let in only clients that match a RULE: an address, a network or a name, as in "
                "10.0.0.7, 10.0.0.0/8 or a.example. May be given again."),
    Option(["--deny"], type=RULE, multiple=True, metavar="RULE",
           help="Refuse clients that match RULE, even if --allow lets them in. May be given "
                "again."),
    Option(["--allow-file"], type=File(exists=True), multiple=True, metavar="FILE",
           help="More rules for --allow, one a line; # begins a comment. A FILE without rules lets "
                "nobody in."),
    Option(["--deny-file"], type=File(exists=True), multiple=True, metavar="FILE",
           help="More rules for --deny, as in --allow-file."),
    Option(["--allow-users"], type=click.Choice(["own", "any"]),
           help="On a unix socket: let in only processes of your own user, or of any. Default: "
                "own for unix:@NAME, any for unix:/PATH, where the file's mode decides."),
)  # fmt: skip
_MAX_CONNECTIONS = Option(
    ["--max-connections"], type=click.IntRange(1), metavar="N",
    help="Most clients, or members of a chat room, at a time. One more is closed at once; a room "
         "first says that it is full. On udp-server most programs, with relay --udp most peers: "
         "there the longest silent peer makes place.",
)  # fmt: skip
ACCESS = Bundle("Access", (*_RULES, _MAX_CONNECTIONS))
UDP_ACCESS = Bundle("Access", _RULES)


def access_options(values: dict[str, Any]) -> AccessOptions | None:
    """The rules among the values of a server's options; None if there are none."""
    if not any(values[name] for name in ("allow", "deny", "allow_file", "deny_file")):
        return None
    from sockkit.net.access import AccessOptions

    return fold(AccessOptions, values)


PROXY = Bundle(
    "Proxy",
    (
        Option(["--proxy", "through"], type=PROXY_URL, metavar="URL",
               help="Connect through a proxy: socks5h://[USER@]HOST[:PORT], or the same with "
                    "socks5, socks4a, socks4 or http (CONNECT). With socks5h, socks4a and http the "
                    "proxy looks up the name, otherwise we do. PORT is 1080 unless given. env: "
                    "the proxy that ALL_PROXY names, but none for the hosts in NO_PROXY. The "
                    "user's password is taken from SOCKKIT_PROXY_PASSWORD, or asked for; in the "
                    "URL, as USER:PASSWORD@, other users of this machine can see it in the list of "
                    "processes."),
    ),
)  # fmt: skip


def proxy_option(values: dict[str, Any], address: Address) -> Proxy | None:
    """The proxy that --proxy chooses to reach `address`; None for none. Raises UsageError."""
    if values["through"] is None:
        return None
    from sockkit.cli.proxy import chosen_proxy

    return chosen_proxy(values, address)


PROGRAMS = Bundle(
    "Programs",
    (
        Option(["--exec", "execute"], metavar="CMD",
               help="Run CMD with the peer as its stdin and stdout; a server runs one for each "
                    "peer. CMD is split into words as a shell would, and run without a shell. The "
                    "end of what the peer sends is only the end of CMD's input: the connection "
                    "closes when CMD exits. A reset ends CMD. Over UDP CMD reads and writes "
                    "datagrams."),
        Option(["--shell"], metavar="CMD",
               help="The same, and /bin/sh runs CMD: pipes, variables and several commands work."),
    ),
)  # fmt: skip
UDP_PROGRAMS = Bundle("Programs", (*PROGRAMS.options, _MAX_CONNECTIONS))


def program(values: dict[str, Any]) -> tuple[str, ...]:
    """The words of the program that --exec or --shell names; none without. Raises UsageError."""
    execute, shell = values["execute"], values["shell"]
    if execute is None and shell is None:
        return ()
    from sockkit.core.programs import shell_command, split_command

    if execute is not None and shell is not None:
        raise UsageError("--exec and --shell exclude each other", "leave out one")
    # Programs.start sets a signal's action, so it needs the main thread, which the editor takes.
    values["no_edit"] = True
    return shell_command(shell) if execute is None else split_command(execute)


TERMINAL = Bundle(
    "Terminal",
    (
        Option(["--no-edit"], is_flag=True,
               help="Read lines as the terminal gives them: no editing, no history."),
        Option(["--color"], type=COLOR, multiple=True, metavar="NAME=COLOR",
               help=f"Show NAME (for a peer: its number, host or host:port) in COLOR: "
                    f"{', '.join(COLORS)}. May be given again."),
    ),
)  # fmt: skip

DATAGRAMS = (
    Option(["--lines"], is_flag=True,
           help="A line without its end is a datagram, and a datagram a line: so it is on a "
                "terminal and with -E or -C. Otherwise stdin is cut at --buffer-size, and what "
                "is received is written as it is."),
)  # fmt: skip

CHAT = Bundle(
    "Text",
    (
        encoding("utf-8", LINE_ENCODING),
    ),
)  # fmt: skip

LABEL = Option(
    ["--label"], is_flag=True,
    help="Begin each line with its peer, as in [2 10.0.0.7:51234]; so it is on a terminal where "
         "there may be several.",
)  # fmt: skip
ONCE = Option(
    ["--once"], is_flag=True, help="Serve one client, then end (what nc -l does)."
)  # fmt: skip
REPLY = Option(
    ["--reply"], metavar="TEXT",
    help="Answer whatever arrives with TEXT, once for each datagram or receive. With --once: "
         "once, in place of stdin.",
)  # fmt: skip
NICKNAME = Option(
    ["--name"], type=NAME, metavar="NAME",
    help="Your name: datagrams are signed with it (NAME:text), and a chat room knows you by it.",
)  # fmt: skip
UDP = Option(["--udp"], is_flag=True, help="Use UDP, not TCP.")
PASSWORD = (
    Option(["--password"], metavar="TEXT",
           help="The chat room's password. Other users of this machine can see it in the list of "
                "processes; the variable SOCKKIT_PASSWORD and --password-file hide it."),
    Option(["--password-file"], type=File(exists=True), metavar="FILE",
           help="Read the chat room's password from FILE; one trailing newline is ignored."),
)  # fmt: skip

OUTPUT = Bundle(
    "Output",
    (
        Option(["-v", "--verbose"], count=True,
               help="Say what happens to connections, and the totals; -vv every socket call."),
        Option(["-q", "--quiet"], is_flag=True,
               help="Show no messages but errors; with probe, no results either."),
    ),
)  # fmt: skip
