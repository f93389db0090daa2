"""The message for a wrong command line. Imported only if there is one.

The rules are in `core/habits`. This module passes them the commands and options that exist, and
rewords click's errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import click

from sockkit.cli.commands import NAME, LazyGroup, group
from sockkit.core.habits.advice import advise
from sockkit.core.habits.draft import quoted
from sockkit.core.habits.line import Grammar, split_command
from sockkit.core.habits.near import unknown_command, unknown_option
from sockkit.errors import UsageError
from sockkit.net.endpoint import service_port

_FILE_HINTS = {
    " does not exist": ": check the name",
    " is a directory": ": give the name of a file",
    " is not readable": ": check its permissions",
}


def usage_line(error: click.UsageError | UsageError, words: Sequence[str]) -> str:
    """One line about `error`, which the command line `sockkit WORDS` caused."""
    grammar = options_of_commands()
    told = advise(words, grammar, service_port)
    if told and not _keeps_bad_value(told, error, words):
        return told
    if isinstance(error, UsageError):
        return str(error)
    command, _ = split_command(words, grammar)
    told, complete = _in_words(error, command, grammar)
    about = error.ctx.command_path if error.ctx else NAME
    return told if complete else f"{told} (see {about} --help)"


def _keeps_bad_value(told: str, error: Exception, words: Sequence[str]) -> bool:
    """Whether the line in `told` has the option and the bad value that are the error."""
    if not isinstance(error, click.BadParameter) or not isinstance(error.param, click.Option):
        return False
    names = error.param.opts
    bad = [f" {name} {quoted(value)} " for name, value in pairwise(words) if name in names]
    return any(pair in f"{told} " for pair in bad)


def options_of_commands() -> Grammar:
    """The options of each command, by its name as `chat serve`, and whether they take a value."""
    return {"": _options(group), **dict(_of_group(group, ""))}


def _of_group(parent: LazyGroup, prefix: str) -> list[tuple[str, dict[str, bool]]]:
    found: list[tuple[str, dict[str, bool]]] = []
    context = click.Context(parent, info_name=NAME)
    for name in parent.list_commands(context):
        command = parent.get_command(context, name)
        if isinstance(command, LazyGroup):
            found += [(name, _options(command)), *_of_group(command, f"{name} ")]
        elif command:
            found.append((prefix + name, _options(command)))
    return found


def _options(command: click.Command) -> dict[str, bool]:
    known = {"-h": False, "--help": False}
    for param in command.params:
        if isinstance(param, click.Option):
            names = [*param.opts, *param.secondary_opts]
            known |= dict.fromkeys(names, not (param.is_flag or param.count))
    return known


def _in_words(error: click.UsageError, command: str, grammar: Grammar) -> tuple[str, bool]:
    """The message for click's `error`, and whether it says what to write."""
    match error:
        case click.NoSuchOption():
            return unknown_option(command, error.option_name, grammar)
        case click.exceptions.NoSuchCommand():
            return unknown_command(error.command_name, _names(command, grammar))
        case click.exceptions.MissingParameter() if error.param and error.ctx:
            return f"{error.param.make_metavar(error.ctx)} is missing", False
        case click.BadParameter():
            return _bad_value(error), True
        case click.BadOptionUsage():
            return _bad_use(error, command, grammar)
        case _:
            told = _flat(error.format_message())
            if more := re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", told):
                return f"unexpected {more[1]!r}: leave it out", True
            return told[:1].lower() + told[1:].removesuffix("."), False


def _names(command: str, grammar: Grammar) -> list[str]:
    """The names of the commands of the group `command`, or of all."""
    inner = [name.split()[1] for name in grammar if name.startswith(f"{command} ")]
    return inner if command else [name for name in grammar if name and " " not in name]


def _bad_value(error: click.BadParameter) -> str:
    """The message for a bad value: the option's names, and what is wrong."""
    param = error.param
    names = "/".join(param.opts) if isinstance(param, click.Option) else error.param_hint
    told = _value_in_words(error, _flat(error.message).removesuffix("."))
    if param and error.ctx and not names:
        names = param.make_metavar(error.ctx)
    return f"{names}: {told}" if names else told


def _value_in_words(error: click.BadParameter, told: str) -> str:
    """What is wrong with a value, and which values are allowed."""
    kind = error.param.type if error.param else None
    value = told.partition(" ")[0]
    if isinstance(kind, click.IntRange | click.FloatRange):
        low, high = kind.min, kind.max
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        is_number = re.fullmatch(r"'?-?[\d.]+'?", value)
        whole = "whole " if isinstance(kind, click.IntRange) else ""
        wrong = "is not allowed" if is_number else f"is not a {whole}number"
        return f"{value} {wrong}: give {allowed}"
    if isinstance(kind, click.Choice) and told.startswith("'"):
        return f"{told.partition(' is not ')[0]} is not one of {', '.join(kind.choices)}"
    if told.endswith(" is not a valid integer"):
        return f"{value} is not a whole number: give one such as 7"
    hint = next((hint for end, hint in _FILE_HINTS.items() if told.endswith(end)), "")
    return told[:1].lower() + told[1:] + hint


def _bad_use(error: click.BadOptionUsage, command: str, grammar: Grammar) -> tuple[str, bool]:
    name = error.option_name
    if not grammar.get(command, {}).get(name):
        return f"{name} takes no value: remove it", True
    params = error.ctx.command.params if error.ctx else []
    option = next(
        (one for one in params if isinstance(one, click.Option) and name in one.opts), None
    )
    example = re.search(r"for example (\S+?)[.,;]?(?: |$)", option.help or "") if option else None
    if not (option and error.ctx):
        return f"{name} needs a value", False
    if example:
        return f"{name} needs a value, as in {name} {example[1]}", True
    return f"{name} needs a value: {name} {option.make_metavar(error.ctx)}", True


def _flat(text: str) -> str:
    return " ".join(text.split())
