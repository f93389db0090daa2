"""The advice for a wrong command line: the line of sockkit that does what the user meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sockkit.core.access import parse_rule
from sockkit.core.address import MAX_PORT, ServiceLookup
from sockkit.core.habits.draft import (
    WITH_UDP,
    Draft,
    choose,
    dress,
    is_path,
    is_port,
    is_whole,
    quoted,
)
from sockkit.core.habits.foreign import is_serial, is_socat, is_url, take_socat, take_url
from sockkit.core.habits.line import Flag, Grammar, Line, read, split_command
from sockkit.core.habits.near import nearest, unknown_option
from sockkit.core.habits.places import place
from sockkit.core.habits.table import (
    AFTER_A_FLAG,
    CRLF_WORDS,
    ELSEWHERE,
    INPUTS,
    LF_WORDS,
    LIKE_NC,
    NCAT,
    NOT_HERE_OPTIONS,
    OPENSSL,
    OPTIONS,
    REPEATED,
    REPEATING,
    ROLES,
    SENDING,
    SERIAL,
    TOOLS,
    Habit,
)
from sockkit.core.habits.tools import OTHERS, WAITERS, not_supported, take_tool, take_waiter
from sockkit.core.habits.typed import in_ascii
from sockkit.core.text import check_codec
from sockkit.core.units import parse_duration
from sockkit.errors import UsageError

_HABITS = {name: habit for habit in OPTIONS for name in habit.names.split()}
_NCAT = _HABITS | {name: habit for habit in NCAT for name in habit.names.split()}
_NOT_HERE = {name: told for names, told in NOT_HERE_OPTIONS.items() for name in names.split()}
_ROLES = {name: act for names, act in ROLES.items() for name in names.split()}
_ELSEWHERE = {
    "websocat": "WebSocket is not supported: use websocat itself",
    "nmap": "to check ports, write sockkit probe HOST:22,80, and for more use nmap itself",
}
_SHORT_HABIT = 4  # such as --ip: with one dash it is rather two letters
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
    told, tool = _advice(words, grammar, service), words[0].lower()
    ports = [word for word in words[1:] if word.isdigit() and int(word[:9]) > MAX_PORT]
    if told is None and tool in TOOLS and ports:
        return f"{ports[0]!r} is not a port: give 1 to {MAX_PORT}"
    if told is None and tool in {"socat", *TOOLS, *OTHERS}:
        return f"this line of {tool} cannot be translated: use {tool}, or see sockkit --help"
    return told


def _advice(words: Sequence[str], grammar: Grammar, service: ServiceLookup) -> str | None:
    typed, tail = "", ""
    if words[0] == "probe" and "--" in words:  # before the command that probe runs
        at = words.index("--")
        words, tail = words[:at], " -- " + " ".join(map(quoted, words[at + 1 :]))
    if words[0] != "openssl":  # its own long options have one dash
        names = {name for name in _HABITS if len(name) > _SHORT_HABIT and name[1:] not in OPENSSL}
        words, typed = in_ascii(words, names | _every_option(grammar).keys())
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
        return _read(Draft(command), rest, grammar)
    if words[0].startswith("-") or words[0].upper() == "STDIO":
        if any(map(is_socat, words[1:])):
            return _by_first_word(["socat", *words], grammar)
        return _options_first(words, grammar) or _by_options(words, grammar)
    return _by_first_word(words, grammar)


def _in_group(group: str, words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of `chat 9000` or `chat client HOST PORT`, which lack `serve` or `join`."""
    at = max((at for at, word in enumerate(words) if f"{group} {word}" in grammar), default=0)
    if at:  # chat --name N join HOST PORT
        draft = Draft(f"{group} {words[at]}")
        draft.because("options come after the command", 2)
        return _read(draft, [*words[:at], *words[at + 1 :]], grammar)
    role = _ROLES.get(words[0].lower(), "") if words else ""
    if not words or not (role or is_port(words[0]) or is_whole(words[0]) or _begins(words)):
        return None
    draft = Draft("chat join")
    alone = len(words) == 1 or (len(words) == 2 and words[0] in ("-p", "--port"))
    if role == "listen" or (is_port(words[-1]) and alone):
        draft.command = "chat serve"
    draft.because(f"{group} has the commands serve and join", 2)
    return _read(draft, words[1:] if role else words, grammar)


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
            return _read(draft, [*rest, *words[:at]], grammar)
    return None


