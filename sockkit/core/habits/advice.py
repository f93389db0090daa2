"""The advice for a wrong command line: the line of sockkit that does what the user meant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from sockkit.core.address import MAX_PORT, ServiceLookup
from sockkit.core.habits.draft import (
    Draft,
    choose,
    dress,
    is_pair,
    is_path,
    is_port,
    is_whole,
    quoted,
)
from sockkit.core.habits.foreign import is_serial, is_socat, is_url, take_socat
from sockkit.core.habits.line import Grammar, split_command
from sockkit.core.habits.near import nearest, unknown_option
from sockkit.core.habits.options import HABITS, every_option, read_options
from sockkit.core.habits.places import place
from sockkit.core.habits.table import (
    CHAT_ROLES,
    OPENSSL,
    ROLES,
    TOOLS,
)
from sockkit.core.habits.tools import OTHERS, WAITERS, take_tool, take_waiter
from sockkit.core.habits.typed import in_ascii
from sockkit.errors import UsageError

_ROLES = {name: act for names, act in ROLES.items() for name in names.split()}
_ELSEWHERE = {
    "explain": "--explain goes after a command, as in tcp-client 127.0.0.1 8080 --explain",
    "ping": "to check a port, write sockkit probe HOST:PORT, and for a host use ping itself",
    "websocat": "WebSocket is not supported: use websocat itself",
    "nmap": "to check ports, write sockkit probe HOST:22,80, and for more use nmap itself",
}
_SHORT_HABIT = 4  # such as --ip: with one dash it is rather two letters
_TEXTS = ("--reply", "--greet", "--motd", "--password", "--send", "--match")  # may have spaces
MAX_WORDS = 100  # of a line that is examined; nobody types a longer one


def advise(words: Sequence[str], grammar: Grammar, service: ServiceLookup) -> str | None:
    """The advice for the wrong line `sockkit WORDS`; None if it has no habit that we know.

    `grammar` has the options of each command. `service` finds the port of a service name.
    """
    if not words or len(words) > MAX_WORDS:
        return None
    if [*words] in (["-help"], ["-?"], ["/?"], ["\u2014help"]):
        return "to see the help, write sockkit --help"
    if quote := next((word for word in words if word[:1] in ("“", "”", "‘")), ""):
        return f"{quote[0]!r} is not a quotation mark of the shell: use '…' or \"…\""
    if (line := _with_texts(words, grammar)) != [*words]:
        return f"quote a value of several words: sockkit {' '.join(map(quoted, line))}"
    told, tool = _advice(words, grammar, service), words[0].lower()
    ports = [word for word in words[1:] if word.isdecimal() and int(word[:9]) > MAX_PORT]
    if told is None and tool in TOOLS and ports:
        return f"{ports[0]!r} is not a port: give 1 to {MAX_PORT}"
    if told is None and tool in {"socat", *TOOLS, *OTHERS}:
        return f"this line of {tool} cannot be translated: use {tool}, or see sockkit --help"
    return told


def _with_texts(words: Sequence[str], grammar: Grammar) -> list[str]:
    """The line with a text such as `--reply thank you` as one word. An address that follows the
    text is not a part of it.
    """
    command, rest = split_command(words, grammar)
    own = grammar[command] if command else {}
    for at in range(len(words) - len(rest), len(words) - 2):
        if command == "echo" or words[at] not in _TEXTS or not own.get(words[at]):
            continue
        more = [*takewhile(lambda word: not word.startswith("-"), words[at + 2 :])]
        if is_pair(more[-2:]):
            more = more[:-2]
        elif more and (is_whole(more[-1]) or is_port(more[-1])):
            more = more[:-1]
        if more and not (is_pair(more) or is_whole(more[0])):
            text = " ".join([words[at + 1], *more])
            rest = words[at + 2 + len(more) :]
            return _with_texts([*words[: at + 1], text, *rest], grammar)
    return [*words]


def _advice(words: Sequence[str], grammar: Grammar, service: ServiceLookup) -> str | None:
    typed, tail = "", ""
    if words[0] == "probe" and "--" in words:  # before the command that probe runs
        at = words.index("--")
        words, tail = words[:at], " -- " + " ".join(map(quoted, words[at + 1 :]))
    if words[0] != "openssl":  # its own long options have one dash
        names = {name for name in HABITS if len(name) > _SHORT_HABIT and name[1:] not in OPENSSL}
        commands = {part for name in grammar for part in name.split()}
        words, typed = in_ascii(words, names | every_option(grammar).keys() | commands)
    try:
        draft = _draft(words, grammar)
        if draft is None or draft.refusal:
            return draft.refusal if draft else None
        if typed:
            draft.because(typed, -2)
        draft.after += tail
        return _line(draft, grammar, service)
    except UsageError:
        return None


def _draft(words: Sequence[str], grammar: Grammar) -> Draft | None:
    command, rest = split_command(words, grammar)
    if any(name.startswith(f"{command} ") for name in grammar) and command:
        return _in_group(command, rest, grammar)
    if command == "tcp-client" and any(len(word) > 2 and word in OPENSSL for word in rest):
        return _by_first_word(["openssl", "s_client", *rest], grammar)
    if command:
        return read_options(Draft(command), rest, grammar)
    if words[0].startswith("-") or words[0].upper() == "STDIO":
        if any(map(is_socat, words[1:])):
            return _by_first_word(["socat", *words], grammar)
        return _options_first(words, grammar) or _by_options(words, grammar)
    return _by_first_word(words, grammar)


def _in_group(group: str, words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of `chat 9000` or `chat client HOST PORT`, which lack `serve` or `join`."""
    if words[:1] == ["help"]:
        return _refused(" ".join(["to see the help, write sockkit help", group, *words[1:2]]))
    at = max((at for at, word in enumerate(words) if f"{group} {word}" in grammar), default=0)
    if at:  # chat --name N join HOST PORT
        draft = Draft(f"{group} {words[at]}")
        draft.because("options come after the command", 2)
        return read_options(draft, [*words[:at], *words[at + 1 :]], grammar)
    role = _ROLES.get(words[0].lower(), "") if words else ""
    if words and words[0].lower() in CHAT_ROLES:
        role = "listen"
    if not words or not (role or is_port(words[0]) or is_whole(words[0]) or _begins(words)):
        return None
    draft = Draft("chat join")
    alone = len(words) == 1 or (len(words) == 2 and words[0] in ("-p", "--port"))
    if role == "listen" or (is_port(words[-1]) and alone):
        draft.command = "chat serve"
    draft.because(f"{group} has the commands serve and join", 2)
    return read_options(draft, words[1:] if role else words, grammar)


