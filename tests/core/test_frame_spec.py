from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.frame_spec import MAX_MARKER_BYTES, MAX_OFFSET, parse_frame
from sockkit.core.frames import MAX_FRAME_BYTES, Counted, Delimited, Fixed, Gap
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("line", Delimited(b"\n", open_end=True)),
        ("nul", Delimited(b"\0")),
        ("fixed:16", Fixed(16)),
        (f"fixed:{MAX_FRAME_BYTES}", Fixed(MAX_FRAME_BYTES)),
        ("delim:0d0A", Delimited(b"\r\n")),
        ("len:1", Counted(b"", 0, 1, "big", 0)),
        ("len:1le", Counted(b"", 0, 1, "little", 0)),
        ("len:2be", Counted(b"", 0, 2, "big", 0)),
        ("len:3be-3", Counted(b"", 0, 3, "big", -3)),
        ("len:4le+4", Counted(b"", 0, 4, "little", 4)),
        ("len:8be", Counted(b"", 0, 8, "big", 0)),
        ("len@4:2be", Counted(b"", 4, 2, "big", 0)),
        ("start:aa55,len@2:1be+4", Counted(b"\xaa\x55", 2, 1, "big", 4)),
        ("start:aa55,len:1", Counted(b"\xaa\x55", 2, 1, "big", 0)),
        ("start:68,len@5:2le-1", Counted(b"\x68", 5, 2, "little", -1)),
        ("gap:20ms", Gap(0.02)),
        ("gap:1.5", Gap(1.5)),
    ],
)
def test_a_spec_is_a_rule(spec: str, rule: object) -> None:
    assert parse_frame(spec) == rule
    assert type(parse_frame(spec)) is type(rule)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "unknown kind"),
        ("lines", "unknown kind"),
        ("line:", "'line' is an unknown kind"),
        ("LINE", "unknown kind"),
        ("size:3", "'size' is an unknown kind"),
        ("fixed", "the size ''"),
        ("fixed:0", "the size '0'"),
        ("fixed:-1", "the size '-1'"),
        ("fixed:1k", "the size '1k'"),
        ("fixed:１６", "the size '１６'"),
        (f"fixed:{MAX_FRAME_BYTES + 1}", "from 1 to 1,048,576"),
        ("fixed:99999999999999999999", "the size"),
        ("delim:", "the delimiter ''"),
        ("delim:0d0", "two digits per byte"),
        ("delim:0x0d", "is not hex"),
        ("delim:" + "00" * (MAX_MARKER_BYTES + 1), "more than 16 bytes"),
        ("len", "like len:2be"),
        ("len:", "like len:2be"),
        ("len:5be", "1, 2, 3, 4 or 8 bytes, not 5"),
        ("len:0", "1, 2, 3, 4 or 8 bytes, not 0"),
        ("len:2", "needs a byte order: write len:2be (big endian) or len:2le"),
        ("len:2xx", "like len:2be"),
        ("len:2be4", "like len:2be"),
        ("len:2be+", "like len:2be"),
        (f"len:2be+{MAX_OFFSET + 1}", "the number added to the length '+4097'"),
        (f"len:2be-{MAX_OFFSET + 1}", "the number added to the length '-4097'"),
        (f"len@{MAX_OFFSET + 1}:2be", "the offset of the length '4097'"),
        ("len@:2be", "like len:2be"),
        ("start:aa55", "the length ''"),
        ("start:,len:1", "the marker ''"),
        ("start:aa5,len:1", "the marker 'aa5'"),
        ("start:aa55,len@1:1", "a length at 1 would be inside the marker"),
        ("start:aa55,fixed:3", "the length 'fixed:3'"),
        ("gap", "'' is not a duration"),
        ("gap:x", "'x' is not a duration"),
        ("gap:0", "the gap '0' must be longer than 0"),
    ],
)
def test_what_is_no_spec_is_said_with_the_part_that_is_wrong(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_frame(spec)
    assert str(caught.value).startswith(f"{spec!r} is not a frame rule: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "len:2be" in str(caught.value)


@given(st.text("linexdfg:stap@,+-0123456789abe", max_size=20))
def test_no_text_makes_the_parser_raise_anything_else(text: str) -> None:
    for spec in (text, f"fixed:{text}", f"len:{text}", f"start:{text}", f"gap:{text}"):
        try:
            parse_frame(spec)
        except UsageError:
            pass
