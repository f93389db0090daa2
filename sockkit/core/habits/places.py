"""Makes the words and options for the address that a line connects to or listens on.

Each function raises UsageError if the words are not an address; then there is no advice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sockkit.core.address import (
    ServiceLookup,
    parse_address,
    parse_listening,
    parse_unix,
    split_relay,
)
from sockkit.core.habits.draft import (
    Draft,
    are_ports,
    at_file,
    echo,
    is_file,
    is_pair,
    is_path,
    is_port,
    is_whole,
    quoted,
)
from sockkit.errors import UsageError

HOST, PORT = "127.0.0.1", "8080"  # if the line has none
_ANY = "0.0.0.0"
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_SSH = re.compile(r"(\d+):(.+):(\d+)", re.ASCII)  # PORT:HOST:PORT, as ssh -L has it
# As Python shows an address: ('127.0.0.1', 8080), with or without its marks.
_PAIR = re.compile(r"""\(?['"]?([^\s,'"()]*)['"]?,\s*(\d+)\)?""", re.ASCII)


_INTERFACE = re.compile(r"lo|(eth|wlan|tun|tap|br|docker|ppp)\d+|(en|wl)[opsx]\d\w*", re.ASCII)


def place(draft: Draft, service: ServiceLookup) -> list[str]:
    """The words of the address, or the options for the port to listen on."""
    if draft.command == "probe":
        return _targets(draft)
    if draft.command in ("tcp-client", "udp-client", "chat join"):
        return _client(draft, service)
    if draft.command == "relay":
        return _relay(draft, service)
    if draft.command == "replay":
        return _replay(draft, service)
    if draft.command == "show" and "file" in draft.acts:
        return [draft.acts.pop("file"), *draft.words]
    if draft.listens:
        return _server(draft, draft.words, service)
    return draft.words


def _unix(draft: Draft, words: Sequence[str]) -> list[str]:
    """`words`, with the path of a unix socket in our syntax."""
    if not words or parse_unix(words[0]):
        return [*words]
    if "abstract" in draft.acts:
        return [f"unix:@{words[0]}", *words[1:]]
    if "unix" in draft.acts or is_path(words[0]):
        draft.because("a unix socket is written unix:PATH", 1)
        return [f"unix:{words[0]}", *words[1:]]
    return [*words]


def _client(draft: Draft, service: ServiceLookup) -> list[str]:
    words = _unix(draft, [host] if (host := draft.acts.get("host")) else [])
    words = _quote_program(draft, _unix(draft, [*words, *draft.words]))
    if (group := draft.acts.get("group")) and not (is_pair(words) or words[0:1] == [group]):
        words = [group, *words]
    words = _split_pair(draft, words)
    if ":" in words:  # HOST : PORT
        draft.because("a space goes between host and port", 2)
        words = [word for word in words if word != ":"]
    named = len(words) == 3 and is_port(words[2]) and not is_port(words[1])
    if draft.command == "chat join" and named and not is_whole(words[0]):  # NAME HOST PORT
        words = [*words[1:], words[0]]
    address, more = _split_client(draft, words)
    if len(address) == 2 and "-" in address[1] and are_ports(address[1]):
        draft.command = "probe"
        draft.because("several ports are for the command probe")
        draft.words = address
        return _targets(draft)
    parse_address(address, service)
    _add_source(draft, address[0])
    if more and (parse_unix(address[0]) or more == [address[0].rpartition(":")[2]]):
        raise UsageError("two ports")
    if more:
        _add_more(draft, more)
    return address


def _split_pair(draft: Draft, words: list[str]) -> list[str]:
    """`words`, or the host, unless it is empty, and the port of an address as Python shows it."""
    pair = _PAIR.fullmatch(" ".join(words))
    if not pair:
        return words
    draft.because("a space goes between host and port", 2)
    return [word for word in pair.groups() if word]


def _split_client(draft: Draft, words: list[str]) -> tuple[list[str], list[str]]:
    """The completed words of the address, and the words after it."""
    port = draft.acts.get("port", "")
    if not words:
        return _example(draft), []
    if words[0][:1] == ":" and is_port(words[0][1:]):
        draft.because("the host is missing", 2)
        return [HOST, words[0][1:]], words[1:]
    if is_whole(words[0]):
        return words[:1], words[1:]
    if len(words) == 1 and is_port(words[0]):
        draft.because(f"{words[0]} is a port, and the host is missing", 2)
        host = "255.255.255.255" if draft.has("--broadcast") else HOST
        return [host, *words], []
    if len(words) == 1:
        if not draft.reason:
            raise UsageError("no port")
        if draft.acts.pop("port", None):
            draft.because("the port comes after the host", -1)
        elif "host" not in draft.acts:
            draft.because("the port is missing", -1)
        return [words[0], port or PORT], []
    if is_port(words[0]) and not is_port(words[1]):
        draft.because("the host comes before the port", 2)
        return [words[1], words[0]], words[2:]
    return words[:2], words[2:]


def _example(draft: Draft) -> list[str]:
    """An address for a line that has none, at the port of its -p."""
    if not draft.reason:
        raise UsageError("no address")
    port = draft.acts.pop("port", "")
    if port:
        draft.because("the port comes after the host", -1)
    return [HOST, port or PORT]


def _add_source(draft: Draft, host: str) -> None:
    """Add the address and the port to connect from, nc's -s and -p."""
    port, source = draft.acts.get("port"), draft.acts.get("from") or draft.drop("--source")
    if port:
        draft.because("give a port to connect from with --source", 0)
    if port or source:
        six = draft.has("-6") or (":" in host and not is_whole(host))
        any_host = "::" if six else _ANY
        if source.startswith(":") and is_port(source[1:]):  # socat's bind=:5000
            port, source = source[1:], ""
        if "unix" in draft.acts and source:
            source = f"unix:{source}"
        _refuse_interface(draft, source)
        source = source or any_host
        source = f"[{source}]" if ":" in source and port and source[0] != "[" else source
        draft.add("--source", f"{source}:{port}" if port else source)