def _refused(why: str) -> Draft:
    draft = Draft()
    draft.refusal = why
    return draft


def _begins(words: Sequence[str]) -> bool:
    """Whether `words` begin with an option, or a host and a port."""
    return words[0].startswith("-") or is_port("".join(words[1:2]))


def _options_first(words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of `-v tcp-client HOST PORT`; None if no command follows the options."""
    for at in range(1, len(words)):
        command, rest = split_command(words[at:], grammar)
        if command:
            draft = Draft(command)
            draft.because("options come after the command", 2)
            return read_options(draft, [*rest, *words[:at]], grammar)
    return None


def _by_options(words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of options and an address, without any command."""
    draft = read_options(Draft(), words, grammar)
    if draft and _is_address(draft.words or [""]):
        draft.because("to connect, name the command", 3)
    return draft


def _by_first_word(words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of a line that begins with another tool, a role or an address."""
    first, draft = words[0], Draft()
    tool = first.lower().rpartition("/")[2]
    place = [*takewhile(lambda word: not word.startswith("-"), words[1:])]
    asks_port = tool == "ping" and (is_pair(place) or any(map(is_whole, place[:1])))
    if tool in _ELSEWHERE and not asks_port:
        return _refused(_ELSEWHERE[tool])
    if tool == "socat" or is_socat(first):
        draft.because("instead of socat's addresses, write")
        take_socat(draft, words[1:] if tool == "socat" else words)
        return draft
    squeezed = {name.replace(" ", ""): name for name in grammar if " " in name}
    name = first.replace("_", " ").replace("-", " ")
    name = squeezed.get(name, name)
    if name in grammar and name:  # chat-join, chatjoin
        draft.command = name
        draft.because(f"the command is written {name!r}", 2)
        return read_options(draft, words[1:], grammar)
    if tool.removesuffix(".sh") in WAITERS:
        take_waiter(draft, words)
        return draft
    if tool in TOOLS or tool in OTHERS:
        draft.origin = tool
        ours = take_tool(draft, tool, words, grammar["tcp-client"])
        return draft if draft.refusal else read_options(draft, ours, grammar)
    return _by_role(draft, words, grammar) or _by_address(draft, words, grammar)


def _by_role(draft: Draft, words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of `listen 8080`, `udp server 8080` or `TCP Client HOST PORT`."""
    roles: list[str] = []
    rest = [*words]
    parts = words[0].lower().replace("_", "-").split("-")
    if len(parts) > 1 and all(part in _ROLES for part in parts):
        rest[:1] = parts
    while rest and rest[0].lower() in _ROLES:
        roles.append(rest.pop(0))
    if not roles:
        return None
    for role in roles:
        act = _ROLES[role.lower()]
        command, _ = split_command(act.split(), grammar)
        draft.command = command or draft.command
        draft.act(*([] if command else [act]))
    named = " ".join(words[: len(words) - len(rest)])
    draft.because(f"the command for {named!r} is", 2)
    return read_options(draft, rest, grammar)


def _by_address(draft: Draft, words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of a line that has no command, and begins with an address."""
    first, *rest = words
    if is_port(first) and not rest:
        draft.because("to listen, name the command")
        draft.act("listen")
    elif _is_address(words) and not nearest(first, grammar):
        draft.because("to connect, name the command", 3)
    else:
        return None
    return read_options(draft, words, grammar)


def _is_address(words: Sequence[str]) -> bool:
    """Whether `words` begin with an address, or a host and a port in any order."""
    first, *rest = words
    if is_serial(first):
        return True
    pair = bool(rest) and is_port(rest[0]) != is_port(first) and not rest[0].startswith("-")
    host = "." in first or first == "localhost"
    return is_whole(first) or is_url(first) or is_path(first) or pair or host


def _line(draft: Draft, grammar: Grammar, service: ServiceLookup) -> str | None:
    """The advice: the reason and the command line. None without a reason."""
    choose(draft)
    if draft.lacking:
        says = f"{draft.reason}; " if " is -" in draft.reason else ""
        return f"{says}{draft.lacking} needs a value" if draft.reason else None
    words = place(draft, service)
    if draft.refusal or not draft.reason:
        return draft.refusal or None
    dress(draft)
    known = grammar[draft.command]
    for name, *_ in draft.options:
        if (name if name.startswith("--") else name[:2]) not in known:
            told = unknown_option(draft.command, name, grammar)[0]
            if draft.origin and ": " not in told:  # no reason, but others that have it
                told = f"{draft.command} has no {name}: use {draft.origin} for this line"
            return f"{draft.reason}, and {told}" if f"{name} here" in draft.reason else told
    if not all(map(str.isprintable, [*words, *(word for each in draft.options for word in each)])):
        return None
    line = " ".join(map(quoted, [*draft.command.split(), *_in_order(draft, words)]))
    return f"{draft.reason}: {draft.before}sockkit {line}{draft.after}"


def _in_order(draft: Draft, words: list[str]) -> list[str]:
    """The words in order: the address to listen on, the other options, and the peer's address."""
    ends = 0
    while words[ends : ends + 1] in (["-p"], ["--bind"]):
        ends += 2
    options = [word for option in draft.options for word in option]
    return [*words[:ends], *options, *words[ends:]]
