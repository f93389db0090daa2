"""Where the network cuts must not matter: `outcome` of every split equals that of one feed."""

from __future__ import annotations

import pkgutil
import random
import re
from collections.abc import Callable, Iterable
from encodings import __path__ as codec_modules
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.printable import Printable
from sockkit.core.text import (
    Crlf,
    Edit,
    Errors,
    TextOptions,
    Transcoder,
    Transform,
    check_codec,
    check_line_codec,
)
from sockkit.errors import TextError, UsageError
from tests.support import splits

SAMPLES = {
    "utf-8": "aé\n你😀",
    "utf-16": "a你\n😀",
    "utf-16-le": "a你\n😀",
    "gbk": "a你\n，é",
    "gb18030": "a你\n😀é",
    "big5": "a你\n繁，",
    "shift_jis": "aソ\n表ｶ",
}
NO_TEXT = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"a\xf0\x9f\x98b\n\x81\x30z"]


def known(name: str) -> bool:
    try:
        return bool(check_codec(name))
    except UsageError:
        return False


CODECS = [module.name for module in pkgutil.iter_modules(codec_modules) if known(module.name)]


def outcome(transform: Transform, chunks: Iterable[bytes]) -> tuple[bytes, str]:
    """All the output that is to be delivered, and what was said of the fault, if any."""
    out = b""
    try:
        for chunk in chunks:
            out += transform.feed(chunk)
        return out + transform.flush(), ""
    except TextError as error:
        return out + error.before, str(error)


def undo(shown: bytes, encoding: str) -> bytes:
    """The bytes that are shown so, if there was no backslash among them."""
    words = re.split(r"\\x([0-9a-f]{2})", shown.decode())
    return b"".join(
        bytes.fromhex(word) if i % 2 else word.encode(encoding) for i, word in enumerate(words)
    )


def transcoder(
    source: str, target: str, errors: Errors = Errors.STRICT, edits: tuple[Edit, ...] = ()
) -> Transcoder:
    return Transcoder(
        source, target, "stdin", decode_errors=errors, encode_errors=errors, edits=edits
    )


def inbound(encoding: str) -> Transcoder:
    transform = TextOptions(encoding=encoding).inbound("utf-8")
    assert transform
    return transform


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", ""),
        ("a\nb\n", "a\r\nb\r\n"),
        ("a\r\nb", "a\r\nb"),
        ("\r\n\n\r\r\n", "\r\n\r\n\r\r\n"),
        ("\r", "\r"),
        ("a\rb\n\r", "a\rb\r\n\r"),
    ],
)
def test_crlf_in_every_split(data: str, expected: str) -> None:
    for pieces in splits(data):
        text, byte = Crlf("\r\n"), Crlf(b"\r\n")
        assert "".join(map(text.feed, pieces)) + text.flush() == expected
        raw = b"".join(byte.feed(piece.encode()) for piece in pieces) + byte.flush()
        assert raw == expected.encode()


@given(st.lists(st.text("\r\na", max_size=4)))
def test_crlf_leaves_no_bare_lf_and_adds_only_cr(chunks: list[str]) -> None:
    crlf = Crlf("\r\n")
    out = "".join(map(crlf.feed, chunks)) + crlf.flush()
    assert re.search(r"(?<!\r)\n", out) is None
    assert out.replace("\r\n", "\n") == "".join(chunks).replace("\r\n", "\n")


@pytest.mark.parametrize("encoding", SAMPLES)
def test_text_cut_anywhere_arrives_whole_both_ways(encoding: str) -> None:
    text = SAMPLES[encoding]
    user, wire = text.encode(), text.encode(encoding)
    for pieces in splits(wire):
        assert outcome(inbound(encoding), pieces) == (user, "")
    for pieces in splits(user):
        assert outcome(transcoder("utf-8", encoding), pieces) == (wire, "")


