"""Subclasses of click's commands: a group that loads commands lazily, and a command with sections.

The group is a table, so help and completion load no command. The options of a command have the
names of the fields that they set, so `fold` can make its configuration.

A command has two help texts: -h shows the most used options on one screen, --help shows all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click import Option

from sockkit import __version__
from sockkit.errors import UsageError
from sockkit.values import Value

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

T = TypeVar("T", bound=Value)

NAME = "sockkit"

COMMANDS = {
    "tcp-client": ("sockkit.cli.tcp_client", "Connect, send stdin, print the replies."),
    "tcp-server": ("sockkit.cli.tcp_server", "Serve many clients at once, or one with --once."),
    "udp-client": ("sockkit.cli.udp_client", "Send stdin as datagrams, print the replies."),
    "udp-server": ("sockkit.cli.udp_server", "Print the datagrams that arrive, and answer them."),
    "chat": ("sockkit.cli.chat", "Open a chat room, or join one."),
    "echo": ("sockkit.cli.echo", "Echo input or answer by rules, for testing."),
    "probe": ("sockkit.cli.probe", "Check which ports are open, or wait until they are."),
    "relay": ("sockkit.cli.relay", "Forward connections; show or change what passes."),
    "replay": ("sockkit.cli.replay", "Play a recording again, as the client or the server."),
    "show": ("sockkit.cli.show", "Show a recording as text, hex, JSON or packets."),
}
_HELP_COMMAND = {"help": ("sockkit.cli.help", "Show help for a command.")}

_HELP = """Talk to sockets from the shell: connect, listen, send, show.

Received bytes go to stdout, messages to stderr. The exit status is 0 only when nothing
was lost.
"""

_EPILOG = """\b
Try it in two terminals. To learn sockets, add --explain to both:
  sockkit tcp-server -p 8080
  sockkit tcp-client 127.0.0.1 8080

\b
Most used options of a command: sockkit COMMAND -h
All options of a command:       sockkit COMMAND --help
"""


def _show(text: Callable[[click.Context], str]) -> Callable[[click.Context, Option, bool], None]:
    def show(ctx: click.Context, _: Option, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            click.echo(text(ctx), color=ctx.color)
            ctx.exit()

    return show


def _showing(names: list[str], what: str, text: Callable[[click.Context], str]) -> Option:
    """An option that shows `text` and exits. click's own options look up a translation (2 ms)."""
    return Option(
        names, is_flag=True, is_eager=True, expose_value=False, callback=_show(text), help=what
    )


def _brief(ctx: click.Context) -> str:
    from sockkit.cli.help import brief  # few runs need it

    return brief(ctx)


HELP = _showing(["-h", "--help"], "Show this help and exit.", click.Context.get_help)
_SHORT_HELP = _showing(["-h"], "Show the most used options and exit.", _brief)
_LONG_HELP = _showing(["--help"], "Show all options and exit.", click.Context.get_help)
_VERSION = _showing(
    ["-V", "--version"], "Show the version and exit.", lambda _: f"{NAME}, version {__version__}"
)


