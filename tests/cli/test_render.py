from __future__ import annotations

import io
import sys
from typing import get_args

import pytest

from sockkit.cli.render import (
    EVENTS_PER_SECOND,
    NORMAL,
    QUIET,
    STEPS,
    VERBOSE,
    VERBOSE_EVENTS_PER_SECOND,
    Counts,
    Renderer,
    complain,
)
from sockkit.cli.status_lines import write_stderr
from sockkit.core import event_throttle, token_bucket
from sockkit.errors import BROKEN_OFF
from sockkit.events import (
    Answer,
    Closed,
    CommandsOffered,
    Connected,
    ConnectFailed,
    Connecting,
    DatagramTotal,
    Event,
    Failure,
    FaultInjected,
    FrameTotal,
    HalfClosed,
    Hint,
    InputEnded,
    Listening,
    Named,
    NewPeer,
    Notice,
    Peer,
    PeerEnded,
    PeerForgotten,
    PeerUser,
    ProgramEnded,
    ProgramStarted,
    Secured,
    SocketCall,
    StreamTotal,
    TargetChosen,
    Transferred,
    Tunnelled,
    Unanswered,
    Unreachable,
    Waiting,
)
from sockkit.net.loop import Loop
from sockkit.term.color import Palette
from tests.support import WAIT

Capture = pytest.CaptureFixture[str]
SERVER, CLIENT = Peer(0, "10.0.0.1:80"), Peer(2, "10.0.0.7:51234")
ONLY = " (this machine only; --bind 0.0.0.0 for others)"

