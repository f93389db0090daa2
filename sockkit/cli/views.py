"""The options of views, and what they make of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from click import Option

from sockkit.cli.commands import Bundle, fold
from sockkit.cli.params import File, Parsed
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.core.frames import FrameRule

HEX = Option(
    ["-x", "--hex"], is_flag=True,
    help="Show a hex dump, not the bytes: < received, > sent.",
)  # fmt: skip
JSON = Option(
    ["--json"], is_flag=True,
    help="Show JSON, not the bytes: an event a line, as docs/events.md describes them.",
)  # fmt: skip
TIMESTAMPS = Option(
    ["--timestamps"], is_flag=True,
    help="Begin each line with the time; with --hex each message.",
)  # fmt: skip


def _frame(text: str) -> FrameRule:
    from sockkit.core.frame_spec import parse_frame  # few runs need it

    return parse_frame(text)


_FRAME = Option(
    ["--frame"], type=Parsed("spec", _frame), metavar="SPEC",
    help="How bytes make messages, for every view, labels, rules and counts: line, nul, fixed:16, "
         "delim:0d0a, len:2be (a length, big endian, then as many bytes), start:aa55,len@2:1, or "
         "gap:20ms (a silence). Without it each receive is a message.",
)  # fmt: skip
_RECORD = (
    Option(["--record"], type=File(), metavar="FILE",
           help="Record all that passes, both ways, in FILE. `show` shows it again, and `replay` "
                "plays it."),
    Option(["--append"], is_flag=True,
           help="Add to the recording in FILE, if it exists."),
)  # fmt: skip
_PROGRESS = Option(
    ["--progress"], is_flag=True,
    help="Show on stderr how much was sent and received, and how fast; for a file on stdin a bar "
         "and the time left. A terminal shows one line, redrawn in place, anything else a line "
         "every 5s.",
)  # fmt: skip
VIEW = Bundle("View", (HEX, JSON, TIMESTAMPS, _FRAME, *_RECORD))
STREAM_VIEW = Bundle("View", (*VIEW.options, _PROGRESS))
DATAGRAM_VIEW = Bundle("View", (HEX, JSON, TIMESTAMPS, *_RECORD, _PROGRESS))


def viewed(
    name: str, context: Context, values: dict[str, Any], *, switchable: bool
) -> AbstractContextManager[Context]:
    """The context of the command `name`, looked at as the options say; the same without any.

    `switchable` says that a person can choose the view while it runs.
    """
    chosen = any(values.get(flag) for flag in ("hex", "json", "append"))
    chosen |= any(values.get(name) is not None for name in ("frame", "record", "output"))
    if not (chosen or switchable):
        return nullcontext(context)
    from sockkit.apps import views
    from sockkit.core.text import TextOptions

    many = "port" in values and not values.get("once")
    options = fold(views.ViewOptions, values, switchable=switchable, many=many)
    return views.viewed(context, options, name, fold(TextOptions, values))
