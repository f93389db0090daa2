"""Where lines are kept, and that no obstacle matters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory

from sockkit.term.history import history_of, history_path


@pytest.mark.parametrize(
    ("state", "home", "path"),
    [
        ("/state", "/home/alex", "/state/sockkit/tcp-client-history"),
        ("", "/home/alex", "/home/alex/.local/state/sockkit/tcp-client-history"),
        ("relative", "/home/alex", "/home/alex/.local/state/sockkit/tcp-client-history"),
        ("", "relative", None),
    ],
)
def test_where_lines_are_kept(state: str, home: str, path: str | None) -> None:
    assert history_path("tcp-client", state, home) == path


def test_lines_are_kept_for_the_next_run_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "state" / "sockkit" / "history"
    history = history_of(str(path))
    for line in ("你好", "one\ntwo"):
        history.append_string(line)
    assert list(history_of(str(path)).load_history_strings()) == ["one\ntwo", "你好"]
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)  # somebody's copy
    history_of(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_kept_there_is_the_history_of_this_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (None, str(tmp_path / "file" / "history"), str(tmp_path)):
        assert isinstance(history_of(path), InMemoryHistory)


def test_a_disk_that_is_full_is_no_matter(tmp_path: Path) -> None:
    history = history_of(str(tmp_path / "history"))
    os.remove(tmp_path / "history")
    (tmp_path / "history").mkdir()
    history.append_string("hi")
    assert history.get_strings() == ["hi"]
