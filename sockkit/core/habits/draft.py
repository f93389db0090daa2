"""The meaning of a line, collected habit by habit: the command and the options for it here."""

from __future__ import annotations

from collections.abc import Sequence

from sockkit.core.address import parse_host, parse_port, parse_unix, split_port
from sockkit.core.habits.line import Flag
from sockkit.core.habits.table import REPEATED, VARIABLES, Habit
from sockkit.core.units import parse_duration, parse_timeout
from sockkit.errors import UsageError

LISTENERS = ("tcp-server", "udp-server", "echo", "chat serve", "relay")
_PLAIN = ("", "tcp-client", "tcp-server", "udp-client", "udp-server")
WITH_UDP = ("echo", "chat serve", "chat join", "relay", "probe")
_OTHER = {"relay": "relay", "echo": "echo", "chat": "chat serve", "probe": "probe"}
_NAMES_OF_NC = ("netcat", "nc.openbsd", "nc.traditional")
_PAUSES = ("--every", "--interval", "--period", "--loop")
_MATTERS = {"chat": -1, "listen": 0, "probe": 0}  # the acts with the most important reasons
SCHEMES = {"4": "socks4", "5": "socks5h", "connect": "http", "socks4": "socks4", "http": "http"}
HTTP_PROXY_PORT = 3128  # of nc and ncat; SOCKS has 1080, as here


class Draft:
    """A command line of sockkit that is being made.

    `words` are those of the address. `acts` are changes by name, each with its value. If `refusal`
    is set, there is no line: it says what to use instead of sockkit. `origin` is the tool that the
    line is for, if it is for one.
    """

    def __init__(self, command: str = "", words: tuple[str, ...] | list[str] = ()) -> None:
        self.command = command
        self.words = [*words]
        self.options: list[tuple[str, ...]] = []
        self.acts: dict[str, str] = {}
        self.before = self.after = self.refusal = self.origin = ""
        self.lacking = ""  # the option that lacks its value
        self._reasons: list[tuple[int, str]] = []

    @property
    def reason(self) -> str:
        """The most important reason; empty if the line has no habit."""
        return min(self._reasons, key=lambda each: each[0])[1] if self._reasons else ""

    @property
    def tool(self) -> str:
        """The tool whose letters the line has: nc or ncat; empty for any other."""
        name = "nc" if self.origin in _NAMES_OF_NC else self.origin
        return name if name in ("nc", "ncat") else ""

    @property
    def listens(self) -> bool:
        return self.command in LISTENERS

    def because(self, reason: str, rank: int = 0) -> None:
        self._reasons.append((rank, reason))

    def act(self, *names: str) -> None:
        self.acts |= dict.fromkeys(names, "")

    def add(self, *option: str) -> None:
        if option not in self.options:
            self.options.append(option)

    def drop(self, name: str) -> str:
        """Remove an option, and return its value; empty if there is none."""
        values = [option[1] for option in self.options if option[0] == name and len(option) > 1]
        self.options = [option for option in self.options if option[0] != name]
        return values[-1] if values else ""

    def has(self, *names: str) -> bool:
        return any(option[0] in names for option in self.options)

    def take(self, habit: Habit, flag: Flag) -> None:
        """Apply `flag` to the draft, as `habit` says."""
        # Of a port there is an example, and of a pause a second.
        if habit.value and not flag.value and flag.name not in ("-p", "--port", *_PAUSES):
            self.lacking = flag.name
        if habit.use:
            self.add(*(part.replace("{}", flag.value or "") for part in habit.use.split()))
        if habit.act:
            self.acts[habit.act] = flag.value or ""
        self._take_value(habit, flag.value or "")
        if habit.act == "listen":
            self.act("once")  # nc and ncat serve one, unless -k is given
        if habit.act == "probe" and self.command.startswith("udp"):
            self.act("udp")
        if habit.act == "target" and self.command != "relay":
            self.acts["host"] = self.acts.pop("target")
        told = self._told(habit, flag)
        if told and f"{flag.name} is {flag.name} " not in told:
            tells = (habit.use or habit.act) and habit.act != "port"
            self.because(told, _MATTERS.get(habit.act, 1 if tells else 3))

    def _take_value(self, habit: Habit, value: str) -> None:
        """Apply values that change what an option means."""
        if habit.act in ("file", "send") and (file := at_file(value)):
            self.acts.pop(habit.act)
            self.acts["file"] = file
            self.because("to send a file, redirect it", -1)
        elif habit.use.startswith("--join") and self.command == "udp-client":
            self.drop("--join")
            self.acts["group"] = value
            self.because("udp-client sends to a group as to any address", -1)
        elif habit.act == "every" and not value:
            self.acts["every"] = "1"

    def _told(self, habit: Habit, flag: Flag) -> str:
        """The reason for the change; empty if it needs none."""
        told = habit.says.format(flag.name).replace("nc's --", "ncat's --")
        if self.tool == "ncat":
            told = told.replace("nc's", "ncat's").replace("ncat'ncat's", "ncat's")
        if habit.act == "port" and "listen" in self.acts:
            told = ""  # a server has -p here too
        if habit.act == "host" and self.listens:
            told = f"{flag.name} is --bind here"
        if habit.act == "from" and (self.listens or "listen" in self.acts):
            told = f"{flag.name} is --bind here"
        if habit.act == "file" and self.command in ("replay", "show"):
            told = "the recording needs no option"
        if self.command == "probe":
            told = told.partition(" (")[0]
        if habit.act == "listen" and self.command == "replay":
            told = f"{flag.name} is --serve here"
        return told

    def pipe(self, words: str) -> None:
        """Pipe the output of `words`, a shell command, to our stdin. Raises UsageError."""
        if self.before or "file" in self.acts:
            raise UsageError("stdin comes from two places")
        self.before = f"{words} | "


