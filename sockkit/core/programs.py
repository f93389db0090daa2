"""What a program that we start is told, and what it is not."""

from __future__ import annotations

from collections.abc import Mapping

# The variables that hold passwords of ours. No program that we start gets to see them.
SECRETS = ("SOCKKIT_PASSWORD", "SOCKKIT_PROXY_PASSWORD")


def program_environment(inherited: Mapping[str, str], **facts: str) -> dict[str, str]:
    """The environment of a program: `inherited` without our passwords, and `facts`.

    Each fact is a variable whose name begins with `SOCKKIT_`, as REMOTE_HOST becomes
    SOCKKIT_REMOTE_HOST.
    """
    kept = {name: value for name, value in inherited.items() if name not in SECRETS}
    return kept | {f"SOCKKIT_{name}": value for name, value in facts.items()}
