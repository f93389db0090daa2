"""The password of a chat room, from an option, a file or the environment."""

from __future__ import annotations

import os
from typing import Any

from sockkit.core.chat.password import MAX_PASSWORD_BYTES
from sockkit.errors import UsageError, reason

VARIABLE = "SOCKKIT_PASSWORD"


def room_password(values: dict[str, Any]) -> str | None:
    """What --password, --password-file or SOCKKIT_PASSWORD say; the options come first.

    The variable is taken out of the environment: nobody else needs it. Raises UsageError.
    """
    told = os.environ.pop(VARIABLE, None)
    password, path = values["password"], values["password_file"]
    if path is not None:
        if password is not None:
            raise UsageError("--password and --password-file exclude each other", "leave out one")
        return _read(path)
    if password is None and told is not None:
        if not told:
            raise UsageError(f"{VARIABLE} is empty", "unset it for an open room")
        if values["udp"]:
            raise UsageError(f"a room over UDP has no {VARIABLE}", "unset it, or leave out --udp")
        return told
    return None if password is None else str(password)


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            held = file.read(MAX_PASSWORD_BYTES + 3)  # what is longer is refused for that
    except OSError as error:
        raise UsageError(f"could not read {path}: {reason(error)}") from error
    return os.fsdecode(held.removesuffix(b"\n").removesuffix(b"\r"))
