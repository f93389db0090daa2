"""The short help of -h, and `sockkit help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sockkit.cli.commands import Bundle, BundledCommand, LazyGroup, Page

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_EXAMPLES_SHOWN = 4

_HELP = """Show the help for COMMAND. Without COMMAND, show the help for sockkit.

This is what `sockkit COMMAND --help` shows.
"""

_EXAMPLES = """\
  sockkit help
  sockkit help tcp-client
  sockkit help chat join
"""


def brief(ctx: click.Context) -> str:
    """The help that fits one screen: the most used options, each in a sentence, and examples."""
    command = ctx.command
    assert isinstance(command, BundledCommand)
    formatter = ctx.make_formatter()
    command.format_usage(ctx, formatter)
    text, examples = command.help or "", command.epilog or ""
    formatter.write_paragraph()
    formatter.write_text(text.partition("\n\n")[0])
    if command.most:
        with formatter.section("Most used options"):
            formatter.write_dl(_most(command, ctx))
    formatter.write_paragraph()
    formatter.write("\n".join(examples.splitlines()[1 : 2 + _EXAMPLES_SHOWN]))
    formatter.write(f"\n\nAll options: {ctx.command_path} --help")
    return formatter.getvalue()


def _most(command: BundledCommand, ctx: click.Context) -> list[tuple[str, str]]:
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    records = (options[name].get_help_record(ctx) for name in command.most)
    return [(words, first_sentence(text)) for words, text in filter(None, records)]


def first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."


def _run(words: tuple[str, ...]) -> None:
    root = click.get_current_context().find_root()
    click.echo(_context_of(words, root).get_help())


def _context_of(words: tuple[str, ...], root: click.Context) -> click.Context:
    """The context of the command that `words` name. Raises UsageError if there is none."""
    context = root
    for word in words:
        group = context.command
        if not isinstance(group, LazyGroup):
            raise click.UsageError(f"{context.command_path} has no command {word!r}", root)
        found = group.get_command(context, word)
        if not found:
            commands = ", ".join(group.list_commands(context))
            raise click.UsageError(f"there is no command {word!r}: choose from {commands}", root)
        context = click.Context(found, context, word)
    return context


def _complete(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    try:
        group = _context_of(ctx.params.get("words") or (), ctx.find_root()).command
    except click.UsageError:
        return []
    return group.complete_commands(begun) if isinstance(group, LazyGroup) else []


command = BundledCommand(
    "help",
    arguments=[click.Argument(["words"], nargs=-1, metavar="[COMMAND]", shell_complete=_complete)],
    bundles=[Bundle("Output", ())],
    callback=_run,
    page=Page(_HELP, _EXAMPLES),
)
