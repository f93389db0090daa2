"""The relay over UDP: it runs on the test's loop, and the test's sockets are peers and target."""

from __future__ import annotations

import pytest

from sockkit.core.records import Closed as ClosedRecord
from sockkit.core.records import Injected, Message, Opened
from sockkit.core.transforms import convert
from sockkit.errors import TextError
from sockkit.events import Closed, Failure, FaultInjected, NewPeer, PeerForgotten, Unanswered
from sockkit.net.relay import udp as module
from sockkit.net.udp.datagrams import DatagramSocket
from tests.net import kit
from tests.net.kit import of_kind
from tests.net.relay import udp_site
from tests.net.relay.udp_site import Relaying
from tests.support import HERE

loop, stack = kit.loop, kit.stack
relaying = udp_site.relaying


def test_each_peer_gets_its_own_answers(relaying: Relaying) -> None:
    relaying.start()
    one, two, target = relaying.peer(), relaying.peer(), relaying.target
    one.sock.send(b"a")
    assert target.heard() == [b"a"]
    first = target.sender
    two.sock.send(b"b")
    assert target.heard() == [b"b"]
    assert target.sender != first
    target.sock.sendto(b"to two", target.sender)
    target.sock.sendto(b"to one", first)
    assert two.heard() == [b"to two"]
    assert one.heard() == [b"to one"]
    assert [each.peer.number for each in of_kind(relaying.events, NewPeer)] == [1, 2]


@pytest.mark.parametrize("size", [0, 1, 1472, 65_507])
def test_a_datagram_stays_whole(size: int, relaying: Relaying) -> None:
    relaying.start()
    peer, target = relaying.peer(), relaying.target
    peer.sock.send(b"x" * size)
    assert target.heard() == [b"x" * size]
    target.sock.sendto(b"y" * size, target.sender)
    assert peer.heard() == [b"y" * size]


def test_many_at_once_keep_their_order_and_their_bounds(relaying: Relaying) -> None:
    relaying.start()
    peer, target = relaying.peer(), relaying.target
    sent = [b"%d" % number * (number % 7) for number in range(100)]
    for datagram in sent:
        peer.sock.send(datagram)
    assert target.heard(100) == sent
    for datagram in sent:
        target.sock.sendto(datagram, target.sender)
    assert peer.heard(100) == sent


