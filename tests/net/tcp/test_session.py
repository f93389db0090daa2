"""One conversation: the session runs in a thread, the test is its peer and its user."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core import hints
from sockkit.core.ending import EndOptions, HalfClose, Until
from sockkit.core.hints import NO_ANSWER, STDIN_ENDED, TLS_PORT
from sockkit.core.text import TextOptions
from sockkit.errors import (
    OutputError,
    OutputGone,
    ReceiveError,
    SendError,
    SockkitError,
    Stopped,
    TextError,
    TimedOut,
    UsageError,
)
from sockkit.events import (
    Answer,
    Event,
    HalfClosed,
    Hint,
    InputEnded,
    Notice,
    PeerEnded,
    SocketCall,
    StreamTotal,
    Waiting,
)
from sockkit.net import closing, connection, file_feed
from sockkit.net.connection import Result
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.ends.stdio import Output, Stdio
from sockkit.net.ends.typed_input import TypedInput
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.session import Session, SessionOptions, run_session
from sockkit.net.waiting import WONDER_SECONDS
from tests.net import kit
from tests.net.kit import Far, Feeding, Gathering, Made, noise
from tests.support import eventually, read_all, read_exactly

loop, stack = kit.loop, kit.stack

LINGER = 0.05
MOST, SILENCE = 4.0, 3.0  # seconds of a `clock`: a bound, and a silence that it allows
GBK = TextOptions(encoding="gbk")
CLOSED_AT_ONCE = (
    "the peer closed without an answer: does it expect TLS (try --tls), or refuse your address?"
)
AUTO = {"half_close": HalfClose.AUTO}
REQUEST = b"GET /slow HTTP/1.0\r\n\r\n"


class Conversation:
    """`talk` is begun at once. Leaving the `with` block gives up what still runs."""

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, talk: SessionOptions, output: Made | None
    ) -> None:
        self._loop = loop
        ours, self.peer = kit.tcp_pair()
        self.peer.settimeout(kit.WAIT)
        self._end = SocketEnd(loop, ours, kit.PEER, self._told)
        self.input = kit.source("pipe", stack, Path())
        self.output = output or kit.sink("pipe", stack, Path())
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        stdio = Stdio(self.input.end, self.output.end, "utf-8")
        self._context = kit.context(loop, stdio, self._told)
        self._session = Session(self._context, self._end, talk, SocketOptions())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            run_session(self._context, self._session)
        except BaseException as error:
            self._error = error

    def _told(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def told(self, kind: type) -> Event:
        """Wait for an event."""
        with self._changed:
            found = self._changed.wait_for(lambda: kit.of_kind(self.events, kind), kit.WAIT)
        assert found, f"no {kind.__name__}: {self.events}"
        return found[0]  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Wait until it has seen what has come. It must not end by that."""
        settled = threading.Event()
        kit.do(self._loop, kit.turns(), settled.set)
        eventually(lambda: settled.is_set() or not self._thread.is_alive())
        assert settled.is_set(), f"it left: {self._error}"

    def lasts(self, clock: kit.Clock, seconds: float) -> None:
        """It goes on when so much time has passed."""
        self.settle()
        clock.passes(seconds)
        self.settle()

    def moves(self, *, from_peer: bool) -> None:
        """A byte goes all the way."""
        if from_peer:
            self.peer.sendall(b".")
            assert self.shown(1) == b"."
        else:
            self.type(b".")
            assert read_exactly(self.peer, 1) == b"."

    def is_held_up(self) -> None:
        """Wait until the peer's system takes no more of the input."""
        size = -1
        while size < self._session._connection.bytes_sent or not self._session._input.pump.blocked:
            size = self._session._connection.bytes_sent
            time.sleep(0.05)

    def delivered(self) -> int:
        """How many bytes the peer's system has acknowledged."""
        return self._session._connection.bytes_sent - self._end.queued()

    def takes_some(self) -> bytes:
        """What the peer has to take until its system tells so."""
        before, taken = self.delivered(), b""
        while self.delivered() <= before:
            taken += read_exactly(self.peer, 10_000)
        return taken

    def result(self) -> BaseException | None:
        """Wait for the end."""
        self._thread.join(kit.WAIT + 1)
        assert not self._thread.is_alive(), "the conversation did not end"
        self.output.release()
        return self._error

    def failed(self, *kinds: type[SockkitError]) -> SockkitError:
        error = self.result()
        assert isinstance(error, kinds), repr(error)
        return error

    def stop(self) -> None:
        """End it as a signal does."""

        def end() -> None:
            raise Stopped(15)

        self._loop.call_soon(end)

    def give_up(self) -> None:
        self._loop.stop()
        self._loop.call_soon(self._loop.stop)  # wakes it
        self._thread.join(kit.WAIT)
        self.peer.close()
        assert not isinstance(self._error, AssertionError), self._error  # too late

    def shown(self, size: int) -> bytes:
        """So many bytes of standard output."""
        data = b""
        while len(data) < size:
            data += os.read(self.output.far.descriptor, size - len(data))
        return data

    def type(self, data: bytes) -> None:
        self.input.far.give(data)

    def end_input(self) -> None:
        self.input.far.close()

    def typing(self, data: bytes) -> Feeding:
        """Type so much that it takes a while, then end the input."""
        return Feeding(self.input.far, data)

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()


Begin = Callable[..., Conversation]


