"""The options that commands share, grouped by the sections of the help."""

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
    GROUP,
    MODE,
    NAME,
    PORT,
    PROXY_URL,
    RULE,
    SIZE,
    SOURCE,
    TIMEOUT,
    EnumChoice,
    File,
    Language,
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
ADDRESS = Bundle(
    "Address",
    (
        *_FAMILY,
        Option(["--source"], type=SOURCE, metavar="ADDR[:PORT]",
               help="Connect from this local address, for example 192.168.1.5. A port may follow, "
                    "as in 192.168.1.5:40000. On a unix socket: unix:/PATH or unix:@NAME."),
    ),
)  # fmt: skip
UDP_ADDRESS = ADDRESS.saying(
    source="Send from this local address, for example 192.168.1.5. A port may follow, as in "
           "192.168.1.5:40000. On a unix socket: unix:/PATH or unix:@NAME.",
)  # fmt: skip
LISTENING = Bundle(
    "Listening",
    (
        Option(["-p", "--port"], type=PORT, metavar="PORT",
               help="Listen on this port, for example 8080. It may be a service name, such as "
                    "http. 0 takes any free port."),
        Option(["--bind"], type=BIND, metavar="ADDR",
               help="Listen on this address, for example 0.0.0.0. Default: 127.0.0.1, which only "
                    "this machine can reach (with -6: ::1). 0.0.0.0 is every IPv4 address, :: "
                    "every address. unix:/PATH is a unix socket, unix:@NAME an abstract one, "
                    "without a file (Linux only)."),
        *_FAMILY,
        Option(["--unix-mode"], type=MODE, metavar="MODE",
               help="Set the file mode of unix:/PATH, for example 660. Only users who may "
                    "write to the file can connect. Default: what the umask allows."),
        Option(["--port-file"], type=File(), metavar="FILE",
               help="Write the port to FILE once listening, for scripts. If FILE is a FIFO (mkfifo "
                    "FILE), `read p < FILE` waits until then. If sockkit created FILE, it removes "
                    "FILE at the end."),
    ),
)  # fmt: skip


def _reuse_address(default: bool, text: str) -> Option:
    return Option(
        ["--reuse-address/--no-reuse-address"], default=default, show_default=True, help=text
    )


_TUNING = (
    Option(["--buffer-size"], type=SIZE, metavar="SIZE",
           help="Receive at most this many bytes at once, for example 64k."),
    Option(["--send-buffer"], type=SIZE, metavar="SIZE",
           help="Set the system's send buffer, for example 256k (SO_SNDBUF)."),
    Option(["--receive-buffer"], type=SIZE, metavar="SIZE",
           help="Set the system's receive buffer, for example 256k (SO_RCVBUF)."),
    Option(["--reuse-port"], is_flag=True,
           help="Share the port with other sockets that set this option (SO_REUSEPORT)."),
    Option(["--ttl"], type=click.IntRange(1, 255), metavar="N",
           help="Let packets pass at most N routers, 1 to 255 (IP_TTL)."),
    Option(["--tos"], type=click.IntRange(0, 255), metavar="N",
           help="Set the type of service, for example 184 for voice (IP_TOS). N is 0 to 255."),
)  # fmt: skip
_STREAM = (
    Option(["--no-delay"], is_flag=True,
           help="Send small pieces at once, without collecting them (TCP_NODELAY)."),
    Option(["--keepalive"], is_flag=True,
           help="Check that a silent peer is still there (SO_KEEPALIVE)."),
)  # fmt: skip
_BACKLOG = Option(
    ["--backlog"], type=click.IntRange(0, 2**31 - 1), default=DEFAULT_BACKLOG,
    show_default=True, metavar="N",
    help="Let at most N connections wait to be accepted. The system may allow fewer.",
)  # fmt: skip
_BIND_CLOSING = "Bind a port while old connections on it are closing (SO_REUSEADDR)."
_BIND_SOURCE = "Bind --source while an old connection on it closes (SO_REUSEADDR)."
_BIND_SHARED = "Bind a port that others with this option already use (SO_REUSEADDR)."
CLIENT_SOCKET = Bundle("Socket", (*_TUNING, _reuse_address(False, _BIND_SOURCE), *_STREAM))
SERVER_SOCKET = Bundle(
    "Socket", (_BACKLOG, *_TUNING, _reuse_address(True, _BIND_CLOSING), *_STREAM)
)
# Two UDP servers could share one port, and one would receive nothing: so False for servers, too.
UDP_SOCKET = Bundle("Socket", (*_TUNING, _reuse_address(False, _BIND_SHARED))).saying(
    buffer_size="Receive at most this many bytes of a datagram, for example 1500. The rest is cut "
                "off, which is reported. stdin, where it is not sent line by line, is cut into "
                "datagrams of this size.",
)  # fmt: skip
BROADCAST = Option(
    ["--broadcast"], is_flag=True,
    help="Allow broadcast addresses, for example 192.168.1.255.",
)  # fmt: skip


