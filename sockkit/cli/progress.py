"""The option --progress."""

from __future__ import annotations

from typing import Any

from click import Option

from sockkit.errors import UsageError

PROGRESS = Option(
    ["--progress"], is_flag=True,
    help="Show on stderr how much was sent and received, and how fast; for a file on stdin a bar "
         "and the time left. A terminal shows one line, redrawn in place, anything else a line "
         "every 5s.",
)  # fmt: skip


def check_progress(values: dict[str, Any], *, edits: bool) -> None:
    """Raise UsageError if --progress is given, and could not be shown."""
    if values["quiet"]:
        raise UsageError("-q and --progress exclude each other", "leave out one")
    if values.get("execute") or values.get("shell"):
        told = "--progress cannot be combined with --exec or --shell"
        raise UsageError(told, "leave it out: the program has the connection")
    if edits:
        told = "--progress has no place beside the line editor"
        raise UsageError(told, "redirect stdin or stdout, or add --no-edit")