def choose(draft: Draft) -> None:
    """Choose the command by the acts."""
    acts, command = draft.acts, draft.command
    other = next((_OTHER[act] for act in acts if act in _OTHER), "")
    if other:
        draft.command = other
    elif command in _PLAIN:
        protocol = "udp" if "udp" in acts or command.startswith("udp") else "tcp"
        alone = "port" in acts and "udp" in acts and not (draft.words or "host" in acts)
        listens = "listen" in acts or command.endswith("server") or (alone and not command)
        draft.command = f"{protocol}-{'server' if listens else 'client'}"
    elif command == "chat join" and "listen" in acts:
        draft.command = "chat serve"
    if "udp" in acts and draft.command in WITH_UDP:
        draft.add("--udp")


def dress(draft: Draft) -> None:
    """Turn the other acts into options, and into pipes and redirections around the command."""
    acts = draft.acts
    _add_proxy(draft)
    if "tls" in acts or any(each[0].startswith("--tls-") for each in draft.options):
        draft.options = [("--tls",), *(each for each in draft.options if each != ("--tls",))]
    _verify_nothing(draft)
    _serve_one(draft)
    _bound_silence(draft)
    if draft.command == "tcp-server" and not draft.has("--once", "--exec", "--shell"):
        draft.drop("--half-close")  # of many clients none is closed when stdin ends
    draft.options = [(name, *map(_renamed, values)) if name in _PROGRAMS else (name, *values)
                     for name, *values in draft.options]  # fmt: skip
    # nc's -q -1 waits for the peer's end, as we do; with --recv-only stdin has no end.
    if ("--linger", "-1") in draft.options or draft.has("--recv-only"):
        draft.drop("--linger")
    if "every" in acts or "count" in acts:
        _repeat(draft)
    elif "send" in acts:
        draft.pipe(echo(acts["send"]))
    if "line-delay" in acts and draft.command != "probe":
        _pause_lines(draft)
    if "hex-reply" in acts:
        draft.add("--hex-input")
        draft.add("--reply", acts["hex-reply"])
    if "file" in acts:
        draft.after = f" < {quoted(acts['file'])}"


