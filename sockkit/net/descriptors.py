"""Descriptors: how many there are for this process."""

from __future__ import annotations

import os


def free_descriptors() -> int | None:
    """How many more this process may open; None if that is not known or not bounded."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/dev/fd"))
    except (ImportError, OSError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit - used