def _refuse_interface(draft: Draft, word: str) -> None:
    if _INTERFACE.fullmatch(word):
        draft.refusal = f"give the address of {word} instead of its name: ip addr shows it"


def _add_more(draft: Draft, words: list[str]) -> None:
    """Apply words after an address: a name for a chat room, otherwise a file or text to send."""
    if draft.command == "chat join" and len(words) == 1 and not draft.has("--name"):
        draft.because(f"unexpected {words[0]!r}: give a name with --name")
        draft.add("--name", words[0])
        return
    if draft.command == "echo":
        raise UsageError("it sends nothing by itself")
    file = at_file(words[0]) or words[0]
    if (
        len(words) == 1
        and (is_file(file) or file != words[0])
        and not draft.command.startswith("chat")
    ):
        draft.because(f"unexpected {words[0]!r}: to send a file, redirect it", -1)
        draft.acts["file"] = file
        return
    if words == ["zh"] and draft.has("--explain"):
        draft.because("the language has an option")
        draft.add("--lang", "zh")
        return
    if draft.has("-x", "--hex") and _HEX.fullmatch("".join(words).replace(" ", "")):
        draft.add("--hex-input")
    draft.because(f"unexpected {words[0]!r}: to send it, pipe it", -1)
    draft.pipe(echo(" ".join(words)))


def _server(draft: Draft, words: Sequence[str], service: ServiceLookup) -> list[str]:
    acts = draft.acts
    words = [word[1:] if is_port(word[1:]) and word[0] == ":" else word for word in words]
    words = _unix(draft, words)
    words = _quote_program(draft, words)
    words = _split_pair(draft, words)
    is_text = words and words[-1].isalpha() and words[-1] != "localhost"
    if len(words) == 2 and is_port(words[0]) and is_text:
        words = ["", *words]  # the port, and something to send
    if len(words) == 2 and is_port(words[0]) and not is_port(words[1]):
        draft.because("the address comes before the port", 2)
        words = words[::-1]
    if "port" in acts and len(words) == 1 and is_text:
        words = ["", "", *words]  # no address
    if len(words) > 2:
        _add_more(draft, words[2:])
    if "unix" in acts and not words:
        raise UsageError("no path")
    host, port = parse_listening([word for word in words[:2] if word], service)
    if is_port(acts.get("from", "")):  # --local 8080
        acts["port"] = acts.pop("from")
    host = acts.get("host") or acts.get("from") or host
    _refuse_interface(draft, str(host))
    number = acts.get("port") or (None if port is None else str(port))
    return _listening(draft, None if host is None else str(host), number)


_PROGRAMS = ("--exec", "--shell")


def _quote_program(draft: Draft, words: list[str]) -> list[str]:
    """Add words besides an address to the program, as in `--exec tr a-z A-Z`. Returns the rest."""
    at = next((at for at, each in enumerate(draft.options) if each[0] in _PROGRAMS), None)
    if at is None:
        return words
    begin = next((at for at in range(len(words)) if _begins_address(words[at:])), len(words))
    end = begin + (2 if is_pair(words[begin:]) else 1)
    own = [*words[:begin], *words[end:]]
    if own:
        name, value = draft.options[at]
        draft.because("quote a command of several words", -1)
        draft.options[at] = (name, " ".join([value, *own]))
    return words[begin:end]


