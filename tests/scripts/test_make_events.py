"""docs/events.md: it tells every field, and its examples with jq do what they show."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts.make_events import EXAMPLES, FAULT, PATH, SAMPLE, fields_of, main, sample, text
from sockkit.core.json_lines import EVENTS, decode
from tests.support import WAIT, need


def test_it_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["make_events.py", "--check"])
    assert main() == 0


def test_a_change_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.md"
    path.write_text(PATH.read_text() + "more")
    monkeypatch.setattr("scripts.make_events.PATH", path)
    monkeypatch.setattr("sys.argv", ["make_events.py", "--check"])
    assert main() == 1
    assert "make events" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["make_events.py"])
    assert main() == 0
    assert path.read_text() == PATH.read_text()


def test_the_sample_has_every_event() -> None:
    assert {type(record) for record in [*SAMPLE, FAULT]} == set(EVENTS.values())
    assert [decode(line) for line in sample().splitlines()] == SAMPLE


def test_each_field_of_a_line_is_told() -> None:
    for line in sample().splitlines():
        found = json.loads(line)
        told = {"sockkit", "time", "event", *fields_of(EVENTS[found["event"]])}
        assert set(found) <= told
    assert all(f"## {name}\n" in text() for name in EVENTS)


@pytest.mark.process
@pytest.mark.parametrize(("command", "shown"), [example[1:] for example in EXAMPLES])
def test_an_example_with_jq(command: str, shown: str, tmp_path: Path) -> None:
    need("jq")
    (tmp_path / "server.json").write_bytes(sample())
    told = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=WAIT
    )
    assert (told.stderr, told.stdout) == ("", shown)
