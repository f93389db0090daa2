"""Bytes written as hexadecimal digits."""

from __future__ import annotations

import re

from sockkit.errors import UsageError

_PREFIX = re.compile(r"(?<![0-9a-fA-F])(?:0x|\\x)|\\x", re.ASCII)


def parse_hex(text: str) -> bytes:
    """The bytes written as `48 65 6c`, `48656c`, `0x48 0x65` or `\\x48\\x65`. Raises UsageError."""
    words = _PREFIX.sub(" ", text).split()
    if not words:
        raise UsageError("there are no bytes", "write them as in 48 65 6c")
    data = b""
    for word in words:
        try:
            data += bytes.fromhex(word)
        except ValueError as error:
            raise UsageError(
                f"{word!r} is not bytes in hexadecimal", "write two digits a byte, as in 48 65 6c"
            ) from error
    return data
