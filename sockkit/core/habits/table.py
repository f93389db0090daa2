"""The table of habits: options and words of other tools, each with its equivalent here.

If our command has an option, its own meaning counts. The table is for unknown options, and for
lines that name another tool.
"""

from __future__ import annotations

from sockkit.values import Value


class Habit(Value):
    """Options of other tools, and their equivalent here.

    `says` is the reason; {} in it is the option as it was written. `use` are our options; {} in
    them is the value. `act` names another change, which `core/habits/draft.py` makes.
    """

    names: str
    says: str
    use: str = ""
    act: str = ""
    value: bool = False


_COMMAND = "nc's {} is a command here"
_NOT_NEEDED = "{} is not needed"
OPTIONS = (
    Habit("-l", _COMMAND, act="listen"),
    Habit("--listen", "ncat's {} is a command here", act="listen"),
    Habit("-u", _COMMAND, act="udp"),
    Habit("--udp", "ncat's {} is a command here", act="udp"),
    Habit("-z", "nc's {} is the command probe here", act="probe"),
    Habit("-k --keep-open", f"{_NOT_NEEDED}, a server accepts any number of clients", act="keep"),
    Habit("-U --unixsock", "a unix socket is written unix:PATH here", act="unix"),
    Habit("--chat", "ncat's {} is a chat room here", act="chat"),
    Habit("--broker", "ncat's {} is a chat room here, which adds names", act="chat"),
    Habit("-n --nodns", f"{_NOT_NEEDED}, an IP address is never looked up"),
    Habit("-N", "nc's {} is the default here"),
    Habit("-r", _NOT_NEEDED),
    Habit("--proxy-dns", "", act="proxy-dns", value=True),
    Habit("--tcp --stream", f"{_NOT_NEEDED}, the command says so"),
    Habit("-d", "nc's {} is --recv-only here", "--recv-only"),
    Habit("--no-stdin", "{} is --recv-only here", "--recv-only"),
    Habit("-q", "nc's {} is --linger here", "--linger {}", value=True),
    Habit("-e", "nc's {} is --exec here", "--exec {}", value=True),
    Habit("-c --sh-exec --system", "{} is --shell here", "--shell {}", value=True),
    Habit("-i", "nc's {} is a shell loop here", act="line-delay", value=True),
    Habit("--source-port", "{} is --source here", act="port", value=True),
    Habit("-s --source", "nc's {} is --source here", act="from", value=True),
    Habit("-w --wait", "{} is -w here", "-w {}", value=True),
    Habit("--timeout --connect-time", "{} is -w here (or -i, for a silence)", "-w {}", value=True),
    Habit("--socks5 --socks5-hostname", "{} is --proxy here", "--proxy socks5h://{}", value=True),
    Habit("-X --proxy-type", "nc's {} is --proxy here", act="proxy-type", value=True),
    Habit("-x", "nc's {} is --proxy here", act="x", value=True),
    Habit("-P --proxy-auth", "the user is a part of --proxy here", act="proxy-user", value=True),
    Habit("-m --max-conns --max-clients", "{} is --max-connections here",
          "--max-connections {}", value=True),
    Habit("-b", "nc's {} is --broadcast here", "--broadcast"),
    Habit("-D --debug", "{} is -vv here", "-vv"),
    Habit("-I", "nc's {} is --receive-buffer here", "--receive-buffer {}", value=True),
    Habit("-O", "nc's {} is --send-buffer here", "--send-buffer {}", value=True),
    Habit("-M", "nc's {} is --ttl here", "--ttl {}", value=True),
    Habit("-T", "nc's {} is --tos here", "--tos {}", value=True),
    Habit("--no-shutdown", "{} is --half-close never here", "--half-close never"),
    Habit("--hex-dump", "{} is --record here, and show --hex shows it", "--record {}", value=True),
    Habit("--allowfile", "{} is --allow-file here", "--allow-file {}", value=True),
    Habit("--denyfile", "{} is --deny-file here", "--deny-file {}", value=True),
    # TLS, by all its names.
    Habit("--ssl --secure", "{} is --tls here", "--tls"),
    Habit("--ssl-verify", "--tls verifies by default", "--tls"),
    Habit("--ssl-cert --cert", "{} is --tls-cert here", "--tls-cert {}", value=True),
    Habit("--ssl-key --key", "{} is --tls-key here", "--tls-key {}", value=True),
    Habit("--ssl-trustfile --ca --cacert --cafile", "{} is --tls-ca here", "--tls-ca {}",
          value=True),
    Habit("--ssl-servername --sni --servername", "{} is --tls-name here", "--tls-name {}",
          value=True),
    Habit("--ssl-alpn --alpn", "{} is --tls-alpn here", "--tls-alpn {}", value=True),
    Habit("--insecure --no-verify --no-check-certificate", "{} is --tls-insecure here",
          "--tls-insecure"),
    # Plain words, of no tool or of several.
    Habit("--host --hostname --address --addr --ip",
          "the address needs no option", act="host", value=True),
    Habit("--remote --dest --target --to --upstream --backend",
          "the target needs no option", act="target", value=True),
    Habit("-p --port", "the port needs no option", act="port", value=True),
    Habit("--interface --local --listen-address", "{} is --bind or --source here", act="from",
          value=True),
    Habit("--every --interval --period --loop", "{} is a shell loop here, in seconds",
          act="every", value=True),
    Habit("--count --times --repeat", "{} is a shell loop here", act="count", value=True),
    Habit("--nick --nickname --user --username", "{} is --name here", "--name {}", value=True),
    Habit("--log --logfile --dump --capture", "{} is --record here, and show shows it",
          "--record {}", value=True),
    Habit("--save", "{} is -o here", "-o {}", value=True),
    Habit("--data --message --msg --text --send", "to send text, pipe it",
          act="send", value=True),
    Habit("--file --input --send-file", "to send a file, redirect it", act="file", value=True),
    Habit("--hex-send --send-hex --hexsend --sendhex --hex-data --data-hex --hexin --input-hex",
          "{} is --hex-input here", "--hex-input"),
    Habit("--hexdump --hex-recv --recv-hex --show-hex --hexview --hex-view --hex-output",
          "{} is --hex here", "--hex"),
    Habit("--charset --codec --codepage --encode", "{} is --encoding here", "--encoding {}",
          value=True),
    Habit("--gbk", "{} is an encoding", "--encoding gbk"),
    Habit("--utf8 --utf-8", "{} is an encoding", "--encoding utf-8"),
    Habit("--newline --eol --append-crlf --crnl",
          "{} is --crlf here", "--crlf", act="line-end"),
    Habit("--auto-reply --response", "{} is --reply here", "--reply {}", value=True),
    Habit("--reply-hex --hex-reply", "{} is --reply with --hex-input here",
          act="hex-reply", value=True),
    Habit("--banner --welcome", "{} is --greet here", "--greet {}", value=True),
    Habit("--multicast --group", "{} is --join here", "--join {}", value=True),
    Habit("--keep-alive --so-keepalive", "{} is --keepalive here", "--keepalive"),
    Habit("--tcp-nodelay", "{} is --no-delay here", "--no-delay"),
    Habit("--silent", "{} is --quiet here", "--quiet"),
    Habit("--ipv4 --inet4", "{} is -4 here", "-4"),
    Habit("--ipv6 --inet6", "{} is -6 here", "-6"),
    Habit("--fork", f"{_NOT_NEEDED}, a server accepts any number of clients", act="keep"),
    Habit("--single --oneshot --one-shot", "{} is --once here", "--once"),
)  # fmt: skip

