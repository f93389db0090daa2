"""What is at a path: ours, or somebody else's."""

from __future__ import annotations

import os
import stat


def is_same(path: str, then: os.stat_result | None) -> bool:
    """Whether `path` itself, not what it links to, is still what it was `then`."""
    try:
        return then is not None and os.path.samestat(os.lstat(path), then)
    except OSError:
        return False


def why_not_ours(there: os.stat_result) -> str:
    """Why what lstat found is no file of our user's; nothing if it is one."""
    if stat.S_ISLNK(there.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(there.st_mode):
        return "it is not a regular file"
    return "" if there.st_uid == os.geteuid() else "it belongs to another user"