def _pause_lines(draft: Draft) -> None:
    """Pause after each line that is sent."""
    if draft.listens:
        raise UsageError("a server sends its lines to each client")
    pause = f"{parse_duration(draft.acts['line-delay']):g}"
    draft.pipe(f"while IFS= read -r line; do printf '%s\\n' \"$line\"; sleep {pause}; done")


def _serve_one(draft: Draft) -> None:
    """Apply -l without -k. Then ncat ignores the limit of its -m."""
    acts = draft.acts
    if draft.tool == "ncat" and "once" in acts and "keep" not in acts:
        draft.drop("--max-connections")
    many = "keep" in acts or "udp" in acts or draft.has("--max-connections")
    if "once" in acts and not many and draft.command in ("tcp-server", "relay"):
        draft.add("--once")


def _verify_nothing(draft: Draft) -> None:
    """Apply -k as curl has it."""
    if "keep" in draft.acts and draft.command in ("tcp-client", "probe") and draft.has("--tls"):
        draft.because("-k is --tls-insecure here", -1)
        draft.add("--tls-insecure")


def _bound_silence(draft: Draft) -> None:
    """Apply -w as nc has it, where it also ends a silence. ncat has it only for a client."""
    tool, seconds = draft.tool, draft.drop("-w")
    if not seconds:
        return
    parse_timeout(seconds)
    if draft.listens:
        if tool == "nc":
            draft.add("-i", seconds)
        elif not tool:
            draft.add("-w", seconds)
    else:
        if draft.command != "udp-client" or tool != "nc":
            draft.add("-w", seconds)
        client = draft.command in ("tcp-client", "udp-client")
        if client and tool == "nc" and not draft.has("-i", "--linger"):
            draft.add("--linger", seconds)


_PROGRAMS = ("--exec", "--shell")


def _renamed(program: str) -> str:
    """A program with the names of our variables. Raises UsageError if it has others."""
    for names, ours in VARIABLES.items():
        for name in names.split():
            program = program.replace(name, ours)
    if "NCAT_" in program or "SOCAT_" in program:
        raise UsageError("a variable that we do not have")
    return program


def _repeat(draft: Draft) -> None:
    """Send a text again and again, or run a command again that sends no stdin."""
    begin, end = _loop(draft.acts.get("every"), draft.acts.get("count"))
    if draft.command in REPEATED:
        draft.before, draft.after = begin, f"{draft.after}{end}"
        return
    hello = "68 65 6c 6c 6f" if draft.has("--hex-input") else "hello"
    draft.pipe(f"{begin}{echo(draft.acts.get('send') or hello)}{end}")
    if draft.command == "udp-client":
        draft.add("--lines")


def _loop(every: str | None, count: str | None) -> tuple[str, str]:
    """What goes before and after a command that runs `count` times, with a pause of `every`."""
    pause = f"{parse_duration(every):g}" if every else ""
    if not count:
        return f"while sleep {pause}; do ", "; done"
    if not (count.isascii() and count.isdigit()):
        raise UsageError(f"{count!r} is not a number")
    return f"for i in $(seq {count}); do ", f"; sleep {pause}; done" if pause else "; done"