# Letters with another meaning in ncat than in nc.
NCAT = (
    Habit("-i", "", "-i {}", value=True),
    Habit("-d --delay", "ncat's {} is a shell loop here", act="line-delay", value=True),
    Habit("-x", "ncat's -x is --record here, and show --hex shows it", "--record {}", value=True),
    Habit("-s", "ncat's {} is --source here", act="from", value=True),
    Habit("--proxy", "", act="proxy", value=True),
)

# Our flags that have a value in another tool, if the line is wrong anyway.
AFTER_A_FLAG = ("-q", "-x")

# Our flags after which some people write the text to send.
INPUTS = ("--hex-input", "--escape-input", "-x", "--hex")

# The commands that are like nc: its letters, and options for what is sent, make sense there.
LIKE_NC = ("", "tcp-client", "tcp-server", "udp-client", "udp-server", "chat serve", "chat join")
SENDING = {"send", "file", "line-delay", "line-end"}  # acts for a command that sends stdin
REPEATING = {"every", "count"}  # acts that repeat a command, or a line that it sends
REPEATED = ("probe", "replay")
ELSEWHERE = {  # acts and letters of nc that other commands know as well
    "probe": ("listen", "udp", "-z", "-n", "-p", "-u", "-U"),
    "relay": ("listen", "udp", "line-end", "-u", "-k", "-e", "-c", "-U", "-n", "-m", "-s"),
    "echo": ("listen", "udp", "-u", "-k", "-U", "-n", "-m", "-s"),
    "replay": ("listen", "file"),
    "show": ("file",),
}

