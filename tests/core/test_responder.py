from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.responder import (
    MAX_ESCAPED_BYTES,
    MAX_MESSAGE_BYTES,
    Responder,
    Rule,
    RuleResponder,
    UpperResponder,
    parse_rule,
    parse_rules,
)
from sockkit.core.text import check_line_codec
from sockkit.errors import UsageError
from tests.support import splits

TEXT = "ab你é\n👋c\r\n\nñ"
NO_TEXT = [
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    "👋".encode()[:3],
    b"\xe4\xbd",
    b"\0\x80\xfe\xff",
    bytes(range(128, 256)) * 3,
]
ENCODINGS = ["utf-8", "gbk", "gb18030"]


def glob(text: str) -> Rule:
    return parse_rule(text, regex=False)


def regex(text: str) -> Rule:
    return parse_rule(text, regex=True)


def fed(responder: Responder, pieces: list[bytes]) -> bytes:
    answers = [answer for piece in pieces for answer in responder.feed(piece)]
    return b"".join(answers + responder.flush())


@pytest.mark.parametrize(
    ("rule", "message", "answer"),
    [
        ("PING=PONG", "PING", "PONG"),
        ("PING=PONG", "PING ", None),
        ("PING=PONG", "ping", None),
        ("PING*=PONG", "PING 1", "PONG"),
        ("PING*=PONG", "a PING", None),
        ("?=one", "你", "one"),
        ("?=one", "", None),
        ("?=one", "ab", None),
        ("*=all", "", "all"),
        ("*=all", "a\nb", "all"),
        ("a.c=x", "abc", None),
        (r"a\=b=c", "a=b", "c"),
        ("a=b=c", "a", "b=c"),
        ("a=", "a", ""),
        ("a=\\1", "a", "\\1"),
    ],
)
def test_a_glob_matches_all_of_a_message(rule: str, message: str, answer: str | None) -> None:
    assert glob(rule).respond(message) == answer


@pytest.mark.parametrize(
    ("rule", "message", "answer"),
    [
        (r"^ADD (\d+)=OK \1", "ADD 12 x", "OK 12"),
        (r"^ADD (\d+)=OK \1", "xADD 12", None),
        (r"(?P<who>\w+)!=hi \g<who>", "well, 小雪!", "hi 小雪"),
        (r"(\w)(\w)=\2\1", "ab", "ba"),
        (r"(a)?b=<\1>", "b", "<>"),
        (r"(a)=\g<0>\g<0>", "xa", "aa"),
        (r"a\=(.)=\1\1", "a=b", "bb"),
        (r"x=a\tb", "x", "a\tb"),
        (r"^$=empty", "", "empty"),
        ("(?i)ping=PONG", "Ping", "PONG"),
    ],
)
def test_a_regex_is_searched_for(rule: str, message: str, answer: str | None) -> None:
    assert regex(rule).respond(message) == answer


