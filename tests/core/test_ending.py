"""A clock that starts at 100; a script is what happens, one letter each second.

`s` sent, `d` delivered, `r` received, `I` our input ends, `P` the peer ends.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.ending import (
    Ending,
    EndOptions,
    HalfClose,
    Limit,
    Until,
    idle_error,
    next_check,
    silence_only,
)
from sockkit.errors import TimedOut

START = 100.0
AUTO = EndOptions(half_close=HalfClose.AUTO)


def play(script: str, options: EndOptions) -> Ending:
    ending = Ending(options, START)
    calls = {
        "s": ending.sent,
        "d": ending.delivered,
        "r": ending.received,
        "I": ending.end_input,
        "P": ending.end_peer,
    }
    for second, letter in enumerate(script, 1):
        calls[letter](START + second)
    return ending


@pytest.mark.parametrize(
    ("until", "nothing", "stdin", "peer", "both"),
    [
        (Until.BOTH, False, False, False, True),
        (Until.STDIN, False, True, False, True),
        (Until.PEER, False, False, True, True),
        (Until.EITHER, False, True, True, True),
    ],
)
def test_which_ends_end_it(
    until: Until, nothing: bool, stdin: bool, peer: bool, both: bool
) -> None:
    overs = {"sr": nothing, "sIr": stdin, "rPs": peer, "IP": both, "PI": both}
    for script, over in overs.items():
        assert play(script, EndOptions(until)).over() is over, script


@pytest.mark.parametrize(
    ("script", "options", "bound"),
    [
        # Nobody has ended: only idle counts, from the last byte of either direction.
        ("sr", EndOptions(), None),
        ("sr", EndOptions(linger=3), None),
        ("", EndOptions(idle=9), (109, Limit.IDLE)),
        ("rs", EndOptions(idle=9), (111, Limit.IDLE)),
        ("sr", EndOptions(idle=9), (111, Limit.IDLE)),
        # Our input has ended: the peer's silence counts, and has no bound by default.
        ("I", EndOptions(), None),
        ("I", EndOptions(linger=3), (104, Limit.PEER_SILENT)),
        ("Ir", EndOptions(linger=3), (105, Limit.PEER_SILENT)),
        ("Is", EndOptions(linger=3), (104, Limit.PEER_SILENT)),
        ("I", EndOptions(Until.PEER, linger=3), (104, Limit.PEER_SILENT)),
        ("I", EndOptions(linger=0), (101, Limit.PEER_SILENT)),
        # The peer has ended: our input's silence counts, 5 s by default.
        ("P", EndOptions(), (106, Limit.INPUT_SILENT)),
        ("Ps", EndOptions(), (107, Limit.INPUT_SILENT)),
        ("Pr", EndOptions(), (106, Limit.INPUT_SILENT)),
        ("P", EndOptions(linger=3), (104, Limit.INPUT_SILENT)),
        ("P", EndOptions(linger=0), (101, Limit.INPUT_SILENT)),
        # Who asked to go on until stdin ends is not cut short, unless told.
        ("P", EndOptions(Until.STDIN), None),
        ("P", EndOptions(Until.STDIN, linger=3), (104, Limit.INPUT_SILENT)),
        # A peer that takes what waits for it is not silent, and gives our input nothing.
        ("sd", EndOptions(idle=3), (105, Limit.IDLE)),
        ("Id", EndOptions(linger=3), (105, Limit.PEER_SILENT)),
        ("Pd", EndOptions(), (106, Limit.INPUT_SILENT)),
        # Both have ended: nobody is waited for.
        ("IP", EndOptions(linger=3), None),
        ("PI", EndOptions(), None),
        # The earlier of two bounds.
        ("I", EndOptions(linger=3, idle=9), (104, Limit.PEER_SILENT)),
        ("I", EndOptions(linger=9, idle=3), (104, Limit.IDLE)),
        ("P", EndOptions(idle=4), (105, Limit.IDLE)),
        ("P", EndOptions(idle=6), (106, Limit.INPUT_SILENT)),
    ],
)
def test_how_long_a_silence_may_last(
    script: str, options: EndOptions, bound: tuple[float, Limit] | None
) -> None:
    assert play(script, options).bounds()[:1] == ([bound] if bound else [])


@pytest.mark.parametrize(
    ("script", "at"),
    [
        # Nothing has come since our last byte: 10 s after it.
        ("sI", 111),
        ("rsI", 112),
        ("I", 110),
        ("sII", 111),
        # It has answered: 1 s after the last of the answer.
        ("srI", 103),
        ("sIr", 104),
        ("sIrr", 105),
        ("srsI", 113),  # we have sent more since
        ("srsIr", 106),
        # A peer that takes what waits for it is not silent, whether or not it has answered.
        ("sIdd", 114),
        ("sIrd", 105),
    ],
)
def test_when_the_end_of_our_input_is_passed_on(script: str, at: float) -> None:
    ending = play(script, AUTO)
    assert ending.bounds() == [(at, Limit.HALF_CLOSE)]
    ending.half_closed = True
    assert ending.bounds() == []


@pytest.mark.parametrize(
    ("script", "half_close"),
    [("sr", HalfClose.AUTO), ("srI", HalfClose.NOW), ("srI", HalfClose.NEVER)],
)
def test_when_it_is_not_passed_on_by_time(script: str, half_close: HalfClose) -> None:
    assert play(script, EndOptions(half_close=half_close)).bounds() == []


def test_every_silence_has_its_own_bound() -> None:
    options = EndOptions(Until.BOTH, 5.0, 20.0, HalfClose.AUTO)
    bounds = play("sI", options).bounds()
    assert bounds == [(107, Limit.PEER_SILENT), (111, Limit.HALF_CLOSE), (122, Limit.IDLE)]


@pytest.mark.parametrize(
    ("script", "answered"),
    [("", False), ("r", True), ("rs", False), ("rsr", True), ("srI", True), ("rsP", False)],
)
def test_an_answer_comes_after_our_last_byte(script: str, answered: bool) -> None:
    assert play(script, AUTO).answered is answered


@pytest.mark.parametrize(
    ("bound", "look"), [(START + 8, START + 1), (START + 0.2, START + 0.05), (START - 1, START - 1)]
)
def test_how_often_a_peers_progress_is_looked_at(bound: float, look: float) -> None:
    assert next_check(bound, START) == look


@pytest.mark.parametrize(("idle", "words"), [(5.0, "5 s"), (0.25, "0.25 s")])
def test_the_idle_error_says_how_long(idle: float, words: str) -> None:
    error = idle_error(idle)
    assert isinstance(error, TimedOut)
    assert str(error) == f"nothing was sent or received for {words}"


@given(st.text("sdrIP", max_size=8), st.sampled_from(Until), st.floats(0, 10), st.floats(0, 10))
def test_a_bound_is_a_silence_from_something_that_happened(
    script: str, until: Until, linger: float, idle: float
) -> None:
    """Never later than idle after the last event, and the ends are remembered."""
    ending = play(script, EndOptions(until, linger, idle))
    assert (ending.input_ended, ending.peer_ended) == ("I" in script, "P" in script)
    when, _ = ending.bounds()[0]
    assert START <= when <= START + len(script) + idle


def test_a_patient_one_has_no_bound_of_its_own() -> None:
    ending = Ending(EndOptions(patient=True), 0.0)
    ending.end_peer(0.0)
    assert ending.bounds() == []
    ending = Ending(EndOptions(linger=2.0, patient=True), 0.0)
    ending.end_peer(0.0)
    assert ending.bounds() == [(2.0, Limit.INPUT_SILENT)]


def test_a_connection_that_only_a_silence_ends() -> None:
    assert silence_only(None) is None
    options = silence_only(0.0)
    assert options
    ending = Ending(options._replace(idle=7.0), 100.0)
    ending.end_peer(101.0)
    assert not ending.over()
    assert ending.bounds() == [(108.0, Limit.IDLE)]