# What we do not have, and what to use instead.
NOT_HERE_OPTIONS = {
    "--append-output": "the shell appends: write | tee -a FILE after the line",
    "--ssl-ciphers": "sockkit uses OpenSSL's ciphers: leave --ssl-ciphers out",
    "--retry --retries": "to wait for a server, write sockkit probe --wait 30s HOST:PORT first",
    "--sctp": "SCTP is not supported: use ncat --sctp",
    "--vsock": "VSOCK is not supported: use ncat --vsock",
    "--lua-exec": "Lua is not supported: use --exec 'lua FILE'",
    "--telnet": "telnet's negotiation is not supported: use telnet",
    "--ws --websocket": "WebSocket is not supported: use websocat",
    "--serial --baud": "serial lines are not supported: use socat or picocom",
    "--checksum": "checksums are not supported: write them into the data",
    "--dtls": "DTLS is not supported: use openssl s_client -dtls",
}
NOT_HERE = {
    "ws wss websocket": "WebSocket is not supported: use websocat {}",
    "sctp sctp-listen sctp-connect sctp-l": "SCTP is not supported: use ncat --sctp, or socat {}",
    "udplite udplite-listen udplite-connect udplite-l": "UDP-Lite is not supported: use socat {}",
    "dccp dccp-listen dccp-connect dccp-l": "DCCP is not supported: use socat {}",
    "vsock vsock-listen vsock-connect vsock-l": "VSOCK is not supported: use socat {}",
    "tun tap interface": "network interfaces are not supported: use socat {}",
    "pty": "terminals are not addresses here: use socat {}",
    "file": "a file is not an address here: use the shell's < and >",
    "ip rawip icmp": "raw IP is not supported: use socat {}",
    "dtls openssl-dtls-client openssl-dtls-server": "DTLS is not supported: use socat {}",
    "ssh sftp scp": "SSH is not supported: use ssh",
    "ftp": "FTP is not supported: use curl {}",
    "quic": "QUIC is not supported: use curl --http3",
    "mqtt": "MQTT is not supported: use mosquitto_pub and mosquitto_sub",
}  # fmt: skip

SERIAL = "serial lines are not supported: use socat or picocom {}"

# Words in the place of a command: the act or the command that each means.
TOOLS = {"nc", "ncat", "netcat", "telnet", "pwncat", "nc.openbsd", "nc.traditional"}
ROLES = {
    "tcp": "tcp",
    "udp": "udp",
    "unix": "unix",
    "tls ssl": "tls",
    "listen server serve listener": "listen",
    "connect client dial open send": "connect",
    "scan ping check": "probe",
    "forward proxy tunnel": "relay",
    "join": "chat join",
    "room": "chat serve",
    "respond": "echo",
    "dump": "show",
    "play": "replay",
}

CHAT_ROLES = ("start", "create", "new")  # after `chat`, for serve

# Words after an option such as --newline: with the first ones the data gets CRLF, as with --crlf.
CRLF_WORDS = ("crlf", "\\r\\n", "\r\n")
LF_WORDS = ("lf", "\\n", "\n")

