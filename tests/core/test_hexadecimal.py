from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.hexadecimal import parse_hex
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    "text",
    ["48 65 0a", "48650a", "48 650a", "0x48 0x65 0x0A", r"\x48\x65\x0a", "0x48650a", " 48\t65 0a "],
)
def test_each_way_to_write_bytes(text: str) -> None:
    assert parse_hex(text) == b"He\n"


@pytest.mark.parametrize(
    "text", ["", " ", "4", "48 6", "xy", "0x", "4 8", "48,65", "４８", "0x48x65"]
)
def test_what_is_not_bytes(text: str) -> None:
    with pytest.raises(UsageError, match="48 65 6c"):
        parse_hex(text)


@given(st.binary(min_size=1))
def test_there_and_back(data: bytes) -> None:
    assert parse_hex(data.hex()) == parse_hex(data.hex(" ")) == data
