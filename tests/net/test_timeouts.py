"""How long a server waits, on a clock that stands still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.errors import TimedOut
from sockkit.net.loop import Loop
from sockkit.net.timeouts import bounded_silence, first_client
from tests.net import kit

loop = kit.loop


@pytest.fixture
def clock(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> kit.Clock:
    return kit.Clock(loop, monkeypatch)


def bound(loop: Loop, *, used: bool = False) -> Any:
    return SimpleNamespace(address="127.0.0.1:7", transport="tcp", used=used, active_at=loop.now)


def passes(loop: Loop, clock: kit.Clock, seconds: float) -> None:
    """Time passes, and then the loop turns."""
    clock.passes(seconds)
    kit.do(loop, kit.turns(), loop.stop)
    loop.run()


def test_nobody_comes(loop: Loop, clock: kit.Clock) -> None:
    with first_client(loop, 5.0, bound(loop)):
        passes(loop, clock, 100.0)  # before it waits, as a certificate is made
        passes(loop, clock, 4.9)
        with pytest.raises(TimedOut) as raised:
            passes(loop, clock, 0.2)
    assert str(raised.value) == (
        "no client connected to 127.0.0.1:7 within 5 s: check the address that clients use, or "
        "allow more time with --connect-timeout"
    )


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_comes_to_any_of_them_is_enough(loop: Loop, clock: kit.Clock, place: int) -> None:
    sockets = [bound(loop), bound(loop)]
    with first_client(loop, 5.0, *sockets):
        passes(loop, clock, 0.0)
        sockets[place].used = True
        passes(loop, clock, 100.0)


def test_a_silence_is_counted_from_the_last_datagram(loop: Loop, clock: kit.Clock) -> None:
    sock = bound(loop)
    with bounded_silence(loop, 5.0, sock):
        passes(loop, clock, 100.0)
        passes(loop, clock, 4.0)
        sock.active_at = loop.now
        passes(loop, clock, 4.0)
        with pytest.raises(TimedOut, match="nothing was sent or received for 5 s"):
            passes(loop, clock, 1.1)


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_what_has_ended_is_not_waited_for(
    loop: Loop, clock: kit.Clock, seconds: float | None
) -> None:
    sock = bound(loop)
    with first_client(loop, seconds, sock), bounded_silence(loop, seconds, sock):
        passes(loop, clock, 0.0)
        passes(loop, clock, 100.0 if seconds is None else 4.0)
    passes(loop, clock, 100.0)
