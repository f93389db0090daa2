from __future__ import annotations

import pytest

from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


class Watched:
    """A watch whose end is `ready`; `turns` are those in which it called."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._turn = loop, 0
        self.ready = True
        self.turns: list[int] = []
        self.watch = Watch(loop, lambda: self.ready)
        self.watch.callback = self.called

    def called(self) -> None:
        self.turns.append(self._turn)

    def pass_turns(self, count: int) -> None:
        """So many turns, of which each is counted after the callbacks."""

        def count_one() -> bool:
            self._turn += 1
            return self._turn == end

        end = self._turn + count
        kit.do(self._loop, count_one, self._loop.stop)
        self._loop.run()


@pytest.fixture
def watched(loop: Loop) -> Watched:
    return Watched(loop)


def test_it_calls_once_in_each_turn_while_ready(watched: Watched) -> None:
    for _ in range(3):
        watched.watch.wake()
    watched.pass_turns(4)
    assert len(watched.turns) >= 4
    assert len(watched.turns) == len(set(watched.turns))


@pytest.mark.parametrize("stop", ["ready", "callback"])
def test_it_calls_no_more_when_that_has_ended_meanwhile(stop: str, watched: Watched) -> None:
    watched.watch.wake()
    setattr(watched if stop == "ready" else watched.watch, stop, None)
    watched.pass_turns(3)
    assert watched.turns == []
    setattr(watched if stop == "ready" else watched.watch, stop, watched.called)
    watched.pass_turns(3)
    assert watched.turns == []  # nobody has woken it
    watched.watch.wake()
    watched.pass_turns(3)
    assert watched.turns


def test_a_callback_that_becomes_another_is_not_called(watched: Watched) -> None:
    called: list[str] = []
    watched.watch.wake()
    watched.watch.callback = lambda: called.append("the new one")
    watched.pass_turns(2)
    assert (bool(called), watched.turns) == (True, [])


def test_what_a_callback_raises_does_not_end_the_calls(watched: Watched, loop: Loop) -> None:
    def fail() -> None:
        raise ValueError("from the callback")

    watched.watch.callback = fail
    watched.watch.wake()
    for _ in range(2):
        with pytest.raises(ValueError, match="from the callback"):
            loop.run()