LINES: list[tuple[int, Event, str]] = [
    (QUIET, Failure("part was not sent"), "sockkit: part was not sent"),
    (QUIET, Unreachable("closed: refused"), "sockkit: closed: refused"),
    (
        QUIET,
        Closed(CLIENT, 1, 2048, "too slow"),
        "sockkit: [2] 10.0.0.7:51234 too slow (sent 1 byte, received 2,048 bytes)",
    ),
    (
        NORMAL,
        Closed(CLIENT, 0, 0, "TLS failed: why", lost=False),
        "sockkit: [2] 10.0.0.7:51234 TLS failed: why",
    ),
    (
        NORMAL,
        Closed(CLIENT, 1, 2, "reset", lost=False),
        "sockkit: [2] 10.0.0.7:51234 reset (sent 1 byte, received 2 bytes)",
    ),
    (
        NORMAL,
        FaultInjected(CLIENT, "sent", "stalled", 1000),
        "* [2] 10.0.0.7:51234 sent: stalled on purpose after 1,000 bytes",
    ),
    (
        NORMAL,
        FaultInjected(CLIENT, "", "refused"),
        "* [2] 10.0.0.7:51234 refused on purpose",
    ),
    (
        VERBOSE,
        FaultInjected(CLIENT, "received", "shaped", detail="delay 0.2 s"),
        "* [2] 10.0.0.7:51234 received: delay 0.2 s",
    ),
    (
        VERBOSE,
        Unanswered("10.0.0.7:7", "port 7"),
        "* datagram from 10.0.0.7:7 not answered: port 7",
    ),
    (NORMAL, Listening("127.0.0.1:80", True), f"* listening on 127.0.0.1:80{ONLY}"),
    (
        NORMAL,
        Listening("[::1]:80", True),
        "* listening on [::1]:80 (this machine only; --bind :: for others)",
    ),
    (NORMAL, Listening("127.0.0.2:80", True), "* listening on 127.0.0.2:80 (this machine only)"),
    (NORMAL, Listening("0.0.0.0:80", False), "* listening on 0.0.0.0:80"),
    (NORMAL, Notice("look"), "* look"),
    (QUIET, Answer("nobody is connected"), "* nobody is connected"),
    (VERBOSE, CommandsOffered("Ctrl-]"), "* Ctrl-] for commands"),
    (
        VERBOSE,
        TargetChosen("10.0.0.1:80", "10.0.0.7:5"),
        "* sending to 10.0.0.1:80 from 10.0.0.7:5",
    ),
    (VERBOSE, NewPeer(CLIENT), "* [2] 10.0.0.7:51234 new peer"),
    (
        VERBOSE,
        PeerForgotten(CLIENT),
        "* [2] 10.0.0.7:51234 forgotten to make room: silent the longest",
    ),
    (VERBOSE, DatagramTotal("sent", 1200, 2400), "* sent 2,400 bytes in 1,200 datagrams"),
    (
        VERBOSE,
        DatagramTotal("sent", 1200, 2400, 0.5),
        "* sent 2,400 bytes in 1,200 datagrams in 0.5 s, 4.8 kB/s",
    ),
    (VERBOSE, CommandsOffered("Ctrl-]"), "* Ctrl-] for commands"),
    (VERBOSE, FrameTotal(SERVER, "sent", 1), "* sent 1 frame"),
    (VERBOSE, FrameTotal(CLIENT, "received", 1200), "* [2] 10.0.0.7:51234 received 1,200 frames"),
    (VERBOSE, Connecting("10.0.0.1:80"), "* connecting to 10.0.0.1:80"),
    (VERBOSE, ConnectFailed("[::1]:80", "refused"), "* could not connect to [::1]:80: refused"),
    (
        VERBOSE,
        Connected(SERVER, "10.0.0.7:51234"),
        "* connected to 10.0.0.1:80 from 10.0.0.7:51234",
    ),
    (VERBOSE, Connected(CLIENT, "10.0.0.1:80"), "* [2] 10.0.0.7:51234 connected"),
    (VERBOSE, Named(CLIENT, "小雪"), "* [2] 10.0.0.7:51234 is 小雪"),
    (
        VERBOSE,
        Secured(
            SERVER, "TLS 1.3", "AES", "h2", "CN=server.example", "O=A", "Jan  1 2030 GMT", "ab12"
        ),
        "* encrypted with TLS 1.3, AES; protocol h2; certificate CN=server.example; "
        "signed by O=A, valid until Jan  1 2030 GMT; SHA-256 ab12",
    ),
    (
        VERBOSE,
        Secured(SERVER, "TLS 1.2", "AES", "", "", "", "", "ab12"),
        "* encrypted with TLS 1.2, AES; SHA-256 ab12",
    ),
    (
        VERBOSE,
        Secured(CLIENT, "TLS 1.2", "AES", "", "", "", "", ""),
        "* [2] 10.0.0.7:51234 encrypted with TLS 1.2, AES",
    ),
    (
        VERBOSE,
        PeerUser(SERVER, 12, 0, 5),
        "* peer is process 12 of root (user 0), group 5",
    ),
    (
        VERBOSE,
        PeerUser(CLIENT, 12, 2**32 - 1, 0),
        "* [2] 10.0.0.7:51234 peer is process 12 of user 4294967295, group 0",
    ),
    (
        VERBOSE,
        InputEnded(SERVER, 5),
        "* input ended (5 bytes sent), half-closed",
    ),
    (VERBOSE, InputEnded(SERVER, 5, False), "* input ended (5 bytes sent)"),
    (
        VERBOSE,
        HalfClosed(SERVER, True),
        "* peer answered and is silent: half-closed",
    ),
    (VERBOSE, HalfClosed(SERVER, False), "* peer does not answer: half-closed"),
    (VERBOSE, Hint("try this"), "* try this"),
    (VERBOSE, Waiting("no word yet"), "* no word yet"),
    (
        VERBOSE,
        PeerEnded(CLIENT, 1234),
        "* [2] 10.0.0.7:51234 peer closed (1,234 bytes received)",
    ),
    (
        VERBOSE,
        StreamTotal(SERVER, "sent", 3_000_000, "sendfile", 0.5),
        "* sent 3,000,000 bytes by sendfile in 0.5 s, 6.0 MB/s",
    ),
    (VERBOSE, StreamTotal(SERVER, "sent", 999, "copy", 1), "* sent 999 bytes by copy in 1 s"),
    (
        VERBOSE,
        StreamTotal(SERVER, "sent", 9_000, "splice", 0.0009),
        "* sent 9,000 bytes by splice in 0.001 s",
    ),
    (
        NORMAL,
        Transferred(2**31, 5, 4, 2, 4),
        "* sent 2.15 GB at 1.1 GB/s, received 5 bytes, in 4 s",
    ),
    (NORMAL, Transferred(0, 0, 0.04, 0, 0), "* sent 0 bytes, received 0 bytes, in 0 s"),
    (VERBOSE, StreamTotal(SERVER, "sent", 0, "copy", 0.5), "* sent 0 bytes by copy in 0.5 s"),
    (VERBOSE, StreamTotal(SERVER, "sent", 1, "copy", 0.0), "* sent 1 byte by copy in 0 s"),
    (
        VERBOSE,
        Closed(CLIENT, 0, 1),
        "* [2] 10.0.0.7:51234 closed (sent 0 bytes, received 1 byte)",
    ),
    (
        VERBOSE,
        Closed(CLIENT, 0, 1, seconds=1.2344),
        "* [2] 10.0.0.7:51234 closed (sent 0 bytes, received 1 byte, in 1.234 s)",
    ),
    (VERBOSE, Closed(CLIENT, None, None), "* [2] 10.0.0.7:51234 closed"),
    (
        NORMAL,
        Closed(CLIENT, None, None, "reset", lost=False),
        "sockkit: [2] 10.0.0.7:51234 reset",
    ),
    (
        VERBOSE,
        ProgramStarted(CLIENT, "cat", 9, "the socket itself"),
        "* [2] 10.0.0.7:51234 cat started as process 9 on the socket itself",
    ),
    (VERBOSE, ProgramStarted(SERVER, "cat", 9, "pipes"), "* cat started as process 9 on pipes"),
    (VERBOSE, ProgramEnded(SERVER, "cat", 3), "* cat exited with 3"),
    (VERBOSE, ProgramEnded(SERVER, "cat", -15), "* cat was killed by SIGTERM"),
    (QUIET, ProgramEnded(SERVER, "cat", -9, crashed=True), "sockkit: cat was killed by SIGKILL"),
    (
        VERBOSE,
        Tunnelled(Peer(0, "db:1 through socks5h://proxy:1080")),
        "* connected to db:1 through socks5h://proxy:1080",
    ),
    (STEPS, SocketCall("bind", "127.0.0.1:80"), "* bind: 127.0.0.1:80"),
]