@pytest.mark.parametrize("encoding", SAMPLES)
def test_a_character_cut_by_the_end_is_reported(encoding: str) -> None:
    text, wire = SAMPLES[encoding], SAMPLES[encoding].encode(encoding)
    bare = "utf-16-le" if encoding == "utf-16" else encoding  # without a byte-order mark
    mark = len(wire) - len(text.encode(bare))
    ends = [0, *accumulate((len(c.encode(bare)) for c in text), initial=mark)]
    for size in range(len(wire) + 1):
        start = max(end for end in ends if end <= size)
        whole, cut = wire[:start].decode(encoding), wire[start:size]
        shown = whole + "".join(f"\\x{byte:02x}" for byte in cut)

        lenient = inbound(encoding)
        assert outcome(lenient, [wire[:size]]) == (shown.encode(), "")
        assert lenient.cut == cut

        strict = transcoder(encoding, "utf-8")
        out, fault = outcome(strict, [wire[:size]])
        assert out == whole.encode()
        place = f"stdin is not {encoding}: byte 0x{cut[0]:02x} at byte {start + 1}:" if cut else ""
        assert fault.startswith(place)
        assert bool(fault) == bool(cut)


@pytest.mark.parametrize("data", NO_TEXT, ids=bytes.hex)
@pytest.mark.parametrize("encoding", [*SAMPLES, "iso2022_jp"])
def test_bytes_that_are_no_text_are_shown(encoding: str, data: bytes) -> None:
    if encoding == "utf-16":
        data = b"\xff\xfe" + data
    shown = data.decode(encoding, "backslashreplace").encode()
    for pieces in splits(data):
        assert outcome(inbound(encoding), pieces) == (shown, "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gbk", "gb18030", "shift_jis"])
def test_many_random_bytes_lose_nothing(encoding: str) -> None:
    data = random.Random(1).randbytes(2**18).replace(b"\\", b"")
    out, fault = outcome(inbound(encoding), (data[i : i + 997] for i in range(0, len(data), 997)))
    assert not fault
    assert undo(out, encoding) == data


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"h\0i\0", b"hi"),
        (b"\xff\xfeh\0", b"h"),
        (b"\xfe\xff\0h", b"h"),
        (b"h\0\0\xdc", b"h\\x00\\xdc"),
        (b"\0\xd8", b"\\x00\\xd8"),
        (b"h", b"\\x68"),
    ],
)
def test_utf_16_needs_no_byte_order_mark(data: bytes, shown: bytes) -> None:
    for pieces in splits(data):
        for name in ("utf-16", "utf16", "U16"):
            assert outcome(inbound(name), pieces) == (shown, "")
        out, fault = outcome(transcoder("utf-16", "utf-8"), pieces)
        assert out == shown.partition(b"\\")[0]
        assert bool(fault) == (b"\\" in shown)


def test_an_unfinished_escape_of_iso_2022_loses_nothing() -> None:
    data = b"\x1b$" + b"z" * 20
    for pieces in splits(data):
        out, fault = outcome(inbound("iso2022_jp"), pieces)
        assert (undo(out, "ascii"), fault) == (data, "")


@pytest.mark.parametrize("kept", ["", "あ", "あい"])
def test_what_stands_before_an_unfinished_escape_of_iso_2022_is_decoded(kept: str) -> None:
    """In the character set that was chosen before it, and also where the escape is a fault."""
    text = kept.encode("iso2022_jp").removesuffix(b"\x1b(B")  # the set is still chosen
    escape = b"\x1b$" + b"z" * 8  # longer than a decoder keeps, shorter than it looks for an end
    for pieces in splits(text + escape):
        out, fault = outcome(inbound("iso2022_jp"), pieces)
        assert out.startswith(kept.encode() + b"\\x1b")
        assert fault == ""
        out, fault = outcome(transcoder("iso2022_jp", "utf-8"), pieces)
        assert out == kept.encode()
        assert f"byte 0x1b at byte {len(text) + 1}" in fault


