"""Translates addresses of other tools, URLs and socat's, into words and options of sockkit."""

from __future__ import annotations

from collections.abc import Sequence, Set

from sockkit.core.access import parse_rule
from sockkit.core.address import parse_host, show
from sockkit.core.habits.draft import Draft, quoted
from sockkit.core.habits.line import read
from sockkit.core.habits.table import (
    NOT_HERE,
    SCHEMES,
    SERIAL,
    SOCAT,
    SOCAT_FLAGS,
    SOCAT_NEEDLESS,
    SOCAT_OPTIONS,
)
from sockkit.core.units import parse_timeout
from sockkit.errors import UsageError
from sockkit.values import Value

_SOCAT = {name: acts.split() for names, acts in SOCAT.items() for name in names.split()}
_NOT_HERE = {name: told for names, told in NOT_HERE.items() for name in names.split()}
_OPTIONS = {name: use for names, use in SOCAT_OPTIONS.items() for name in names.split()}
_THROUGH = ("http", "socks4", "socks4a", "socks5h")  # socat's ways through a proxy


def is_url(word: str) -> bool:
    """Whether `word` is a URL that we know, or bash's /dev/tcp/HOST/PORT."""
    if word.startswith(_BASH):
        return True
    scheme, colon, _ = word.partition("://")
    return bool(colon) and (scheme.lower() in SCHEMES or scheme.lower() in _NOT_HERE)


_BASH = ("/dev/tcp/", "/dev/udp/")


def is_socat(word: str) -> bool:
    """Whether `word` is an address of socat: a type that socat has, and a colon."""
    kind, colon, rest = word.partition(":")
    known = _kind(kind) in _SOCAT or (kind.isupper() and kind.lower() in _NOT_HERE)
    # In lower case only types that cannot be hosts, as tcp-listen:80; unix:/x is ours.
    return bool(colon and rest) and known and not word.startswith("unix:") and "://" not in word


def _kind(name: str) -> str:
    """The type without its IP version: TCP-LISTEN for TCP4-LISTEN."""
    first, dash, rest = name.upper().partition("-")
    return first.rstrip("46") + dash + rest if first not in ("SOCKS4", "-") else first


def take_url(draft: Draft, url: str) -> list[str]:
    """The words of the address in `url`. The rest of it changes the draft. Raises UsageError."""
    if url.startswith(_BASH):
        _, _, protocol, *words = url.split("/")
        draft.act(*(["udp"] if protocol == "udp" else []))
        draft.because("/dev/tcp and /dev/udp are commands here", 2)
        return words
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme in _NOT_HERE:
        draft.refusal = _NOT_HERE[scheme].format(quoted(url))
        return []
    acts, default = SCHEMES[scheme]
    draft.act(*(act for act in acts.split() if act != "page"))
    if scheme == "unix":
        draft.because("a unix socket is written unix:PATH")
        return [f"unix:{rest}"]
    place, slash, path = rest.partition("/")
    host, port = _authority(place, default)
    if "page" in acts.split() and not (draft.listens or "listen" in draft.acts):
        _ask_page(draft, host, port, default, slash + path)
    else:
        draft.because(f"leave out {scheme}://", 2)
    return [word for word in (host, port) if word]


def _authority(place: str, default: int | None) -> tuple[str, str]:
    """The host without brackets and the port in `USER@HOST:PORT`."""
    place = place.rpartition("@")[2]
    host, colon, port = place.rpartition(":")
    if not colon or (place.startswith("[") and place.endswith("]")):
        host, port = place, ""
    return host.strip("[]"), port or (str(default) if default else "")


def _ask_page(draft: Draft, host: str, port: str, default: int | None, path: str) -> None:
    """Pipe the request for a page to the command, unless that does something else with the host."""
    if draft.command not in ("", "tcp-client") or "probe" in draft.acts:
        draft.because("leave out http:// and the path", 2)
        return
    name = show(host, int(port)) if port.isdecimal() and port != str(default) else host
    path = path.partition("#")[0] or "/"
    if not f"{path}{name}".isprintable() or " " in f"{path}{name}":
        raise UsageError("a request has no blanks")
    path = path.replace("\\", "\\\\").replace("%", "%%")
    request = f"GET {path} HTTP/1.0\\r\\nHost: {name}\\r\\n\\r\\n"
    draft.because("to get a page, send the request", -1)
    draft.pipe(f"printf {quoted(request)}")


