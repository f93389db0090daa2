"""The options of views, and what they make of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from click import Option

from sockkit.cli.commands import Bundle, fold
from sockkit.cli.params import File
from sockkit.cli.progress import PROGRESS
from sockkit.net.context import Context

TIMESTAMPS = Option(
    ["--timestamps"], is_flag=True,
    help="Begin each line with the time; with --hex each message, in microseconds.",
)  # fmt: skip
_VIEWS = (
    Option(["-x", "--hex"], is_flag=True,
           help="Show a hex dump of both directions in place of the bytes: < received, > sent."),
    Option(["--json"], is_flag=True,
           help="Show what passes as JSON in place of the bytes, an event a line: docs/events.md."),
)  # fmt: skip
_RECORD = (
    Option(["--record"], type=File(), metavar="FILE",
           help="Record all that passes, both ways, in FILE. `show` shows it again, and `replay` "
                "plays it."),
    Option(["--append"], is_flag=True,
           help="Add to the recording in FILE, if it exists."),
)  # fmt: skip
VIEW = Bundle("View", (*_VIEWS, TIMESTAMPS, *_RECORD))
DATAGRAM_VIEW = TRANSFER_VIEW = Bundle("View", (*VIEW.options, PROGRESS))


def viewed(
    name: str, context: Context, values: dict[str, Any], *, switchable: bool
) -> AbstractContextManager[Context]:
    """The context of the command `name`, looked at as the options say.

    `switchable` says that a person can choose the view while it runs.
    """
    chosen = any(values.get(option) for option in ("hex", "json", "record", "append"))
    if not (chosen or switchable):
        return nullcontext(context)
    from sockkit.apps import views
    from sockkit.core.text import TextOptions

    options = fold(views.ViewOptions, values, switchable=switchable)
    return views.viewed(context, options, name, fold(TextOptions, values))
