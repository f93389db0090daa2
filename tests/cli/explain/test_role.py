from __future__ import annotations

import pytest

from sockkit.cli.explain.role import Role


@pytest.mark.parametrize(
    ("relays", "number", "dialled", "name"),
    [
        (False, 0, True, "s"),
        (False, 3, True, "s"),  # of a client's or a probe's there is one at a time
        (False, 1, False, "conn"),
        (False, 12, False, "conn12"),
        (True, 1, True, "out"),
        (True, 2, True, "out2"),
        (True, 2, False, "conn2"),
    ],
)
def test_what_a_socket_is_called(relays: bool, number: int, dialled: bool, name: str) -> None:
    role = Role(serves=relays, relays=relays, framed=False)
    assert role.name(number, dialled=dialled) == name