def is_serial(word: str) -> bool:
    lower = word.lower()
    com = lower.startswith("com") and lower[3:].isdigit()
    return com or lower.startswith(("/dev/tty", "/dev/cu.", "serial:"))


def take_socat(draft: Draft, words: Sequence[str]) -> None:
    """Apply socat's two addresses, or one address and stdio, to the draft. Raises UsageError."""
    draft.origin = "socat"
    if any("!!" in word or {*word} & _QUOTING for word in words):
        raise UsageError("socat has quotes and escapes of its own")
    words = [f"STDIO{word[1:]}" if word.startswith("-,") else word for word in words]
    line = read(words, lambda name: "{}" in SOCAT_FLAGS.get(name, "") or name in _LOCKS)
    for flag in line.flags:
        if flag.name in _LOCKS:
            draft.refusal = "socat's locks are not supported: use socat"
        if flag.name in _BOUNDS:
            parse_timeout(flag.value or "")
        if use := SOCAT_FLAGS.get(flag.name):
            draft.add(*use.replace("{}", flag.value or "").split())
    way = next((flag.name for flag in line.flags if flag.name in ("-u", "-U")), "")
    _take_places(draft, line.words, way)
    if draft.refusal:
        return
    ends = [each for each, word in enumerate(line.words) if _is_ours(_typed(word))]
    programs = draft.has("--exec", "--shell")
    if way and not ends:
        raise UsageError("a relay and a program have two directions")
    if way and not programs:
        draft.add("--recv-only" if bool(ends[0]) == (way == "-u") else "--send-only")
    if draft.has("--hex") and "relay" not in draft.acts:
        raise UsageError("socat shows the data as well, on stderr")


_QUOTING = {*"\"'\\\n"}
_LOCKS = ("-L", "-W")
_BOUNDS = ("-t", "-T")


class _Place(Value):
    """An address of socat that is no file, program or stdio."""

    words: list[str]
    udp: bool
    six: bool  # whether it is for IPv6 only


def _take_places(draft: Draft, words: list[str], way: str) -> None:
    """Apply the addresses. With the `way` -u bytes go only from left to right, with -U back."""
    places: list[_Place] = []
    files: list[tuple[str, bool, bool]] = []
    for at, word in enumerate(words):
        if told := _refusal(word):
            draft.refusal = told
            return
        kind, _, rest = _typed(word).partition(":")
        acts = _acts(kind.partition(",")[0])
        if acts[0] == "file":
            output = (at == 0) == (way == "-U") if way else None
            files.append(_file(draft, kind, rest, output))
        elif acts[0] in ("exec", "shell"):
            draft.add(f"--{acts[0]}", rest.partition(",")[0])
            _refuse(draft, rest.split(",")[1:])
        elif acts[0] == "echo":
            draft.act("pipe" if rest else "echo")
        elif acts[0] == "stdio":
            _refuse(draft, kind.split(",")[1:])
        else:
            own = _place(draft, acts, rest, "listen" in draft.acts and bool(places))
            places.append(_Place(own, "udp" in acts, "6" in kind[:4]))
            if "4" in kind[:4] and "listen" not in acts and not acts[0].startswith("socks"):
                draft.act("four")
    if not (places or draft.refusal):
        raise UsageError("no address")
    _check_pipes(draft)
    _join_places(draft, places)
    for file in files:
        _redirect(draft, *file)


def _typed(word: str) -> str:
    """An address with its type: socat connects to a path that is a socket, and opens others."""
    if not word.startswith("/"):
        return word
    return f"UNIX:{word}" if ".sock" in word else f"GOPEN:{word}"