PLAIN = Palette(False)


def renderer(level: int, typist: bool) -> Renderer:
    return Renderer(level, typist, PLAIN)


def said(event: Event, renderer: Renderer, capsys: Capture) -> str:
    renderer.emitter(write_stderr)(event)
    out, err = capsys.readouterr()
    assert out == ""
    return str(err)


def test_every_event_is_here() -> None:
    assert {type(event) for _, event, _ in LINES} == set(get_args(Event))


@pytest.mark.parametrize(("level", "event", "line"), LINES)
def test_an_event_is_a_line_from_its_level_on(
    level: int, event: Event, line: str, capsys: Capture
) -> None:
    for at in (QUIET, NORMAL, VERBOSE, STEPS, STEPS + 1):
        assert said(event, renderer(at, False), capsys) == (f"{line}\n" if at >= level else "")


@pytest.mark.parametrize(("level", "event", "line"), LINES)
def test_who_types_is_told_who_comes_and_goes(
    level: int, event: Event, line: str, capsys: Capture
) -> None:
    coming = isinstance(
        event, Connected | Named | Tunnelled | Closed | TargetChosen | NewPeer | CommandsOffered
    )
    shown = level <= NORMAL or coming
    assert said(event, renderer(NORMAL, True), capsys) == (f"{line}\n" if shown else "")
    assert bool(said(event, renderer(QUIET, True), capsys)) == (level == QUIET)


