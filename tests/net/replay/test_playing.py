"""Steps are taken when they are due: by the clock, by what was received, or one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sockkit.core.records import Begun, Closed, Ended, Message, Opened
from sockkit.errors import ConnectError, Differs, ReceiveError, TimedOut
from sockkit.events import Notice
from sockkit.net.loop import Loop
from sockkit.net.replay import playing as module
from tests.net import kit
from tests.net.replay.kit import CLIENT, NOW, Scene
from tests.net.site import at_end, read_all

loop = kit.loop
SECOND = 1_000_000
OPENED = Opened(NOW, CLIENT)
ASKS = [Message(NOW + n * SECOND, CLIENT, "sent", b"%d" % n) for n in range(4)]
ANSWERS = [Message(NOW + n * SECOND, CLIENT, "received", b"%d" % n) for n in range(4)]
CLOSED = Closed(NOW + 3 * SECOND, CLIENT)


@pytest.fixture
def scene(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(loop, monkeypatch)
    yield made
    made.close()


def test_each_step_has_its_time(scene: Scene) -> None:
    scene.play(OPENED, *ASKS, CLOSED)
    for n in range(4):
        assert scene.sent() == b"%d" % n
        scene.passes(0.999)
        assert scene.sent() == b""
        scene.passes(0.001)
    scene.passes(1.0)
    assert scene.told == ""


def test_a_time_that_is_forged(scene: Scene) -> None:
    """The system cannot wait for so long, and need not."""
    late = Message(250_000_000_000_000_000, CLIENT, "sent", b"late")
    scene.play(OPENED, late, speed=1e-6, idle=None)
    furthest = max(timer.when for timer in scene.loop._timers)
    assert furthest <= scene.loop.now + module.MAX_PAUSE_SECONDS
    scene.passes(kit.SKIPPED / 2)
    assert scene.sent() == b""
    assert not scene.outcomes


def test_no_drift_after_a_late_step(scene: Scene) -> None:
    scene.play(OPENED, *ASKS, CLOSED)
    scene.passes(1.9)
    assert scene.sent() == b"01"
    scene.passes(0.1)
    assert scene.sent() == b"2"


@pytest.mark.parametrize(("speed", "seconds"), [(2.0, 0.5), (0.5, 2.0)])
def test_speed(speed: float, seconds: float, scene: Scene) -> None:
    scene.play(OPENED, *ASKS, CLOSED, speed=speed)
    assert scene.sent() == b"0"
    scene.passes(0.99 * seconds)
    assert scene.sent() == b""
    scene.passes(0.01 * seconds)
    assert scene.sent() == b"1"


def test_no_pauses(scene: Scene) -> None:
    scene.play(OPENED, *ASKS, CLOSED, speed=None)
    assert scene.sent() == b"0123"


def test_lockstep(scene: Scene) -> None:
    scene.play(OPENED, ASKS[0], ANSWERS[0], ANSWERS[1], ASKS[1], CLOSED, lockstep=True)
    assert scene.sent() == b"0"
    scene.answers(b"x")
    assert scene.sent() == b""
    scene.answers(b"y")
    assert scene.sent() == b"1"
    scene.passes(1)
    assert scene.told == ""


def test_what_is_awaited_is_told(scene: Scene) -> None:
    scene.play(OPENED, ANSWERS[0], ANSWERS[1], ASKS[0], lockstep=True)
    scene.passes(4)
    scene.answers(b"x")
    scene.passes(4)
    assert not scene.outcomes
    scene.passes(2)
    assert isinstance(scene.outcomes[0], TimedOut)
    assert scene.told == "nothing was received for 5 s: the answer has 1 of 2 bytes"


def test_a_recorded_pause_is_no_silence(scene: Scene) -> None:
    late = Message(NOW + 60 * SECOND, CLIENT, "sent", b"late")
    scene.play(OPENED, ANSWERS[0], late, Closed(NOW + 60 * SECOND, CLIENT), verify=True)
    for _ in range(59):
        scene.passes(1)
    scene.answers(b"0")
    scene.passes(1)
    assert scene.sent() == b"late"
    scene.passes(1)
    assert scene.told == ""


def test_it_waits_for_the_answer_at_the_end(scene: Scene) -> None:
    ended = Ended(NOW, CLIENT, "received")
    scene.play(OPENED, ASKS[0], ANSWERS[0], ended, Closed(NOW, CLIENT))
    scene.passes(4)
    scene.answers(b"another answer")
    scene.passes(4)
    assert not scene.outcomes
    assert scene.sent() == b"0"
    scene.ends()
    assert scene.told == ""
    assert read_all(scene.shown) == b"another answer"


def test_an_answer_that_stays_away_ends_it_with_a_notice(scene: Scene) -> None:
    scene.play(OPENED, ASKS[0], ANSWERS[0], Closed(NOW, CLIENT))
    assert scene.sent() == b"0"
    for _ in range(7):
        scene.passes(1)
    assert scene.told == ""
    (notice,) = scene.events
    assert notice == Notice("nothing was received for 5 s: the answer has 0 of 1 byte")


def test_the_first_difference_ends_it(scene: Scene) -> None:
    scene.play(OPENED, ASKS[0], ANSWERS[0], ANSWERS[1], ASKS[3], verify=True)
    scene.answers(b"0x")
    assert scene.told == "the answer differs at byte 1"
    assert isinstance(scene.outcomes[0], Differs)
    assert "\n! 00000000  30 78" in scene.outcomes[0].dumps


@pytest.mark.parametrize("how", [{}, {"lockstep": True}, {"speed": None}])
def test_an_answer_that_ends_too_early(how: dict[str, object], scene: Scene) -> None:
    scene.play(OPENED, ANSWERS[0], ANSWERS[1], ASKS[0], CLOSED, verify=True, **how)
    scene.answers(b"0")
    scene.ends()
    scene.passes(1)
    assert scene.told == "the answer ended after 1 of 2 bytes"


def test_lockstep_that_can_go_on_no_more(scene: Scene) -> None:
    scene.play(OPENED, ANSWERS[0], ASKS[0], lockstep=True)
    scene.ends()
    assert scene.told == "the answer ended after 0 of 1 byte"


def test_what_was_not_recorded_is_a_difference(scene: Scene) -> None:
    scene.play(OPENED, ANSWERS[0], Ended(NOW, CLIENT, "received"), CLOSED, verify=True, speed=None)
    scene.answers(b"0more")
    scene.ends()
    scene.passes(1)
    assert scene.told == "the answer goes on after 1 byte"


def test_a_half_close_is_one(scene: Scene) -> None:
    scene.play(OPENED, ASKS[0], Ended(NOW, CLIENT, "sent"), ANSWERS[0], CLOSED)
    assert scene.sent() == b"0"
    assert at_end(scene.peers[0])
    scene.answers(b"0")
    scene.passes(3)
    scene.passes(1)
    assert scene.told == ""


def test_a_reset_is_one_once_all_is_delivered(scene: Scene) -> None:
    scene.play(OPENED, ASKS[0], Closed(NOW, CLIENT, "sent"))
    scene.passes(0.1)
    assert not scene.outcomes
    assert scene.sent() == b"0"
    scene.passes(0.1)
    assert scene.told == ""
    with pytest.raises(ReceiveError):
        scene.peers[0].read_into(memoryview(bytearray(1)))


@pytest.mark.parametrize("recorded", [False, True])
def test_a_reset_by_the_peer(recorded: bool, scene: Scene) -> None:
    closed = Closed(NOW + SECOND, CLIENT, "received" if recorded else "")
    scene.play(OPENED, ANSWERS[0], closed, verify=True)
    scene.answers(b"0")
    scene.peers[0].abort()
    scene.turn()
    scene.passes(1)
    assert ("connection reset" in scene.told) == (not recorded)


def test_a_run_begins_when_the_one_before_is_over(scene: Scene) -> None:
    run = [Begun(NOW, "test"), OPENED, ASKS[0], ANSWERS[0], Closed(NOW, CLIENT)]
    scene.play(*run, *run)
    assert scene.sent() == b"0"
    scene.passes(1)
    assert len(scene.peers) == 1
    scene.answers(b"0")
    scene.passes(1)
    assert len(scene.peers) == 2
    assert scene.sent() == b"0"
    scene.answers(b"0")
    scene.passes(1)
    assert scene.told == ""


def test_too_many_connections(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 2)
    scene.play(*(Opened(NOW, CLIENT._replace(number=n)) for n in range(3)))
    assert scene.told == "more than 2 recorded connections are open at a time"
    assert all(at_end(peer) for peer in scene.peers)


def test_a_peer_that_takes_nothing(scene: Scene) -> None:
    """No more than a bounded part of the recording is read ahead."""
    many = [Message(NOW, CLIENT, "sent", bytes(100_000))] * 100
    scene.play(OPENED, *many, ASKS[0])
    for _ in range(7):
        scene.passes(1)
    assert scene.told == "nothing was received for 5 s: the peer accepts no more data"


def test_a_reader_that_is_slow_holds_the_peer_back(scene: Scene) -> None:
    scene.play(OPENED, ANSWERS[0], ASKS[3])
    for _ in range(10):
        with_room = 64 * 1024 - len(scene.peers[0]._out.data)
        scene.answers(bytes(with_room))
    assert scene.output.size <= module.MAX_OUTPUT_BYTES + 64 * 1024
    assert scene.playing
    size = 0
    for _ in range(20):
        size += len(read_all(scene.shown))
        scene.turn()
        scene.playing.wake()
        scene.turn()
    assert size > 64 * 1024


def test_who_cannot_be_reached(scene: Scene) -> None:
    scene.refusal = ConnectError("connection refused")
    scene.play(OPENED, ASKS[0])
    assert scene.outcomes == [scene.refusal]


def test_a_recording_of_nothing(scene: Scene) -> None:
    scene.play(Begun(NOW, "test"))
    assert scene.told == ""
