from __future__ import annotations

from typing import Any

import pytest

from sockkit.cli.progress import check_progress
from sockkit.errors import UsageError


def values(**more: Any) -> dict[str, Any]:
    return {"progress": True, "quiet": False, **more}


def test_nothing_speaks_against_it() -> None:
    check_progress(values(execute=None, shell=None), edits=False)
    check_progress(values(), edits=False)


@pytest.mark.parametrize(
    ("more", "edits", "words"),
    [
        ({"quiet": True}, False, "--progress cannot be used with -q: remove one of them"),
        ({"execute": "cat"}, False, "--progress cannot be used with --exec or --shell"),
        ({"shell": "cat"}, False, "the program has the connection"),
        (
            {},
            True,
            "with line editing: redirect stdin or stdout, or add --no-edit",
        ),
    ],
)
def test_what_leaves_it_no_place(more: dict[str, Any], edits: bool, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_progress(values(**more), edits=edits)