def test_who_types_is_told_that_the_peer_says_no_more(capsys: Capture) -> None:
    assert "peer closed" in said(PeerEnded(SERVER, 0), renderer(NORMAL, True), capsys)


@pytest.mark.parametrize(
    ("evil", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nsockkit: b", "a\\x0asockkit: b"),
        ("a\r* b", "a\\x0d* b"),
        ("\u202egpj", "\\u202egpj"),
        ("\u2028", "\\u2028"),
        ("你好👋é", "你好👋é"),
    ],
)
def test_nothing_drives_the_terminal(evil: str, shown: str, capsys: Capture) -> None:
    complain(evil)
    assert capsys.readouterr().err == f"sockkit: {shown}\n"
    assert said(Notice(evil), renderer(NORMAL, True), capsys) == f"* {shown}\n"
    assert said(Connecting(evil), renderer(VERBOSE, False), capsys) == f"* connecting to {shown}\n"
    secured = Secured(SERVER, "", "", evil, evil, evil, evil, "")
    assert said(secured, renderer(VERBOSE, False), capsys).count(shown) == 4
    assert shown in said(Closed(Peer(1, evil), 0, 0, evil), renderer(QUIET, False), capsys)


def test_the_path_of_a_unix_peer_does_not_look_like_a_label(capsys: Capture) -> None:
    event = Closed(Peer(1, "unix:/a [2] unix:/b\n"), 0, 0, "reset")
    assert "[1] unix:/a [2\\x5d unix:/b\\x0a reset" in said(event, renderer(QUIET, False), capsys)


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full()])
def test_nobody_to_tell(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    complain("nobody hears it")
    renderer(NORMAL, False).emitter(write_stderr)(Notice("nor this"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("level", "watched", "shown"),
    [(NORMAL, True, True), (NORMAL, False, False), (VERBOSE, False, True), (QUIET, True, False)],
)
def test_who_watches_is_told_what_is_waited_for(
    level: int, watched: bool, shown: bool, capsys: Capture
) -> None:
    told = said(Waiting("no word yet"), Renderer(level, False, PLAIN, watched), capsys)
    assert told == ("* no word yet\n" if shown else "")


def test_a_peer_has_its_colour_and_a_failure_is_red(capsys: Capture) -> None:
    colored = Renderer(VERBOSE, False, Palette(True, {"2": "magenta"}))
    assert said(Connected(CLIENT, ""), colored, capsys) == (
        "* \x1b[35m[2] 10.0.0.7:51234\x1b[39m connected\n"
    )
    assert said(Failure("lost"), colored, capsys) == "\x1b[31msockkit:\x1b[39m lost\n"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Closed(CLIENT, 0, 0), "closed"),
        (Closed(CLIENT, 0, 0, "10.0.0.7 reset", "reset"), "reset"),
        (Closed(CLIENT, 0, 0, "too slow"), "too slow"),
        (Connected(CLIENT, ""), "connected"),
        (Named(CLIENT, "a"), "got a name"),
        (Secured(CLIENT, *[""] * 7), "encrypted with TLS"),
        (PeerEnded(CLIENT, 0), "peer closed"),
        (InputEnded(CLIENT, 0, True), "input ended"),
        (HalfClosed(CLIENT, True), "half-closed later"),
        (StreamTotal(CLIENT, "sent", 1, "copy", 0.1), "totals of one direction"),
        (NewPeer(CLIENT), "new peer"),
        (PeerForgotten(CLIENT), "peer forgotten to make room"),
        (ProgramStarted(CLIENT, "cat", 9, "pipes"), "program started"),
        (ProgramEnded(CLIENT, "cat", 0), "program ended"),
        (Unanswered("10.0.0.7:7", "port 7"), "not answered: port 7"),
        (Failure("10.0.0.7 lost", "lost"), "lost"),
        (Notice("10.0.0.7 look", "look"), "look"),
        (SocketCall("accept", "10.0.0.7:5"), "accept"),
    ],
)
def test_what_a_peer_can_cause_is_counted_by_its_kind(
    event: Event, kind: str, capsys: Capture
) -> None:
    asked: list[str] = []

    def passes(kind: str, rate: float) -> bool:
        asked.append(kind)
        return len(asked) == 1

    emit = renderer(STEPS, False).emitter(write_stderr, passes)
    emit(event)
    emit(event)
    assert asked == [kind, kind]
    assert len(capsys.readouterr().err.splitlines()) == 1
    renderer(QUIET - 1, False).emitter(write_stderr, passes)(event)
    assert len(asked) == 2


