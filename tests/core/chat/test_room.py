"""The rules of the room, by example and by a machine that does anything in any order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sockkit.core.chat.actions import OPERATOR, Action, Admit, Deliver, Disconnect
from sockkit.core.chat.admission import FIRST_RETRY_SECONDS, MAX_WAITING, MAX_WAITING_AFTER_FAILURE
from sockkit.core.chat.history import MAX_RECENT_CHARACTERS
from sockkit.core.chat.names import MAX_NAME_LENGTH, fold_name
from sockkit.core.chat.protocol import MAX_WHO_BYTES
from sockkit.core.chat.received import (
    COMMAND_COST_CHARACTERS,
    LINE_COST_CHARACTERS,
    MAX_LINE_BYTES,
    MAX_TURN_CHARACTERS,
    MIN_MEMBER_CHARACTERS,
)
from sockkit.core.chat.room import Room, RoomOptions
from sockkit.core.token_bucket import BURST_SECONDS
from sockkit.errors import UsageError
from tests.support import fewer

FREE = RoomOptions(flood=0)


class Talk:
    """A room and what each member has been delivered."""

    def __init__(self, options: RoomOptions = FREE, encoding: str = "utf-8") -> None:
        self.room = Room(options, encoding)
        self.now = 0.0
        self.got: dict[int, list[str]] = {}
        self.operator: list[str] = []  # what only the operator is told
        self.gone: set[int] = set()
        self.admitted: set[int] = set()

    def deliver(self, events: Iterable[Action]) -> None:
        for event in events:
            if isinstance(event, Disconnect):
                self.gone.add(event.member)  # type: ignore[arg-type]
            elif isinstance(event, Admit):
                self.admitted.add(event.member)  # type: ignore[arg-type]
                heard = self.got[event.member]  # type: ignore[index]
                heard += [
                    *event.greeting,
                    *(line for block in event.history for line in block.lines),
                ]
            elif event.to == OPERATOR:
                self.operator += event.lines
            elif event.to is not None:
                self.got[event.to] += event.lines  # type: ignore[index]
            else:
                for member, lines in self.got.items():
                    if member != event.author and member in self.admitted:
                        lines += event.lines

    def join(self, *members: int) -> None:
        for member in members:
            self.got[member] = []
            self.deliver(self.room.join(member, self.now))
            self.deliver(self.room.introduce(member))

    def say(self, member: int, text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else f"{text}\n".encode()
        self.deliver(self.room.feed(member, data, self.now))

    def later(self, seconds: float, *members: int) -> None:
        self.now += seconds
        for member in members:
            self.deliver(self.room.resume(member, self.now))

    def heard(self, member: int) -> list[str]:
        lines, self.got[member] = self.got[member], []
        return lines


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    talk.join(1, 2)
    talk.say(1, "/nick alex")
    talk.say(2, "/nick 小雪")
    for member in (1, 2):
        talk.heard(member)
    return talk


def test_a_newcomer_has_a_name_and_is_told_so() -> None:
    talk = Talk(RoomOptions(motd="be\nkind"))
    talk.join(1, 2)
    assert talk.heard(1) == [
        "* you are guest-1; everyone here sees what you type, /help lists the commands",
        "[server] be",
        "[server] kind",
        "* guest-2 joined",
    ]
    talk.say(1, "hi")
    assert talk.heard(2)[-1] == "[guest-1] hi"
    assert talk.heard(1) == []


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("hi", ["* guest-2 joined", "[guest-2] hi"]),
        ("/me waves", ["* guest-2 joined", "[guest-2] *waves*"]),
        ("/msg guest-1 psst", ["* guest-2 joined", "[guest-2 to you] psst"]),
        ("/nick 小雪", ["* 小雪 joined"]),
        ("/nick server", []),
        ("/msg server psst", ["* guest-2 joined"]),
        ("/who", []),
        ("q", []),
    ],
)
def test_others_know_of_a_newcomer_by_its_first_line(first: str, others: list[str]) -> None:
    talk = Talk()
    talk.join(1)
    talk.heard(1)
    talk.got[2] = []
    talk.deliver(talk.room.join(2, 0))
    talk.say(2, first)
    assert talk.heard(1) == others
    talk.deliver(talk.room.introduce(2))
    assert talk.heard(1) == ([] if others else ["* guest-2 joined"])


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_newcomer_whose_first_line_is_its_name_is_never_a_guest(cut: int) -> None:
    talk = Talk()
    talk.join(1)
    talk.heard(1)
    talk.got[2] = []
    line = "/nick 小雪\n".encode()
    talk.deliver(talk.room.join(2, 0))
    talk.say(2, line[:cut])
    assert (talk.heard(1), talk.heard(2), talk.room.names()) == ([], [], ["guest-1"])
    talk.say(2, line[cut:])
    assert talk.heard(2) == [
        "* you are 小雪; everyone here sees what you type, /help lists the commands"
    ]
    talk.deliver(talk.room.introduce(2))
    talk.join(3)
    assert talk.heard(1) == ["* 小雪 joined", "* guest-3 joined"]


def test_a_newcomer_whose_guest_name_is_taken_gets_another() -> None:
    talk = Talk()
    talk.join(1)
    talk.got[2] = []
    talk.deliver(talk.room.join(2, 0))
    talk.say(1, "/nick guest-2")
    assert talk.heard(1)[-1] == "* you are now guest-2"
    talk.deliver(talk.room.introduce(2))
    assert talk.heard(1) == ["* guest-3 joined"]


def test_a_newcomer_is_shown_what_was_said_before_it_came() -> None:
    """What is said while its name may come is held back for it by the server."""
    talk = Talk(FREE._replace(history=3))
    talk.join(1)
    talk.say(1, "one\ntwo\nthree\nfour")
    talk.got[2] = []
    talk.deliver(talk.room.join(2, 0))
    assert (talk.room.holds(2), talk.room.holds(1), talk.room.holds(3)) == (True, False, False)
    talk.say(1, "five")
    talk.say(2, "/nick bob")
    marked = "* said before you joined (2 lines):"
    assert talk.heard(2)[1:] == [marked, "[guest-1] three", "[guest-1] four"]
    assert not talk.room.holds(2)


def test_what_a_newcomer_says_first_is_not_in_the_history_it_is_shown() -> None:
    talk = Talk(FREE._replace(history=2))
    talk.join(1)
    talk.say(1, "one\ntwo")
    talk.got[2] = []
    talk.deliver(talk.room.join(2, 0))
    talk.say(2, "three\nfour")
    marked = "* said before you joined (2 lines):"
    assert talk.heard(2)[1:] == [marked, "[guest-1] one", "[guest-1] two"]
    assert talk.heard(1)[-2:] == ["[guest-2] three", "[guest-2] four"]


def test_a_newcomer_that_cannot_have_its_name_is_told_why_and_is_a_guest() -> None:
    talk = Talk()
    talk.join(1)
    talk.got[2] = []
    talk.deliver(talk.room.join(2, 0))
    talk.say(2, "/nick Guest-1")
    assert talk.heard(2) == [
        '* the name "Guest-1" is taken',
        "* you are guest-2; everyone here sees what you type, /help lists the commands",
    ]


@pytest.mark.parametrize("sent", ["", "hal", "/nick bob"])
def test_a_newcomer_that_ends_its_side_is_greeted(sent: str) -> None:
    talk = Talk()
    talk.got[1] = []
    talk.deliver(talk.room.join(1, 0))
    if sent:
        talk.say(1, sent.encode())
    assert talk.heard(1) == []
    talk.say(1, b"")
    assert talk.heard(1)[0].startswith(f"* you are {'bob' if 'bob' in sent else 'guest-1'}; ")


def test_a_newcomer_whose_first_line_does_not_end_is_greeted_and_refused() -> None:
    talk = Talk()
    talk.got[1] = []
    talk.deliver(talk.room.join(1, 0))
    talk.say(1, b"/nick " + b"x" * MAX_LINE_BYTES)
    greeting, refusal = talk.heard(1)
    assert greeting.startswith("* you are guest-1; ")
    assert refusal.startswith("* line not sent")


def test_newcomers_that_have_not_said_who_they_are_count() -> None:
    talk = Talk(FREE._replace(max_members=1))
    talk.got.update({1: [], 2: []})
    talk.deliver(talk.room.join(1, 0))
    talk.deliver(talk.room.join(2, 0))
    assert (talk.heard(2), talk.gone) == (["* the room is full"], {2})


def test_a_name_is_free_again_for_others(talk: Talk) -> None:
    talk.say(1, "/nick bob")
    talk.say(2, "/nick alex")  # which was 1's
    assert talk.heard(2)[-1] == "* you are now alex"
    talk.deliver(talk.room.leave(2))
    talk.say(1, "/nick alex")
    assert talk.heard(1)[-1] == "* you are now alex"


def test_nobody_hears_of_one_that_came_and_left_at_once() -> None:
    talk = Talk()
    talk.join(1)
    talk.heard(1)
    talk.got[2] = []
    talk.deliver(talk.room.join(2, 0))
    talk.deliver(talk.room.leave(2))
    talk.deliver(talk.room.introduce(2))
    assert talk.heard(1) == []


@pytest.mark.parametrize(
    ("line", "own", "others"),
    [
        ("hi", [], ["[alex] hi"]),
        ("你好👋", [], ["[alex] 你好👋"]),
        ("", [], []),
        ("  ", [], []),
        ("a\tb", [], ["[alex] a b"]),
        ("//x", [], ["[alex] /x"]),
        ("/me waves", [], ["[alex] *waves*"]),
        ("/msg 小雪 psst", ["[you to 小雪] psst"], ["[alex to you] psst"]),
        ("/msg bob psst", ["* nobody here is called bob: /who lists who is here"], []),
        ("/who", ["* 2 here: alex, 小雪"], []),
        ("/nick 小雪", ['* the name "小雪" is taken: choose another name'], []),
        ("/nick bob", ["* you are now bob"], ["* alex is now bob"]),
        ("/nick Alex", ["* you are now Alex"], ["* alex is now Alex"]),
        ("/password x", ["* this room needs no password"], []),
        ("/nope", ["* unknown command /nope: /help lists the commands"], []),
        ("a\x1b[2J\u202e", [], ["[alex] a\\x1b[2J\\u202e"]),
        ("hi\r[小雪] x", [], ["[alex] hi\\x0d[小雪] x"]),
        ("* 小雪 left", [], ["[alex] * 小雪 left"]),
    ],
)
def test_what_a_line_does(line: str, own: list[str], others: list[str], talk: Talk) -> None:
    talk.say(1, line)
    assert (talk.heard(1), talk.heard(2)) == (own, others)


@pytest.mark.parametrize("name", ["", "server", "x" * 33, "[a]", "a\x1bb", "ａｌｅｘ", "ALEX"])
def test_a_name_that_cannot_be(name: str, talk: Talk) -> None:
    talk.say(2, f"/nick {name}")
    (told,) = talk.heard(2)
    assert told.startswith("* ")
    assert talk.heard(1) == []


@pytest.mark.parametrize("word", ["q", "/quit"])
def test_leaving(word: str, talk: Talk) -> None:
    talk.say(1, f"{word}\nnot said")
    assert talk.gone == {1}
    assert talk.heard(1) == ["* goodbye"]
    talk.deliver(talk.room.leave(1, "too slow"))
    assert talk.heard(2) == ["* alex left (too slow)"]
    talk.join(3)
    talk.say(3, "/nick alex")
    assert "* you are now alex" in talk.heard(3)


def test_the_operator_and_a_member_speak_alone(talk: Talk) -> None:
    talk.deliver(talk.room.whisper("ALEX", "psst\x1b"))
    assert talk.heard(1) == ["[server to you] psst\\x1b"]
    talk.say(1, "/msg Server thanks")
    assert talk.heard(1) == ["[you to server] thanks"]
    assert talk.operator == ["[you to alex] psst\\x1b", "[alex to you] thanks"]
    assert talk.heard(2) == []
    with pytest.raises(UsageError, match="nobody here is called bob"):
        talk.room.whisper("bob", "psst")


def test_lines_however_they_are_cut(talk: Talk) -> None:
    data = "你好\r\nhi\nlast".encode()
    for place in range(len(data) + 1):
        for part in (data[:place], data[place:]):
            if part:
                talk.say(1, part)
        talk.say(1, b"")
        assert talk.heard(2) == ["[alex] 你好", "[alex] hi", "[alex] last"]


def test_a_line_too_long_is_refused_and_skipped_to_its_end(talk: Talk) -> None:
    for _ in range(50):
        talk.say(1, b"x" * 1000)
    talk.say(1, b"x\nnext\n")
    assert talk.heard(1) == [f"* line not sent: it is longer than {MAX_LINE_BYTES:,} bytes"]
    assert talk.heard(2) == ["[alex] next"]
    talk.say(1, b"x" * (MAX_LINE_BYTES + 1) + b"\nnext\n" + b"y" * MAX_LINE_BYTES + b"\n")
    assert talk.heard(2) == ["[alex] next", f"[alex] {'y' * MAX_LINE_BYTES}"]


def test_who_never_came_in_leaves_nothing_behind() -> None:
    room = Room(RoomOptions(password="sesame"))
    for number in range(100):
        room.join(number, 0.0, f"10.0.0.{number}:1")
        room.leave(number)
    assert not room._admission._waiting


def test_who_sends_too_fast_is_read_as_slowly() -> None:
    talk = Talk(RoomOptions(flood=10))
    talk.join(1, 2)
    talk.heard(2)
    talk.say(1, "".join(f"{number}\n" for number in range(100))[:-1])
    burst = int(10 * BURST_SECONDS)
    assert len(talk.heard(2)) == burst
    wait = talk.room.resume_delay(1, talk.now)
    assert 0 < wait <= 0.1
    while talk.room.resume_delay(1, talk.now):
        talk.now += talk.room.resume_delay(1, talk.now)
        talk.deliver(talk.room.resume(1, talk.now))
    assert talk.heard(2) == [f"[guest-1] {number}" for number in range(burst, 100)]
    assert talk.now == pytest.approx((100 - burst) / 10, rel=0.05)


def test_a_limit_below_a_line_in_five_seconds() -> None:
    talk = Talk(RoomOptions(flood=0.1))
    talk.join(1, 2)
    talk.heard(2)
    talk.say(1, "a\nb")
    assert talk.heard(2) == ["[guest-1] a"]
    assert talk.room.resume_delay(1, 0) == pytest.approx(10)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_who_may_not_speak_is_not_held_either(end: bytes) -> None:
    """However much it sends: only a line that waits for its turn stops the reading."""
    talk = Talk(RoomOptions(flood=0.1))
    talk.join(1)
    talk.say(1, "my turn")
    for _ in range(100):
        if talk.room.resume_delay(1, talk.now):
            break
        talk.say(1, b"x" * 65536 + end)
        assert len(talk.room._members[1].received) <= MAX_LINE_BYTES
    assert not talk.room.resume_delay(1, talk.now)
    talk.say(1, b"\nlate\n")
    assert talk.room.resume_delay(1, talk.now)


def test_a_flood_without_limit_goes_by_turns() -> None:
    talk = Talk(RoomOptions(flood=0))
    talk.join(1, 2)
    talk.heard(2)
    talk.say(1, b"x\n" * 30_000)
    said = talk.heard(2)
    assert (
        MAX_TURN_CHARACTERS / 2
        < sum(len(line) + LINE_COST_CHARACTERS for line in said)
        < MAX_TURN_CHARACTERS + LINE_COST_CHARACTERS
    )
    while talk.room.resume_delay(1, talk.now):
        talk.deliver(talk.room.resume(1, talk.now))
    assert len(said) + len(talk.heard(2)) == 30_000


def test_all_members_share_a_turn() -> None:
    talk = Talk(RoomOptions(flood=0))
    talk.join(*range(20))
    said = []
    for member in range(1, 20):
        talk.heard(0)
        talk.say(member, b"x\n" * 30_000)
        said.append(sum(len(line) + LINE_COST_CHARACTERS for line in talk.heard(0)))
    assert said[0] > MAX_TURN_CHARACTERS * 0.9
    assert all(
        MIN_MEMBER_CHARACTERS * 0.9 < size < MIN_MEMBER_CHARACTERS * 1.1 for size in said[1:]
    )
    talk.heard(0)
    talk.now = 1.0
    talk.deliver(talk.room.resume(19, talk.now))
    assert (
        sum(len(line) + LINE_COST_CHARACTERS for line in talk.heard(0)) > MAX_TURN_CHARACTERS * 0.9
    )


@pytest.mark.parametrize("slash", ["/", "／"])
def test_commands_go_by_turns_too(slash: str) -> None:
    talk = Talk(RoomOptions(flood=0))
    talk.join(1)
    talk.say(1, f"{slash}nick server\n".encode() * 5000)
    assert len(talk.heard(1)) <= MAX_TURN_CHARACTERS // COMMAND_COST_CHARACTERS + 2
    assert talk.room.resume_delay(1, talk.now)


def test_what_is_no_text_costs_its_sender_as_much() -> None:
    talk = Talk(RoomOptions(flood=10))
    talk.join(1, 2)
    assert talk.room.charge_delay(1, 0) == 0
    talk.room.charge(1, 20)
    assert talk.room.charge_delay(1, 0) == 0
    talk.room.charge(1, 100 * 1024)
    owed = talk.room.charge_delay(1, 0)
    assert owed == pytest.approx((100 - 10 * BURST_SECONDS) / 10, rel=0.01)
    assert talk.room.charge_delay(1, owed) == 0
    assert talk.room.resume_delay(1, 0) == 0
    talk.say(1, "hi")
    assert talk.room.resume_delay(1, 0) > owed
    assert talk.room.charge_delay(2, 0) == talk.room.charge_delay(3, 0) == 0


def test_who_is_here_fits_a_line_however_many_they_are() -> None:
    talk = Talk()
    for member in range(1000):
        talk.room.join(member, 0)
        talk.room.feed(member, f"/nick {'好' * 12}{member}\n".encode(), 0)
    talk.got[0] = []
    talk.say(0, "/who")
    (told,) = talk.heard(0)
    assert len(told.encode()) <= MAX_WHO_BYTES
    assert told.startswith(f"* 1000 here: {'好' * 12}0, ")
    shown = told.count("好" * 12)
    assert shown > 300
    assert told.endswith(f" and {1000 - shown} more")


def test_a_name_beyond_all_bounds_is_not_looked_for(talk: Talk) -> None:
    """Normalising many marks in a row takes time by the square of their number."""
    for name in ("a" + "\u0301\u0316" * MAX_NAME_LENGTH, "alex" + "\ufe00" * MAX_NAME_LENGTH):
        talk.say(2, f"/nick {name}")
        talk.say(2, f"/msg {name} hi")
        assert [line[:20] for line in talk.heard(2)] == [
            "* a name must be 1 t",
            "* nobody here is cal",
        ]
    assert talk.heard(1) == []


def test_what_a_newcomer_is_shown_is_bounded() -> None:
    talk = Talk(RoomOptions(flood=0, history=100_000))
    talk.join(1)
    talk.room.remember(f"[a] {number:07}" for number in range(200_000))
    talk.join(2)
    lines = talk.heard(2)[2:]
    assert sum(map(len, lines)) <= MAX_RECENT_CHARACTERS
    assert len(lines) == MAX_RECENT_CHARACTERS // 11
    assert lines[0] == f"[a] {200_000 - len(lines):07}"
    assert lines[-1] == "[a] 0199999"


def test_who_says_no_password_is_let_go() -> None:
    talk = Talk(RoomOptions(password="sesame", flood=0))
    talk.join(1, 2)
    talk.say(1, "sesame")
    for member in (1, 2):
        talk.deliver(talk.room.expire(member))
    assert talk.gone == {2}
    assert talk.heard(2)[-1] == "* no password came in time: goodbye"


@pytest.mark.parametrize("line", ["sesame\r", "/password sesame\r", "/nick bob\r\nsesame\r"])
def test_a_password_may_end_as_telnet_ends_lines(line: str) -> None:
    talk = Talk(RoomOptions(password="sesame", flood=0))
    talk.join(1)
    talk.say(1, line)
    assert talk.room.names() == ["bob" if "bob" in line else "guest-1"]


def test_a_password() -> None:
    talk = Talk(RoomOptions(password="sesame", flood=0))
    talk.join(1, 2, 3)
    talk.say(1, "sesame")
    talk.say(2, "hi\nsesame\nhello")
    assert talk.heard(2)[1:] == ["* wrong password"]
    assert talk.room.resume_delay(2, talk.now) == FIRST_RETRY_SECONDS
    talk.later(FIRST_RETRY_SECONDS, 2)
    assert talk.heard(3) == ["* this room needs a password: type it"]
    talk.say(3, "a\nb\nc")
    for wait in (FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS):
        assert talk.gone == set()
        talk.later(wait, 3)
    assert talk.gone == {3}
    assert talk.room.names() == ["guest-1", "guest-2"]
    assert talk.heard(1)[-2:] == ["* guest-2 joined", "[guest-2] hello"]


def test_who_guesses_does_not_fill_the_room() -> None:
    talk = Talk(RoomOptions(password="sesame", flood=0, max_members=1))
    peers = {member: f"10.0.0.1:{member}" for member in range(MAX_WAITING + 9)}
    for member, peer in {**peers, 1000: "10.0.0.2:1", 1001: "10.0.0.2:2"}.items():
        talk.got[member] = []
        talk.deliver(talk.room.join(member, talk.now, peer))
    assert talk.gone == set(range(MAX_WAITING, MAX_WAITING + 9))
    assert talk.heard(MAX_WAITING)[-1].startswith("* too many connections from your address")
    talk.say(0, "guess")
    for member in range(MAX_WAITING_AFTER_FAILURE, MAX_WAITING):
        talk.deliver(talk.room.leave(member))
    for member in (2000, 2001):
        talk.got[member] = []
        talk.deliver(talk.room.join(member, talk.now, "10.0.0.1:1"))
    assert {2000, 2001} <= talk.gone  # its address waits, with as many as may
    talk.say(1000, "sesame")
    assert talk.admitted == {1000}
    talk.say(1001, "sesame")
    assert talk.heard(1001)[-1] == "* the room is full"


def test_who_guesses_does_not_delay_others() -> None:
    talk = Talk(RoomOptions(password="sesame", flood=0))
    for member, peer in ((1, "10.0.0.1:1"), (2, "10.0.0.1:2"), (3, "10.0.0.2:3")):
        talk.got[member] = []
        talk.deliver(talk.room.join(member, talk.now, peer))
    talk.say(1, "guess")
    talk.say(2, "sesame")
    talk.say(3, "sesame")
    assert talk.admitted == {3}
    talk.later(talk.room.resume_delay(2, talk.now), 2)
    assert talk.admitted == {2, 3}


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_full_width_slash_begins_a_command_as_well(encoding: str) -> None:
    """Otherwise all would read what `/msg` tells one of them."""
    talk = Talk(RoomOptions(), encoding)
    talk.join(1, 2, 3)
    forms = ["／msg guest-2", "、msg guest-2", "  /msg guest-2", "\u3000／msg\u3000guest-2"]
    for line in (*(f"{form} secret {form}" for form in forms), "／／msg all"):
        talk.say(1, f"{line}\nhi\n".encode(encoding))
    assert "".join(talk.heard(2)).count(" to you] secret ") == len(forms)
    heard = talk.heard(3)
    assert heard[-2:] == ["[guest-1] /msg all", "[guest-1] hi"]
    assert "secret" not in "".join(heard)


def test_what_a_room_for_gbk_cannot_say_may_be_a_password() -> None:
    talk = Talk(RoomOptions(password="👋 好", flood=0), "gbk")
    talk.join(1, 2)
    talk.say(1, "/password 👋 好".encode("gbk", "backslashreplace") + b"\n")  # as chat join does
    assert talk.admitted == {1}


def test_a_long_greeting_costs_no_tokens() -> None:
    talk = Talk(RoomOptions(password="sesame", flood=1, history=1000))
    talk.room.remember(["x" * 1000] * 500)
    talk.join(1)
    talk.join(2)
    talk.say(2, "sesame")
    talk.say(1, "sesame\nhi")
    assert talk.heard(2)[-1] == "[guest-2] hi"


def test_a_name_comes_before_the_password() -> None:
    talk = Talk(RoomOptions(password="sesame", flood=0))
    talk.join(1, 2, 3)
    talk.say(1, "/nick 小雪\n/password sesame")
    assert talk.heard(1)[1].startswith("* you are 小雪;")
    talk.say(2, "/nick 小雪\nsesame")
    assert talk.heard(2)[1] == '* the name "小雪" is taken'
    talk.say(3, "/nick bob\n/password open\n/password sesame")
    talk.later(FIRST_RETRY_SECONDS, 3)
    assert talk.heard(3)[1] == "* wrong password"
    assert talk.room.names() == ["小雪", "guest-1", "bob"]
    assert talk.heard(1) == ["* guest-1 joined", "* bob joined"]


def test_a_room_that_is_full() -> None:
    talk = Talk(RoomOptions(max_members=1))
    talk.join(1, 2)
    assert talk.heard(2) == ["* the room is full"]
    assert talk.gone == {2}
    assert len(talk.heard(1)) == 1


def test_history_is_shown_to_a_newcomer(talk: Talk) -> None:
    talk = Talk(RoomOptions(flood=0, history=2))
    talk.join(1)
    for text in ("one", "two", "three"):
        talk.say(1, text)
    talk.join(2)
    marked = "* said before you joined (2 lines):"
    assert talk.heard(2)[1:] == [marked, "[guest-1] two", "[guest-1] three"]


def test_the_operator(talk: Talk) -> None:
    talk.deliver(talk.room.announce("hello\x1b"))
    assert talk.heard(1) == talk.heard(2) == ["[server] hello\\x1b"]
    talk.deliver(talk.room.kick("ALEX"))
    assert talk.gone == {1}
    with pytest.raises(UsageError, match="nobody here is called bob"):
        talk.room.kick("bob")


def test_another_encoding() -> None:
    talk = Talk(FREE, "gbk")
    talk.join(1, 2)
    talk.heard(2)
    talk.say(1, "你好\n".encode("gbk") + b"\xff\n")
    assert talk.heard(2) == ["[guest-1] 你好", "[guest-1] \\xff"]


def one_by_one(options: RoomOptions, encoding: str) -> Room:
    """A room that looks at each line by itself."""
    room = Room(options, encoding)
    room._plain_lines = lambda member, capacity, now: ([], 0)  # type: ignore[method-assign]
    return room


def flat(events: Iterable[Action]) -> list[Action]:
    """Each line in an `Deliver` of its own."""
    told: list[Action] = []
    for event in events:
        lines = event.lines if isinstance(event, Deliver) else []
        told += [event._replace(text=line) for line in lines] or [event]  # type: ignore[call-arg]
    return told


PLAIN = "hi|a longer line, of somebody|你好👋| begins with a space|CRLF\r|* a joined|[a] hi|q 1"
ODD = (
    "/q|//x|q||  |ends |a\tb|\r|a\r\r|a\rb|\x1b[2J|\x85|\u3000a|a\u2028|+AAo-|+IC4-|~|~{x|\x1b$B|"
    "/me x|/nick b|/who|/help|/msg guest-2 hi"
)
RAW = [
    b"\xff",
    b"\x81",
    "你".encode()[:2],
    b"%",
    b"x" * MAX_LINE_BYTES,
    b"x" * (MAX_LINE_BYTES + 1),
]
LONG = [b"y" * 1500, "好".encode() * 700]
ENCODINGS = ["utf-8", "gbk", "latin-1", "hz", "utf-7", "iso2022_jp", "cp037"]
SAID = st.sampled_from([text.encode() for text in PLAIN.split("|")])
ANY = SAID | st.sampled_from([*(text.encode() for text in ODD.split("|")), *RAW, *LONG])


class Both:
    """Two rooms, of which one looks at each line by itself: what comes of them is the same."""

    def __init__(self, options: RoomOptions, encoding: str, *, introduced: bool) -> None:
        self.rooms = Room(options, encoding), one_by_one(options, encoding)
        self.now, self.flood = 0.0, options.flood
        for room in self.rooms:
            for member in (1, 2):
                room.join(member, 0.0)
                if introduced:
                    room.introduce(member)

    def feed(self, data: bytes) -> bool:
        """Whether the member is still there."""
        return self._same(lambda room: room.feed(1, data, self.now))

    def go_on(self) -> bool:
        self.now += self.rooms[0].resume_delay(1, self.now)
        return self._same(lambda room: room.resume(1, self.now))

    def _same(self, step: Callable[[Room], list[Action]]) -> bool:
        first, second = (flat(step(room)) for room in self.rooms)
        assert first == second
        states = [room._members[1] for room in self.rooms]
        assert len({bytes(state.received._held) for state in states}) == 1
        assert len({self.flood and state.bucket._tokens for state in states}) == 1
        assert len({room._turn._spent for room in self.rooms}) == 1
        assert len({room.resume_delay(1, self.now) for room in self.rooms}) == 1
        blocks = [room._recent.blocks() for room in self.rooms]
        recent = [[line for block in each for line in block.lines] for each in blocks]
        assert recent[0] == recent[1]
        return not (first and isinstance(first[-1], Disconnect))


PIECES = st.lists(
    st.tuples(
        st.lists(SAID, max_size=9) | st.lists(ANY | st.binary(max_size=9), max_size=9),
        st.sampled_from([1, 1, 2, 300]),
        st.booleans(),  # whether it ends a line
    ),
    max_size=4,
)
FLOODS = st.sampled_from([0, 0, 0, 3, 1000, 1e9])
QUIT_WORDS = st.sampled_from(["q", "hi", "", "*"])


@fewer(25)
@given(PIECES, FLOODS, st.sampled_from(ENCODINGS), QUIT_WORDS, st.booleans(), st.booleans())
def test_all_lines_at_once_are_the_same_as_one_by_one(
    pieces: list[tuple[list[bytes], int, bool]],
    flood: float,
    encoding: str,
    quit_word: str,
    introduced: bool,
    ended: bool,
) -> None:
    options = RoomOptions(flood=flood, history=50, quit_word=quit_word)
    both = Both(options, encoding, introduced=introduced)
    received = [b"\n".join(lines * times) + b"\n" * whole for lines, times, whole in pieces]
    if all(both.feed(data) for data in [*received, *[b""] * ended]):
        for _ in range(8):
            if not both.go_on():
                break


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_line_of_another_kind_among_many(encoding: str) -> None:
    odd = [text.encode() for text in ODD.split("|")] + RAW + LONG
    for line in odd:
        for place in range(3):
            lines = [b"hi", b"ho"]
            lines.insert(place, line)
            both = Both(FREE._replace(history=9), encoding, introduced=True)
            if both.feed(b"\n".join(lines)) and both.feed(b""):
                both.go_on()


def test_a_run_of_lines_is_one_outcome(talk: Talk) -> None:
    lines = [f"line {number}" for number in range(500)]
    (out,) = talk.room.feed(1, "".join(f"{line}\n" for line in lines).encode(), 0.0)
    assert isinstance(out, Deliver)
    assert out.lines == [f"[alex] {line}" for line in lines]
    assert (out.author, out.said) == (1, True)


class Anything(RuleBasedStateMachine):
    """Everybody gets each message once and in order, under its sender's name."""

    members = st.integers(1, 6)
    text = st.text(
        st.sampled_from("ab[]*/ q:你é\u0301ａ\r\t\x1b\u202e👋"), max_size=12
    ) | st.sampled_from(["* a joined", "[b] x", "/nick a", "/nick ａ", "/nick b", "/me x", "/who"])

    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk(RoomOptions(flood=3))
        self.pending: dict[int, bytes] = defaultdict(bytes)
        self.sent = 0
        self.tags: dict[int, list[int]] = defaultdict(list)
        self.here: dict[int, int] = {}

    def leave(self, member: int) -> None:
        if self.here.pop(member, None) is not None:
            self.talk.deliver(self.talk.room.leave(member))
            del self.talk.got[member]
            self.talk.admitted.discard(member)
            self.pending.pop(member, None)
            self.talk.gone.discard(member)

    def after(self) -> None:
        for member in list(self.talk.gone):
            self.leave(member)
        self.look()

    @rule(member=members)
    def join(self, member: int) -> None:
        if member not in self.here:
            self.here[member] = self.sent
            self.talk.got[member] = []
            self.talk.deliver(self.talk.room.join(member, self.talk.now))
            self.after()

    @rule(member=members)
    def introduce(self, member: int) -> None:
        self.talk.deliver(self.talk.room.introduce(member))
        self.after()

    @rule(member=members)
    def go(self, member: int) -> None:
        self.leave(member)

    @rule(member=members, text=text, cut=st.integers(0, 40))
    def say(self, member: int, text: str, cut: int) -> None:
        """The first bytes of what it has to say; each message has a number of its own."""
        if member in self.here:
            self.sent += 1
            self.pending[member] += f"{text}\nm{self.sent} {text}\n".encode()
            data, self.pending[member] = self.pending[member][:cut], self.pending[member][cut:]
            if data:
                self.talk.say(member, data)
            self.after()

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.talk.now += seconds
        for member in list(self.here):
            if member in self.here:
                self.talk.deliver(self.talk.room.resume(member, self.talk.now))
        self.after()

    def look(self) -> None:
        names = set(self.talk.room.names())
        for member in self.here:
            for line in self.talk.heard(member):
                assert re.match(r"\* |\[[^\[\] ]+( to you)?\] |\[you to [^\[\] ]+\] ", line), line
                assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e\u2028]", line)
                if tagged := re.match(r"\[([^\]]+)\] m(\d+) ", line):
                    seen = self.tags[member]
                    assert int(tagged[2]) not in seen, "twice"
                    seen.append(int(tagged[2]))
        assert len({fold_name(name) for name in names}) == len(names)

    @invariant()
    def each_sender_is_in_order(self) -> None:
        assert set(self.talk.got) == set(self.here)

    @invariant()
    def memory_is_bounded(self) -> None:
        for member in self.here:
            assert len(self.talk.room._members[member].received) <= MAX_LINE_BYTES + 1000


Anything.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnything = Anything.TestCase