def _by_options(words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of options and an address, without any command."""
    draft = _read(Draft(), words, grammar)
    if draft and _is_address(draft.words or [""]):
        draft.because("to connect, name the command", 3)
    return draft


def _by_first_word(words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of a line that begins with another tool, a role or an address."""
    first, draft = words[0], Draft()
    tool = first.lower().rpartition("/")[2]
    if tool in _ELSEWHERE:
        draft.refusal = _ELSEWHERE[tool]
        return draft
    if tool == "socat" or is_socat(first):
        draft.because("instead of socat's addresses, write")
        take_socat(draft, words[1:] if tool == "socat" else words)
        return draft
    name = first.replace("_", " ").replace("-", " ")
    if name in grammar and name:  # chat-join
        draft.command = name
        draft.because(f"the command is written {name!r}", 2)
        return _read(draft, words[1:], grammar)
    if tool.removesuffix(".sh") in WAITERS:
        take_waiter(draft, words)
        return draft
    if tool in TOOLS or tool in OTHERS:
        ours = take_tool(draft, tool, words, grammar["tcp-client"])
        return draft if draft.refusal else _read(draft, ours, grammar, tool)
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
    return _read(draft, rest, grammar)


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
    return _read(draft, words, grammar)


def _is_address(words: Sequence[str]) -> bool:
    """Whether `words` begin with an address, or a host and a port in any order."""
    first, *rest = words
    if is_serial(first):
        return True
    pair = bool(rest) and is_port(rest[0]) != is_port(first) and not rest[0].startswith("-")
    host = "." in first or first == "localhost"
    return is_whole(first) or is_url(first) or is_path(first) or pair or host


def _read(draft: Draft, words: Sequence[str], grammar: Grammar, tool: str = "") -> Draft | None:
    """The draft of the options and words after one of our commands, or after another tool.

    An option that the command has keeps its meaning.
    """
    own = grammar[draft.command] if draft.command else {}
    habits = _NCAT if tool == "ncat" else _HABITS
    every = _every_option(grammar)
    takes = every | {name: habit.value for name, habit in habits.items()} | dict(own)
    draft.tool = tool if tool in ("nc", "ncat") else ""
    values, line = _values_of_flags(draft, read(words, takes.get))
    line = _without_values(draft, line, own)
    for flag in [*line.flags, *values]:
        known = flag.name in own and flag not in values
        habit = None if known else _habit(flag, habits)
        if habit and not (tool or _makes_sense(draft.command, flag, habit)):
            return None
        if not _take(draft, flag, habit, every):
            if tool and not draft.refusal:
                draft.refusal = not_supported(tool, flag.name)
            return draft if draft.refusal else None
    draft.words = _plain_words(draft, line.words)
    if not (draft.listens or "listen" in draft.acts):
        _check_program(draft)
    return draft


def _check_program(draft: Draft) -> None:
    """Raise UsageError if the program of -e or -c is rather the host, as in `-c 127.0.0.1 80`."""
    programs = [option[1] for option in draft.options if option[0] in ("--exec", "--shell")]
    is_host = any(("." in each and "/" not in each) or each == "localhost" for each in programs)
    if len(draft.words) == 1 and is_port(draft.words[0]) and is_host:
        raise UsageError(f"{programs[0]!r} is not a program")


def _habit(flag: Flag, habits: dict[str, Habit]) -> Habit | None:
    """The habit of an option, which may depend on its value."""
    value = flag.value or ""
    if flag.name == "-e" and _is_encoding(value):
        return habits["--charset"]
    if flag.name == "-m" and value and not value.isdigit():
        return habits["--message"]
    return habits.get(flag.name)


def _is_encoding(name: str) -> bool:
    try:
        return bool(check_codec(name))
    except UsageError:
        return False


def _makes_sense(command: str, flag: Flag, habit: Habit) -> bool:
    """Whether a habit of nc, or one about what is sent, makes sense for one of our commands."""
    special = len(flag.name) == 2 or habit.act in SENDING or habit.act == "udp"
    if habit.act in REPEATING:
        special = command not in REPEATED
    fits = {flag.name, habit.act} & {*ELSEWHERE.get(command, ())}
    return command in LIKE_NC or not special or bool(fits)


def _without_values(draft: Draft, line: Line, own: Mapping[str, bool]) -> Line:
    """`line` without a value after one of our flags, if there is a word too many. It is sent if the
    flag is about what is sent.
    """
    most = _MOST_WORDS.get(draft.command)
    flags = [flag if flag != "--explain" else "" for flag in line.after]  # --explain zh
    at = next((at for at, flag in enumerate(flags) if own.get(flag) is False), None)
    sends = next((at for at, flag in enumerate(line.after) if flag in _INPUTS), None)
    if most is None or len(line.words) != most + 1 or (at is None and sends is None):
        return line
    if sends is not None and draft.command.endswith("client"):
        at = sends
        draft.because(f"{line.after[at]} takes no value: to send it, pipe it", -1)
        draft.acts["send"] = line.words[at]
        if line.after[at] not in ("--escape-input", "--hex-input"):
            draft.add("--hex-input")
    elif at is not None:
        draft.because(f"{line.after[at]} takes no value, remove {line.words[at]!r}", -1)
    else:
        return line
    others = [each for each in range(len(line.words)) if each != at]
    words = [line.words[each] for each in others]
    return Line(line.flags, words, [line.after[each] for each in others])


# The words of a complete address, and of a file.
_MOST_WORDS = {"tcp-client": 2, "udp-client": 2, "chat join": 2, "show": 1, "replay": 3}
_INPUTS = {*INPUTS, *(name for name, habit in _HABITS.items() if habit.use == "--hex-input")}


def _every_option(grammar: Grammar) -> dict[str, bool]:
    """The options of all commands, and whether they have a value."""
    return {name: value for options in grammar.values() for name, value in options.items()}


def _take(draft: Draft, flag: Flag, habit: Habit | None, ours: dict[str, bool]) -> bool:
    """Apply an option to the draft. Returns False if the option is unknown."""
    if habit and _is_needless(draft, habit):
        draft.because(f"{draft.command} needs no {flag.name}")
    elif habit and habit.act == "udp" and draft.command in WITH_UDP:
        draft.because("-u is --udp here")
        draft.act("udp")
    elif habit:
        draft.take(habit, flag)
    elif flag.name in ("-h", "--help"):
        pass  # as in `-h HOST`: somebody who wants the help has no address
    elif flag.name in ours:
        if ours[flag.name] and flag.value is None:
            raise UsageError("a value is missing")
        if not _spelled_otherwise(draft, flag):
            draft.add(flag.name, *([_shown(flag)] if ours[flag.name] else []))
    else:
        draft.refusal = _NOT_HERE.get(flag.name, "")
        return False
    return True


def _shown(flag: Flag) -> str:
    """The value of our option, without the password in a proxy's URL, as we ask for that."""
    scheme, slashes, rest = (flag.value or "").partition("://")
    user, at, place = rest.rpartition("@")
    if flag.name != "--proxy" or not at:
        return flag.value or ""
    return f"{scheme}{slashes}{user.partition(':')[0]}@{place}"


def _plain_words(draft: Draft, words: Sequence[str]) -> list[str]:
    """`words` with a URL among them as an address."""
    plain: list[str] = []
    for word in words:
        if is_serial(word):
            draft.refusal = SERIAL.format(quoted(word.removeprefix("serial:")))
        plain += take_url(draft, word) if is_url(word) and not plain else [word]
    if words and is_socat(words[0]):
        draft.because("instead of socat's addresses, write")
        take_socat(draft, plain)
        return draft.words
    if "line-end" in draft.acts:
        if any(word.lower() in LF_WORDS for word in [*plain, draft.acts["line-end"]]):
            draft.because("lines end with LF here")
            draft.drop("--crlf")
        plain = [word for word in plain if word.lower() not in CRLF_WORDS + LF_WORDS]
    return plain


def _is_needless(draft: Draft, habit: Habit) -> bool:
    """Whether the command already implies what the option means in another tool."""
    listens = habit.act == "listen" and draft.listens
    udp = habit.act == "udp" and draft.command.startswith("udp")
    return listens or udp or habit.act == draft.command == "probe"


def _values_of_flags(draft: Draft, line: Line) -> tuple[list[Flag], Line]:
    """Find values after our flags that have one in other tools, if there are too many words, or one
    is written as in -q3. Returns these as flags, and the rest of the line.
    """
    digits = [each.name[1:] for each in line.flags if each.name[1:] in {*"01235789"}]
    if digits and Flag("-q") in line.flags:
        flags = [each for each in line.flags if each.name[1:] not in ["q", *digits]]
        return [Flag("-q", "".join(digits))], line._replace(flags=flags)
    most = 1 if draft.listens or draft.command == "probe" else 2
    if len(line.words) <= most and not any(map(is_whole, line.words[1:])):
        return [], line
    taken = [
        at
        for at, (word, after) in enumerate(zip(line.words, line.after, strict=True))
        if after in AFTER_A_FLAG and _fits(after, word)
    ]
    values = [Flag(line.after[at], line.words[at]) for at in taken]
    names = {flag.name for flag in values}
    kept = [at for at in range(len(line.words)) if at not in taken]
    return values, Line(
        [flag for flag in line.flags if flag.name not in names],
        [line.words[at] for at in kept],
        [line.after[at] for at in kept],
    )


def _fits(option: str, word: str) -> bool:
    """Whether `word` could be the value that `option` has in another tool."""
    if option == "-x":
        return "/" in word or "." in word or is_whole(word)
    try:
        return parse_duration(word) >= 0
    except UsageError:
        return False


def _spelled_otherwise(draft: Draft, flag: Flag) -> bool:
    """Apply our option if its value is written as for another tool. Returns whether it is."""
    value = flag.value or ""
    if flag.name in ("--allow", "--deny") and draft.tool:
        for rule in value.split(","):
            parse_rule(rule)
    if flag.name in ("--allow", "--deny") and "," in value:
        draft.because(f"{flag.name} takes one rule, repeat it for each rule")
        for rule in filter(None, value.split(",")):
            draft.add(flag.name, rule)
        return True
    bare = value.strip(":=,")
    if flag.name in ("-p", "--port") and bare != value and is_port(bare):
        draft.because("a port is a number alone", 2)
        draft.acts["port"] = bare
        return True
    if flag.name == "--bind" and is_port(value.removeprefix(":")) and value[0] == ":":
        draft.because("--bind takes an address, and -p a port")
        draft.acts["port"] = value[1:]
        return True
    if flag.name == "--proxy" and value not in ("", "env") and "://" not in value:
        draft.because("--proxy takes a URL here")
        draft.acts.setdefault("proxy", value)
        if value.endswith(":1080"):
            draft.acts.setdefault("proxy-type", "5")
        return True
    return False


def _line(draft: Draft, grammar: Grammar, service: ServiceLookup) -> str | None:
    """The advice: the reason and the command line. None without a reason."""
    choose(draft)
    if draft.lacking:
        says = f"{draft.reason}; " if " is -" in draft.reason else ""
        return f"{says}{draft.lacking} needs a value" if draft.reason else None
    words = place(draft, service)
    if not draft.reason:
        return None
    dress(draft)
    known = grammar[draft.command]
    for name, *_ in draft.options:
        if (name if name.startswith("--") else name[:2]) not in known:
            told = unknown_option(draft.command, name, grammar)[0]
            return f"{draft.reason}, and {told}" if f"{name} here" in draft.reason else told
    line = " ".join(map(quoted, [*draft.command.split(), *_in_order(draft, words)]))
    return f"{draft.reason}: {draft.before}sockkit {line}{draft.after}"


def _in_order(draft: Draft, words: list[str]) -> list[str]:
    """The words in order: the address to listen on, the other options, and the peer's address."""
    ends = 0
    while words[ends : ends + 1] in (["-p"], ["--bind"]):
        ends += 2
    options = [word for option in draft.options for word in option]
    return [*words[:ends], *options, *words[ends:]]
