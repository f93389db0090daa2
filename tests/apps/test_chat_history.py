from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sockkit.apps.chat_history import AT_LATEST, History
from sockkit.errors import OutputError
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


def test_lines_are_kept_in_order(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "room.db")
    history = History(loop, path)
    for number in range(5):
        history.keep(f"{number} 你好")
    assert history.last(2) == ["3 你好", "4 你好"]
    history.close()
    again = History(loop, path)
    again.keep("5")
    assert again.last(100) == [*(f"{number} 你好" for number in range(5)), "5"]
    again.close()


def test_they_are_safe_within_a_second(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    history = History(loop, str(path))
    history.keep("hi")
    loop.later(AT_LATEST + 0.05, loop.stop)
    loop.run()
    with sqlite3.connect(path) as other:  # as another process would
        assert other.execute("SELECT line FROM lines").fetchall() == [("hi",)]
    other.close()
    history.close()


@pytest.mark.parametrize("what", ["no database", "folder"])
def test_a_file_that_cannot_be_used(what: str, loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    path.write_text("no database" * 1000) if what == "no database" else path.mkdir()
    with pytest.raises(OutputError, match="could not keep the history"):
        History(loop, str(path))
