"""The life of a connection, over ends in memory and on a clock that stands still.

Its receiver here is a Reader; joined to a second pair of ends, as a relay joins two, it has two
pumps (the last tests).
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockkit.core.ending import (
    FAULT_LINGER,
    PEER_ENDED_LINGER,
    UNANSWERED_SILENCE,
    EndOptions,
    HalfClose,
    Limit,
    Until,
)
from sockkit.errors import ReceiveError, SendError, SockkitError, TimedOut
from sockkit.net import closing
from sockkit.net.closing import Closer
from sockkit.net.connection import (
    HELD_UP_CHECK_SECONDS,
    Connection,
    Direction,
    Owner,
    Result,
    Stage,
)
from sockkit.net.delivery import MAX_STALL_SECONDS
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from sockkit.net.pump import Pump
from tests.net import kit
from tests.net import site as sites
from tests.net.kit import Cut, Failing
from tests.net.site import CAPACITY, Make, Site, at_end, read_all, turn

loop, site = kit.loop, sites.site

CLEAN = Result(None, None, 0, 0)
OPEN, ENDED, FAILED = Direction
MUCH = kit.noise(3 * CAPACITY)  # more than both of the system's buffers would take
FAULT = TimedOut("for a test")


def states(at: Site) -> tuple[Direction, Direction, Stage]:
    return at.connection.receiving, at.connection.sending, at.connection.stage


# The states.


def test_it_begins_open(site: Make) -> None:
    at = site(EndOptions())
    assert states(at) == (OPEN, OPEN, Stage.OPEN)
    assert (at.connection.bytes_sent, at.connection.bytes_received, at.connection.unsent) == (
        0,
        0,
        0,
    )
    assert at.told == []


@pytest.mark.parametrize("peer_first", [True, False])
def test_each_direction_ends_by_itself_in_either_order(peer_first: bool, site: Make) -> None:
    at = site(EndOptions())

    def peer_ends() -> None:
        at.peer.write(b"its last")
        at.peer.half_close()
        at.turn()

    def we_end() -> None:
        at.send(b"our last")
        at.connection.half_close()
        at.connection.end_input()
        at.turn()

    first, second = (peer_ends, we_end) if peer_first else (we_end, peer_ends)
    first()
    assert states(at) == ((ENDED, OPEN) if peer_first else (OPEN, ENDED)) + (Stage.OPEN,)
    assert at.overs == []
    second()
    assert states(at) == (ENDED, ENDED, Stage.OPEN)
    assert at.overs == [None]
    assert at.got == b"its last"
    assert read_all(at.peer) == b"our last"
    assert at_end(at.peer)
    at.connection.finish()
    assert at.closes() == CLEAN
    assert states(at) == (ENDED, ENDED, Stage.CLOSED)


def test_what_was_counted_stays_known(site: Make) -> None:
    at = site()
    at.peer_writes(b"12345")
    at.send(b"123")
    assert (at.connection.bytes_received, at.connection.bytes_sent) == (5, 3)
    assert at.connection.unsent == 3
    assert at.peer_reads() == b"123"
    assert at.connection.unsent == 0


def test_our_end_is_told_to_the_peer_once(site: Make) -> None:
    at = site()
    calls: list[int] = []
    real = at.near.half_close
    at.near.half_close = lambda: (calls.append(1), real())  # type: ignore[method-assign]
    at.connection.half_close()
    at.connection.half_close()
    assert calls == [1]


def test_an_outbox_that_waited_is_told_of_when_it_is_empty(site: Make) -> None:
    at = site()
    at.send(b"at once")
    assert at.told == []
    at.peer_reads()
    at.send(MUCH)
    assert at.connection.unsent == len(MUCH)
    assert at.told == []
    assert at.peer_reads() == MUCH
    assert at.told == ["drained"]
    assert at.connection.unsent == 0


@pytest.mark.parametrize("until", Until)
@pytest.mark.parametrize("what", ["input", "peer"])
def test_which_ends_end_it(what: str, until: Until, site: Make) -> None:
    at = site(EndOptions(until))
    if what == "input":
        at.connection.end_input()
    else:
        at.peer.half_close()
    at.turn()
    enough = {"input": {Until.STDIN, Until.EITHER}, "peer": {Until.PEER, Until.EITHER}}[what]
    assert at.overs == [None] * (until in enough)


def test_without_options_it_is_never_over_by_itself(site: Make) -> None:
    at = site()
    at.connection.end_input()
    at.peer.half_close()
    at.passes(10_000.0)
    assert at.told == ["peer_ended"]


# The bounds on silence.


def peer_ends(at: Site) -> None:
    at.peer.half_close()
    at.turn()


def input_ends(at: Site) -> None:
    at.connection.end_input()


BOUNDS: dict[str, tuple[EndOptions, Callable[[Site], None], float, Limit]] = {
    "idle": (EndOptions(idle=30.0), lambda _: None, 30.0, Limit.IDLE),
    "idle, of one side": (EndOptions(idle=3.0), peer_ends, 3.0, Limit.IDLE),
    "input, by default": (EndOptions(), peer_ends, PEER_ENDED_LINGER, Limit.INPUT_SILENT),
    "input": (EndOptions(linger=2.0), peer_ends, 2.0, Limit.INPUT_SILENT),
    "input, when asked": (
        EndOptions(Until.STDIN, linger=9.0),
        peer_ends,
        9.0,
        Limit.INPUT_SILENT,
    ),
    "peer": (EndOptions(linger=2.0), input_ends, 2.0, Limit.PEER_SILENT),
    "peer, when asked": (EndOptions(Until.PEER, linger=60.0), input_ends, 60.0, Limit.PEER_SILENT),
}
EACH_BOUND = pytest.mark.parametrize("bound", BOUNDS)


def bounded(bound: str, site: Make) -> tuple[Site, float, Limit]:
    options, begin, seconds, limit = BOUNDS[bound]
    at = site(options)
    at.passes(1.0)
    at.send(b"x")
    at.peer_writes(b"y")
    at.peer_reads()
    begin(at)
    return at, seconds, limit


def lasts(at: Site, seconds: float) -> None:
    """Time passes step by step: a peer's progress is looked for now and then."""
    for _ in range(20):
        at.passes(seconds / 20)


