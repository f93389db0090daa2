"""The options of views, and the context that they make."""

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
    help="Show a hex dump instead of the plain bytes. < is received, > is sent.",
)  # fmt: skip
JSON = Option(
    ["--json"], is_flag=True,
    help="Show JSON instead of the plain bytes. Each line is an event, described in "
         "docs/events.md.",
)  # fmt: skip
TIMESTAMPS = Option(
    ["--timestamps"], is_flag=True,
    help="Start each line with the time. With --hex: each message.",
)  # fmt: skip


def _frame(text: str) -> FrameRule:
    from sockkit.core.frame_spec import parse_frame  # few runs need it

    return parse_frame(text)


_FRAME = Option(
    ["--frame"], type=Parsed("spec", _frame), metavar="SPEC",
    help="Split the byte stream into messages, for example len:2be. --hex and --json show these. "
         "SPEC is line, nul, fixed:16, delim:0d0a, len:2be (a length of 2 bytes, big endian, then "
         "that many bytes), start:aa55,len@2:1 (a marker, then a length), or gap:20ms (a "
         "silence). Without this option, each receive is a message.",
)  # fmt: skip
_RECORD = (
    Option(["--record"], type=File(), metavar="FILE",
           help="Record what is sent and received in FILE. `sockkit show FILE` shows it, `sockkit "
                "replay` plays it again."),
    Option(["--append"], is_flag=True,
           help="Append to the FILE of --record. Without this option, FILE must not exist."),
)  # fmt: skip
_PROGRESS = Option(
    ["--progress"], is_flag=True,
    help="Show on stderr how much was moved, and how fast. If stdin is a file, there "
         "is a bar with the time left. A terminal shows one line that is updated; otherwise, "
         "a line is written every 5s.",
)  # fmt: skip
VIEW = Bundle("View", (HEX, JSON, TIMESTAMPS, _FRAME, *_RECORD))
STREAM_VIEW = Bundle("View", (*VIEW.options, _PROGRESS))
DATAGRAM_VIEW = Bundle("View", (HEX, JSON, TIMESTAMPS, *_RECORD, _PROGRESS))


def viewed(
    name: str, context: Context, values: dict[str, Any], *, switchable: bool
) -> AbstractContextManager[Context]:
    """The context of the command `name` with the views that the options ask for, if any.

    `switchable` says that the user can choose the view while it runs.
    """
    chosen = any(values.get(flag) for flag in ("hex", "json", "append"))
    chosen |= any(values.get(name) is not None for name in ("frame", "record", "output"))
    if not (chosen or switchable):
        return nullcontext(context)
    from sockkit.apps import views
    from sockkit.core.text import TextOptions

    many = "port" in values and not values.get("once")
    options = fold(views.ViewOptions, values, switchable=switchable, many=many)
    if port_file := values.get("port_file"):
        views.check_other_file("--port-file", port_file, options)
    return views.viewed(context, options, name, fold(TextOptions, values))