@pytest.fixture
def begin(loop: Loop, stack: contextlib.ExitStack) -> Iterator[Begin]:
    begun: list[Conversation] = []

    def begin(
        until: Until = Until.BOTH,
        linger: float | None = None,
        idle: float | None = None,
        output: Made | None = None,
        half_close: HalfClose = HalfClose.NOW,
        **more: object,
    ) -> Conversation:
        ending = EndOptions(until, linger, idle, half_close)
        talk = SessionOptions(ending, **more)  # type: ignore[arg-type]
        begun.append(Conversation(loop, stack, talk, output))
        return begun[-1]

    yield begin
    for each in begun:
        each.give_up()


@pytest.fixture
def clock(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> kit.Clock:
    """For silences: they last so long as a test says, however busy the machine is."""
    monkeypatch.setattr(closing, "TICK_ALONE_SECONDS", 0.0)  # which the end waits for
    return kit.Clock(loop, monkeypatch)


def text(options: TextOptions) -> dict[str, object]:
    """Both transforms, as a command makes them."""
    return {
        "outbound": options.outbound("utf-8", "stdin"),
        "inbound": options.inbound("utf-8"),
    }


TRANSFORMS = pytest.mark.parametrize("transform", [False, True], ids=["kernel", "transform"])


def transforms(wanted: bool) -> dict[str, object]:
    return text(TextOptions(encoding="latin-1", send_encoding="utf-8")) if wanted else {}


@TRANSFORMS
def test_the_input_ends_first(transform: bool, begin: Begin) -> None:
    talk = begin(**transforms(transform))
    talk.type(b"question")
    talk.end_input()
    assert read_all(talk.peer) == b"question"
    assert talk.told(InputEnded) == InputEnded(kit.PEER, 8)
    talk.peer.sendall(b"the answer")
    assert talk.shown(10) == b"the answer"  # it is still listened to
    talk.peer.sendall(b", and more")
    talk.peer.close()
    assert talk.result() is None
    assert talk.output.far.take() == b", and more"
    ends = [event for event in talk.events if isinstance(event, InputEnded | PeerEnded)]
    assert ends == [InputEnded(kit.PEER, 8), PeerEnded(kit.PEER, 20)]


@TRANSFORMS
def test_the_peer_ends_first(transform: bool, begin: Begin) -> None:
    talk = begin(**transforms(transform))
    talk.peer.sendall(b"goodbye")
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.told(PeerEnded) == PeerEnded(kit.PEER, 7)
    assert talk.shown(7) == b"goodbye"
    talk.type(b"wait")
    assert read_exactly(talk.peer, 4) == b"wait"
    talk.type(b", what?")
    talk.end_input()
    assert read_all(talk.peer) == b", what?"
    assert talk.result() is None
    moved = {event.direction: event.size for event in kit.of_kind(talk.events, StreamTotal)}
    assert moved == {"sent": 11, "received": 7}


@TRANSFORMS
def test_all_of_much_in_both_directions_at_once(transform: bool, begin: Begin) -> None:
    up, down = noise(3_000_000), noise(2_999_999)
    if transform:
        up, down = (bytes(byte & 0x7F for byte in data) for data in (up, down))
    talk = begin(**transforms(transform))
    gathering = Gathering(talk.output.far)
    sending = threading.Thread(
        target=lambda: (talk.peer.sendall(down), talk.peer.shutdown(socket.SHUT_WR))
    )
    sending.start()
    typing = talk.typing(up)
    assert read_all(talk.peer) == up
    typing.join()
    sending.join()
    assert talk.result() is None
    assert gathering.result() == down


@pytest.mark.parametrize(
    ("until", "first", "over"),
    [
        (Until.STDIN, "stdin", True),
        (Until.STDIN, "peer", False),
        (Until.PEER, "stdin", False),
        (Until.PEER, "peer", True),
        (Until.EITHER, "stdin", True),
        (Until.EITHER, "peer", True),
        (Until.BOTH, "stdin", False),
        (Until.BOTH, "peer", False),
    ],
)
def test_until(until: Until, first: str, over: bool, begin: Begin) -> None:
    talk = begin(until)
    talk.type(b"said")
    talk.peer.sendall(b"heard")
    assert read_exactly(talk.peer, 4) == b"said"
    assert talk.shown(5) == b"heard"
    if first == "stdin":
        talk.end_input()
        assert read_all(talk.peer) == b""
    else:
        talk.peer.shutdown(socket.SHUT_WR)
        talk.told(PeerEnded)
    if not over:  # the other direction goes on
        if first == "stdin":
            talk.peer.sendall(b"more")
            assert talk.shown(4) == b"more"
            talk.peer.shutdown(socket.SHUT_WR)
        else:
            talk.type(b"more")
            assert read_exactly(talk.peer, 4) == b"more"
            talk.end_input()
    assert talk.result() is None


def test_until_stdin_delivers_all_before_it_closes(begin: Begin) -> None:
    """A peer that goes on sending would turn a hasty close into a reset of what was sent."""
    talk = begin(Until.STDIN)
    data = noise(1_000_000)
    typing = talk.typing(data)
    talk.told(InputEnded)  # what was typed waits in our system: the peer has read nothing
    talk.peer.sendall(b"chatter")
    assert read_all(talk.peer) == data
    typing.join()
    assert talk.result() is None


@pytest.mark.parametrize(
    "ends", [{"until": Until.STDIN}, {"until": Until.EITHER}, {"linger": LINGER}], ids=str
)
def test_what_the_peer_does_not_take_is_an_error(
    ends: dict[str, object], begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", LINGER)
    talk = begin(**ends)
    talk.typing(bytes(1_000_000)).join()
    error = talk.failed(SendError)
    lost = re.search(r"sent 1,000,000 bytes, ([0-9,]+) of them not delivered", str(error))
    assert lost
    taken = 1_000_000 - int(lost[1].replace(",", ""))
    talk.peer.setblocking(False)
    assert len(talk.peer.recv(1_000_000, socket.MSG_PEEK)) >= taken


def test_how_long_a_peer_that_takes_nothing_is_waited_for(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kit.skip_time(loop, monkeypatch)
    monkeypatch.setattr(SocketEnd, "queued", lambda _: 100)  # an acknowledgement takes real time
    source, made = kit.source("file", stack, tmp_path), kit.stream_end("tcp", stack)
    Feeding(source.far, bytes(100))
    stdio = Stdio(source.end, kit.sink("pipe", stack, tmp_path).end, "utf-8")
    context, began = kit.context(loop, stdio), loop.now
    session = Session(context, made.end, SessionOptions(EndOptions(Until.STDIN)), SocketOptions())
    with pytest.raises(SendError, match="the peer accepted no data for") as caught:
        run_session(context, session)
    assert 5 < loop.now - began < 20
    assert caught.value.status == 55


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("ended", [False, True], ids=["open", "half-closed"])
def test_what_a_peer_that_leaves_has_not_taken_is_an_error(
    how: str, ended: bool, begin: Begin
) -> None:
    talk = begin(Until.STDIN)
    if ended:
        talk.peer.shutdown(socket.SHUT_WR)
        talk.told(PeerEnded)
    talk.typing(bytes(1_000_000)).join()
    talk.told(InputEnded)
    talk.reset() if how == "reset" else talk.peer.close()
    assert "of them not delivered" in str(talk.failed(SendError))


def test_a_stop_while_the_last_bytes_are_delivered_closes_the_connection(begin: Begin) -> None:
    """And says how far it got, as a stop at any other time."""
    talk = begin(Until.STDIN)
    talk.typing(bytes(1_000_000)).join()
    talk.told(InputEnded)
    talk.settle()  # it waits for the peer, which reads nothing
    talk.stop()
    assert "of them not delivered" in talk.failed(Stopped).so_far
    assert [event.call for event in kit.of_kind(talk.events, SocketCall)] == ["shutdown", "close"]
    assert len(kit.of_kind(talk.events, StreamTotal)) == 2


def test_our_output_may_go_while_the_last_bytes_are_delivered(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the peer is not waited for, as at any other time."""
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", 1000.0)
    talk = begin(Until.STDIN)
    talk.typing(bytes(1_000_000)).join()
    talk.told(InputEnded)
    talk.settle()
    talk.output.far.close()
    talk.failed(OutputGone)


def test_a_peer_that_has_ended_its_side_still_takes_all(begin: Begin) -> None:
    """To leave at once would be to leave before it is known."""
    talk = begin()
    talk.peer.shutdown(socket.SHUT_WR)
    talk.told(PeerEnded)
    talk.typing(bytes(1_000_000)).join()
    talk.told(InputEnded)
    talk.settle()
    assert len(read_all(talk.peer)) == 1_000_000
    assert talk.result() is None


@pytest.mark.parametrize(
    "ends",
    [{"until": Until.STDIN}, {"linger": MOST}, {"idle": MOST}],
    ids=["until", "linger", "idle"],
)
def test_a_peer_that_reads_slowly_is_not_given_up(
    ends: dict[str, object], begin: Begin, clock: kit.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", MOST)
    talk = begin(**ends)
    talk.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    data = noise(600_000)
    talk.typing(data).join()
    talk.told(InputEnded)
    got = b""
    for _ in range(3):
        talk.lasts(clock, SILENCE)
        got += talk.takes_some()
    got += read_exactly(talk.peer, len(data) - len(got))
    talk.peer.close()
    assert got == data
    assert talk.result() is None


def test_what_waits_of_a_greeting_when_the_peer_ends_all_is_an_error(begin: Begin) -> None:
    greet = noise(30_000_000)  # more than the system holds
    talk = begin(Until.PEER, greet=greet)
    talk.peer.shutdown(socket.SHUT_WR)
    talk.told(PeerEnded)
    got = read_all(talk.peer)
    assert greet.startswith(got)
    lost = f"{len(greet) - len(got):,} bytes of the input did not reach the peer"
    assert lost in str(talk.failed(SendError))


@pytest.mark.parametrize("says", [b"", b"last words"])
def test_a_peer_is_still_heard_when_sending_has_failed(
    says: bytes, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a while; it may have said why."""
    failed = threading.Event()

    def fail(*_: object) -> int:
        failed.set()
        raise SendError("it failed")

    monkeypatch.setattr(SocketEnd, "write", fail)
    if says:
        monkeypatch.setattr(connection, "FAULT_LINGER", kit.WAIT)
    talk = begin(**transforms(True))
    talk.type(b"question")
    assert failed.wait(kit.WAIT)
    if says:
        talk.peer.sendall(says)
        talk.peer.close()
    error = talk.failed(SendError)
    assert str(error) == f"it failed (sent 0 bytes, received {len(says)} bytes)"
    assert talk.output.far.take() == says


def test_a_reply_that_cannot_be_sent_is_not_the_end_of_the_input(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.fail_nth(monkeypatch, SocketEnd, "write", 1, SendError("it failed"))
    talk = begin(reply=b"pong")
    talk.peer.sendall(b"ping")
    assert str(talk.failed(SendError)).startswith("it failed")
    assert kit.of_kind(talk.events, InputEnded) == []


def test_an_output_that_is_gone_is_worse_than_a_failure_to_send(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def fail(*_: object) -> int:
        failed.set()
        raise SendError("it failed")

    monkeypatch.setattr(connection, "FAULT_LINGER", kit.WAIT)
    monkeypatch.setattr(SocketEnd, "write", fail)
    talk = begin(**transforms(True))
    talk.type(b"question")
    assert failed.wait(kit.WAIT)
    talk.output.far.close()
    talk.failed(OutputGone)


@pytest.mark.parametrize("undelivered", [0, 1])
def test_a_close_that_fails_matters_only_if_something_was_not_delivered(
    undelivered: int, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    source, made = kit.source("pipe", stack, tmp_path), kit.stream_end("tcp", stack)
    stdio = Stdio(source.end, kit.sink("pipe", stack, tmp_path).end, "utf-8")
    context, sockets = kit.context(loop, stdio), SocketOptions()
    session, told = Session(context, made.end, SessionOptions(EndOptions()), sockets), []
    session.start(told.append)
    failure = SendError("it failed")
    session.closed(Result(None, failure, undelivered, undelivered))
    session.close()
    assert told == [failure if undelivered else None]


@pytest.mark.parametrize("linger", [0.0, LINGER])
def test_linger_bounds_the_peers_silence_after_our_end(linger: float, begin: Begin) -> None:
    talk = begin(linger=linger)
    talk.type(b"anyone?")
    talk.end_input()
    assert read_all(talk.peer) == b"anyone?"
    assert talk.result() is None
    assert not kit.of_kind(talk.events, PeerEnded)


WONDER = 1.1 * WONDER_SECONDS


def test_a_peer_that_says_no_more_is_told_of(begin: Begin, clock: kit.Clock) -> None:
    talk = begin(may_half_close=True)
    talk.lasts(clock, WONDER)  # the input is still open
    assert not kit.of_kind(talk.events, Waiting)
    talk.end_input()
    talk.told(InputEnded)
    talk.lasts(clock, WONDER)
    assert talk.told(Waiting) == Waiting(STDIN_ENDED)
    talk.peer.close()
    assert talk.result() is None


def test_a_full_output_is_no_silence_of_the_peer(begin: Begin, clock: kit.Clock) -> None:
    talk = begin(may_half_close=True)
    sent = kit.fill(talk.peer.fileno())
    talk.end_input()
    talk.told(InputEnded)
    talk.lasts(clock, WONDER)
    talk.lasts(clock, WONDER)
    assert not kit.of_kind(talk.events, Waiting)
    gathering = Gathering(talk.output.far)
    talk.peer.close()
    assert talk.result() is None
    assert len(gathering.result()) == sent


@pytest.mark.parametrize("bound", [{"linger": MOST}, {"idle": 2 * MOST}, {"may_half_close": False}])
def test_a_silence_that_is_bounded_or_of_another_kind_is_not_told_of(
    bound: dict[str, Any], begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(**{"may_half_close": True, **bound})
    talk.end_input()
    talk.told(InputEnded)
    talk.lasts(clock, WONDER)
    talk.peer.close()
    assert talk.result() is None
    assert not kit.of_kind(talk.events, Waiting)


@pytest.mark.parametrize("linger", [0.0, LINGER])
def test_linger_bounds_our_silence_after_the_peers_end(linger: float, begin: Begin) -> None:
    talk = begin(linger=linger)
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.result() is None
    assert "peer closed and stdin is silent: closing" in kit.of_kind(talk.events, Notice)[0].text
    assert read_all(talk.peer) == b""


@pytest.mark.parametrize("linger", [0.0, LINGER])
def test_linger_does_not_count_while_our_own_output_is_full(
    linger: float, begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(linger=linger)
    sent = kit.fill(talk.peer.fileno())
    talk.end_input()
    talk.told(InputEnded)
    talk.lasts(clock, 3 * LINGER)
    gathering = Gathering(talk.output.far)
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.result() is None
    assert len(gathering.result()) == sent


def test_linger_does_not_count_while_the_peer_takes_nothing(begin: Begin, clock: kit.Clock) -> None:
    talk = begin(linger=LINGER)
    data = noise(8_000_000)
    typing = talk.typing(data)
    start = read_exactly(talk.peer, 1)  # standard input is no longer silent
    talk.peer.shutdown(socket.SHUT_WR)
    talk.told(PeerEnded)
    talk.is_held_up()
    talk.lasts(clock, 3 * LINGER)
    assert start + read_all(talk.peer) == data
    typing.join()
    assert talk.result() is None


@pytest.mark.parametrize("ended", ["input", "peer"])
def test_linger_does_not_end_what_still_moves(ended: str, begin: Begin, clock: kit.Clock) -> None:
    talk = begin(linger=MOST)
    if ended == "input":
        talk.end_input()
        assert read_all(talk.peer) == b""
    else:
        talk.peer.shutdown(socket.SHUT_WR)
        talk.told(PeerEnded)
    for _ in range(3):
        talk.lasts(clock, SILENCE)
        talk.moves(from_peer=ended == "input")
    if ended == "input":
        talk.peer.shutdown(socket.SHUT_WR)
    else:
        talk.end_input()
        assert read_all(talk.peer) == b""
    assert talk.result() is None


def test_linger_does_not_count_while_the_peer_takes_no_reply(
    begin: Begin, clock: kit.Clock
) -> None:
    reply = noise(8_000_000)
    talk = begin(linger=LINGER, reply=reply)
    talk.peer.sendall(b"x")
    talk.peer.shutdown(socket.SHUT_WR)
    talk.told(PeerEnded)
    talk.lasts(clock, 3 * LINGER)
    assert read_all(talk.peer) == reply
    assert talk.result() is None
    assert kit.of_kind(talk.events, InputEnded) == [InputEnded(kit.PEER, len(reply))]


def test_nothing_either_way_is_a_timeout(begin: Begin) -> None:
    talk = begin(idle=LINGER)
    error = talk.failed(TimedOut)
    assert str(error) == "nothing was sent or received for 0.05 s (sent 0 bytes, received 0 bytes)"


@pytest.mark.parametrize("who", ["us", "peer"])
def test_what_moves_is_not_idle(who: str, begin: Begin, clock: kit.Clock) -> None:
    talk = begin(idle=MOST)
    for _ in range(3):
        talk.lasts(clock, SILENCE)
        talk.moves(from_peer=who == "peer")
    talk.end_input()
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.result() is None


def test_a_greeting_that_leaves_slowly_is_not_idle(begin: Begin, clock: kit.Clock) -> None:
    greet = noise(20_000_000)  # more than the system holds
    talk = begin(idle=MOST, greet=greet)
    talk.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # it makes room at once
    talk.end_input()
    got = b""
    for _ in range(3):
        talk.lasts(clock, SILENCE)
        got += talk.takes_some()
    talk.peer.shutdown(socket.SHUT_WR)
    assert got + read_all(talk.peer) == greet
    assert talk.result() is None


@pytest.mark.parametrize("how", ["listens", "closes", "is told nothing"])
def test_a_peer_that_ends_at_once_is_wondered_at_unless_it_listens(
    how: str, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "PEER", kit.PEER._replace(number=0))  # as a client's only one
    talk = begin()
    talk.peer.close() if how == "closes" else talk.peer.shutdown(socket.SHUT_WR)
    talk.told(PeerEnded)
    if how != "is told nothing":
        talk.type(b"question")
    talk.end_input()
    if how == "listens":
        assert read_all(talk.peer) == b"question"
    assert isinstance(talk.result(), SendError if how == "closes" else type(None))
    told = [event.text for event in kit.of_kind(talk.events, Notice)]
    assert told == ([] if how == "listens" else [CLOSED_AT_ONCE])


def test_a_peer_that_ends_later_is_not_wondered_at(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "PEER", kit.PEER._replace(number=0))
    monkeypatch.setattr(hints, "AT_ONCE_SECONDS", 0.0)
    talk = begin()
    talk.peer.shutdown(socket.SHUT_WR)
    talk.told(PeerEnded)
    talk.end_input()
    assert talk.result() is None
    assert kit.of_kind(talk.events, Notice) == []


def open_still(talk: Conversation) -> bool:
    """Whether the peer's receive finds neither bytes nor an end."""
    talk.settle()
    talk.peer.setblocking(False)
    try:
        talk.peer.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        talk.peer.settimeout(kit.WAIT)
    return False


def test_an_answer_comes_before_an_automatic_half_close(begin: Begin, clock: kit.Clock) -> None:
    talk = begin(**AUTO)
    talk.type(b"question")
    talk.end_input()
    assert read_exactly(talk.peer, 8) == b"question"
    assert talk.told(InputEnded) == InputEnded(kit.PEER, 8, False)
    talk.lasts(clock, 9.0)
    talk.moves(from_peer=True)
    talk.lasts(clock, 0.9)
    talk.moves(from_peer=True)
    talk.lasts(clock, 0.9)
    assert open_still(talk)
    talk.lasts(clock, 0.2)
    assert talk.told(HalfClosed) == HalfClosed(kit.PEER, True)
    assert read_all(talk.peer) == b""
    talk.peer.sendall(b", and more")  # it is still listened to
    talk.peer.close()
    assert talk.result() is None
    assert talk.output.far.take() == b", and more"
    assert kit.of_kind(talk.events, Notice) == []


@pytest.mark.parametrize("answers", [False, True])
def test_a_peer_that_waits_for_the_end_gets_it_in_the_end(
    answers: bool, begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(**AUTO, may_half_close=True)
    talk.type(b"question")
    talk.end_input()
    assert read_exactly(talk.peer, 8) == b"question"
    talk.told(InputEnded)
    talk.lasts(clock, 9.9)
    assert open_still(talk)
    talk.lasts(clock, 0.2)
    assert talk.told(HalfClosed) == HalfClosed(kit.PEER, False)
    assert read_all(talk.peer) == b""
    talk.peer.sendall(b"answer" if answers else b"")
    talk.peer.close()
    assert talk.result() is None
    notices = [event.text for event in kit.of_kind(talk.events, Notice)]
    assert notices == ([] if answers else [NO_ANSWER])


def test_who_has_heard_the_answer_before_the_end_of_input_need_not_wait(
    begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(**AUTO)
    talk.moves(from_peer=False)
    talk.moves(from_peer=True)
    talk.lasts(clock, 30.0)
    talk.end_input()
    assert read_all(talk.peer) == b""
    talk.peer.close()
    assert talk.result() is None


def test_a_peer_that_still_takes_what_was_sent_is_not_half_closed(
    begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(**AUTO)
    talk.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    data = noise(600_000)
    talk.typing(data).join()
    talk.told(InputEnded)
    got = b""
    for _ in range(3):
        talk.lasts(clock, 20.0)  # however long: something waits
        got += talk.takes_some()
    got += read_exactly(talk.peer, len(data) - len(got))
    eventually(lambda: talk.delivered() == len(data))
    for seconds in (2.0, 9.0):  # it is noticed at the next look, and counts from there
        talk.lasts(clock, seconds)
        assert open_still(talk)
    talk.lasts(clock, 2.0)
    assert read_all(talk.peer) == b""
    talk.peer.close()
    assert got == data
    assert talk.result() is None


def test_an_answer_that_our_own_output_holds_up_is_not_over(begin: Begin, clock: kit.Clock) -> None:
    talk = begin(**AUTO)
    sent = kit.fill(talk.peer.fileno())
    talk.end_input()
    talk.told(InputEnded)
    talk.lasts(clock, 60.0)
    assert open_still(talk)
    gathering = Gathering(talk.output.far)
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.result() is None
    assert len(gathering.result()) == sent


@pytest.mark.parametrize("half_close", [HalfClose.AUTO, HalfClose.NEVER])
def test_linger_bounds_the_silence_without_a_half_close(
    half_close: HalfClose, begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(linger=MOST, half_close=half_close)
    talk.type(b"anyone?")
    talk.end_input()
    assert read_exactly(talk.peer, 7) == b"anyone?"
    talk.told(InputEnded)
    talk.lasts(clock, SILENCE)
    assert open_still(talk)
    clock.passes(2.0)
    talk._loop.call_soon(lambda: None)
    assert talk.result() is None
    assert read_all(talk.peer) == b""
    assert kit.of_kind(talk.events, HalfClosed) == []


def test_linger_goes_on_counting_after_an_automatic_half_close(
    begin: Begin, clock: kit.Clock
) -> None:
    talk = begin(linger=12.0, **AUTO)
    talk.end_input()
    talk.told(InputEnded)
    talk.lasts(clock, 11.0)
    talk.told(HalfClosed)
    assert read_all(talk.peer) == b""
    clock.passes(1.5)
    talk._loop.call_soon(lambda: None)
    assert talk.result() is None


def test_a_connection_need_never_be_half_closed(begin: Begin, clock: kit.Clock) -> None:
    talk = begin(half_close=HalfClose.NEVER)
    talk.type(b"question")
    talk.end_input()
    assert read_exactly(talk.peer, 8) == b"question"
    assert talk.told(InputEnded) == InputEnded(kit.PEER, 8, False)
    for _ in range(3):
        talk.lasts(clock, 200.0)
        talk.moves(from_peer=True)
    assert open_still(talk)
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.result() is None
    assert read_all(talk.peer) == b""


@pytest.mark.parametrize("half_close", list(HalfClose))
@pytest.mark.parametrize("until", [Until.STDIN, Until.EITHER])
def test_who_leaves_when_stdin_ends_delivers_all_whenever_it_half_closes(
    until: Until, half_close: HalfClose, begin: Begin
) -> None:
    talk = begin(until, half_close=half_close)
    data = noise(1_000_000)
    typing = talk.typing(data)
    talk.told(InputEnded)
    talk.peer.sendall(b"chatter")
    assert read_all(talk.peer) == data
    typing.join()
    assert talk.result() is None


@pytest.mark.parametrize(
    ("pieces", "more", "kind"),
    [
        ([REQUEST], {}, Notice),
        ([REQUEST[:3], REQUEST[3:9], REQUEST[9:]], {}, Notice),
        ([b"just this\n"], {}, Hint),
        ([noise(100_000) + REQUEST], {}, Hint),
        ([b"GET / HTTP/1.0\n\n"], text(TextOptions(crlf=True)), Notice),
        ([b" HTTP/1.0\n\n"], {"greet": b"GET /"}, Notice),
        ([REQUEST], {"greet": b"hello\n"}, Hint),
    ],
    ids=["request", "in pieces", "text", "much", "transform", "greeting", "after a greeting"],
)
def test_a_peer_that_drops_its_answer_is_told_of_once(
    pieces: list[bytes], more: dict[str, object], kind: type, begin: Begin
) -> None:
    talk = begin(may_half_close=True, **more)
    for piece in pieces:
        before = talk._session._connection.bytes_sent
        talk.type(piece)
        eventually(lambda before=before: talk._session._connection.bytes_sent > before)  # type: ignore[misc]
    talk.end_input()
    read_all(talk.peer)
    talk.peer.close()
    assert talk.result() is None
    hints = kit.of_kind(talk.events, Notice) + kit.of_kind(talk.events, Hint)
    assert hints == [kind(NO_ANSWER)]


def test_an_answer_is_an_answer(begin: Begin) -> None:
    talk = begin(may_half_close=True)
    talk.type(REQUEST)
    talk.end_input()
    assert read_all(talk.peer) == REQUEST
    talk.peer.sendall(b".")
    talk.peer.close()
    assert talk.result() is None
    assert kit.of_kind(talk.events, Notice) + kit.of_kind(talk.events, Hint) == []


def test_a_reply_is_sent_after_what_was_received(begin: Begin) -> None:
    """What made us reply is no answer to it."""
    talk = begin(may_half_close=True, reply=REQUEST)
    talk.peer.sendall(b"who is there?")
    assert read_all(talk.peer) == REQUEST
    talk.peer.close()
    assert talk.result() is None
    assert kit.of_kind(talk.events, Notice) == [Notice(NO_ANSWER)]


@pytest.mark.parametrize("how", ["ends", "resets", "stays"])
@TRANSFORMS
def test_an_alert_says_that_a_port_expects_tls(
    transform: bool, how: str, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its bytes are bytes."""
    monkeypatch.setattr(kit, "PEER", kit.PEER._replace(number=0))
    talk = begin(Until.BOTH, LINGER if how == "stays" else None, **transforms(transform))
    alert = b"\x15\x03\x03\0\2\2\x46"
    talk.peer.sendall(alert[:2])
    assert talk.shown(2) == alert[:2]
    talk.peer.sendall(alert[2:])
    assert talk.shown(5) == alert[2:]
    if how == "ends":
        talk.peer.close()
    elif how == "resets":
        talk.reset()
    if how != "resets":
        talk.end_input()
    assert isinstance(talk.result(), ReceiveError if how == "resets" else type(None))
    assert kit.of_kind(talk.events, Notice) == ([] if how == "stays" else [Notice(TLS_PORT)])


def test_what_a_peer_still_says_is_heard_when_sending_fails(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise SendError("the peer has closed")

    monkeypatch.setattr(connection, "FAULT_LINGER", kit.WAIT)
    monkeypatch.setattr(SocketEnd, "write", fail)
    talk = begin(greet=b"hi")
    talk.peer.sendall(b"last words")
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.failed(SendError).so_far == "sent 0 bytes, received 10 bytes"
    assert talk.output.far.take() == b"last words"


@pytest.mark.parametrize("bound", ["idle", "linger"])
def test_a_peer_that_takes_what_waits_is_not_silent(
    bound: str, begin: Begin, clock: kit.Clock
) -> None:
    """The system has it all, and makes room only when much of it is taken."""
    greet = noise(3_000_000)
    talk = begin(greet=greet, **{bound: MOST})  # type: ignore[arg-type]
    if bound == "linger":
        talk.end_input()
    got = b""
    for _ in range(3):
        talk.lasts(clock, SILENCE)
        got += talk.takes_some()
    talk.peer.sendall(b"thanks")  # it is still listened to
    talk.end_input()
    talk.peer.shutdown(socket.SHUT_WR)
    assert got + read_all(talk.peer) == greet
    assert talk.result() is None
    assert talk.output.far.take() == b"thanks"


def test_a_reset_comes_after_the_bytes_before_it(begin: Begin) -> None:
    talk = begin()
    talk.type(b"hi")
    assert read_exactly(talk.peer, 2) == b"hi"
    talk.peer.sendall(b"four")
    talk.reset()
    error = talk.failed(ReceiveError)
    assert talk.output.far.take() == b"four"
    assert str(error).endswith("(sent 2 bytes, received 4 bytes)")


def test_a_reset_while_much_is_sent(begin: Begin) -> None:
    talk = begin()
    typing = talk.typing(bytes(8_000_000))
    read_exactly(talk.peer, 1000)
    talk.reset()
    error = talk.failed(ReceiveError, SendError)
    assert "received 0 bytes" in error.so_far
    talk.input.release()  # sets the typist free
    typing.join()


@pytest.mark.parametrize("greet", [b"", b"welcome\n"])
def test_a_greeting_goes_before_the_input(greet: bytes, begin: Begin) -> None:
    talk = begin(greet=greet)
    talk.type(b"typed")
    talk.end_input()
    talk.peer.shutdown(socket.SHUT_WR)
    assert read_all(talk.peer) == greet + b"typed"
    assert talk.result() is None
    assert talk.told(InputEnded) == InputEnded(kit.PEER, len(greet) + 5)


@pytest.mark.parametrize("greet", [b"", b"welcome\n"])
def test_a_reply_takes_the_place_of_the_input(greet: bytes, begin: Begin) -> None:
    talk = begin(greet=greet, reply=b"pong")
    talk.type(b"not for the peer")
    assert read_exactly(talk.peer, len(greet)) == greet
    talk.peer.sendall(b"ping")
    assert read_all(talk.peer) == b"pong"
    talk.peer.sendall(b"ping again")
    talk.peer.close()
    assert talk.result() is None
    assert talk.output.far.take() == b"pingping again"


def test_a_peer_that_says_nothing_gets_no_reply(begin: Begin) -> None:
    talk = begin(reply=b"pong")
    talk.peer.shutdown(socket.SHUT_WR)
    assert read_all(talk.peer) == b""
    assert talk.result() is None


def test_a_large_reply_arrives_whole(begin: Begin) -> None:
    reply = noise(8_000_000)
    talk = begin(greet=b"hello", reply=reply)
    talk.peer.sendall(b"x")
    talk.peer.shutdown(socket.SHUT_WR)
    assert read_all(talk.peer) == b"hello" + reply
    assert talk.result() is None
    assert kit.of_kind(talk.events, InputEnded) == [InputEnded(kit.PEER, 5 + len(reply))]


def test_lines_are_labelled(begin: Begin) -> None:
    talk = begin(label=lambda: b"[1 there:1] ")
    talk.peer.sendall(b"one\ntw")
    assert talk.shown(30) == b"[1 there:1] one\n[1 there:1] tw"
    talk.peer.sendall(b"o")
    talk.peer.close()
    talk.end_input()
    assert talk.result() is None
    assert talk.output.far.take() == b"o\n"


def test_our_output_is_gone(begin: Begin) -> None:
    talk = begin()
    talk.output.far.close()
    error = talk.failed(OutputGone)
    assert error.so_far == ""


def test_our_output_cannot_be_written(begin: Begin, stack: contextlib.ExitStack) -> None:
    full = kit.stdio_end(Output, os.open("/dev/full", os.O_WRONLY), Far(-1), stack)
    talk = begin(output=full)
    talk.peer.sendall(b"lost")
    error = talk.failed(OutputError)
    assert "no space left on device" in str(error)
    assert error.so_far == "sent 0 bytes, received 4 bytes, 4 of them not written"


def test_input_that_has_no_place_on_the_wire(begin: Begin) -> None:
    talk = begin(**text(GBK))
    talk.type("早上👋好".encode())
    error = talk.failed(TextError)
    assert "U+1F44B" in str(error)
    assert read_all(talk.peer) == "早上".encode("gbk")


def test_a_typed_line_that_has_no_place_is_left_out_and_told_at_the_end(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(*which: Any) -> Made:
        made = source(*which)
        made.end.terminal = True
        return made

    source = kit.source
    monkeypatch.setattr(kit, "source", typed)
    talk = begin(outbound=GBK.outbound("utf-8", "stdin"))
    talk.type("早\n👋\n好\n".encode())
    talk.end_input()
    talk.peer.shutdown(socket.SHUT_WR)
    assert read_all(talk.peer).decode("gbk") == "早\n好\n"
    assert str(talk.failed(TextError)).startswith("part of what was typed was not sent")


def test_text_arrives_in_our_encoding_and_a_cut_character_is_told(begin: Begin) -> None:
    talk = begin(**text(GBK))
    talk.peer.sendall("你好".encode("gbk") + b"\xc4")
    talk.peer.shutdown(socket.SHUT_WR)
    talk.end_input()
    assert talk.result() is None
    assert talk.output.far.take() == "你好\\xc4".encode()
    assert "ended after 0xc4" in kit.of_kind(talk.events, Notice)[0].text


@pytest.mark.parametrize(("lane", "more"), [("splice", {}), ("copy", text(GBK))])
def test_it_reports_the_lane_that_ran(lane: str, more: dict[str, object], begin: Begin) -> None:
    talk = begin(**more)
    talk.end_input()
    talk.peer.close()
    assert talk.result() is None
    assert [event.lane for event in kit.of_kind(talk.events, StreamTotal)] == [lane, lane]


def test_the_flags_of_standard_streams_are_as_before(begin: Begin) -> None:
    talk = begin()
    before = [kit.flags(made.shared) & os.O_NONBLOCK for made in (talk.input, talk.output)]
    talk.end_input()
    talk.peer.close()
    assert talk.told(PeerEnded)
    assert before == [0, 0]


@pytest.mark.parametrize("ends", [True, False])
def test_the_output_ends_when_the_peer_has_and_sending_goes_on(ends: bool, begin: Begin) -> None:
    talk = begin(Until.STDIN, ends_output=ends)
    talk.peer.sendall(b"all of it")
    talk.peer.shutdown(socket.SHUT_WR)
    assert talk.shown(9) == b"all of it"
    far = talk.output.far.descriptor
    if ends:
        assert os.read(far, 1) == b""  # its reader goes on
    else:
        talk.told(PeerEnded)
        talk.settle()
        assert not select.select([far], [], [], 0)[0]
    talk.type(b"later")
    talk.end_input()
    assert read_all(talk.peer) == b"later"
    assert talk.result() is None


class Typing:
    """A session at a line editor with a peer in memory, which has room for 4 bytes."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self._loop = loop
        end, self._peer = memory_pair(loop, capacity=4)
        self.typed = TypedInput(loop)
        self.events: list[Event] = []
        stdio = Stdio(self.typed, kit.sink("pipe", stack, Path()).end, "utf-8")
        context = kit.context(loop, stdio, self.events.append)
        talk = SessionOptions(EndOptions(Until.PEER))
        self.session = Session(context, end, talk, SocketOptions())
        self.outcomes: list[SockkitError | None] = []
        self.session.start(self.outcomes.append)
        stack.callback(self.session.close)

    def say(self, data: bytes) -> None:
        self.typed.put_command(lambda: self.session.say(data))

    def send_file(self, path: Path) -> None:
        self.typed.put_command(lambda: self.session.send_file(str(path)))

    def heard(self, size: int) -> bytes:
        """The next bytes that the peer reads, in small pieces."""
        data, buffer = b"", memoryview(bytearray(3))
        for _ in range(size):
            kit.settle(self._loop)
            with contextlib.suppress(BlockingIOError):
                data += bytes(buffer[: self._peer.read_into(buffer)])
        return data

    def leave(self) -> None:
        """The peer ends its side, and reads no more."""
        self._peer.half_close()
        kit.settle(self._loop)


def test_bytes_and_files_keep_their_place_between_lines_however_slow_the_peer_is(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"all that is in the file")
    typing = Typing(loop, stack)
    typing.typed.put(b"line 1\n")
    typing.say(b"0123456789")
    typing.say(b"abcdefghi")
    typing.typed.put(b"line 2\n")
    typing.send_file(path)
    typing.say(b"xyz")
    typing.typed.put(b"line 3\n")
    assert typing.heard(40) == (
        b"line 1\n0123456789abcdefghiline 2\nall that is in the filexyzline 3\n"
    )
    assert typing.session.peers()[0][1] == "sent 66 bytes, received 0 bytes"
    assert Answer(f"23 bytes of {path} sent") in typing.events


def test_a_file_is_not_read_ahead_of_its_peer(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_feed, "PIECE_BYTES", 10)
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    typing = Typing(loop, stack)
    typing.send_file(path)
    kit.settle(loop)
    assert typing.session._unsent() == 96  # the peer has 4 of them
    assert typing.session._input.file_left == 90
    typing.leave()
    (error,) = typing.outcomes
    assert isinstance(error, SendError)
    assert str(error).startswith("96 bytes of the input did not reach the peer")
    typing.session.close()
    assert Answer(f"10 of 100 bytes of {path} sent") in typing.events


def test_a_file_that_is_none_changes_nothing(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    typing = Typing(loop, stack)
    with pytest.raises(UsageError):
        typing.session.send_file(str(tmp_path))
    typing.typed.put(b"line\n")
    assert typing.heard(5) == b"line\n"
