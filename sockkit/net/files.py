"""Files that options name: reads them, and checks whether a file is ours."""

from __future__ import annotations

import os
import stat

from sockkit.errors import UsageError, reason


def read_text(path: str) -> str:
    """The text of a file that an option names. Raises UsageError."""
    try:
        with open(path, encoding="utf-8-sig") as file:  # editors on Windows begin with a mark
            return file.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error.reason}", "save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"could not read {path}: {reason(error)}") from error


def read_secret(path: str, most: int) -> bytes:
    """The first `most` bytes of a file, without a final line end. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            return file.read(most).removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise UsageError(f"could not read {path}: {reason(error)}") from error


def is_same(path: str, then: os.stat_result | None) -> bool:
    """Whether `path` is still the file that stat(2) described as `then`. Links are not followed."""
    try:
        return then is not None and os.path.samestat(os.lstat(path), then)
    except OSError:
        return False


def why_not_ours(there: os.stat_result) -> str:
    """Why this is not a regular file of our user; empty if it is. `there` comes from lstat(2)."""
    if stat.S_ISLNK(there.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(there.st_mode):
        return "it is not a regular file"
    return "" if there.st_uid == os.geteuid() else "it belongs to another user"
