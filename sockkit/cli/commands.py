"""Commands as click has them: a group that loads commands lazily, and a command with sections.

The group is a table, so help and completion load no command. The options of a command have the
names of the fields that they set, so `fold` makes its configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click import Option

from sockkit import __version__
from sockkit.values import Value

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

T = TypeVar("T", bound=Value)

NAME = "sockkit"

COMMANDS = {
    "tcp-client": ("sockkit.cli.tcp_client", "Connect: stdin to the peer and the peer to stdout."),
    "tcp-server": ("sockkit.cli.tcp_server", "Serve many clients at once, or one (--once)."),
    "chat": ("sockkit.cli.chat", "A chat room and a client for it."),
    "echo": ("sockkit.cli.echo", "Answer what comes with itself or by rules for tests."),
    "probe": ("sockkit.cli.probe", "Check which ports accept, or wait until they do."),
    "relay": ("sockkit.cli.relay", "Forward connections; show or change what passes."),
    "replay": ("sockkit.cli.replay", "Play a recording again: the client's side or the server's."),
    "show": ("sockkit.cli.show", "Show a recording as text, hex, JSON or packets."),
    "udp-client": ("sockkit.cli.udp_client", "Send stdin as datagrams and show the answers."),
    "udp-server": ("sockkit.cli.udp_server", "Show who sends what, and answer."),
}

_HELP = """Talk to sockets from the shell: listen, connect, send, show.

Received bytes go to stdout, everything said about them to stderr. The exit status is 0
only when nothing was lost.
"""

_EPILOG = """\b
Try it in two terminals:
  sockkit tcp-server -p 8080
  sockkit tcp-client 127.0.0.1 8080
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


HELP = _showing(["-h", "--help"], "Show this message and exit.", click.Context.get_help)
_VERSION = _showing(
    ["--version"], "Show the version and exit.", lambda _: f"{NAME}, version {__version__}"
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
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self._table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self._table.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


class Bundle(Value):
    """Options that are one section of the help."""

    title: str
    options: tuple[Option, ...]


class BundledCommand(click.Command):
    """A command whose help shows its options bundle by bundle."""

    def __init__(
        self,
        name: str,
        *,
        arguments: Sequence[click.Argument] = (),
        bundles: Sequence[Bundle],
        callback: Callable[..., Any],
        text: str,
        epilog: str,
    ) -> None:
        params = [*arguments, *(option for bundle in bundles for option in bundle.options)]
        super().__init__(
            name,
            params=params,
            callback=callback,
            help=text,
            epilog=epilog,
        )
        self._bundles = bundles

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = set(args)  # the parser empties the list
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # errors of the parser have no context
            option = error.option_name if isinstance(error, click.NoSuchOption) else ""
            if option == "--frame" and str(self.name).startswith("udp"):
                told = f"{self.name} has no --frame: a datagram is a frame already"
                raise click.UsageError(told, error.ctx) from error
            if error.message.startswith("Got unexpected extra") and self._has_port():
                hint = "a server's port is given with -p"
                if given & {"--exec", "--shell"}:
                    hint = "quote a command of several words, as in --exec 'tr a-z A-Z'"
                raise click.UsageError(f"{error.message}: {hint}", error.ctx) from error
            raise

    def get_help_option(self, ctx: click.Context) -> Option:
        return HELP

    def _has_port(self) -> bool:
        return any(param.name == "port" for param in self.params)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for bundle in self._bundles:
            records = [option.get_help_record(ctx) for option in bundle.options]
            if bundle is self._bundles[-1]:
                records.append(HELP.get_help_record(ctx))
            with formatter.section(bundle.title):
                formatter.write_dl([record for record in records if record])


def fold(kind: type[T], values: dict[str, Any], **more: Any) -> T:
    """A `kind` whose fields are `more` and the values of the options with their names."""
    make: Callable[..., T] = kind
    return make(**{name: values[name] for name in kind._fields if name in values}, **more)


group = LazyGroup(NAME, COMMANDS, _HELP, _EPILOG, [_VERSION])