@pytest.mark.parametrize("text", ["", "=", "=x", "a", r"a\=b", "a\\"])
@pytest.mark.parametrize("kind", [glob, regex])
def test_what_is_no_rule_is_named(text: str, kind: object) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is not a rule") as caught:
        kind(text)  # type: ignore[operator]
    every = ", or '*=ANSWER' for every message" if kind is glob else ""
    assert caught.value.hint == f"write PATTERN=ANSWER{every}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(=x", "unterminated"),
        ("[=x", "unterminated"),
        ("*=x", "nothing to repeat"),
        (r"a=\1", "group"),
        (r"(a)=\2", "group"),
        (r"(?P<x>a)=\g<y>", "y"),
        (r"a=\g<", "missing"),
        ("a{99999999999}=x", "repetition"),
        pytest.param("(" * 3000 + ")" * 3000 + "=x", "", id="deep"),
    ],
)
def test_a_regex_that_cannot_be_is_named_with_its_reason(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        regex(text)
    assert f"{text!r} is not a rule: " in str(caught.value)
    assert says in str(caught.value)


def test_a_regex_that_may_mean_more_one_day_is_taken_as_it_is() -> None:
    assert regex("[[a]=x").respond("[") == "x"  # and Python's FutureWarning is nobody's business


FILE = r"""# what a device says
PING*=PONG
BLANK
re:^ADD (\d+)=OK \1
 # =no comment

re=plain
""".replace("BLANK", "   ")


def test_a_file_of_rules() -> None:
    rules = parse_rules(FILE, "rules")
    said = map(Rule.respond, rules, ["PING", "ADD 1", " # ", "re"])
    assert list(said) == ["PONG", "OK 1", "no comment", "plain"]
    assert parse_rules(FILE.replace("\n", "\r\n"), "rules") == rules


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"])
def test_a_file_without_rules_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^rules has no rules"):
        parse_rules(text, "rules")


@pytest.mark.parametrize(
    ("text", "number", "says"),
    [
        ("a=b\n\n# c\nno rule\n", 4, "'no rule'"),
        ("re:(=x", 1, "unterminated"),
        ("a=b\nre:x=\\1", 2, "group"),
    ],
)
def test_a_fault_in_a_file_is_named_with_its_line(text: str, number: int, says: str) -> None:
    with pytest.raises(UsageError, match=f"^my rules, line {number}: .*{re.escape(says)}"):
        parse_rules(text, "my rules")


@pytest.mark.parametrize("separator", ["\v", "\f", "\x1c", "\x85", "\u2028"])
def test_a_line_of_a_file_ends_where_an_editor_ends_it(separator: str) -> None:
    (rule,) = parse_rules(f"a=b{separator}c\n", "rules")
    assert rule.respond("a") == f"b{separator}c"


RULES = [glob("PING*=PONG"), regex(r"^(\d+)\+(\d+)$=\2+\1"), glob("P*=never")]


def test_the_first_that_matches_counts() -> None:
    ruled = RuleResponder(RULES, "utf-8")
    assert ruled.answer(b"PING") == b"PONG"
    assert ruled.answer(b"POST") == b"never"
    assert ruled.answer(b"1+2") == b"2+1"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_an_answer_ends_as_its_message_does(end: bytes) -> None:
    ruled = RuleResponder([*RULES, glob("none=")], "utf-8")
    assert ruled.answer(b"PING" + end) == b"PONG" + end
    assert ruled.answer(b"none" + end) == end
    assert ruled.answer(b"other" + end) == b"other" + end
    assert ruled.answer(end) == end


@pytest.mark.parametrize("upper", [False, True])
def test_lines_in_every_split(upper: bool) -> None:
    data = "PING 你\r\n1+2\n\nñ👋\r\n\rP\n1+2\n3+4".encode()
    other = "ñ👋".upper() if upper else "ñ👋"
    expected = f"PONG\r\n2+1\n\n{other}\r\n\rP\n2+1\n4+3".encode()
    for pieces in splits(data):
        assert fed(RuleResponder(RULES, "utf-8", upper=upper), pieces) == expected


def test_a_line_is_answered_when_it_is_whole() -> None:
    ruled = RuleResponder(RULES, "utf-8")
    assert list(ruled.feed(b"PI")) == []
    assert list(ruled.feed(b"NG\nPING\nPIN")) == [b"PONG\n", b"PONG\n"]
    assert ruled.flush() == [b"never"]
    assert ruled.flush() == []


def test_a_line_too_long_comes_back_in_pieces() -> None:
    ruled = RuleResponder([glob("*b=no")], "utf-8")
    line = b"a" * (MAX_MESSAGE_BYTES + 1)
    assert list(ruled.feed(line[:-1])) == []
    assert list(ruled.feed(line[-1:])) == [line]
    assert list(ruled.feed(b"rest\n")) == [b"rest\n"]


@pytest.mark.parametrize("data", NO_TEXT, ids=lambda data: data[:4].hex())
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bytes_that_are_no_text_pass(data: bytes, encoding: str) -> None:
    if encoding == "utf-8":
        assert UpperResponder(encoding).answer(data) == data
        assert fed(UpperResponder(encoding), [b"a", data, b"\nb"]) == b"A" + data + b"\nB"
    message = data + b"\n"
    assert RuleResponder([glob("zz=y")], encoding).answer(message) == message


@pytest.mark.parametrize(("data", "encoding"), [(b"\xfa\x4a", "cp932"), (b"\x80", "ascii")])
def test_what_no_rule_matches_is_the_same_bytes(data: bytes, encoding: str) -> None:
    assert RuleResponder([glob("zz=y")], encoding).answer(data) == data


def test_a_rule_may_have_escaped_bytes_around_its_match() -> None:
    assert RuleResponder([regex("(.)a(.)=<\\2\\1>")], "utf-8").answer(b"\xffa\xfe") == b"<\xfe\xff>"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_capitals_in_every_split(encoding: str) -> None:
    text = "ab你\nd中e" if encoding == "gbk" else TEXT
    expected = text.upper().encode(encoding)
    for pieces in splits(text.encode(encoding)):
        assert fed(UpperResponder(encoding), pieces) == expected
    assert UpperResponder(encoding).answer(text.encode(encoding)) == expected


def test_capitals_may_be_longer() -> None:
    assert UpperResponder("utf-8").answer("straße ﬁ".encode()) == b"STRASSE FI"


def test_capitals_do_not_wait_for_a_line() -> None:
    assert UpperResponder("utf-8").feed(b"a") == [b"A"]
    assert UpperResponder("utf-8").feed(b"") == []


def test_a_letter_whose_capital_the_encoding_lacks_stays() -> None:
    for pieces in splits(b"ab\xffc\xb5d"):  # y with diaeresis, micro sign
        assert fed(UpperResponder("latin-1"), pieces) == b"AB\xffC\xb5D"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places})
    return [data[i:j] for i, j in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.binary(), st.lists(st.integers(0, 40)))
