"""Checks which options --progress excludes."""

from __future__ import annotations

from typing import Any

from sockkit.errors import UsageError


def check_progress(values: dict[str, Any], *, edits: bool) -> None:
    """Raise UsageError if the progress could not be shown. `edits` is whether lines are edited."""
    if values["quiet"]:
        raise UsageError("--progress cannot be used with -q", "remove one of them")
    if values.get("execute") or values.get("shell"):
        told = "--progress cannot be used with --exec or --shell"
        raise UsageError(told, "remove it: the program has the connection")
    if edits:
        told = "--progress cannot be used with line editing"
        raise UsageError(told, "redirect stdin or stdout, or add --no-edit")