@EACH_BOUND
def test_a_silence_is_too_long_at_its_bound_and_not_before(bound: str, site: Make) -> None:
    at, seconds, limit = bounded(bound, site)
    lasts(at, seconds - 0.01)
    assert at.overs == []
    at.passes(0.02)
    assert at.overs == [limit]
    assert at.connection.stage is Stage.OPEN  # what follows is for the owner to say


@EACH_BOUND
def test_a_jump_over_the_bound_is_no_reason_to_miss_it(bound: str, site: Make) -> None:
    at, seconds, limit = bounded(bound, site)
    at.passes(1000 * seconds)
    assert at.overs == [limit]


NO_BOUND: dict[str, tuple[EndOptions, Callable[[Site], None]]] = {
    "nothing ended": (EndOptions(linger=1.0), lambda _: None),
    "input ended, no linger": (EndOptions(), input_ends),
    "peer ended, the input alone counts": (EndOptions(Until.STDIN), peer_ends),
}


@pytest.mark.parametrize("case", NO_BOUND)
def test_where_there_is_no_bound_nobody_is_hurried(case: str, site: Make) -> None:
    options, begin = NO_BOUND[case]
    at = site(options)
    begin(at)
    for _ in range(5):
        at.passes(100_000.0)
    assert at.overs == []


def receives(at: Site) -> None:
    at.peer_writes(b"x")


def sends(at: Site) -> None:
    at.send(b"x")


def delivers(at: Site) -> None:
    assert at.peer.read_into(memoryview(bytearray(1))) == 1
    at.turn()


# What ends a silence of each kind, and what does not.
ENDS_SILENCE = [
    ("idle", receives, True),
    ("idle", sends, True),
    ("idle", delivers, True),
    ("input", sends, True),
    ("input", delivers, False),
    ("peer", receives, True),
    ("peer", delivers, True),
    ("peer", sends, False),
]