# The variables of a program's environment, in other tools and here.
VARIABLES = {
    "NCAT_REMOTE_ADDR SOCAT_PEERADDR": "SOCKKIT_REMOTE_HOST",
    "NCAT_REMOTE_PORT SOCAT_PEERPORT": "SOCKKIT_REMOTE_PORT",
    "NCAT_LOCAL_ADDR SOCAT_SOCKADDR": "SOCKKIT_LOCAL_HOST",
    "NCAT_LOCAL_PORT SOCAT_SOCKPORT": "SOCKKIT_LOCAL_PORT",
}

# The addresses of socat that we have, with their acts. TCP4 and TCP6 count as TCP.
SOCAT = {
    "TCP TCP-CONNECT": "",
    "TCP-LISTEN TCP-L": "listen",
    "UDP UDP-CONNECT UDP-SENDTO UDP-DATAGRAM": "udp",
    "UDP-LISTEN UDP-L UDP-RECV UDP-RECVFROM": "udp listen",
    "OPENSSL OPENSSL-CONNECT SSL SSL-CONNECT": "tls",
    "OPENSSL-LISTEN OPENSSL-L SSL-LISTEN SSL-L": "tls listen",
    "UNIX UNIX-CONNECT UNIX-CLIENT LOCAL": "unix",
    "UNIX-LISTEN UNIX-L": "unix listen",
    "UNIX-SENDTO": "unix udp",
    "UNIX-RECV UNIX-RECVFROM": "unix udp listen",
    "ABSTRACT ABSTRACT-CONNECT ABSTRACT-CLIENT": "unix abstract",
    "ABSTRACT-LISTEN ABSTRACT-L": "unix abstract listen",
    "EXEC": "exec",
    "SYSTEM SHELL": "shell",
    "PIPE ECHO": "echo",
    "STDIO STDIN STDOUT READLINE -": "stdio",
    "FILE GOPEN OPEN CREATE": "file",
    "PROXY PROXY-CONNECT": "http",
    "SOCKS4": "socks4",
    "SOCKS4A": "socks4a",
    "SOCKS5 SOCKS5-CONNECT": "socks5h",
}
SOCAT_FLAGS = {
    "-t": "--linger {}",
    "-T": "--idle-timeout {}",
    "-b": "--buffer-size {}",
    "-x": "--hex",
    "-v": "--hex",
    "-4": "-4",
    "-6": "-6",
}
SOCAT_OPTIONS = {
    "bind": "--bind {}",
    "verify=0": "--tls-insecure",
    "cert certificate": "--tls-cert {}",
    "key": "--tls-key {}",
    "cafile": "--tls-ca {}",
    "commonname cn openssl-commonname": "--tls-name {}",
    "crnl crlf": "--crlf",
    "keepalive so-keepalive": "--keepalive",
    "nodelay tcp-nodelay": "--no-delay",
    "connect-timeout": "-w {}",
    "backlog": "--backlog {}",
    "range": "--allow {}",
    "reuseport so-reuseport": "--reuse-port",
    "max-children": "--max-connections {}",
    "broadcast so-broadcast": "--broadcast",
    "ttl ip-ttl": "--ttl {}",
    "mode perm": "--unix-mode {}",
    "tos": "--tos {}",
    "sndbuf": "--send-buffer {}",
    "rcvbuf": "--receive-buffer {}",
    "pf=ip4": "-4",
    "pf=ip6": "-6",
}
# Options of socat's addresses that change nothing here.
SOCAT_NEEDLESS = {
    *("fork", "reuseaddr", "so-reuseaddr", "shut-down", "end-close"),
    *("proxyport", "socksport", "pktinfo", "ip-pktinfo", "unlink-early", "unlink-close"),
    *("ip-multicast-loop", "verify", "pf", "nonblock", "o-nonblock", "stderr", "setsid"),
    *("rdonly", "o-rdonly", "rdwr", "o-rdwr"),
}
# Options of openssl s_client.
OPENSSL = {
    "-connect": "{}",
    "-host": "{}",
    "-port": "{}",
    "-servername": "--tls-name {}",
    "-CAfile": "--tls-ca {}",
    "-cert": "--tls-cert {}",
    "-key": "--tls-key {}",
    "-alpn": "--tls-alpn {}",
    "-crlf": "--crlf",
    "-4": "-4",
    "-6": "-6",
    **dict.fromkeys(("-quiet", "-brief", "-showcerts", "-verify_return_error"), ""),
}

