from __future__ import annotations

import pytest

from sockkit.cli.input import check_input, text_options
from sockkit.core.text import TextOptions
from sockkit.errors import UsageError

NOTHING = {
    "encoding": None,
    "send_encoding": None,
    "errors": None,
    "crlf": False,
    "hex_input": False,
    "escape_input": False,
}


def test_options_become_fields() -> None:
    assert text_options(NOTHING) == TextOptions()
    assert text_options(NOTHING | {"hex_input": True}) == TextOptions(hex_input=True)
    given = NOTHING | {"escape_input": True, "crlf": True, "encoding": "gbk", "name": "a"}
    assert text_options(given) == TextOptions("gbk", crlf=True, escape_input=True)
    assert text_options(NOTHING | {"hex_input": True, "encoding": "gbk", "name": None}).encoding


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"escape_input": True}, "--escape-input"),
        ({"crlf": True}, "--crlf"),
        ({"send_encoding": "gbk"}, "--send-encoding"),
        ({"name": "a"}, "--name"),
    ],
)
def test_what_excludes_hexadecimal_input(given: dict[str, object], option: str) -> None:
    with pytest.raises(UsageError, match=f"({option} cannot be used|cannot be used with {option})"):
        text_options(NOTHING | given | {"hex_input": True})


def test_a_command_may_have_nothing_that_converts() -> None:
    check_input({"hex_input": True, "escape_input": False})
    with pytest.raises(UsageError, match="--hex-input cannot be used with --escape-input"):
        check_input({"hex_input": True, "escape_input": True})
