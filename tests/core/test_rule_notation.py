from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.responder import RuleResponder, parse_rule, parse_rules
from sockkit.core.rule_notation import RuleReader, rule_reader
from sockkit.errors import UsageError


def reader(kind: str, encoding: str = "utf-8") -> RuleReader:
    made = rule_reader(encoding, hex_input=kind == "hex", escape_input=kind == "escape")
    assert made
    return made


def answer(kind: str, rule: str, message: bytes, *, regex: bool = False) -> bytes:
    rules = [parse_rule(rule, regex=regex, reader=reader(kind))]
    return RuleResponder(rules, "utf-8").answer(message)


def test_text_as_it_is_needs_no_reader() -> None:
    assert rule_reader("utf-8", hex_input=False, escape_input=False) is None


@pytest.mark.parametrize(
    ("kind", "rule", "message", "expected"),
    [
        ("hex", "01 03 *=01 83 02", b"\1\3\0\n", b"\1\x83\2\n"),
        ("hex", "01 03 *=01 83 02", b"\1\4\0", b"\1\4\0"),
        ("hex", "0103??=0x1,0x2", b"\1\3ab", b"\1\2"),
        ("hex", "2a 5b 3f=2a", b"*[?", b"*"),  # the signs of wildcards, as bytes
        ("hex", "2a=01", b"other", b"other"),
        ("hex", "e4 bd a0*=e4bda0 0a", "你好".encode(), "你\n".encode()),
        ("hex", "ff fe=80", b"\xff\xfe", b"\x80"),
        ("escape", r"a\x2a*=\x00\xff\u4f60", b"a*b", b"\0\xff\xe4\xbd\xa0"),
        ("escape", r"a\x2a=b", b"ab", b"ab"),
        ("escape", r"a\=b=c=d", b"a=b", b"c=d"),
        ("escape", r"a[b\t=\\", b"a[b\t", b"\\"),
        ("escape", r"\xe4\xbd\xa0=ok", "你".encode(), b"ok"),
    ],
)
def test_globs(kind: str, rule: str, message: bytes, expected: bytes) -> None:
    assert answer(kind, rule, message) == expected


@pytest.mark.parametrize(
    ("kind", "rule", "message", "expected"),
    [
        ("escape", r"^ADD (\d+)=\x02\1\x03\\1\u4f60", b"ADD 7", "\x027\x03\\1你".encode()),
        ("escape", r"(?P<n>\d)=\g<n>\r", b"7", b"7\r"),
        ("hex", r"^A=5c 31", b"A", b"\\1"),
    ],
)
def test_regular_expressions(kind: str, rule: str, message: bytes, expected: bytes) -> None:
    assert answer(kind, rule, message, regex=True) == expected


@pytest.mark.parametrize(
    ("kind", "rule", "regex", "problem"),
    [
        ("hex", "01 0g=02", False, "column 5: 'g'"),
        ("hex", "01*0z=02", False, "column 5: 'z'"),
        ("hex", "01*=02 123", False, "column 10: the digit '3'"),
        ("hex", "a=4\\1", True, "column 4: '\\\\\\\\'"),
        ("escape", r"a\q=b", False, r"column 2: \\q is not an escape"),
        ("escape", r"a=b\n\1", False, r"column 6: \\1 is not an escape"),
        ("escape", r"a\==b\n\q", False, r"column 8: \\q is not an escape"),
        ("escape", r"(a)=\1\q", True, r"column 7: \\q is not an escape"),
    ],
)
def test_an_error_names_the_column(kind: str, rule: str, regex: bool, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_rule(rule, regex=regex, reader=reader(kind))


def test_an_error_in_a_file_names_the_line_too() -> None:
    with pytest.raises(UsageError, match="f, line 3: column 4: 'x'"):
        parse_rules("# none\n01=02\n03=x\n", "f", reader("hex"))


def test_what_the_encoding_does_not_have() -> None:
    with pytest.raises(UsageError, match="cannot be encoded in gbk"):
        reader("escape", "gbk").answer(r"\U0001f600")


@given(st.binary(), st.sampled_from(["utf-8", "gbk", "latin-1"]))
def test_any_greeting(data: bytes, encoding: str) -> None:
    for kind, text in (("hex", data.hex()), ("escape", "".join(rf"\x{byte:02x}" for byte in data))):
        said = reader(kind, encoding).answer(text)
        assert said.encode(encoding, "surrogateescape") == data