# The schemes of URLs that we have: their acts, and the default port.
SCHEMES = {
    "tcp": ("", None),
    "udp": ("udp", None),
    "tls": ("tls", None),
    "ssl": ("tls", None),
    "unix": ("unix", None),
    "telnet": ("", 23),
    "http": ("page", 80),
    "https": ("page tls", 443),
    "redis": ("", 6379),
    "smtp": ("", 25),
}

# Why a command lacks an option of others: the start of the command, the option, the reason.
WHY_NOT = (
    ("udp", "--frame", "a datagram is a frame already"),
    ("udp", "--half-close", "over UDP there is no connection to close"),
    ("udp", "--until", "over UDP there is no connection to end"),
    ("udp", "--keepalive", "over UDP there is no connection to keep"),
    ("udp", "--no-delay", "a datagram is sent at once"),
    ("udp", "--once", "UDP has no connections (--expect 1 ends a client after one answer)"),
    ("udp", "--backlog", "over UDP nothing waits to be accepted"),
    ("udp", "--tls", "TLS needs TCP"),
    ("udp", "--proxy", "a proxy needs TCP"),
    ("udp", "--greet", "over UDP nobody connects"),
    *(
        (command, name, "the recording says whether it is TCP or UDP")
        for command in ("show", "replay")
        for name in ("--udp", "-u", "--tcp")
    ),
    *(
        (command, "--bind", "--source is the local address of a client")
        for command in ("tcp-client", "udp-client", "chat join", "probe")
    ),
    ("chat serve", "--greet", "--motd is what the room says to newcomers"),
    ("show", "--send", "--sent shows what was sent"),
    ("show", "-w", "--pcap FILE writes a file for Wireshark"),
    ("show", "--frame", "a recording has the messages as they came"),
    ("tcp-client", "--reconnect", "in a shell, while true; do …; sleep 1; done connects again"),
    *(
        (command, name, "use > FILE")
        for command in ("replay", "probe", "show")
        for name in ("-o", "--output")
    ),
    *(("echo", name, "--record FILE keeps all that passes") for name in ("-o", "--output")),
    *(
        ("probe", name, "--match checks a reply, and tcp-client shows it")
        for name in ("-E", "--encoding", "--json", "-x", "--hex")
    ),
    *(
        (command, "--rules", "echo answers by rules: sockkit echo -p PORT --rules FILE")
        for command in ("tcp-server", "udp-server")
    ),
    ("udp-client", "--join", "it sends to a group as to any address; udp-server joins one"),
    ("tcp-client", "--lines", "TCP has no messages: it sends the lines as they are"),
    ("tcp-client", "--expect", "end with --until peer, or --linger 1"),
    ("chat serve", "--name", "the operator speaks as server"),
    *(("chat join", name, "it is for chat serve") for name in ("--motd", "--history")),
    *(
        (command, "--tls-ca", "--tls-client-ca checks clients")
        for command in ("tcp-server", "echo", "chat serve")
    ),
    ("relay", "--tls-ca", "--to-tls-ca checks the target, --tls-client-ca checks clients"),
    ("relay", "--tls-name", "--to-tls-name is for the target"),
    ("relay", "--tls-insecure", "--to-tls-insecure is for the target"),
    ("probe", "--expect", "--match checks the reply"),
    ("probe", "--hex-input", "$'\\x01\\x02' is a text in bash: --send $'\\x01\\x02'"),
    ("udp-server", "--broadcast", "--bind 0.0.0.0 receives broadcasts without it"),
    ("udp", "--slow-timeout", "a slow peer holds up no datagrams"),
)
