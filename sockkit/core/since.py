"""Points in time as people write them: a time of day, a date, or how long ago."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from sockkit.core.units import parse_duration
from sockkit.errors import UsageError

# From when a recording begins, and the time now. All times are microseconds since 1970.
Since = Callable[[int, int], int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_since(text: str) -> Since:
    """A function for the time that `13:59`, `2026-01-31T13:59:00Z` or `5m` means. Raises
    UsageError.

    A time of day is on the day on which the recording begins. A duration counts back from now. A
    time without a UTC offset is local.
    """
    for parse in (_duration, _time_of_day, _date):
        try:
            return parse(text)
        except (ValueError, UsageError):
            pass  # it may be one of the others
    raise UsageError(
        f"{text!r} is not a time", "write 13:59, 2026-01-31T13:59:00Z, or 5m for five minutes ago"
    )


def _duration(text: str) -> Since:
    back = int(parse_duration(text) * 1_000_000)
    return lambda _, now: now - back


def _time_of_day(text: str) -> Since:
    if len(text) < 5 or text[2] != ":":
        raise ValueError
    wanted = time.fromisoformat(text)

    def since(first: int, _: int) -> int:
        begun = (_EPOCH + first * _MICROSECOND).astimezone(wanted.tzinfo)
        found = datetime.combine(begun.date(), wanted)
        return _microseconds(found if wanted.tzinfo else found.astimezone())

    return since


def _date(text: str) -> Since:
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
        raise ValueError
    found = datetime.fromisoformat(text)
    try:
        when = _microseconds(found if found.tzinfo else found.astimezone())
    except OverflowError as error:
        raise ValueError from error
    return lambda *_: when


def _microseconds(when: datetime) -> int:
    return (when - _EPOCH) // _MICROSECOND
