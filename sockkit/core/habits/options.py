"""Reads the options of a line into a draft: those of the command, and those of other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sockkit.core.access import parse_rule
from sockkit.core.habits.draft import (
    WITH_UDP,
    Draft,
    is_pair,
    is_port,
    is_whole,
    quoted,
    without_password,
)
from sockkit.core.habits.foreign import is_serial, is_socat, is_url, take_socat, take_url
from sockkit.core.habits.line import Flag, Grammar, Line, read
from sockkit.core.habits.table import (
    AFTER_A_FLAG,
    CRLF_WORDS,
    ELSEWHERE,
    INPUTS,
    LF_WORDS,
    LIKE_NC,
    NCAT,
    NOT_HERE_OPTIONS,
    OPTIONS,
    REPEATED,
    REPEATING,
    SENDING,
    SERIAL,
    Habit,
)
from sockkit.core.habits.tools import not_supported
from sockkit.core.text import check_codec
from sockkit.core.units import parse_duration
from sockkit.errors import UsageError

HABITS = {name: habit for habit in OPTIONS for name in habit.names.split()}
_NCAT = HABITS | {name: habit for habit in NCAT for name in habit.names.split()}
_NOT_HERE = {name: told for names, told in NOT_HERE_OPTIONS.items() for name in names.split()}
# The words of a complete address, and of a file.
_MOST_WORDS = {"tcp-client": 2, "udp-client": 2, "chat join": 2, "show": 1, "replay": 3}
_INPUTS = {*INPUTS, *(name for name, habit in HABITS.items() if habit.use == "--hex-input")}


def read_options(draft: Draft, words: Sequence[str], grammar: Grammar) -> Draft | None:
    """The draft of the options and words after one of our commands, or after another tool.

    An option that the command has keeps its meaning.
    """
    own = grammar[draft.command] if draft.command else {}
    habits = _NCAT if draft.tool == "ncat" else HABITS
    every = every_option(grammar)
    takes = every | {name: habit.value for name, habit in habits.items()} | dict(own)
    values, line = _values_of_flags(draft, read(words, takes.get))
    line = _without_values(draft, line, own)
    for flag in [*line.flags, *values]:
        known = flag.name in own and flag not in values
        habit = None if known else _habit(flag, habits)
        if habit and not (draft.origin or _makes_sense(draft.command, flag, habit)):
            return None
        if draft.tool == "nc" and flag.name == "-m":  # OpenBSD's nc means the least TTL
            draft.refusal = not_supported(draft.origin, "-m")
        if not _take(draft, flag, habit, every):
            if draft.origin and not draft.refusal:
                draft.refusal = not_supported(draft.origin, flag.name)
            return draft if draft.refusal else None
    draft.words = _plain_words(draft, line.words)
    if not (draft.listens or "listen" in draft.acts):
        _check_program(draft)
    return draft


def _check_program(draft: Draft) -> None:
    """Raise UsageError if the program of -e or -c is rather the host, as in `-c 127.0.0.1 80`."""
    programs = [option[1] for option in draft.options if option[0] in ("--exec", "--shell")]
    is_host = any(("." in each and "/" not in each) or each == "localhost" for each in programs)
    alone = len(draft.words) == 1 and is_port(draft.words[0])
    if programs and alone and (is_host or draft.tool):
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
    places = [at for at in range(len(flags)) if not is_pair(line.words[at:])]
    at = next((at for at in places if own.get(flags[at]) is False), None)
    sends = next((at for at in places if line.after[at] in _INPUTS), None)
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


def _is_needless(draft: Draft, habit: Habit) -> bool:
    """Whether the command already implies what the option means in another tool."""
    listens = habit.act == "listen" and draft.listens
    udp = habit.act == "udp" and draft.command.startswith("udp")
    return listens or udp or habit.act == draft.command == "probe"


def _shown(flag: Flag) -> str:
    value = flag.value or ""
    return without_password(value) if flag.name == "--proxy" else value


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
        if after in AFTER_A_FLAG and _fits(after, word) and not is_pair(line.words[at:])
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


def every_option(grammar: Grammar) -> dict[str, bool]:
    """The options of all commands, and whether they have a value."""
    return {name: value for options in grammar.values() for name, value in options.items()}