def test_more_is_said_of_what_was_asked_for(capsys: Capture) -> None:
    rates: list[float] = []

    def passes(_: str, rate: float) -> bool:
        rates.append(rate)
        return True

    emit = renderer(STEPS, False).emitter(write_stderr, passes)
    for event in (
        Connected(CLIENT, ""),
        SocketCall("accept", "x"),
        Failure("10.0.0.7 lost", "lost"),
    ):
        emit(event)
    assert rates == [VERBOSE_EVENTS_PER_SECOND, VERBOSE_EVENTS_PER_SECOND, EVENTS_PER_SECOND]
    capsys.readouterr()


@pytest.mark.parametrize("event", [Failure("this line was not sent"), Notice("x"), Answer("x")])
def test_what_a_user_causes_is_always_said(event: Event, capsys: Capture) -> None:
    emit = renderer(NORMAL, False).emitter(write_stderr, lambda kind, rate: False)
    emit(event)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "event", [Unreachable("refused"), Closed(CLIENT, 1, 2, "reset", BROKEN_OFF, lost=False)]
)
def test_what_happens_to_many_clients_of_a_relay_is_said_once(event: Event) -> None:
    rates: list[float] = []

    def passes(_: str, rate: float) -> bool:
        rates.append(rate)
        return True

    Renderer(NORMAL, False, PLAIN).emitter(lambda line: None, passes)(event)
    assert [token_bucket.BURST_SECONDS * rate for rate in rates] == [1]


def test_counts_come_in_time_and_the_last_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_throttle, "FIRST_COUNT_SECONDS", 0.01)
    monkeypatch.setattr(event_throttle, "MAX_COUNT_SECONDS", 0.01)
    lines: list[str] = []
    with Loop() as loop:
        counts = Counts(loop, lambda line: (lines.append(line), loop.stop())[0])
        assert [counts.passes("reset", 1.0) for _ in range(1239)].count(True) == 5
        loop.later(WAIT, loop.stop)
        loop.run()
        assert lines == ["* 1,234 more: reset"]
        assert not counts.passes("reset", 1.0)
        loop.run()
        assert lines[1:] == ["* 1 more: reset"]
        assert not counts.passes("reset", 1.0)
        counts.finish()
        assert lines[2:] == ["* 1 more: reset"]
        counts.finish()
        assert len(lines) == 3


def test_counts_have_words_of_their_own() -> None:
    lines: list[str] = []
    with Loop() as loop:
        counts = Counts(loop, lines.append, "{kind}: {count:,} more")
        for _ in range(1006):
            counts.passes("reset", 1.0)
        counts.finish()
    assert lines == ["reset: 1,001 more"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.255", "[::1]"])
def test_where_a_server_listens_fits_80_columns(host: str, capsys: Capture) -> None:
    assert (
        len(said(Listening(f"{host}:65535", True), renderer(NORMAL, False), capsys)) <= 81
    )  # with a newline
