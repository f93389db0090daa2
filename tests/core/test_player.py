"""What one side of a recording does when, and what it awaits from the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.player import MAX_AHEAD_BYTES, Conversation, Do, Player, PlayOptions, Step
from sockkit.core.records import (
    Begun,
    Closed,
    Ended,
    Exit,
    Injected,
    Message,
    Opened,
    Record,
    Stream,
)

CLIENT = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)
SERVED = Stream(1, "tcp", "10.0.0.2:80", "10.0.0.1:4000", dialled=False)
UDP = CLIENT._replace(transport="udp")
NOW = 1_000_000


def session(stream: Stream) -> list[Record]:
    """A question and its answer, as the client or the server has recorded them."""
    asks, answers = ("sent", "received") if stream.dialled else ("received", "sent")
    return [
        Begun(NOW, "test"),
        Opened(NOW, stream),
        Message(NOW + 1, stream, asks, b"question"),
        Ended(NOW + 2, stream, asks),
        Message(NOW + 3, stream, answers, b"answer"),
        Ended(NOW + 4, stream, answers),
        Closed(NOW + 5, stream),
        Exit(NOW + 6, 0),
    ]


def steps(player: Player, records: list[Record]) -> list[Step]:
    made = [step for record in records for step in player.feed(record)]
    return made + list(player.finish())


@pytest.mark.parametrize("stream", [CLIENT, SERVED])
@pytest.mark.parametrize("serving", [False, True])
def test_each_side_of_a_recording_of_either(stream: Stream, serving: bool) -> None:
    made = steps(Player(PlayOptions(serving=serving)), session(stream))
    sent = b"answer" if serving else b"question"
    assert [step.do for step in made] == [Do.OPEN, Do.SEND, Do.END, Do.CLOSE]
    assert made[1].data == sent
    conversation = made[0].conversation
    assert conversation.recorded == len(b"questionanswer") - len(sent)
    assert conversation.recorded_end


@pytest.mark.parametrize(
    ("reset", "serving", "do"),
    [
        ("sent", False, Do.RESET),
        ("received", False, Do.CLOSE),
        ("sent", True, Do.CLOSE),
        ("received", True, Do.RESET),
    ],
)
def test_a_reset_is_one_of_the_side_that_made_it(reset: str, serving: bool, do: Do) -> None:
    records: list[Record] = [Opened(NOW, CLIENT), Closed(NOW, CLIENT, reset)]  # type: ignore[arg-type]
    made = steps(Player(PlayOptions(serving=serving)), records)
    assert made[-1].do is do
    assert made[-1].conversation.reset == (do is Do.CLOSE)


def test_what_is_not_closed_ends_with_its_run() -> None:
    """A run that was killed, and a client that connects again under its old number."""
    records = [*session(CLIENT)[:3], *session(CLIENT)[:3], *session(CLIENT)[1:3]]
    made = steps(Player(PlayOptions()), records)
    assert [step.do for step in made] == [Do.OPEN, Do.SEND, Do.CLOSE] * 3
    assert [step.first for step in made if step.do is Do.OPEN] == [True, True, False]
    assert len({step.conversation for step in made}) == 3


def test_a_stream_of_which_the_beginning_is_missing() -> None:
    made = steps(Player(PlayOptions()), [Message(NOW, CLIENT, "sent", b"x")])
    assert [step.do for step in made] == [Do.OPEN, Do.SEND, Do.CLOSE]


def test_faults_are_not_played() -> None:
    faults: list[Record] = [
        Injected(NOW, CLIENT, "refused"),
        Injected(NOW, CLIENT, "stalled", "sent"),
    ]
    assert steps(Player(PlayOptions()), faults) == []


def test_only_some_peers() -> None:
    records = [record for n in (1, 2, 3) for record in session(SERVED._replace(number=n))[1:7]]
    player = Player(PlayOptions(peers=frozenset({2, 7})))
    assert {step.conversation.stream.number for step in steps(player, records)} == {2}
    assert player.met == 1


@pytest.mark.parametrize(("speed", "offset"), [(1.0, 5e-6), (2.0, 2.5e-6), (0.5, 1e-5), (None, 0)])
def test_the_time_of_a_step(speed: float | None, offset: float) -> None:
    player = Player(PlayOptions(speed=speed))
    last = steps(player, session(CLIENT))[-1]
    assert player.offset(last) == pytest.approx(offset)
    player = Player(PlayOptions(lockstep=True))
    assert player.offset(steps(player, session(CLIENT))[-1]) == 0


def test_a_clock_that_was_set_back_is_no_pause() -> None:
    player = Player(PlayOptions())
    made = steps(player, [Opened(NOW, CLIENT), Message(NOW - 10, CLIENT, "sent", b"x")])
    assert [player.offset(step) for step in made] == [0, 0, 0]


def lockstep(*, serving: bool = False, verify: bool = False) -> tuple[Player, Conversation, Step]:
    """A player that has to send after 6 bytes, or all that its client says."""
    player = Player(PlayOptions(serving=serving, lockstep=True, verify=verify))
    ours, theirs = ("received", "sent") if serving else ("sent", "received")
    records: list[Record] = [
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, theirs, b"answer"),  # type: ignore[arg-type]
        Message(NOW, CLIENT, ours, b"more"),  # type: ignore[arg-type]
    ]
    made = [step for record in records for step in player.feed(record)]
    return player, made[0].conversation, made[1]


@given(st.lists(st.integers(1, 6)))
def test_lockstep_waits_for_as_many_bytes(sizes: list[int]) -> None:
    player, conversation, step = lockstep()
    got = 0
    for size in sizes:
        assert (player.awaited(step) is conversation) == (got < 6)
        player.received(conversation, bytes(size))
        got += size
    assert (player.awaited(step) is None) == (got >= 6)
    assert conversation.so_far == f"{got} of 6 bytes"


def test_lockstep_waits_for_as_many_datagrams() -> None:
    player = Player(PlayOptions(lockstep=True))
    records: list[Record] = [
        Opened(NOW, UDP),
        Message(NOW, UDP, "received", b""),
        Message(NOW, UDP, "received", b"long"),
        Message(NOW, UDP, "sent", b"x"),
    ]
    made = [step for record in records for step in player.feed(record)]
    conversation = made[0].conversation
    player.received(conversation, b"longer than both")
    assert player.awaited(made[1]) is conversation
    player.received(conversation, b"")
    assert player.awaited(made[1]) is None


@pytest.mark.parametrize(
    ("serving", "verify", "waits"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_a_client_that_has_ended_gets_its_answer(serving: bool, verify: bool, waits: bool) -> None:
    player, conversation, step = lockstep(serving=serving, verify=verify)
    player.ended(conversation)
    assert (player.awaited(step) is not None) == waits


def test_a_step_waits_for_what_others_received_before_it() -> None:
    """The members of a chat room are in step."""
    player = Player(PlayOptions(lockstep=True))
    one, two = SERVED, SERVED._replace(number=2)
    records: list[Record] = [Opened(NOW, one), Opened(NOW, two), Message(NOW, one, "sent", b"x")]
    for record in records:
        opened = list(player.feed(record))
        if opened:
            first = opened[0].conversation
    (step,) = player.feed(Message(NOW, two, "received", b"y"))
    awaited = player.awaited(step)
    assert awaited
    assert awaited.stream is one
    assert awaited is not first
    player.received(awaited, b"x")
    assert player.awaited(step) is None


def verifying(*records: Record) -> tuple[Player, Conversation]:
    player = Player(PlayOptions(verify=True))
    (step,) = player.feed(Opened(NOW, CLIENT))
    for record in records:
        assert not list(player.feed(record))
    return player, step.conversation


def test_what_differs_is_found_whichever_comes_first() -> None:
    player, conversation = verifying(Message(NOW, CLIENT, "received", b"one"))
    player.received(conversation, b"on")
    assert player.difference is None
    player.received(conversation, b"E")
    assert player.difference
    assert player.difference[1].what == "differs at byte 2"
    player, conversation = verifying()
    player.received(conversation, b"onE")
    assert not list(player.feed(Message(NOW, CLIENT, "received", b"one")))
    assert player.difference
    assert player.subject(conversation) == "the answer"


def test_it_is_complete_when_all_has_come() -> None:
    ended = Ended(NOW, CLIENT, "received")
    player, conversation = verifying(Message(NOW, CLIENT, "received", b"one"), ended)
    assert not player.complete(conversation)
    player.received(conversation, b"one")
    assert not player.complete(conversation)
    player.ended(conversation)
    assert player.complete(conversation)
    assert not player.failed(conversation)
    player.closed(conversation)
    assert player.difference is None


def test_what_is_missing_at_the_end_is_a_difference() -> None:
    player, conversation = verifying(Message(NOW, CLIENT, "received", b"one"))
    player.received(conversation, b"o")
    player.ended(conversation)
    assert player.failed(conversation)
    player.closed(conversation)
    assert player.difference
    assert player.difference[1].what == "ended after 1 of 3 bytes"


def test_neither_side_gets_too_far_ahead() -> None:
    player, conversation = verifying()
    assert player.wants(conversation)
    player.received(conversation, bytes(MAX_AHEAD_BYTES + 1))
    assert not player.wants(conversation)
    assert player.wants_records
    assert not list(player.feed(Message(NOW, CLIENT, "received", bytes(2 * MAX_AHEAD_BYTES + 2))))
    assert player.wants(conversation)
    assert not player.wants_records
    player.received(conversation, bytes(MAX_AHEAD_BYTES))
    assert player.wants_records
    player.closed(conversation)
    assert player.wants_records
