from __future__ import annotations

import pytest

from sockkit.core.chat import history
from sockkit.core.chat.history import FULL_BLOCK_CHARACTERS, MAX_RECENT_CHARACTERS, RecentLines


def shown(recent: RecentLines, encoding: str = "utf-8") -> str:
    return b"".join(block.encoded(encoding) for block in recent.blocks()).decode(encoding)


def test_the_last_lines_are_shown() -> None:
    recent = RecentLines(3)
    assert recent.blocks() == ()
    for number in range(5):
        recent.add(f"line {number}")
        first = max(0, number - 2)
        assert shown(recent) == "".join(f"line {n}\n" for n in range(first, number + 1))


def test_without_history_nothing_is_kept() -> None:
    recent = RecentLines(0)
    recent.add("a")
    assert recent.blocks() == ()


def test_a_character_that_an_encoding_has_not() -> None:
    recent = RecentLines(1)
    recent.add("好👋")
    assert shown(recent, "gbk") == "好\\U0001f44b\n"
    assert shown(recent) == "好👋\n"


def test_newcomers_share_what_they_are_shown() -> None:
    """Each encoding's bytes are made once; a new line changes the last block alone."""
    recent = RecentLines(1_000_000)
    for number in range(3 * MAX_RECENT_CHARACTERS // 1000):
        recent.add(f"{number:06}" + "好" * 994)
    assert (
        MAX_RECENT_CHARACTERS - 1000
        <= sum(block.size for block in recent.blocks())
        <= MAX_RECENT_CHARACTERS
    )
    before = [block.encoded("utf-8") for block in recent.blocks()]
    assert all(
        block.encoded("utf-8") is data for block, data in zip(recent.blocks(), before, strict=True)
    )
    recent.add("one more")
    after = {id(block.encoded("utf-8")) for block in recent.blocks()}
    assert len(after - set(map(id, before))) <= 2
    assert max(map(len, before)) < 3 * (FULL_BLOCK_CHARACTERS + 1000)


@pytest.mark.parametrize("kept", [2, 5])
def test_what_was_handed_out_does_not_change(kept: int) -> None:
    recent = RecentLines(kept)
    recent.extend(["one", "two"])
    blocks = recent.blocks()
    recent.extend(["three", "four"])
    assert b"".join(block.encoded("utf-8") for block in blocks) == b"one\ntwo\n"
    assert shown(recent).endswith("three\nfour\n")


@pytest.mark.parametrize("kept", [1, 5, 100])
@pytest.mark.parametrize("full", [1, 20, 1000])
def test_what_came_later_can_be_left_out(
    kept: int, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FULL_BLOCK_CHARACTERS", full)
    recent = RecentLines(kept)
    lines = [f"line {number}" for number in range(10)]
    recent.extend(lines)
    for added in range(11):
        shown = [line for block in recent.blocks(added) for line in block.lines]
        assert shown == lines[max(10 - kept, 0) : added]
        assert "".join(
            block.encoded("utf-8").decode() for block in recent.blocks(added)
        ) == "".join(f"{line}\n" for line in shown)
    assert recent.blocks(10) == recent.blocks()
