"""Sizes, durations and file modes as people write them."""

from __future__ import annotations

import re

from sockkit.errors import UsageError

_SIZE = r"([0-9]+)(?:([kKmMgG])(?:i?[bB])?|[bB])?"
_DURATION = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h)?"
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_UNITS = ("kB", "MB", "GB", "TB")
MIN_RATED_BYTES = 1000  # the rate of a single line says nothing
MIN_RATED = 0.001  # seconds; a shorter time is too inexact
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(text: str) -> int:
    """The bytes that `1024`, `64k` or `1M` mean (powers of 1024). Raises UsageError outside 1 byte
    to 2 GiB.
    """
    match = re.fullmatch(_SIZE, text)
    size = int(match[1]) * _BYTES[(match[2] or "").lower()] if match and len(match[1]) < 20 else 0
    if not 0 < size < 2**31:
        raise UsageError(
            f"{text!r} is not a size", f"write 1 to {2**31 - 1} bytes, such as 1024, 64k or 1M"
        )
    return size


def parse_duration(text: str) -> float:
    """The seconds that `5`, `1.5`, `500ms`, `2m` or `1h` mean. Raises UsageError over ten years."""
    match = re.fullmatch(_DURATION, text)
    if not match:
        raise UsageError(
            f"{text!r} is not a duration", "write seconds, such as 5 or 1.5, or 500ms, 2m or 1h"
        )
    seconds = float(match[1]) * _SECONDS[match[2] or ""]
    if seconds > 10 * 365 * 86400:
        raise UsageError("that is too long", "give at most ten years")
    return seconds


def parse_timeout(text: str) -> float:
    """As `parse_duration`, but 0 is no timeout. Raises UsageError."""
    seconds = parse_duration(text)
    if not seconds:
        raise UsageError(f"{text} leaves no time", "give some, for example 5s")
    return seconds


def parse_mode(text: str) -> int:
    """The file mode that `600` or `0660` means, in octal digits. Raises UsageError."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise UsageError(
            f"{text!r} is not a file mode", "write three octal digits, such as 600 or 0660"
        )
    return int(text, 8)


def parse_share(text: str) -> float:
    """`5%` or `0.5%` as a fraction from 0 to 1; the sign may be missing. Raises UsageError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?)%?", text)
    share = float(match[1]) / 100 if match else -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is not a percentage", "write 0% to 100%, such as 5%")
    return share


def show_size(size: int) -> str:
    """`1 byte`, `1,234 bytes`: exact, as people and scripts compare sizes."""
    return show_count(size, "byte")


def show_count(count: int, what: str) -> str:
    """`1 datagram`, `1,234 datagrams`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def show_amount(size: float) -> str:
    """`999 bytes`, `1.23 kB`, `545 MB`: three digits, in powers of 1000. For display only."""
    return _scaled(size, 3)


def show_rate(rate: float) -> str:
    """`5.4 kB/s`, `545 MB/s`, of bytes a second."""
    return f"{_scaled(rate, 2)}/s"


def show_average(size: int, seconds: float) -> str:
    """The rate of `size` bytes in `seconds`; empty if there was too little to measure."""
    return show_rate(size / seconds) if size >= MIN_RATED_BYTES and seconds >= MIN_RATED else ""


def _scaled(size: float, digits: int) -> str:
    """`size` with at most `digits` digits, but always all before the decimal point."""
    if size < 999.5:
        return show_count(round(size), "byte")
    power = 1
    while size >= 999.5 * 1000**power and power < len(_UNITS):
        power += 1
    size /= 1000**power
    places = digits - 1
    while places and len(f"{size:.{places}f}") > digits + 1:
        places -= 1
    return f"{size:,.{places}f} {_UNITS[power - 1]}"


def show_clock(seconds: float) -> str:
    """`0:05`, `2:05`, `1:02:05`: minutes and seconds, and hours if there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_seconds(seconds: float) -> str:
    """`5 s`, `0.25 s`."""
    return f"{seconds:.9g} s"