def test_any_bytes_are_echoed_by_rules_that_do_not_match(data: bytes, places: list[int]) -> None:
    assert fed(RuleResponder([glob("no such line=x")], "utf-8"), cut(data, places)) == data


@given(st.text(), st.lists(st.integers(0, 40)))
def test_any_text_is_capitalised_in_any_split(text: str, places: list[int]) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert fed(UpperResponder("utf-8"), cut(text.encode(), places)) == text.upper().encode()


@given(st.lists(st.sampled_from(["PING", "1+2", "其他", "", "\r"])), st.lists(st.integers(0, 60)))
def test_any_lines_are_answered_in_any_split(lines: list[str], places: list[int]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    answers = {"PING": "PONG", "1+2": "2+1"}
    expected = "".join(f"{answers.get(line, line)}\n" for line in lines).encode()
    assert fed(RuleResponder(RULES, "utf-8"), cut(data, places)) == expected


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("hz", b"~x~{\xff~"),
        ("iso2022_jp", b"\\J\x1b$\xe4J"),
    ],
)
def test_an_encoding_whose_every_byte_cannot_be_escaped(encoding: str, data: bytes) -> None:
    check_line_codec(encoding)
    assert UpperResponder(encoding).answer(data).lower() == data.lower()
    assert RuleResponder([glob("zz=y")], encoding).answer(data) == data
    assert RuleResponder([], encoding, upper=True).answer(data).lower() == data.lower()


CODECS = ["utf-8", "gbk", "gb18030", "big5", "shift_jis", "euc_kr", "cp932", "cp1252", "ascii"]


@given(st.binary(), st.sampled_from(CODECS))
def test_no_bytes_make_it_raise(data: bytes, encoding: str) -> None:
    for responder in (
        UpperResponder(encoding),
        RuleResponder(RULES, encoding),
        RuleResponder(RULES, encoding, upper=True),
    ):
        fed(responder, [data[:3], data[3:]])
        responder.answer(data)


