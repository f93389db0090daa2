"""What excludes --progress."""

from __future__ import annotations

from typing import Any

from sockkit.errors import UsageError


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
