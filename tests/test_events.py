"""How each is told is tests/cli/test_render.py."""

from __future__ import annotations

import ast
import inspect
from typing import get_args

from sockkit import events
from sockkit.events import Event


def test_every_event_says_what_it_is() -> None:
    """In the source: a named tuple without a docstring is given one."""
    tree = ast.parse(inspect.getsource(events))
    told = {
        node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.ClassDef)
    }
    assert {kind.__name__ for kind in get_args(Event)} == set(told) - {"Peer"}
    assert [name for name, text in told.items() if not text] == []