def test_utf_16_has_one_byte_order_mark_and_none_for_nothing() -> None:
    assert outcome(transcoder("utf-8", "utf-16"), [b"", b""]) == (b"", "")
    out, _ = outcome(transcoder("utf-8", "utf-16"), [b"", b"a", b"", b"b"])
    assert out == "ab".encode("utf-16")


def crlf() -> Edit:
    return Crlf("\r\n")


@pytest.mark.parametrize(
    ("data", "target", "edits", "out", "fault"),
    [
        (b"a\n\xffz", "gbk", [], b"a\n", "not utf-8: byte 0xff at byte 3"),
        (b"a\n\xffz", "gbk", [crlf], b"a\r\n", "not utf-8: byte 0xff at byte 3"),
        (b"\x1b[m\xff", "utf-8", [Printable], b"\\x1b[m", "not utf-8: byte 0xff at byte 4"),
        (b"a\r\xff", "utf-8", [Printable], b"a\\x0d", "not utf-8: byte 0xff at byte 3"),
        (
            "é\nab好z".encode(),
            "latin-1",
            [crlf],
            b"\xe9\r\nab",
            "'好' (U+597D) at line 2, character 3 of stdin is not in latin-1",
        ),
        (
            "か😀".encode(),  # か may join the next character, so its encoder holds it back
            "shift_jisx0213",
            [],
            b"\x82\xa9",
            "'😀' (U+1F600) at line 1, character 2 of stdin is not in shift_jisx0213",
        ),
    ],
    ids=["decode", "decode-crlf", "decode-escape", "decode-cr", "encode", "encode-held"],
)
def test_a_fault_is_placed_and_what_came_before_it_is_delivered(
    data: bytes, target: str, edits: list[Callable[[], Edit]], out: bytes, fault: str
) -> None:
    for pieces in splits(data):
        transform = transcoder("utf-8", target, edits=tuple(edit() for edit in edits))
        delivered, said = outcome(transform, pieces)
        assert delivered == out
        other = "gbk" if target == "utf-8" else target
        perhaps = f"if it is {other}, convert it with iconv -f {other}, or "
        hint = "" if " is not in " in fault else perhaps
        assert said.endswith(f"{fault}: {hint}try --errors replace")


@pytest.mark.parametrize(
    ("errors", "sent", "received"),
    [
        (Errors.REPLACE, b"a?b", "a\ufffdb"),
        (Errors.IGNORE, b"ab", "ab"),
        (Errors.BACKSLASHREPLACE, b"a\\u4f60b", "a\\xffb"),
    ],
)
def test_what_has_no_place_becomes_what_errors_says(
    errors: Errors, sent: bytes, received: str
) -> None:
    assert transcoder("utf-8", "ascii", errors).feed("a你b".encode()) == sent
    assert transcoder("utf-8", "utf-8", errors).feed(b"a\xffb") == received.encode()


@given(
    st.sampled_from([*SAMPLES, "ascii", "big5hkscs", "shift_jisx0213", "hz", "utf-7"]), st.data()
)
def test_only_text_errors_and_none_inbound(encoding: str, data: st.DataObject) -> None:
    chunks = data.draw(st.lists(st.binary(max_size=6)))
    outcome(transcoder(encoding, "gbk", data.draw(st.sampled_from(Errors))), chunks)
    text = data.draw(st.lists(st.text(max_size=4)))
    outcome(transcoder("utf-8", encoding), map(str.encode, text))
    out, fault = outcome(inbound(encoding), chunks)
    assert not fault
    out.decode()
    assert outcome(inbound(encoding), [b"".join(chunks)]) == (out, "")


@pytest.mark.parametrize("name", [*SAMPLES, "GBK", "latin-1", "utf-32", "utf-8-sig", "iso2022_jp"])
def test_check_codec_knows(name: str) -> None:
    assert check_codec(name) == name


@pytest.mark.parametrize("name", ["", "nope", "rot13", "base64", "undefined", "a\0b", "gbk\udc80"])
def test_check_codec_refuses(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(name))):
        check_codec(name)


