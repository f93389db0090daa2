"""The password of a chat room, from an option, a file or the environment."""

from __future__ import annotations

import os
from typing import Any

from sockkit.errors import UsageError

VARIABLE = "SOCKKIT_PASSWORD"  # ROOM_PASSWORD of core/programs.py, which few runs load


def room_password(values: dict[str, Any]) -> str | None:
    """The password from --password or --password-file, else from SOCKKIT_PASSWORD; or None.

    Raises UsageError.
    """
    variable = os.environ.get(VARIABLE)
    password, path = values["password"], values["password_file"]
    if path is not None:
        if password is not None:
            raise UsageError("--password cannot be used with --password-file", "remove one of them")
        return _read(path)
    if password is None and variable is not None:
        if not variable:
            raise UsageError(f"{VARIABLE} is empty", "unset it for an open room")
        if values["udp"]:
            raise UsageError(f"{VARIABLE} cannot be used with --udp", "unset it, or remove --udp")
        return variable
    return None if password is None else str(password)


def _read(path: str) -> str:
    from sockkit.core.chat.admission import MAX_PASSWORD_BYTES
    from sockkit.net.files import read_secret

    return os.fsdecode(read_secret(path, MAX_PASSWORD_BYTES + 3))  # a longer one is refused later