@pytest.mark.parametrize(("bound", "moves", "ends"), ENDS_SILENCE)
def test_what_moves_ends_a_silence(
    bound: str, moves: Callable[[Site], None], ends: bool, site: Make
) -> None:
    options, begin, seconds, limit = BOUNDS[bound]
    at = site(options)
    at.send(kit.noise(CAPACITY // 2))  # which the peer reads a byte of, if at all
    begin(at)
    at.connection.acknowledged_at()
    for _ in range(4):
        lasts(at, seconds * 0.6)
        if ends:
            assert at.overs == []
        moves(at)
    assert at.overs == ([] if ends else [limit] * len(at.overs))
    assert ends or at.overs
    lasts(at, seconds * 1.3)
    assert at.overs[-1] is limit


def test_a_silence_with_another_cause_is_looked_at_again(site: Make) -> None:
    at = site(EndOptions(idle=2.0))
    at.is_held_up = True
    at.passes(2.01)
    assert at.told == [("held_up", Limit.IDLE)]
    at.passes(HELD_UP_CHECK_SECONDS * 0.9)
    assert len(at.told) == 1
    at.passes(HELD_UP_CHECK_SECONDS * 0.2)
    assert at.told == [("held_up", Limit.IDLE)] * 2
    at.is_held_up = False
    at.passes(HELD_UP_CHECK_SECONDS * 1.1)
    assert at.overs == [Limit.IDLE]


def test_a_silence_with_another_cause_hides_no_other(site: Make) -> None:
    at = site(EndOptions(linger=2.0, idle=5.0))
    at.held_up = lambda limit: limit is Limit.INPUT_SILENT  # type: ignore[method-assign]
    peer_ends(at)
    lasts(at, 4.9)
    assert at.overs == []
    lasts(at, 0.3)
    assert at.overs[:1] == [Limit.IDLE]


def test_an_automatic_half_close_is_due_once(site: Make) -> None:
    at = site(EndOptions(half_close=HalfClose.AUTO))
    at.does["over"] = lambda: (at.connection.half_close(), at.connection.review())
    input_ends(at)
    lasts(at, UNANSWERED_SILENCE - 0.1)
    assert at.overs == []
    lasts(at, 0.2)
    assert at.overs == [Limit.HALF_CLOSE]
    assert at_end(at.peer)
    lasts(at, 1000.0)
    assert at.overs == [Limit.HALF_CLOSE]


def test_who_is_no_longer_held_up_and_moves_is_not_silent(site: Make) -> None:
    at = site(EndOptions(idle=2.0))
    at.is_held_up = True
    at.passes(2.01)
    at.is_held_up = False
    at.peer_writes(b"x")
    at.passes(1.9)
    assert at.overs == []
    at.passes(0.2)
    assert at.overs == [Limit.IDLE]


# A direction that fails.


def reset_on_write(at: Site) -> bytes:
    """The peer sends and closes; a write of ours is answered by a reset, and the next fails."""
    at.wants = False
    at.reader.resume()
    at.peer_writes(b"what it sent last")
    at.peer.close()
    at.send(b"accepted, and lost")
    at.send(b"refused")
    return b"what it sent last"


def test_a_peer_that_accepts_no_more_is_still_heard(site: Make) -> None:
    at = site(EndOptions())
    expected = reset_on_write(at)
    assert states(at) == (OPEN, FAILED, Stage.OPEN)
    assert not at.is_closed
    at.wants = True
    at.reader.resume()
    at.turn()
    assert at.got == expected
    assert at.told == ["drained", "received", "peer_ended", "closed"]
    assert states(at) == (ENDED, FAILED, Stage.CLOSED)
    assert isinstance(at.result.error, SendError)
    assert at.result.failure is None
    assert at.result.undelivered == len(b"accepted, and lost")
    assert at.result.unsent == len(b"accepted, and lost" + b"refused")


def failing(name: str, nth: int = 1, code: int = errno.ECONNRESET) -> sites.Wrap:
    return functools.partial(Failing, name=name, nth=nth, code=code)


def test_a_peer_that_stays_is_heard_for_a_while(site: Make) -> None:
    at = site(EndOptions(idle=0.1), wrap=failing("write"))
    at.send(b"refused")
    for expected in (b"a", b"ab"):
        at.passes(FAULT_LINGER * 0.4)
        at.peer_writes(expected[-1:])
        assert at.got == expected
    assert not at.is_closed
    assert at.overs == []  # the bounds are not looked at any more
    at.passes(FAULT_LINGER * 0.3)
    assert at.told[-1] == "closed"
    assert isinstance(at.result.error, SendError)
    assert (at.result.undelivered, at.result.unsent) == (0, 7)
    with pytest.raises(ReceiveError):  # a reset, for the peer did not get all
        read_all(at.peer)


def test_what_held_the_reader_back_is_gone_with_the_outbox(site: Make) -> None:
    """A handler that reads when nothing waits for the peer is told so."""
    at = site(wrap=failing("write", 2))
    at.does["drained"] = at.reader.resume
    at.send(MUCH)
    at.wants = False
    at.reader.resume()
    at.peer_writes(b"x")
    assert at.got == b""
    at.wants = True
    read_all(at.peer)
    at.turn()
    assert at.told[:2] == ["drained", "received"]
    assert at.closes().error.__cause__.errno == errno.ECONNRESET  # type: ignore[union-attr]


def test_a_sender_is_stopped_when_nothing_more_can_be_sent(site: Make) -> None:
    at = site(wrap=failing("write"))
    sender = Slow()
    at.connection.start(at.reader, sender)
    at.connection.send(b"refused")
    assert sender.calls == ["stop"]


def test_a_peer_that_has_ended_and_accepts_no_more_is_closed_at_once(site: Make) -> None:
    at = site(wrap=failing("write"))
    peer_ends(at)
    at.connection.send(b"refused")
    assert at.told == ["peer_ended", "closed"]
    assert states(at) == (ENDED, FAILED, Stage.CLOSED)


def test_an_end_that_cannot_be_told_is_a_failure_of_sending(site: Make) -> None:
    at = site(wrap=failing("half_close", code=errno.EIO))
    at.connection.half_close()
    assert states(at) == (OPEN, FAILED, Stage.OPEN)
    at.passes(FAULT_LINGER * 1.1)
    assert isinstance(at.result.error, SendError)


def test_an_input_that_fails_ends_it_at_once(site: Make) -> None:
    """Then the peer is not to blame, and not waited for."""
    at = site(EndOptions())
    at.connection.sending_failed(SockkitError("could not read stdin"))
    assert at.told == ["closed"]
    assert str(at.result.error) == "could not read stdin"


@pytest.mark.parametrize("code", [errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH])
def test_to_fail_to_receive_ends_it(code: int, site: Make) -> None:
    at = site(EndOptions(), wrap=failing("read", 2, code))
    at.send(b"unread")
    at.peer_writes(b"first")
    at.peer_writes(b"second")
    assert at.got == b"first"
    assert at.told == ["received", "closed"]
    assert states(at) == (FAILED, OPEN, Stage.CLOSED)
    assert isinstance(at.result.error, ReceiveError)
    assert at.result.error.__cause__.errno == code
    assert (at.result.undelivered, at.result.unsent) == (6, 6)


def test_the_first_error_is_the_one_that_is_told(site: Make) -> None:
    at = site()
    at.connection.sending_failed(SendError("the first"))
    at.connection.sending_failed(SendError("the second"))
    at.connection.receiving_failed(ReceiveError("the third"))
    assert str(at.result.error) == "the first"


# The ways to end it.


def test_finish_delivers_what_was_sent_and_reads_no_more(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.finish()
    at.peer_writes(b"not to be read")
    assert at.connection.stage is Stage.CLOSING
    assert at.peer_reads() == MUCH
    assert at.closes() == CLEAN
    assert at.got == b""
    assert "drained" not in at.told


def test_finish_with_an_error_waits_for_nobody(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.finish(FAULT)
    assert at.result == Result(FAULT, None, CAPACITY, len(MUCH))
    with pytest.raises(ReceiveError):
        read_all(at.peer)


def test_leave_delivers_what_was_sent_and_tells_the_error(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.close_lingering(FAULT)
    assert at.connection.stage is Stage.CLOSING
    assert at.peer_reads() == MUCH
    assert at.closes() == Result(FAULT, None, 0, 0)
    assert at_end(at.peer)


def test_leave_may_drop_what_waits(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.close_lingering(drop=True)
    assert at.peer_reads() == MUCH[:CAPACITY]  # the system had it
    assert not at_end(at.peer)
    assert at.closes() == Result(None, None, 0, len(MUCH) - CAPACITY)


def test_a_peer_that_never_reads_is_left_after_a_while(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.close_lingering()
    at.passes(MAX_STALL_SECONDS * 0.9)
    assert not at.is_closed
    result = at.closes(MAX_STALL_SECONDS * 0.2)
    assert result == Result(None, None, CAPACITY, len(MUCH))


def test_a_peer_alone_that_never_reads_is_a_failure(site: Make) -> None:
    at = site(alone=True)
    at.send(MUCH)
    at.connection.close_lingering()
    result = at.closes(MAX_STALL_SECONDS * 1.2)
    assert result.error is None
    assert isinstance(result.failure, SendError)
    assert (result.undelivered, result.unsent) == (CAPACITY, len(MUCH))


@pytest.mark.parametrize("ended", [False, True])
def test_a_reset_while_it_is_closed_is_a_failure(ended: bool, site: Make) -> None:
    at = site()
    if ended:
        peer_ends(at)
    at.send(b"unread")
    at.connection.close_lingering()
    at.turn()
    at.peer.abort()
    result = at.closes(1.0)
    assert result.error is None
    assert isinstance(result.failure, SendError)
    assert (result.undelivered, result.unsent) == (6, 6)


def test_a_send_that_fails_while_it_is_closed_is_told(site: Make) -> None:
    at = site()
    peer_ends(at)
    at.send(MUCH)
    at.connection.close_lingering()
    at.peer.abort()
    outcome = at.closes(0.1)
    assert outcome.error is None
    assert isinstance(outcome.failure, SendError)
    assert (outcome.undelivered, outcome.unsent) == (CAPACITY, len(MUCH))


def test_close_is_at_once(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.close(FAULT)
    assert at.result == Result(FAULT, None, CAPACITY, len(MUCH))
    with pytest.raises(ReceiveError):
        read_all(at.peer)


def test_close_delivers_what_the_system_has(site: Make) -> None:
    at = site()
    at.send(b"all")
    at.connection.close()
    assert at.result == Result(None, None, 3, 3)
    assert read_all(at.peer) == b"all"
    assert at_end(at.peer)


class Slow:
    """A mover that never is done."""

    bytes_read = bytes_written = 0

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def finish(self) -> None:
        self.calls.append("finish")

    def stop(self) -> None:
        self.calls.append("stop")


def test_a_receiver_that_has_bytes_to_write_is_waited_for(site: Make) -> None:
    at = site(EndOptions(idle=1.0))
    slow, sender = Slow(), Slow()
    at.connection.start(slow, sender)
    assert (slow.calls, sender.calls) == (["start"], [])  # the owner starts the sender
    at.connection.finish()
    assert (slow.calls, sender.calls) == (["start", "finish"], ["stop"])
    at.passes(1000.0)
    assert at.connection.stage is Stage.FINISHING
    assert at.told == []
    at.connection.receiver_ended()
    assert slow.calls[-1] == "stop"
    assert at.closes() == CLEAN


def test_a_send_that_fails_while_it_finishes_is_its_error(site: Make) -> None:
    at = site(wrap=failing("write"))
    at.connection.start(Slow())
    at.connection.finish()
    at.connection.send(b"x")
    at.connection.receiver_ended()
    assert at.told == ["closed"]
    assert isinstance(at.result.error, SendError)


# What brings it to each stage, and what may happen there.
STAGES: dict[Stage, Callable[[Site], object]] = {
    Stage.OPEN: lambda at: at.connection.start(Slow(), Slow()),
    Stage.FINISHING: lambda at: (at.connection.start(Slow(), Slow()), at.connection.finish()),
    Stage.CLOSING: lambda at: (at.send(MUCH), at.connection.close_lingering()),
    Stage.CLOSED: lambda at: at.connection.close(),
}
CALLS: dict[str, Callable[[Connection], object]] = {
    "close": lambda it: it.close(),
    "close with an error": lambda it: it.close(FAULT),
    "finish": lambda it: it.finish(),
    "finish with an error": lambda it: it.finish(FAULT),
    "leave": lambda it: it.close_lingering(),
    "leave and drop": lambda it: it.close_lingering(FAULT, drop=True),
    "receiver ended": lambda it: it.receiver_ended(),
    "receiving failed": lambda it: it.receiving_failed(ReceiveError("for a test")),
    "sending failed": lambda it: it.sending_failed(SendError("for a test")),
    "end input": lambda it: it.end_input(),
    "half-close": lambda it: it.half_close(),
    "review": lambda it: it.review(),
}


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_whatever_is_done_at_whatever_stage_it_is_closed_once(
    stage: Stage, first: str, site: Make
) -> None:
    """The site sees to the once, and that its end is closed and nobody called for it."""
    order = list(Stage)
    for second in CALLS:
        at = site(EndOptions(idle=5.0))
        STAGES[stage](at)
        reached = at.connection.stage
        assert reached is stage
        for call in (first, second, "close"):
            CALLS[call](at.connection)
            assert order.index(at.connection.stage) >= order.index(reached), "it went back"
            reached = at.connection.stage
        for seconds in (0.0, 1.0, MAX_STALL_SECONDS, MAX_STALL_SECONDS, 1.0):
            at.passes(seconds)
        told = len(at.told)
        assert at.told[-1] == "closed"
        at.passes(1000.0)
        assert len(at.told) == told


@pytest.mark.parametrize("stage", [Stage.OPEN, Stage.FINISHING])
def test_close_before_the_close_has_begun_is_at_once(stage: Stage, site: Make) -> None:
    at = site()
    STAGES[stage](at)
    at.connection.close()
    assert at.told == ["closed"]


def test_close_does_not_cut_a_close_that_delivers(site: Make) -> None:
    at = site()
    STAGES[Stage.CLOSING](at)
    at.connection.close(FAULT)
    assert at.peer_reads() == MUCH
    assert at.closes() == CLEAN


def received(at: Site) -> None:
    at.peer_writes(b"x")


def drained(at: Site) -> None:
    at.send(MUCH)
    at.peer_reads()


def silent(at: Site) -> None:
    at.passes(100.0)


HAPPENS = {"peer_ended": peer_ends, "received": received, "drained": drained, "over": silent}


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("call", [call for call in CALLS if call.startswith(("cl", "fi", "le"))])
@pytest.mark.parametrize("what", HAPPENS)
def test_an_owner_may_end_it_when_it_is_told_anything(
    what: str, call: str, alone: bool, site: Make
) -> None:
    at = site(EndOptions(idle=50.0), alone=alone)
    at.does[what] = lambda: CALLS[call](at.connection)
    HAPPENS[what](at)
    at.closes()
    assert [told for told in at.told if told in (what, "closed")][-1] == "closed"
    assert at.told.count("closed") == 1
    told = len(at.told)
    at.passes(1000.0)
    assert len(at.told) == told


def test_an_owner_may_send_when_the_peer_has_ended(site: Make) -> None:
    at = site(EndOptions(Until.PEER))
    at.does["peer_ended"] = lambda: at.connection.send(b"goodbye")
    at.does["over"] = lambda: at.connection.finish()
    peer_ends(at)
    assert at.peer_reads() == b"goodbye"
    assert at.closes() == CLEAN


def test_what_the_peer_sends_while_it_is_closed_is_thrown_away(site: Make) -> None:
    at = site()
    at.send(MUCH)
    at.connection.close_lingering()
    at.turn()
    got = b""
    while not at_end(at.peer):
        at.peer_writes(b"chatter")
        got += read_all(at.peer)
    assert len(got) > CAPACITY
    assert at.got == b""
    assert at.closes() == CLEAN


# Joined to a second pair of ends, as stdin and output are, or another connection.


class Joined(Owner):
    """A connection to `peer`, whose bytes go to and come from `user`, by two pumps."""

    def __init__(
        self,
        loop: Loop,
        clock: kit.Clock,
        options: EndOptions,
        *,
        size: int = 7,
        alone: bool = True,
        seed: int | None = None,
    ) -> None:
        self.loop, self.clock = loop, clock
        self.near, self.peer = memory_pair(loop, capacity=20)
        self.local, self.user = memory_pair(loop, capacity=20)
        near, local = (end if seed is None else Cut(end, seed) for end in (self.near, self.local))
        closer = Closer(loop, alone=alone)
        self.connection = Connection(loop, near, self, closer, options)
        self.up = self._pump(
            local,
            near,
            size,
            self.connection.sent,
            self._input_ended,
            self.connection.sending_failed,
        )
        self.down = self._pump(
            near,
            local,
            size,
            self.connection.received,
            self.connection.receiver_ended,
            self.connection.receiving_failed,
        )
        self.limits: list[Limit | None] = []
        self.result: Result | None = None
        self.connection.start(self.down, self.up)
        self.up.start()

    def _pump(self, source: Any, sink: Any, size: int, moved: Any, ended: Any, failed: Any) -> Pump:
        return Pump(
            self.loop, source, sink, None, size, on_progress=moved, on_end=ended, on_fail=failed
        )

    def _input_ended(self) -> None:
        self.connection.half_close()
        self.connection.end_input()

    def peer_ended(self) -> None:
        self.local.half_close()

    def drained(self) -> None:
        pass

    def held_up(self, limit: Limit) -> bool:
        return {
            Limit.IDLE: False,
            Limit.INPUT_SILENT: self.up.blocked,
            Limit.PEER_SILENT: self.down.blocked,
        }[limit]

    def over(self, limit: Limit | None) -> None:
        self.limits.append(limit)
        if limit is Limit.IDLE:
            self.connection.close(FAULT)
        else:
            self.connection.finish(SendError("part was not sent") if self.up.lane.held else None)

    def closed(self, result: Result) -> None:
        assert self.result is None, "closed twice"
        assert self.near.closed
        assert not self.near.watched
        self.result = result
        self.up.close()
        self.down.close()
        assert not self.local.watched
        self.local.close()


class Far:
    """One of the two far ends: what it wrote and read, and how it was ended."""

    def __init__(self, end: MemoryEnd) -> None:
        self.end = end
        self.wrote, self.got = bytearray(), bytearray()
        self.finished = self.gone = False  # half-closed; closed or reset by itself
        self.saw_end = self.saw_reset = self.was_late = False

    def write(self, count: int) -> None:
        if self.finished or self.gone:
            return
        self.was_late = self.was_late or self.end.other.closed  # which a reset answers
        data = bytes((len(self.wrote) + index) % 251 for index in range(count))
        try:
            self.wrote += data[: self.end.write(data)]
        except BlockingIOError:
            pass
        except SendError:
            self.saw_reset = True

    def read(self, count: int) -> None:
        if self.gone:
            return
        buffer = memoryview(bytearray(count))
        try:
            size = self.end.read_into(buffer)
        except BlockingIOError:
            return
        except ReceiveError:
            self.saw_reset = True
            return
        self.got += buffer[:size]
        self.saw_end = self.saw_end or not (size or self.saw_reset)

    def half_close(self, _: int) -> None:
        if not self.gone:
            self.finished = True
            self.end.half_close()

    def close(self, _: int) -> None:
        self.gone = True
        self.end.close()

    def abort(self, _: int) -> None:
        self.gone = True
        self.end.abort()


WHO = st.sampled_from(["peer", "user"])
STEP = st.one_of(
    st.tuples(st.just("write"), WHO, st.integers(1, 50)),
    st.tuples(st.just("read"), WHO, st.integers(1, 50)),
    st.tuples(st.just("turn"), WHO, st.integers(1, 10)),
    st.tuples(st.just("half_close"), WHO, st.just(0)),
    st.tuples(st.just("pass"), WHO, st.integers(1, 40)),  # tenths of a second
)
LEAVING = st.tuples(st.sampled_from(["close", "abort"]), WHO, st.just(0))
Script = list[tuple[str, str, int]]
OPTIONS = st.builds(
    EndOptions,
    until=st.sampled_from(Until),
    linger=st.sampled_from([None, 1.0]),
    idle=st.sampled_from([None, 2.0]),
)


def play(
    script: Script, options: EndOptions, alone: bool, seed: int | None
) -> tuple[Joined, Far, Far]:
    with pytest.MonkeyPatch.context() as patch, Loop() as loop:
        clock = kit.Clock(loop, patch)
        joined = Joined(loop, clock, options, alone=alone, seed=seed)
        fars = {"peer": Far(joined.peer), "user": Far(joined.user)}

        def turns(count: int) -> None:
            remaining = kit.do(loop, kit.turns(count), loop.stop)
            loop.run()
            assert not remaining, "the loop was stopped"

        for what, who, count in script:
            if what in ("pass", "turn"):
                clock.passes(count / 10 if what == "pass" else 0.0)
                turns(count if what == "turn" else 3)
            else:
                getattr(fars[who], what)(count)
        for far in fars.values():
            far.half_close(0)
        for index in range(3000):
            for far in fars.values():
                far.read(1000)
            clock.passes(0.05 if index % 2 else 0.0)
            turns(2)
            if joined.result:
                break
        for far in 2 * list(fars.values()):  # what is there, and the end
            far.read(1000)
        return joined, fars["peer"], fars["user"]


@given(
    st.lists(STEP, max_size=40),
    st.lists(LEAVING, max_size=1),
    st.integers(0, 40),
    OPTIONS,
    st.booleans(),
    st.none() | st.integers(0, 3),
)
@example([("write", "user", 50), ("half_close", "user", 0)], [], 0, EndOptions(), True, None)
def test_random_scripts_lose_nothing_unsaid(
    script: Script,
    leaving: Script,
    place: int,
    options: EndOptions,
    alone: bool,
    seed: int | None,
) -> None:
    script = [*script[:place], *leaving, *script[place:]]
    joined, peer, user = play(script, options, alone, seed)
    result = joined.result
    assert result, "it was never closed"
    for far, other in ((peer, user), (user, peer)):
        assert far.got == other.wrote[: len(far.got)], "not what was written, in order"
    ended_well = not (leaving or set(joined.limits) - {None}) and options.until is Until.BOTH
    if ended_well:
        assert result == CLEAN
        assert (peer.got, user.got) == (user.wrote, peer.wrote)
        assert peer.saw_end
        assert user.saw_end
    if not (result.error or result.failure or result.unsent or peer.gone):
        assert len(peer.got) == joined.up.bytes_written == joined.up.bytes_read
        assert peer.saw_end or peer.was_late
        assert peer.was_late or not peer.saw_reset


def test_a_joined_connection_passes_much_both_ways(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(loop, monkeypatch)
    joined = Joined(loop, clock, EndOptions(), size=64)
    peer, user = Far(joined.peer), Far(joined.user)
    for _ in range(500):
        for far in (peer, user):
            far.write(50)
            far.read(30)
        turn(loop)
    for far in (peer, user):
        far.half_close(0)
    for _ in range(100):
        clock.passes(closing.TICK_SECONDS)
        turn(loop)
        for far in (peer, user):
            far.read(1000)
    assert joined.result == CLEAN
    assert (peer.got, user.got) == (user.wrote, peer.wrote)
    assert len(user.got) > 2000