def test_a_codec_that_is_let_through_raises_only_text_errors() -> None:
    assert len(CODECS) > 90
    for name in CODECS:
        transform = TextOptions(encoding=name).outbound("utf-8", "stdin")
        assert isinstance(transform, Transcoder)
        out, fault = outcome(transform, [b"hello\n"])
        assert bool(out) != bool(fault), name
        assert outcome(inbound(name), [out]) == (b"" if fault else b"hello\n", ""), name


def test_nothing_set_means_bytes() -> None:
    assert TextOptions().outbound("utf-8", "stdin") is None
    assert TextOptions().inbound("utf-8") is None
    crlf = TextOptions(crlf=True).outbound("utf-8", "stdin")
    assert crlf
    assert crlf.feed(b"\xff\n") == b"\xff\r\n"


def test_options_make_strict_out_and_escapes_in() -> None:
    options = TextOptions(encoding="gbk", send_encoding="big5", crlf=True)
    out, back = options.outbound("utf-8", "stdin"), options.inbound("utf-8", (Printable(),))
    assert out
    assert back
    assert out.feed("你\n".encode()) == "你\r\n".encode("big5")
    assert back.feed("你\x1b".encode("gbk") + b"\xff!") == "你\\x1b\\xff!".encode()
    with pytest.raises(TextError, match="'€'"):
        out.feed("€".encode())


def test_the_encodings_of_a_recorded_run_count_where_none_is_named() -> None:
    def of_run(*run: str, **named: str) -> tuple[str | None, str | None]:
        options = TextOptions(**named).of_run(*run)  # type: ignore[arg-type]
        return options.encoding, options.wire

    assert of_run("gbk", "") == ("gbk", "gbk")
    assert of_run("gbk", "big5") == ("gbk", "big5")
    assert of_run("", "big5") == (None, "big5")
    assert of_run("", "") == (None, None)
    assert of_run("gbk", "big5", encoding="latin-1") == ("latin-1", "latin-1")
    assert of_run("gbk", "", send_encoding="big5") == ("gbk", "big5")


def test_send_encoding_alone_leaves_the_other_direction_bytes() -> None:
    options = TextOptions(send_encoding="gbk")
    assert options.wire == "gbk"
    assert options.inbound("utf-8") is None


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-16",
        "utf-16-le",
        "utf-32",
        "utf-8-sig",
        "cp037",
        "utf-7",
        "unicode_escape",
        "raw_unicode_escape",
    ],
)
def test_an_encoding_whose_lines_are_not_lines_of_bytes_is_refused(encoding: str) -> None:
    with pytest.raises(
        UsageError, match=f"^{encoding} cannot be used: its line ends are not single bytes"
    ):
        check_line_codec(encoding)


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "gbk",
        "gb18030",
        "big5",
        "shift_jis",
        "latin-1",
        "shift_jisx0213",
        "iso2022_jp",
        "big5hkscs",
        "euc_kr",
    ],
)
def test_an_encoding_with_lines_of_bytes(encoding: str) -> None:
    assert check_line_codec(encoding) == encoding


@pytest.mark.parametrize("more", [{}, {"escape_input": True}], ids=["", "--escape-input"])
def test_a_fault_is_placed_in_the_input_of_all_for_whoever_came_late(more: dict[str, Any]) -> None:
    options = TextOptions("gbk", **more)
    shared = options.for_all("utf-8", "stdin")
    early = options.for_one(shared)
    assert shared
    assert early
    early.feed(shared.feed(b"one\ntwo\nthr"))
    late = options.for_one(shared)
    assert late
    late.feed(b"a reply\n")
    late.flush()
    cut = shared.feed("ee\n你\U0001f600".encode()[:-1])
    for one in (early, late):
        one.feed(cut)
    rest = shared.feed("\U0001f600\n".encode()[-2:])
    for one in (early, late):
        with pytest.raises(TextError, match="at line 4, character 2 of stdin"):
            one.feed(rest)