def _file(draft: Draft, kind: str, rest: str, output: bool | None) -> tuple[str, bool, bool]:
    """The path of a file, whether it is written, and whether socat appends to it."""
    path, *options = rest.split(",")
    names = {option.partition("=")[0] for option in options}
    if output is None and kind.upper() != "CREATE" and not _ONE_WAY & names:
        draft.refusal = "socat reads and writes this file: give the direction with -u or -U"
    writes = kind.upper() == "CREATE" or bool(names & {"wronly", "o-wronly"})
    writes = writes if output is None else output
    appends = bool(_APPENDS & {*options}) or kind.upper() == "GOPEN"
    _refuse(draft, options, _CREATES | _APPENDS)
    if is_serial(path):
        draft.refusal = SERIAL.format(quoted(path))
    keeps = writes and not (appends or kind.upper() == "CREATE" or "trunc" in options)
    if keeps and not draft.refusal:
        raise UsageError("a shell empties the file first")
    return path, writes, appends


def _check_pipes(draft: Draft) -> None:
    """Raise UsageError for socat's PIPE, unless it echoes what clients send."""
    if "pipe" in draft.acts or ("echo" in draft.acts and "listen" not in draft.acts):
        raise UsageError("a named pipe, or one for stdio")


def _join_places(draft: Draft, places: list[_Place]) -> None:
    if "echo" in draft.acts and "udp" not in draft.acts:
        draft.add("--tcp")
    if len(places) == 2 and "listen" in draft.acts:
        draft.act("relay")
        if "one-sided" in draft.acts:
            raise UsageError("-C is for the target only, and -4 and -6 are for both sides")
        if places[1].six and not places[0].six and ":" not in places[1].words[0]:
            raise UsageError("-6 is for both sides")
        if places[0].udp != places[1].udp:
            draft.refusal = "a relay does not convert between TCP and UDP: use socat"
    elif len(places) > 1:
        raise UsageError("two addresses to connect to")
    if "four" in draft.acts and len(places) == 1:
        draft.options.append(("-4",))
    if places and all(place.six for place in places):
        draft.options.append(("-6",))
    elif places and places[0].six:  # -6 would be for the target, too
        draft.acts.setdefault("host", "::1")
    draft.words = [word for place in places for word in place.words]


_ONE_WAY = {"rdonly", "o-rdonly", "wronly", "o-wronly"}
_APPENDS = {"append", "o-append", "seek-end"}
_CREATES = {"creat", "create", "trunc", "append", "wronly", "o-wronly", "o-creat", "o-append"}


def _refuse(draft: Draft, options: list[str], known: Set[str] = frozenset()) -> None:
    """Refuse the first of socat's `options` that is neither needless nor `known`."""
    names = (option.partition("=")[0] for option in options)
    if unknown := next((name for name in names if name not in SOCAT_NEEDLESS | known), ""):
        draft.refusal = f"socat's {unknown} is not supported: use socat"


def _is_ours(word: str) -> bool:
    """Whether socat's address is our stdin or stdout, or a file in its place."""
    kind = _kind(word.partition(":")[0].partition(",")[0])
    return _SOCAT.get(kind, [])[:1] in (["stdio"], ["file"])


def _redirect(draft: Draft, path: str, output: bool, append: bool) -> None:
    """Have a file in place of stdin or stdout. A server sends it to each of its clients."""
    if output:
        draft.after = f" >> {quoted(path)}" if append else f" > {quoted(path)}"
    elif "listen" in draft.acts and not {"once", "udp"} & draft.acts.keys():
        draft.add("--exec", f"cat {quoted(path)}")
    else:
        draft.acts["file"] = path


def _refusal(word: str) -> str:
    """What to use for an address that we do not have; empty if we have it."""
    kind = _kind(word.partition(":")[0].partition(",")[0]).lower()
    if is_serial(word):
        return SERIAL.format(quoted(word.removeprefix("serial:")))
    return "" if _is_ours(word) else _NOT_HERE.get(kind, "").format(quoted(word))


def _acts(kind: str) -> list[str]:
    """The acts of an address of this type; never empty. Raises UsageError."""
    if _kind(kind) not in _SOCAT:
        raise UsageError(f"{kind!r} is not an address of socat")
    return _SOCAT[_kind(kind)] or ["connect"]


