from __future__ import annotations

import pytest

from sockkit.core.chat.names import (
    MAX_MARKS,
    MAX_NAME_LENGTH,
    NOT_IN_ENCODING,
    Names,
    check_name,
    fold_name,
    skeletons,
)
from sockkit.core.chat.protocol import refused, refused_by
from sockkit.core.printable import escape
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    "name",
    [
        "bob", "小雪", "金老板", "小雪alex", "a-b_c.d", "é", "e\u0301", "x" * 32, "あ" * 16,
        "🎉", "☎\ufe0f", "❤\ufe0f", "©\ufe0f", "👩🏽", "🇩🇪", "ế", "ẗ", "ǭ", "İpek", "ñandú",
        "Kaʻiulani", "Дмитрий", "Ελένη", "Նարեկ", "მაია", "מרים", "שָׁלוֹם", "مُحَمَّد",
        "दुःख", "สมชาย", "น้ำ", "வாசு",
        "བསྒྲུབས", "ကြွေး", "ស្រី", "한글", "ノリ", "ニーナ", "ꓢꓳ", "server2", "e" + "\u0323" * MAX_MARKS,
    ],
)  # fmt: skip
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "bob ", "a b", "a\u3000b", "a\tb", "a\x1bb", "a\u202eb", "a\u200bb", "x" * 33,
        "ｓｅｒｖｅｒ", "[bob]", "*bob", "a:b", "/who", "［a", "..", "\u0301a",
        "\u0430lex", "αlex", "e" + "\u0301" * 200, "あ" * 17,
        "server", "Server", "You", "Operator", "sockkit",
        "\u3164", "\u2800", "\uffa0", "serv\ufe0fer",
        "ꓢerver", "ꓢꓰꓣꓦꓰꓣ", "ᏚᎬᎡᏙᎬᎡ", "ѕеrvеr", "𝐬𝐞𝐫𝐯𝐞𝐫", "ⓢⓔⓡⓥⓔⓡ", "ꜱᴇʀᴠᴇʀ", "🆂🅴🆁🆅🅴🆁",
        "ˢᵉʳᵛᵉʳ", "ſerver", "ʏᴏᴜ", "ꓬꓳꓴ", "server\u17d2", "se\u1039rver",
        "server\u2800", "server\xad", "serverː", "a∗",
        "\U0001d159", "bob\U0001d159", "\ufffc", "\u115f", "\U000e0fff", "\u17b4", "\U0001bca0",
        "e" + "\u0301" * 100, "e" + "\u0323" * (MAX_MARKS + 1), "a" + "\u20dd" * 5, "x" * 64 * 1024,
        "\ufdfa" * 8,
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
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("bob", "b0b", True),
        ("bill", "BI11", True),
        ("Ian", "lan", True),
        ("ian", "lan", False),
        ("Mom", "rnorn", True),
        ("ꓟom", "mom", True),
        ("bo\u1039b", "bob", True),
        ("guest-1", "guest-l", True),
        ("guest-1", "guest-11", False),
        ("é", "e", False),
        ("小雪", "小雨", False),
        ("ニ", "二", True),
    ],
)
def test_names_that_look_alike(one: str, other: str, alike: bool) -> None:
    assert bool(skeletons(one) & skeletons(other)) == alike


def test_no_two_that_look_alike_are_there() -> None:
    names = Names()
    names.add("bob", 1)
    for name in ("bob", "BOB", "b0b", "ꓐob"):
        with pytest.raises(UsageError, match="is taken"):
            names.check(name, 2)
        names.check(name, 1)  # its own
    assert (names.find("ＢOB"), names.find("b0b")) == (1, None)
    names.remove("bob")
    names.check("b0b", 2)
    assert names.find("bob") is None
    assert names.find("\u0301\u0323" * 1_000_000) is None  # at once
    assert not names.in_use("b" * MAX_NAME_LENGTH)


def test_a_name_that_is_not_in_the_encoding() -> None:
    line = refused(NOT_IN_ENCODING)
    with pytest.raises(UsageError) as caught:
        check_name(escape(b"\xc4\xe3".decode(errors="backslashreplace")))
    assert refused(str(caught.value)) == line
    assert str(refused_by(line)).endswith("of the room: give the room's encoding with -E")


def test_marks_do_not_pile_up_in_time() -> None:
    pile = "\u0301\u0323" * 100_000  # sorted, it would take minutes
    assert fold_name(f"a{pile}b") == fold_name(f"a{pile[:30]}b")


def test_of_many_names_few_are_kept() -> None:
    for number in range(2000):
        skeletons(f"n{number}")
    assert skeletons.cache_info().currsize <= 1024
