from __future__ import annotations

import pytest

from sockkit.events import Peer
from sockkit.term.color import COLORS, MAX_PEERS, Palette, wanted


@pytest.mark.parametrize(
    ("terminal", "environ", "colored"),
    [
        (True, {}, True),
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (True, {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_whether_to_colour(terminal: bool, environ: dict[str, str], colored: bool) -> None:
    assert wanted(terminal, environ) is colored


def test_a_name_keeps_its_colour_and_numbers_take_turns() -> None:
    one, other = Palette(True), Palette(True)
    assert one.color("小雪") == other.color("小雪") in COLORS
    assert [one.color(str(number)) for number in range(1, len(COLORS) + 1)] == list(COLORS)
    assert one.color(str(len(COLORS) + 1)) == COLORS[0]


@pytest.mark.parametrize("name", ["2", "10.0.0.7:51234", "10.0.0.7"])
def test_a_fixed_colour_is_by_any_of_a_peers_names(name: str) -> None:
    peer = Peer(2, "10.0.0.7:51234")
    assert Palette(True, {name: "red"}).of_peer(peer) == "red"
    assert Palette(True, {"10.0.0.8": "red"}).of_peer(peer) == COLORS[1]


def test_a_peer_that_comes_back_keeps_its_colour() -> None:
    peers: dict[str, str] = {}
    out, err = Palette(True, {"9": "cyan"}, peers), Palette(True, {"9": "cyan"}, peers)
    assert out.of_peer(Peer(1, "10.0.0.7:5")) == err.of_peer(Peer(8, "10.0.0.7:5")) == COLORS[0]
    assert err.of_peer(Peer(2, "10.0.0.7:6")) == out.of_peer(Peer(7, "10.0.0.7:6")) == COLORS[1]
    assert out.of_peer(Peer(9, "10.0.0.7:5")) == "cyan"  # which the user chose


def test_peers_without_an_address_take_turns() -> None:
    palette = Palette(True)
    assert [palette.of_peer(Peer(number, "unix")) for number in (1, 2)] == list(COLORS[:2])


def test_the_colours_of_a_bounded_number_of_peers_are_kept() -> None:
    peers: dict[str, str] = {}
    palette = Palette(True, None, peers)
    for number in range(1, MAX_PEERS + 2):
        palette.of_peer(Peer(number, f"10.0.0.7:{number}"))
    assert len(peers) == MAX_PEERS
    assert "10.0.0.7:1" not in peers


def test_paint() -> None:
    assert Palette(True).paint("x", "magenta") == "\x1b[35mx\x1b[39m"
    assert Palette(True).paint("", "magenta") == ""
    assert Palette(False).paint("x", "magenta") == "x"
    assert Palette(True).highlight("x") == "\x1b[1mx\x1b[22m"
    assert Palette(False).highlight("x") == "x"


def test_every_colour_there_is_has_a_code() -> None:
    codes = {Palette(True).paint("x", color) for color in COLORS}
    assert len(codes) == len(COLORS)
