"""The group of commands, as a table: help and a TAB load none of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from sockkit import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NAME = "sockkit"

COMMANDS = {
    "tcp-client": ("sockkit.cli.tcp_client", "Connect: stdin to the peer and the peer to stdout."),
    "tcp-server": ("sockkit.cli.tcp_server", "Serve many clients at once or one with --once."),
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


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and args[0] not in COMMANDS:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


group = LazyGroup(
    NAME,
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[],
)
click.version_option(__version__, prog_name=NAME)(group)