HOSTILE = [r"(a|a)*$=X", r"(a+)+\1c=X", r".*a.*a.*a.*a.*c=X"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_pattern_that_takes_too_long_has_not_matched(text: str) -> None:
    rule, timed_out = regex(text), []
    ruled = RuleResponder(
        [rule, glob("*b=B")], "utf-8", clock=time.monotonic, timed_out=timed_out.append
    )
    began = time.process_time()
    assert ruled.answer(b"a" * MAX_MESSAGE_BYTES + b"!\n") == b"a" * MAX_MESSAGE_BYTES + b"!\n"
    assert ruled.answer(b"a" * MAX_MESSAGE_BYTES + b"b\n") == b"B\n"  # a rule after it may
    assert time.process_time() - began < 2
    assert timed_out == [rule, rule]


def test_the_time_of_a_message_is_for_all_its_rules() -> None:
    times = iter([0.0, 0.004, 0.012, 1.0])
    asked: list[float] = []

    class Slow:
        def search(self, text: str, timeout: float) -> None:
            asked.append(timeout)

    rule = regex("x=y")._replace(search=Slow())  # type: ignore[arg-type]
    ruled = RuleResponder([rule, rule, rule, glob("m=glob")], "utf-8", clock=lambda: next(times))
    assert ruled.answer(b"m") == b"glob"
    assert asked == pytest.approx([0.010, 0.006])  # there was no time left for the third


@pytest.mark.parametrize("text", ["*a*a*a*a*a*a*a*b=X", "*" * 50 + "?" * 50 + "b=X", "*b*=X"])
def test_a_glob_takes_time_in_proportion(text: str) -> None:
    ruled, began = RuleResponder([glob(text)], "utf-8"), time.process_time()
    message = b"a" * MAX_MESSAGE_BYTES
    for _ in range(10):
        assert ruled.answer(message) == message
    assert time.process_time() - began < 2


def test_a_long_line_in_single_bytes_takes_time_in_proportion() -> None:
    ruled, began = RuleResponder(RULES, "utf-8"), time.process_time()
    out = [piece for _ in range(5 * MAX_MESSAGE_BYTES) for piece in ruled.feed(b"a")]
    assert out == [b"a" * (MAX_MESSAGE_BYTES + 1)] * 4
    assert time.process_time() - began < 3


@pytest.mark.parametrize("size", [1000, 4096, 65_537, 1_000_000])
def test_a_line_too_long_is_cut_at_the_same_places_however_it_comes(size: int) -> None:
    data = b"a" * 200_000 + b"\nPING\n" + b"b" * (MAX_MESSAGE_BYTES + 2)
    ruled = RuleResponder(RULES, "utf-8")
    got = [a for at in range(0, len(data), size) for a in ruled.feed(data[at : at + size])]
    sizes = [
        *[MAX_MESSAGE_BYTES + 1] * 3,
        200_001 - 3 * (MAX_MESSAGE_BYTES + 1),
        5,
        MAX_MESSAGE_BYTES + 1,
    ]
    assert [len(answer) for answer in got] == sizes
    assert got[4] == b"PONG\n"
    assert ruled.flush() == [b"b"]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "big5", "latin-1", "cp932", "shift_jis"])
@pytest.mark.parametrize(
    "data", [b"\xff" * MAX_MESSAGE_BYTES, b"\x81\xff" * (MAX_MESSAGE_BYTES // 2)]
)
def test_much_that_is_no_text_takes_little_time(encoding: str, data: bytes) -> None:
    ruled = RuleResponder([glob("no=x")], encoding, upper=True)
    began = time.process_time()
    for _ in range(5):
        assert ruled.answer(data + b"\n") == data + b"\n"
        assert UpperResponder(encoding).answer(data) == data
    assert time.process_time() - began < 2


@given(st.binary(max_size=30), st.lists(st.integers(0, 40)))
def test_capitals_of_much_are_those_of_little(data: bytes, places: list[int]) -> None:
    pad = b"x" * (2 * MAX_ESCAPED_BYTES)
    assert fed(UpperResponder("gbk"), [pad + data]) == fed(
        UpperResponder("gbk"), [pad, *cut(data, places)]
    )


def test_what_pythons_expressions_do_not_have_is_refused() -> None:
    for text in (r"\p{Han}=x", "(?R)=x", "(?|a|b)=x"):
        with pytest.raises(UsageError):
            regex(text)


def test_a_processor_that_is_taken_away_costs_no_answer() -> None:
    """The search takes too long once, which is not the fault of the rule."""
    rule = parse_rule("b+=found", regex=True)
    tries: list[float] = []

    class Search:
        def search(self, message: str, timeout: float) -> object:
            tries.append(timeout)
            if len(tries) == 1:
                raise TimeoutError
            return rule.search and rule.search.search(message, timeout=timeout)

    held_up = rule._replace(search=Search())
    assert held_up.respond("abc", 5.0) == "found"
    assert tries == [5.0, 5.0]
