"""How many descriptors this process may still open."""

from __future__ import annotations

import os


def free_descriptors() -> int | None:
    """How many more this process may open, RLIMIT_NOFILE; None if unknown or unlimited."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/dev/fd"))
    except (ImportError, OSError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit - used