def test_what_one_call_received_one_call_sends(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaying.start()
    sent: list[tuple[int, int]] = []
    real = DatagramSocket.send

    def send(self: DatagramSocket, data: bytes, size: int, address: object = None) -> int:
        sent.append((len(data), size))
        return real(self, data, size, address)

    monkeypatch.setattr(DatagramSocket, "send", send)
    peer, target = relaying.peer(), relaying.target
    segment = [(17, 103, (100).to_bytes(2, "little"))]  # UDP_SEGMENT, linux/udp.h
    peer.sock.sendmsg([b"x" * 950], segment)
    assert [len(data) for data in target.heard(10)] == [100] * 9 + [50]
    assert sent == [(950, 100)]


def test_each_direction_is_converted(relaying: Relaying) -> None:
    relaying.start(
        to_target=lambda data: data.decode().encode("gbk"),
        to_client=lambda data: data.decode("gbk").encode(),
    )
    peer, target = relaying.peer(), relaying.target
    peer.sock.send("你好".encode())
    assert target.heard() == ["你好".encode("gbk")]
    target.sock.sendto("再见".encode("gbk"), target.sender)
    assert peer.heard() == ["再见".encode()]


def test_what_cannot_be_converted_is_dropped_alone(relaying: Relaying) -> None:
    class Picky:
        def feed(self, data: bytes) -> bytes:
            if data == b"bad":
                raise TextError("no such text")
            return data

        def flush(self) -> bytes:
            return b""

    relaying.start(to_target=lambda data: convert(Picky, data))
    peer = relaying.peer()
    peer.sock.send(b"bad")
    peer.sock.send(b"good")
    assert relaying.target.heard() == [b"good"]
    assert "was dropped: no such text" in relaying.failures()[0]


def test_a_refusal_ends_nothing(relaying: Relaying) -> None:
    relaying.start()
    peer, target = relaying.peer(), relaying.target
    port = target.address[1]
    target.sock.close()
    peer.sock.send(b"a")
    relaying.told(Failure)
    assert f"could not reach {HERE}:{port}: connection refused" in relaying.failures()
    again = relaying.plain()
    again.sock.bind(target.address)
    peer.sock.send(b"b")
    assert again.heard() == [b"b"]
    again.sock.sendto(b"c", again.sender)
    assert peer.heard() == [b"c"]


def test_the_next_address_is_tried_with_what_was_refused(relaying: Relaying) -> None:
    relaying.start(relaying.nowhere(), relaying.target.address)
    one, two, target = relaying.peer(), relaying.peer(), relaying.target
    one.sock.send(b"a")
    assert target.heard() == [b"a"]
    target.sock.sendto(b"b", target.sender)
    assert one.heard() == [b"b"]
    two.sock.send(b"c")
    assert target.heard() == [b"c"]
    assert len(relaying.failures()) == 1


def test_two_refusals_at_once_skip_no_address(relaying: Relaying) -> None:
    target = relaying.target.address
    relaying.start(relaying.nowhere(), target, relaying.nowhere())
    peer = relaying.peer()
    for _ in range(4):  # every other one meets the refusal of the one before it
        peer.sock.send(b"a")
    relaying.told(Failure, 2)
    kit.settle(relaying.loop)
    assert str(relaying.relay._peers[peer.address].sock.remote) == f"{target[0]}:{target[1]}"
    assert relaying.target.heard() == [b"a"]
    relaying.target.sock.sendto(b"b", relaying.target.sender)
    assert peer.heard() == [b"b"]


def test_addresses_that_all_refuse_are_tried_once_for_a_datagram(relaying: Relaying) -> None:
    relaying.start(relaying.nowhere(), relaying.nowhere())
    relaying.peer().sock.send(b"a")
    relaying.told(Failure, 2)
    kit.run_for(relaying.loop, 0.2)
    assert len(relaying.failures()) == 2


# Who is forgotten.


def test_the_longest_silent_makes_place(relaying: Relaying) -> None:
    relaying.start(most=2)
    peers, target = [relaying.peer() for _ in range(3)], relaying.target
    places = []
    for peer in (peers[0], peers[1]):
        peer.sock.send(b"a")
        target.heard()
        places.append(target.sender)
    target.sock.sendto(b"for one", places[0])  # an answer counts, too
    peers[0].heard()
    peers[2].sock.send(b"a")
    assert target.heard() == [b"a"]
    (forgotten,) = of_kind(relaying.events, PeerForgotten)
    assert forgotten.peer.number == 2
    peers[0].sock.send(b"b")
    assert target.heard() == [b"b"]
    assert target.sender == places[0]
    peers[1].sock.send(b"again")
    assert target.heard() == [b"again"]
    assert len(relaying.relay._peers) == 2


def test_who_is_silent_for_too_long_is_given_up(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaying.start(idle=60.0)
    clock = kit.Clock(relaying.loop, monkeypatch)
    one, two, target = relaying.peer(), relaying.peer(), relaying.target
    one.sock.send(b"a")
    target.heard()
    clock.passes(40.0)
    two.sock.send(b"bb")
    target.heard()
    clock.passes(19.0)
    kit.settle(relaying.loop)
    assert not of_kind(relaying.events, Closed)
    clock.passes(2.0)
    (closed,) = relaying.told(Closed)
    assert (closed.peer.number, closed.sent, closed.received) == (1, 1, 0)
    target.sock.sendto(b"c", target.sender)
    two.heard()
    clock.passes(59.0)
    kit.settle(relaying.loop)
    assert len(of_kind(relaying.events, Closed)) == 1
    clock.passes(2.0)
    relaying.told(Closed, 2)
    assert not relaying.relay._peers
    one.sock.send(b"again")
    assert target.heard() == [b"again"]


# What must not go round.


def test_what_seems_to_come_from_the_target_is_not_relayed(relaying: Relaying) -> None:
    relaying.start()
    relaying.target.sock.sendto(b"x", (HERE, relaying.sock.port))
    (told,) = relaying.told(Unanswered)
    assert "seems to come from the target" in told.why
    assert relaying.target.nothing


def test_a_relay_to_itself_goes_round_once(relaying: Relaying) -> None:
    relaying.start()
    here = (HERE, relaying.sock.port)
    relaying.relay._target._routes[:] = [
        route._replace(to=route.to._replace(address=here))
        for route in relaying.relay._target._routes
    ]
    relaying.peer().sock.send(b"x")
    (told,) = relaying.told(Unanswered)
    assert "or from this relay" in told.why
    assert len(of_kind(relaying.events, NewPeer)) == 1


def test_services_that_answer_everything_are_no_peers(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaying.start()
    peer = relaying.peer()
    monkeypatch.setattr("sockkit.net.udp.reply_filter._ANSWERS_ALL", {peer.address[1]: "echo"})
    peer.sock.send(b"x")
    relaying.told(Unanswered)
    assert relaying.target.nothing


def test_what_relays_pass_round_is_dropped_soon(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the target were a relay that is aimed at this one: each answer has a new sender."""
    monkeypatch.setattr("sockkit.net.relay.loop_guard.SUSPECTS_PER_SECOND", 1.0)
    kit.Clock(relaying.loop, monkeypatch)
    relaying.start()
    data, peers = b"x", [relaying.peer() for _ in range(7)]
    for peer in peers[:6]:
        peer.sock.send(data)
        assert relaying.target.heard() == [data]
    peers[6].sock.send(data)
    relaying.told(Failure)
    (told,) = relaying.failures()
    assert told == (
        f"dropped a datagram from {HERE}:{peers[6].address[1]}: "
        "it seems to loop between this relay and others"
    )
    assert relaying.target.nothing
    # The first peer is honest. Those after it may be the circle, and would pass on what it sends.
    assert [*relaying.relay._peers] == [peers[0].address]
    assert len(of_kind(relaying.events, Closed)) == 5
    other = relaying.peer()
    other.sock.send(b"y")
    assert relaying.target.heard() == [b"y"]


def test_a_peer_that_was_answered_stays_whatever_goes_round(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sockkit.net.relay.loop_guard.SUSPECTS_PER_SECOND", 0.4)
    monkeypatch.setattr("sockkit.net.relay.loop_guard.ANSWERED_SECONDS", 0.0)
    relaying.start()
    peers = [relaying.peer() for _ in range(4)]
    first, answered = peers[:2]
    for peer in (first, answered):
        peer.sock.send(b"x")
        relaying.target.heard()
    relaying.target.sock.sendto(b"an answer", relaying.target.sender)
    assert answered.heard() == [b"an answer"]
    for peer in peers[2:]:
        peer.sock.send(b"x")
    relaying.told(Failure)
    assert answered.address in relaying.relay._peers


def test_many_peers_may_send_the_same_to_a_target_that_answers(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sockkit.net.relay.loop_guard.SUSPECTS_PER_SECOND", 0.4)
    relaying.start()
    for _ in range(5):
        peer = relaying.peer()
        peer.sock.send(b"x")
        assert relaying.target.heard() == [b"x"]
        relaying.target.sock.sendto(b"y", relaying.target.sender)
        assert peer.heard() == [b"y"]
    assert relaying.failures() == []


# Who is slow.


def test_what_a_slow_target_does_not_take_is_bounded_and_told(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaying.start()
    peer, other, target = relaying.peer(), relaying.peer(), relaying.target
    for each in (peer, other):
        each.sock.send(b"first")
        target.heard()
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    slow = relaying.relay._peers[peer.address].sock
    full, real = [True], slow.send

    def send(*arguments: object) -> int:
        if full:
            raise BlockingIOError
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(slow, "send", send)
    for number in range(5):
        peer.sock.send(b"%d" % number)
    other.sock.send(b"nobody waits")
    assert target.heard() == [b"nobody waits"]
    relaying.told(Failure, 3)
    assert len(relaying.failures()) == 3
    assert "the system does not accept them as fast as they come" in relaying.failures()[0]
    full.clear()
    assert target.heard(2) == [b"0", b"1"]


def test_what_waits_when_its_peer_is_given_up_is_told(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaying.start(most=1)
    peer = relaying.peer()
    peer.sock.send(b"first")
    relaying.target.heard()

    def send(*arguments: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(relaying.relay._peers[peer.address].sock, "send", send)
    peer.sock.send(b"second")
    relaying.peer().sock.send(b"another")
    assert relaying.target.heard() == [b"another"]
    assert "not sent to the target before their peer timed out" in relaying.failures()[0]


# What views see.


def test_a_view_sees_what_passes_at_the_targets_side(relaying: Relaying) -> None:
    relaying.start(viewed=True, to_target=lambda data: data + b"!", to_client=bytes.upper, most=1)
    peer, target = relaying.peer(), relaying.target
    peer.sock.send(b"a")
    target.heard()
    target.sock.sendto(b"b", target.sender)
    assert peer.heard() == [b"B"]
    messages = [each for each in relaying.kept.records if isinstance(each, Message)]
    assert [(each.direction, each.data) for each in messages] == [
        ("sent", b"a!"),
        ("received", b"b"),
    ]
    stream = messages[0].stream
    assert stream.number == 1
    assert stream.local == f"{HERE}:{peer.address[1]}"
    assert stream.remote == f"{HERE}:{target.address[1]}"
    assert stream.dialled
    other = relaying.peer()
    other.sock.send(b"c")
    target.heard()
    kinds = [type(each) for each in relaying.kept.records]
    assert kinds == [Opened, Message, Message, ClosedRecord, Opened, Message]
    assert relaying.kept.records[-1].stream.number == 2


def test_while_views_are_full_nothing_more_is_received(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaying.start(viewed=True)
    peer, target, full = relaying.peer(), relaying.target, [True]
    peer.sock.send(b"a")
    target.heard()
    monkeypatch.setattr(type(relaying.views), "full", property(lambda _: bool(full)))
    peer.sock.send(b"b")
    target.heard()
    peer.sock.send(b"c")
    target.sock.sendto(b"d", target.sender)
    assert target.nothing
    assert peer.nothing
    full.clear()
    relaying.views._has_room()
    assert target.heard() == [b"c"]
    assert peer.heard() == [b"d"]


def test_faults_are_told_with_their_peer_and_recorded(relaying: Relaying) -> None:
    relaying.start(duplicate=1.0, disturbed="sent", viewed=True)
    peer, target = relaying.peer(), relaying.target
    peer.sock.send(b"a")
    assert target.heard(2) == [b"a", b"a"]
    target.sock.sendto(b"b", target.sender)
    assert peer.heard() == [b"b"]
    assert peer.nothing
    (told,) = of_kind(relaying.events, FaultInjected)
    assert (told.peer.number, told.direction, told.fault) == (1, "sent", "duplicated")
    (fault,) = [each for each in relaying.kept.records if isinstance(each, Injected)]
    assert (fault.stream.number, fault.direction, fault.fault) == (1, "sent", "duplicated")


def test_what_is_done_to_all_datagrams_is_told_once(relaying: Relaying) -> None:
    relaying.start(delay=0.001)
    peer, target = relaying.peer(), relaying.target
    for _ in range(3):
        peer.sock.send(b"a")
        target.heard()
    told = of_kind(relaying.events, FaultInjected)
    assert [(each.direction, each.fault, each.detail) for each in told] == [
        ("sent", "shaped", "delay 0.001 s"),
        ("received", "shaped", "delay 0.001 s"),
    ]