def _place(draft: Draft, acts: list[str], rest: str, relays: bool) -> list[str]:
    """The words of one address. Its type and options change the draft."""
    if relays and "listen" in acts:
        raise UsageError("a target cannot listen")
    place, *options = rest.split(",")
    draft.act(*(act for act in acts if act in ("listen", "udp") or (act == "tls" and not relays)))
    if relays and "tls" in acts:
        draft.add("--to-tls")
    through = next((act for act in acts if act in _THROUGH), "")
    words = _through(draft, through, place, options) if through else _words(place, acts)
    for option in options:
        _take_option(draft, option, relays, "listen" in acts)
    if "listen" in acts and "fork" not in options:
        draft.act("once")
    if "listen" in acts and "tls" in acts:
        _check_clients(draft, options)
    return words


def _check_clients(draft: Draft, options: list[str]) -> None:
    """Apply `verify`: socat's listener asks clients for a certificate, unless it is 0."""
    if "verify=0" in options:
        draft.drop("--tls-client-ca")
    elif not draft.has("--tls-client-ca"):
        draft.refusal = "socat asks each client for a certificate: add verify=0, or cafile=FILE"


def _words(place: str, acts: list[str]) -> list[str]:
    """The words of `place`: host and port, a port to listen on, or a path."""
    if "unix" in acts:
        return [f"unix:{'@' if 'abstract' in acts else ''}{place}"]
    host, colon, port = place.rpartition(":")
    return [host.strip("[]"), port] if colon else [port]


def _through(draft: Draft, scheme: str, place: str, options: list[str]) -> list[str]:
    """The target of PROXY:HOST:PORT. The proxy becomes an option."""
    parts = place.split(":")
    if len(parts) not in (3, 4):
        raise UsageError(f"{place!r} is not PROXY:HOST:PORT")
    proxy, *ports = parts[:-2]
    given = [option.partition("=")[2] for option in options if option[:10] in _PROXY_PORTS]
    port = (ports or given or ["8080" if scheme == "http" else "1080"])[0]
    draft.add("--proxy", f"{scheme}://{proxy}:{port}")
    return parts[-2:]


_PROXY_PORTS = ("proxyport=", "socksport=")


def _join_group(draft: Draft, value: str) -> None:
    """Join socat's GROUP:INTERFACE. The interface may be an address."""
    group, _, interface = value.partition(":")
    parse_host(group)
    draft.add("--join", group)
    if interface and "." not in interface:
        raise UsageError("the interface has a name")
    draft.acts |= {"from": interface} if interface else {}


def _use(use: str, relays: bool, listens: bool) -> str:
    """Our options for one of socat's, on the side of the target or of the clients."""
    if listens:  # no client shows a certificate, unless --tls-client-ca asks for one
        return {"--tls-insecure": "", "--tls-ca {}": "--tls-client-ca {}"}.get(use, use)
    use = {"--bind {}": "--source {}"}.get(use, use) if relays else use
    return use.replace("--tls", "--to-tls") if relays else use


def _take_option(draft: Draft, option: str, relays: bool, listens: bool) -> None:
    """Apply an option of socat after an address, or refuse it. SOCAT_NEEDLESS are left out."""
    name, _, value = option.partition("=")
    use = _use(_OPTIONS.get(option, _OPTIONS.get(name, "")), relays, listens)
    is_off = value == "0" and "{}" not in use and option != "verify=0"
    if is_off or ("{}" in use and not value):
        raise UsageError("an option that is off, or lacks its value")
    if name == "pf" or (listens and use == "--crlf"):
        draft.act("one-sided")
    if name in ("ip-add-membership", "add-membership"):
        _join_group(draft, value)
    elif name in ("sourceport", "sp"):
        if relays or listens:
            raise UsageError("only a client has a port of its own here")
        draft.acts["port"] = value
    elif name == "bind" and "listen" not in draft.acts:
        draft.acts["from"] = f"unix:{value}" if value.startswith("/") else value
    elif use and "{}" in use:
        if name == "range":
            parse_rule(value)
        draft.add(*(part.replace("{}", value) for part in use.split()))
    elif use:
        draft.add(use)
    else:
        _refuse(draft, [name])
