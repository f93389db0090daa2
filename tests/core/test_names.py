from __future__ import annotations

import pytest

from sockkit.core.names import check_name, key, width
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    "name",
    ["bob", "小雪", "金老板", "a-b_c.d", "é", "e\u0301", "🎉", "☎\ufe0f", "x" * 32, "あ" * 16],
)
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "bob ", "a b", "a\u3000b", "a\tb", "a\x1bb", "a\u202eb", "a\u200bb", "x" * 33,
        "ｓｅｒｖｅｒ", "[bob]", "*bob", "a:b", "/who", "［a", "..", "\u0301a",
        "\u0430lex", "αlex", "e" + "\u0301" * 200, "あ" * 17,
        "server", "Server", "You", "\u3164", "\u2800", "\uffa0", "serv\ufe0fer",
        "b\u034fob", "bob\ufe0f", "bo\u3164b", "\uff42\u043e\uff42",
    ],
)  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "BOB"),
        ("ｂob", "bob"),
        ("é", "e\u0301"),
        ("straße", "STRASSE"),
        ("ﬁx", "fix"),
        ("bob", "b\u034fob\ufe0f"),
        ("bob", "bo\u3164b"),
    ],
)
def test_names_that_read_the_same(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_width() -> None:
    assert [width(text) for text in ("abc", "你好", "e\u0301", "")] == [3, 4, 1, 0]