class LazyGroup(click.Group):
    """A group of the commands in `table`: each name with its module and its summary."""

    def __init__(
        self,
        name: str,
        table: dict[str, tuple[str, str]],
        text: str,
        epilog: str,
        options: Sequence[Option] = (),
    ) -> None:
        super().__init__(name, params=[*options], help=text, epilog=epilog)
        self._table = table

    def get_help_option(self, ctx: click.Context) -> Option:
        return HELP

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        command: click.Command = import_module(self._table[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and args[0] not in self._table:
            raise click.exceptions.NoSuchCommand(args[0], ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return self.complete_commands(incomplete) + click.Command.shell_complete(
            self, ctx, incomplete
        )

    def complete_commands(self, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self._table.items()
            if name.startswith(incomplete)
        ]


class Bundle(Value):
    """Options that are one section of the help."""

    title: str
    options: tuple[Option, ...]

    def saying(self, **texts: str) -> Bundle:
        """The same options, with other help texts for the named ones.

        So an option is defined once, and its help is true for the command that shows it.
        Raises KeyError if no option has such a name.
        """
        if unknown := texts.keys() - {option.name for option in self.options}:
            raise KeyError(*unknown)
        options = (
            _with_help(option, texts[option.name]) if option.name in texts else option
            for option in self.options
        )
        return self._replace(options=tuple(options))

    def only(self, *names: str) -> Bundle:
        """The options that are named, in the order of the bundle."""
        return self._replace(options=tuple(one for one in self.options if one.name in names))

    def without(self, *names: str) -> Bundle:
        return self._replace(options=tuple(one for one in self.options if one.name not in names))


def _with_help(option: Option, text: str) -> Option:
    """A copy of `option` with another help text. A new one would take 20 times as long to make."""
    copy = Option.__new__(Option)
    copy.__dict__.update(option.__dict__, help=text)
    return copy


class Page(Value):
    """The help text of a command, besides its options.

    The first paragraph of `text` says what the command does; -h shows only this one. `examples` are
    command lines, and -h shows the first four. `most` names the options that -h shows.
    """

    text: str
    examples: str
    most: tuple[str, ...] = ()


class BundledCommand(click.Command):
    """A command whose help shows its options bundle by bundle."""

    def __init__(
        self,
        name: str,
        *,
        arguments: Sequence[click.Argument] = (),
        bundles: Sequence[Bundle],
        callback: Callable[..., Any],
        page: Page,
    ) -> None:
        params = [*arguments, *(option for bundle in bundles for option in bundle.options)]
        super().__init__(
            name,
            params=params,
            callback=callback,
            help=page.text,
            epilog=f"\b\nExamples:\n{page.examples}",
        )
        self._bundles = bundles
        self.most = page.most

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = args[: args.index("--") if "--" in args else None]
        if clusters := [word for word in own if len(word) > 2 and word[0] == "-" != word[1]]:
            self._check_dashes(ctx, clusters)
        if not ctx.resilient_parsing:  # a line that is being completed is not complete
            _check_values([*self.params, _SHORT_HELP, _LONG_HELP], own)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # errors of the parser have no context
            raise

    def _check_dashes(self, ctx: click.Context, words: list[str]) -> None:
        """Refuse `-once`: it would be read as `-o nce`, which empties that file."""
        from sockkit.core.habits.typed import is_half_dashed  # few lines have such words

        names = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        names.add("--once")  # also where it is unknown
        for word in words:
            if is_half_dashed(word, names):
                raise click.UsageError(f"{word} needs two dashes", ctx)

    def get_help_option(self, ctx: click.Context) -> Option:
        return _LONG_HELP

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), _SHORT_HELP]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for bundle in self._bundles:
            asks = (_SHORT_HELP, _LONG_HELP) if bundle.title == "Output" else ()
            records = [option.get_help_record(ctx) for option in (*bundle.options, *asks)]
            with formatter.section(bundle.title):
                formatter.write_dl([_without_range(*record) for record in records if record])


def _check_values(params: Sequence[click.Parameter], words: list[str]) -> None:
    """Refuse an option in the place of a value, and a second file, port or address.

    click would take `--record --udp` as a file named --udp, and use the last of two files. Raises
    UsageError.
    """
    options = {
        name: one
        for one in params
        if isinstance(one, Option)
        for name in (*one.opts, *one.secondary_opts)
    }
    given: set[str | None] = set()
    rest = iter(words)
    word = next(rest, None)
    while word is not None:
        name, has_value = _value_option(word, options)
        word = next(rest, None)
        if not name:
            continue
        option = options[name]
        if option.name in given and not option.multiple and option.type.name in _ONLY_ONE:
            raise UsageError(f"{name} is given twice", "remove one of them")
        given.add(option.name)
        if not has_value:
            if word and _is_option(word, options):
                long = next(each for each in option.opts if each.startswith("--"))
                told = f"{name} needs a value before {word}"
                raise UsageError(told, f"add it, or write {long}={word} if that is the value")
            word = next(rest, None)


def _value_option(word: str, options: dict[str, Option]) -> tuple[str, bool]:
    """The option in `word` that has a value, or "", and whether its value is in `word`, too."""
    if word.startswith("--"):
        name, equals, _ = word.partition("=")
        option = options.get(name)
        return (name if option and _takes_value(option) else ""), bool(equals)
    for place, letter in enumerate(word[1:], 2) if word.startswith("-") else ():
        option = options.get(f"-{letter}")
        if not option or _takes_value(option):
            return (f"-{letter}" if option else ""), place < len(word)
    return "", False


def _takes_value(option: Option) -> bool:
    return not (option.is_flag or option.count)


def _is_option(word: str, options: dict[str, Option]) -> bool:
    """Whether `word` is an option of the command, perhaps with a value; -4 may be a number."""
    if word.startswith("--"):
        return word.partition("=")[0] in options
    return word[:2] in options and not word[1:].isdigit()


_ONLY_ONE = ("file", "port", "addr")  # the names of parameter types


def _without_range(words: str, text: str) -> tuple[str, str]:
    """An option's help record without the ranges of numbers that click adds, such as [x>=1]."""
    return words, re.sub(r"  \[[\dx<=>]+\]$", "", re.sub(r"; [\dx<=>]+\]$", "]", text))


def fold(kind: type[T], values: dict[str, Any], **more: Any) -> T:
    """A `kind` with the fields `more`, and those of `values` that it has a field for."""
    make: Callable[..., T] = kind
    return make(**{name: values[name] for name in kind._fields if name in values}, **more)


group = LazyGroup(NAME, COMMANDS | _HELP_COMMAND, _HELP, _EPILOG, [_VERSION])