def _add_proxy(draft: Draft) -> None:
    acts = draft.acts
    if "x" in acts:
        if "://" in acts["x"]:
            if acts.keys() & {"proxy-type", "proxy-user"}:
                raise UsageError("a URL has both")
            draft.add("--proxy", without_password(acts["x"]))
            return
        if "proxy-type" not in acts and _is_file(acts["x"]):
            if draft.tool == "nc" and not {"/", "."} & {*acts["x"]}:
                raise UsageError("a proxy or a file")
            draft.add("--record", acts["x"])
            draft.because("-x FILE is --record here, and show --hex shows it")
            return
        acts["proxy"] = acts["x"]
        acts.setdefault("proxy-type", "5")
    if "proxy" in acts:
        draft.add("--proxy", proxy_url(acts))
        if ":" in acts.get("proxy-user", ""):
            draft.because("sockkit asks for the password of the proxy", -2)
    elif "proxy-type" in acts or "proxy-user" in acts:
        raise UsageError("no proxy is named")


def without_password(url: str) -> str:
    """The URL of a proxy without the password in it, as we ask for that."""
    scheme, slashes, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{slashes}{user.partition(':')[0]}@{place}" if at else url


def _is_file(word: str) -> bool:
    """Whether `word` looks like a file and not like a host with a port."""
    try:
        return "/" in word or (split_port(word)[1] is None and not _is_ipv4(word))
    except UsageError:
        return True


def _is_ipv4(word: str) -> bool:
    return word.count(".") == 3 and word.replace(".", "").isdigit()


def proxy_url(acts: dict[str, str]) -> str:
    """The URL of nc's -X and -x, and of ncat's --proxy, --proxy-type and --proxy-auth."""
    kind = acts.get("proxy-type") or "http"
    scheme = SCHEMES.get(kind.lower(), "socks5h")
    scheme += "a" if kind.lower() == "socks4" and "proxy-dns" not in acts else ""  # as ncat does
    local = acts.get("proxy-dns") in ("local", "none")
    if "proxy-dns" in acts and scheme.startswith("socks"):
        scheme = scheme[:6] + ("" if local else "a" if scheme == "socks4" else "h")
    place = acts["proxy"]
    host, port = split_port(place)
    place += f":{HTTP_PROXY_PORT}" if scheme == "http" and port is None else ""
    name = acts.get("proxy-user", "").partition(":")[0]
    user = f"{name}@" if name else ""
    parse_host(host)
    return f"{scheme}://{user}{place}"


def echo(text: str) -> str:
    """A shell command that writes `text` and a line end. Raises UsageError if no line can."""
    if not text.isprintable():
        raise UsageError("not in one line")
    plain = not text.startswith("-") and "\\" not in text
    return f"echo {quoted(text)}" if plain else f"printf '%s\\n' {quoted(text)}"


def quoted(word: str) -> str:
    """`word`, quoted for a shell."""
    from shlex import quote

    return quote(word)


def is_port(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 6 and int(word) < 65536


def is_pair(words: Sequence[str]) -> bool:
    """Whether `words` begin with a host and a port."""
    return len(words) > 1 and is_port(words[1]) and not is_port(words[0])


def are_ports(word: str) -> bool:
    """Whether `word` is ports in the syntax of `probe`: 22, 20-80 or 22,80."""
    parts = [end for part in word.split(",") for end in part.split("-", 1)]
    return all(is_port(part) for part in parts)


def is_path(word: str) -> bool:
    return word.startswith(("/", "./", "../", "~/"))


def is_file(word: str) -> bool:
    """Whether `word` is rather a file than a text: fw.bin or ./fw."""
    ending = word.rpartition(".")[2]
    named = 0 < len(ending) < min(len(word) - 1, 5) and ending.isalnum() and not ending.isdigit()
    return is_path(word) or (named and not any(map(str.isspace, word)))


def at_file(word: str) -> str:
    """The file in curl's @FILE; empty if `word` is rather a text."""
    return word[1:] if word[:1] == "@" and is_file(word[1:]) else ""


def is_whole(word: str) -> bool:
    """Whether `word` is an address with a port, or a unix socket's. Raises no error."""
    try:
        if parse_unix(word):
            return True
        port = split_port(word)[1]
        return bool(port) and bool(parse_port(port or "", lambda _: 1, lowest=0) + 1)
    except UsageError:
        return False