def _one_group(ctx: click.Context, param: click.Parameter, groups: tuple[str, ...]) -> str | None:
    if len(groups) > 1:
        raise click.BadParameter("give one group, and start a server for each", ctx, param)
    return groups[0] if groups else None


JOIN = Option(
    ["--join"], type=GROUP, metavar="GROUP", multiple=True, callback=_one_group,
    help="Receive from this multicast group, for example 239.1.2.3. The interface is the one with "
         "the --bind address, or is named, as in ff02::1%eth0.",
)  # fmt: skip


def encoding(default: str | None = None, kind: Parsed = ENCODING) -> Option:
    return Option(
        ["-E", "--encoding"], type=kind, metavar="NAME", default=default, show_default=True,
        help="Set the text encoding of the peer, for example gbk. Text is converted both ways. "
             "Without this option, bytes pass unchanged.",
    )  # fmt: skip


ERRORS = Option(
    ["--errors"], type=EnumChoice(Errors),
    help="Choose what happens to text that cannot be converted. strict: an error; replace: a "
         "question mark or U+FFFD; backslashreplace: an escape; ignore: left out. Default: strict "
         "for what is sent, backslashreplace for what is received.",
)  # fmt: skip
_ENCODINGS = (
    encoding(),
    Option(["--send-encoding"], type=ENCODING, metavar="NAME",
           help="Send in this encoding, if it differs from --encoding."),
    ERRORS,
)  # fmt: skip
ENCODINGS = Bundle("Text", _ENCODINGS)
TEXT = Bundle(
    "Text",
    (
        *_ENCODINGS,
        Option(["-C", "--crlf"], is_flag=True,
               help="Send each line end as CR LF. HTTP, SMTP and many devices expect that."),
    ),
)  # fmt: skip

_ONE_WAY = (
    Option(["--recv-only"], is_flag=True,
           help="Only receive; never read stdin. The command ends when the peer has closed."),
    Option(["--send-only"], is_flag=True,
           help="Only send; discard what arrives. The command ends when stdin has ended and the "
                "peer's system has received everything."),
    Option(["-o", "--output"], type=File(), metavar="FILE",
           help="Also write what arrives to FILE. FILE gets the bytes as they were received. It is "
                "emptied first, once the command is connected or listens."),
)  # fmt: skip
UDP_DIRECTION = Bundle("Direction", _ONE_WAY)
DIRECTION = Bundle(
    "Direction",
    (
        *_ONE_WAY,
        Option(["--half-close"], type=EnumChoice(HalfClose),
               help="Choose when to tell the peer that stdin has ended. now: at once; auto: 1s "
                    "after its answer, or after 10s without one; never: not before we close. "
                    "Default: now; auto with --tls or --proxy. Some servers drop their answer when "
                    "told, others wait to be told."),
    ),
)  # fmt: skip


def _timeout(default: str | None) -> Option:
    return Option(
        ["-w", "--connect-timeout", "timeout"], type=TIMEOUT, metavar="DURATION",
        default=default, show_default=default is not None,
        help="Give up connecting after this long, for example 5s. Looking up the name is "
             "included. The exit status is then 28.",
    )  # fmt: skip


IDLE = Option(
    ["-i", "--idle-timeout", "idle"], type=TIMEOUT, metavar="DURATION",
    help="End after this long without data, for example 30s. Data in either direction counts. The "
         "exit status is then 28.",
)  # fmt: skip
LINGER = Option(
    ["--linger"], type=DURATION, metavar="DURATION",
    help="Once one side has ended, leave when the other is silent for this long. Default: 5s after "
    "the peer's end; no limit after the end of stdin, but 1s at a terminal.",
)  # fmt: skip
_UNTIL = Option(
    ["--until"],
    type=EnumChoice(Until),
    help="Choose which side must finish before the session ends. Default: both; if stdin is a "
    "terminal, peer.",
)
_NO_CLIENT = (
    "Give up when no client connects for this long, for example 30s. The exit status is then 28. "
    "Default: wait for ever."
)
CLIENT_TIME = Bundle("Time", (_timeout("10s"), _UNTIL, LINGER, IDLE))
UDP_CLIENT_TIME = CLIENT_TIME.without("until")
PROBE_TIME = Bundle("Time", (_timeout("3s"),))
SERVER_TIME = Bundle(
    "Time",
    (
        _timeout(None),
        _UNTIL,
        LINGER,
        IDLE,
        Option(["--slow-timeout"], type=DURATION, metavar="DURATION",
               help="Drop a client that blocks the others for this long. Default: 30s."),
    ),
).saying(timeout=_NO_CLIENT)  # fmt: skip