def _begins_address(words: list[str]) -> bool:
    return is_whole(words[0]) or is_port(words[0]) or is_pair(words)


def _listening(draft: Draft, host: str | None, port: str | None) -> list[str]:
    options: list[str] = []
    if port is None and not draft.has("-p", "--port", "--bind") and not _is_unix(host):
        if not draft.reason:
            raise UsageError("no port")
        port = PORT
    if port is not None and draft.has("-p", "--port"):
        raise UsageError("two ports")
    options += ["-p", port] if port is not None else []
    return options + (["--bind", host] if host is not None else [])


def _is_unix(host: str | None) -> bool:
    return bool(host) and parse_unix(host or "") is not None


def _relay(draft: Draft, service: ServiceLookup) -> list[str]:
    if draft.has(*_PROGRAMS):
        return _server(draft, draft.words, service)
    if len(draft.words) == 1 and (ssh := _SSH.fullmatch(draft.words[0])):
        draft.because("-p takes the port to listen on", 2)
        draft.words = [*ssh.groups()]
    if "target" in draft.acts:
        given, own = draft.acts["target"], draft.words
        draft.words = [*own, given] if is_whole(given) else [*own[:-1], given, *own[-1:]]
    here, target = split_relay(draft.words)
    if not target and draft.reason:
        target = [HOST, "80"]
    if len(target) == 1 and is_port(target[0]) and draft.reason:
        here, target = target, [HOST, "80"]
    if len(target) == 2 and all(map(is_port, target)) and not here:
        draft.because(f"{target[1]} is a port, and the target's host is missing", 2)
        here, target = target[:1], [HOST, target[1]]
    target = _unix(draft, target)
    if len(target) == 2 and is_port(target[0]):
        raise UsageError("no host")
    parse_address(target, service)
    return [*_server(draft, here, service), *target]


def _replay(draft: Draft, service: ServiceLookup) -> list[str]:
    """The recording, and the address to play it to or, with --serve, to listen on."""
    acts = draft.acts
    file = acts.pop("file", "")
    words = [file, *draft.words] if file else [*draft.words]
    if len(words) == 3 and not is_file(words[0]) and is_file(words[2]):
        draft.because("the recording comes first", 2)
        words = [words[2], *words[:2]]
    if "listen" in acts:
        draft.add("--serve")
    if draft.has("--serve"):
        if not words:
            raise UsageError("no recording")
        if is_port(words[0]) and not draft.has("-p", "--port"):
            acts.setdefault("port", words.pop(0))
        port, host = acts.get("port"), acts.get("host") or acts.get("from")
        return [*(["-p", port] if port else []), *(["--bind", host] if host else []), *words]
    if len(words) == 1 and (acts.get("host") or acts.get("port")):
        port = acts.get("port") or draft.drop("-p") or draft.drop("--port")
        words += [acts.get("host") or HOST, port]
    parse_address(words[1:], service)
    return words


def _targets(draft: Draft) -> list[str]:
    words = _unix(draft, [host] if (host := draft.acts.get("host")) else [])
    words = _unix(draft, [*words, *draft.words])
    port, source = draft.acts.get("port"), draft.acts.get("from")
    if port == "-":  # nmap's -p-
        port = "1-65535"
    own = bool(port and draft.tool and (len(words) > 1 or any(map(is_whole, words))))
    words += [port] if port and not own else []
    if source or own:  # -p and -s of nc, with -z
        draft.add("--source", f"{source or _ANY}:{port}" if own else str(source))
    if not words and draft.reason:
        words = [HOST, PORT]
    if len(words) > 2 and is_pair(words) and not _is_target(words[2]):
        draft.because("a command comes after --", -1)
        draft.after = f" -- {' '.join(map(quoted, words[2:]))}"
        words = words[:2]
    if len(words) > 1 and are_ports(words[0]) and not are_ports(words[1]):
        draft.because("the host comes before the ports", 2)
        words = [words[1], words[0], *words[2:]]
    if len(words) > 1 and not any(map(is_whole, words)):
        host = f"[{words[0]}]" if ":" in words[0] and words[0][0] != "[" else words[0]
        words = [f"{host}:{','.join(words[1:])}"]
    if len(words) == 1 and not is_whole(words[0]) and draft.reason and ":" not in words[0]:
        words = [f"{HOST}:{words[0]}" if are_ports(words[0]) else f"{words[0]}:{PORT}"]
    return words


def _is_target(word: str) -> bool:
    """Whether `word` is rather one more target of `probe` than a command."""
    return is_whole(word) or are_ports(word) or "." in word.strip("./")