_RULES = (
    Option(["--allow"], type=RULE, multiple=True, metavar="RULE",
           help="Accept only clients that match RULE. RULE is an address, a network or a host "
                "name: 10.0.0.7, 10.0.0.0/8 or a.example. May be repeated."),
    Option(["--deny"], type=RULE, multiple=True, metavar="RULE",
           help="Refuse clients that match RULE. --deny beats --allow. May be repeated."),
    Option(["--allow-file"], type=File(exists=True), multiple=True, metavar="FILE",
           help="Read more rules for --allow from FILE, one per line. # starts a comment. A FILE "
                "without rules accepts nobody."),
    Option(["--deny-file"], type=File(exists=True), multiple=True, metavar="FILE",
           help="Read more rules for --deny from FILE, one per line. # starts a comment."),
    Option(["--allow-users"], type=click.Choice(["own", "any"]),
           help="On a unix socket, accept only your own user, or any. Default: own for "
                "unix:@NAME; any for unix:/PATH, where the mode of the file decides."),
)  # fmt: skip
_MAX_CONNECTIONS = Option(
    ["--max-connections"], type=click.IntRange(1), metavar="N",
    help="Accept at most N clients at a time. Any more are closed at once.",
)  # fmt: skip
ACCESS = Bundle("Access", (*_RULES, _MAX_CONNECTIONS))
UDP_ACCESS = Bundle("Access", _RULES).saying(
    allow="Accept datagrams only from peers that match RULE. RULE is an address, a network or a "
          "host name: 10.0.0.7, 10.0.0.0/8 or a.example. May be repeated.",
    deny="Drop datagrams from peers that match RULE. --deny beats --allow. May be repeated.",
)  # fmt: skip


def access_options(values: dict[str, Any]) -> AccessOptions | None:
    """The access rules in the values of a server's options; None if there are none."""
    if not any(values[name] for name in ("allow", "deny", "allow_file", "deny_file")):
        return None
    from sockkit.net.access import AccessOptions

    return fold(AccessOptions, values)


PROXY = Bundle(
    "Proxy",
    (
        Option(["--proxy", "through"], type=PROXY_URL, metavar="URL",
               help="Connect through a proxy: socks5h://127.0.0.1:1080. URL is "
                    "SCHEME://[USER@]HOST[:PORT], with the scheme socks5h, socks5, socks4a, socks4 "
                    "or http (CONNECT) and the port 1080 unless given. With socks5h, socks4a and "
                    "http the proxy looks up the name. --proxy env uses the proxy of the variable "
                    "ALL_PROXY, and none for the hosts in NO_PROXY. The password of USER is that "
                    "of the variable SOCKKIT_PROXY_PASSWORD, or is asked for. USER:PASSWORD@ works "
                    "too, but other users of this machine can see it in the list of processes."),
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
               help="Run CMD with the connection as its stdin and stdout. CMD is split into words "
                    "as by a shell, and run without one: --exec 'tr a-z A-Z'. The connection "
                    "closes when CMD exits, and the exit status is that of CMD. A reset ends CMD."),
        Option(["--shell"], metavar="CMD",
               help="Like --exec, but /bin/sh runs CMD. Pipes, variables and several commands "
                    "work."),
    ),
)  # fmt: skip
UDP_PROGRAMS = Bundle("Programs", (*PROGRAMS.options, _MAX_CONNECTIONS)).saying(
    execute="Run CMD for each peer, with the peer as its stdin and stdout. Each read and each "
            "write of CMD is a datagram. CMD is split into words as by a shell, and run without "
            "one: --exec 'tr a-z A-Z'.",
    max_connections="Run at most N programs at a time. Default: 100. Beyond that, a new peer "
    "replaces the one that has been silent longest. Needs --exec or --shell.",
)  # fmt: skip


def program(values: dict[str, Any]) -> tuple[str, ...]:
    """The words of the program of --exec or --shell; empty without these. Raises UsageError."""
    execute, shell = values["execute"], values["shell"]
    if execute is None and shell is None:
        return ()
    from sockkit.core.programs import shell_command, split_command

    if execute is not None and shell is not None:
        raise UsageError("--exec cannot be used with --shell", "remove one of them")
    # Programs.start sets a signal's action, so it needs the main thread, which the editor would
    # use.
    values["no_edit"] = True
    return shell_command(shell) if execute is None else split_command(execute)


_COLORS = f"The colours are {', '.join(COLORS)}. May be repeated."
TERMINAL = Bundle(
    "Terminal",
    (
        Option(["--no-edit"], is_flag=True,
               help="Do not edit lines: read them as the terminal sends them. There is no history "
                    "then."),
        Option(["--color"], type=COLOR, multiple=True, metavar="NAME=COLOR",
               help="Show NAME in COLOR, for example 2=magenta. NAME is the number of a peer, its "
                    f"host or host:port. {_COLORS}"),
    ),
)  # fmt: skip
UDP_TERMINAL = TERMINAL.saying(
    color="Show NAME in COLOR, for example alice=magenta. NAME is the number of a peer, its host "
          f"or host:port, or the name that signs its datagrams (alice:hello). {_COLORS}",
)  # fmt: skip
CHAT_TERMINAL = TERMINAL.saying(
    color=f"Show the member NAME in COLOR, for example alice=magenta. {_COLORS}",
)

LINES = Option(
    ["--lines"], is_flag=True,
    help="Send each line as a datagram, and print each datagram as a line. On a terminal, and with "
    "-E or -C, this is the default. Otherwise stdin is split at --buffer-size, and datagrams are "
    "printed as they are.",
)  # fmt: skip
LABEL = Option(
    ["--label"], is_flag=True,
    help="Start each line with its peer: [2 10.0.0.7:51234]. On a terminal this is the default.",
)  # fmt: skip
WORKERS = Option(
    ["--workers"], type=click.IntRange(1, 256), metavar="N", default=1, show_default=True,
    help="Share the port among N processes. One that dies is replaced.",
)  # fmt: skip
ONCE = Option(["--once"], is_flag=True, help="Serve one client, then exit.")
PEERS = Option(
    ["--peer", "peers"], type=click.IntRange(0), metavar="N", multiple=True,
    help="Show only the peer with this number, for example 2. May be repeated.",
)  # fmt: skip
GREET = Option(
    ["--greet"], default="", metavar="TEXT",
    help="Send TEXT to each client as it connects. No line end is added: in bash, $'hi\\n' has "
         "one.",
)  # fmt: skip
REPLY = Option(
    ["--reply"], metavar="TEXT",
    help="Send TEXT whenever a client has sent something. With --once, TEXT is sent once, in place "
         "of stdin. No line end is added: in bash, $'hi\\n' has one.",
)  # fmt: skip
NICKNAME = Option(
    ["--name"], type=NAME, metavar="NAME",
    help="Use this name in the room, for example alice.",
)  # fmt: skip
UDP = Option(["--udp"], is_flag=True, help="Use UDP, not TCP.")
PASSWORD = (
    Option(["--password"], metavar="TEXT",
           help="Set the password of the room. Other users of this machine can see it in the list "
                "of processes; --password-file and the variable SOCKKIT_PASSWORD hide it."),
    Option(["--password-file"], type=File(exists=True), metavar="FILE",
           help="Read the password of the room from FILE. One line end after it is ignored."),
)  # fmt: skip

_EXPLAIN = (
    Option(["--explain"], is_flag=True,
           help="Explain each step for someone learning sockets. stderr shows each call in "
                "Python, and what the kernel does."),
    Option(["--lang"], type=Language(["en", "zh"]),
           help="Explain in English or Chinese. Default: the language of the locale."),
)  # fmt: skip
OUTPUT = Bundle(
    "Output",
    (
        Option(["-v", "--verbose"], count=True,
               help="Show what happens to connections, and totals. -vv also shows every socket "
                    "call."),
        Option(["-q", "--quiet"], is_flag=True,
               help="Show no messages but errors."),
        *_EXPLAIN,
    ),
)  # fmt: skip
# Of a command that uses no socket.
PLAIN_OUTPUT = Bundle(OUTPUT.title, OUTPUT.options[: -len(_EXPLAIN)]).saying(
    verbose="Accepted as in other commands. Nothing more is shown.",
)
