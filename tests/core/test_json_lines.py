"""Records as lines of JSON: the fields, text or base64, and what a forged line may hold."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core import json_lines
from sockkit.core.json_lines import MAX_DATA_BYTES, MAX_LINE_BYTES, JsonLines, decode
from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Injected,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.errors import ExitStatus
from tests.support import fewer

NOON = 1_769_860_799_000_001  # 2026-01-31 11:59:59.000001
STREAM = Stream(3, "tcp", "127.0.0.1:8080", "[fe80::1%eth0]:51234", dialled=False)
OTHER = Stream(0, "unix", "", "unix:/run/ünix", dialled=True)
RECORDS: list[Record] = [
    Begun(NOON, "tcp-server"),
    Listening(NOON, "udp", "0.0.0.0:53"),
    Opened(NOON, STREAM),
    Message(NOON, STREAM, "received", b"hello\n"),
    Message(NOON + 1, OTHER, "sent", b"\xff\0", "stray"),
    Ended(NOON, STREAM, "sent"),
    Closed(NOON, OTHER),
    Closed(NOON, STREAM, "received"),
    Injected(NOON, STREAM, "refused"),
    Injected(NOON, STREAM, "stalled", "sent", 1000),
    Injected(NOON, STREAM, "shaped", "received", detail="delay 0.2 s"),
    Exit(NOON, 0),
    Exit(NOON, 56, "the connection was reset"),
    Begun(NOON, "tcp-client", "gbk", "utf-8"),
]

times = st.integers(0, 221_845_391_999_999_999)  # before the year 9000
names = st.text(max_size=40).map(json_lines._printable)
directions: st.SearchStrategy[Direction] = st.sampled_from(["sent", "received"])
streams = st.builds(
    Stream, st.integers(0, 2**53 - 1), st.sampled_from(json_lines.TRANSPORTS), names, names,
    st.booleans(),
)  # fmt: skip
messages = st.builds(
    Message, times, streams, directions, st.binary(max_size=200) | st.text().map(str.encode),
    st.sampled_from(json_lines.MARKS),
)  # fmt: skip
encodings = st.sampled_from(["", "gbk", "utf-8", "shift_jis"])
records = st.one_of(
    messages,
    st.builds(Begun, times, names, encodings, encodings),
    st.builds(Listening, times, st.sampled_from(json_lines.TRANSPORTS), names),
    st.builds(Opened, times, streams),
    st.builds(Ended, times, streams, directions),
    st.builds(Closed, times, streams, st.sampled_from(["", "sent", "received"])),
    st.builds(
        Injected,
        times,
        streams,
        st.sampled_from(json_lines.FAULTS),
        st.sampled_from(["", "sent", "received"]),
        st.integers(0, 2**53 - 1),
        names,
    ),
    st.builds(Exit, times, st.integers(0, 255), names),
)
codecs = st.sampled_from(
    [None, "utf-8", "gbk", "latin-1", "utf-16", "utf-7", "iso2022_jp", "ascii"]
)


def fields(record: Record, **encodings: str) -> dict[str, Any]:
    line = JsonLines(**encodings).show(record)
    found: dict[str, Any] = json.loads(line)
    return found


def message(data: bytes, direction: Direction = "sent", mark: str = "") -> Message:
    return Message(NOON, STREAM, direction, data, mark)


@fewer(40)
@given(st.lists(records), codecs, codecs)
def test_a_record_comes_back(all_of: list[Record], sent: str | None, received: str | None) -> None:
    lines = JsonLines(sent, received)
    assert [decode(lines.show(record)) for record in all_of] == all_of


@fewer(40)
@given(st.lists(records), codecs)
def test_a_line_is_one_line_and_safe_to_show(all_of: list[Record], encoding: str | None) -> None:
    lines = JsonLines(encoding, encoding)
    for record in all_of:
        text = lines.show(record).decode()
        assert text.endswith("\n")
        assert text.splitlines() == [text[:-1]]
        assert json_lines.escape(text[:-1]) == text[:-1]


@given(messages, codecs)
def test_text_is_what_encodes_to_the_same_bytes(record: Message, encoding: str | None) -> None:
    found = json.loads(JsonLines(encoding, encoding).show(record))
    assert found["size"] == len(record.data)
    if "text" in found:
        assert found["text"].encode(found["encoding"]) == record.data
        found["text"].encode()  # which every reader of JSON can
    else:
        assert base64.b64decode(found["base64"]) == record.data


@pytest.mark.parametrize("record", RECORDS)
def test_each_event_begins_alike(record: Record) -> None:
    line = JsonLines().show(record)
    assert line.startswith(json_lines.HEAD)
    found = json.loads(line)
    assert list(found)[:3] == ["sockkit", "time", "event"]
    assert found["time"] == f"2026-01-31T11:59:59.{record.time % 1_000_000:06d}Z"
    assert decode(line) == decode(line.rstrip()) == record


def test_a_message_in_full() -> None:
    assert fields(message("你好\n".encode("gbk"), "received", "cut"), received="gbk") == {
        "sockkit": 1, "time": "2026-01-31T11:59:59.000001Z", "event": "message", "peer": 3,
        "transport": "tcp", "local": "127.0.0.1:8080", "remote": "[fe80::1%eth0]:51234",
        "dialled": False, "direction": "received", "size": 5, "mark": "cut", "text": "你好\n",
        "encoding": "gbk",
    }  # fmt: skip


def test_each_direction_has_its_encoding() -> None:
    data = "é".encode("latin-1")
    assert fields(message(data), sent="latin-1")["text"] == "é"
    assert fields(message(data, "received"), sent="latin-1")["base64"] == "6Q=="


def test_letters_are_readable_and_what_a_terminal_obeys_is_escaped() -> None:
    line = JsonLines().show(message("好\u3000😀 \x1b\x7f\x9b\u202e\u2028".encode()))
    assert '"好\u3000😀 \\u001b\\u007f\\u009b\\u202e\\u2028"'.encode() in line


def test_the_time_goes_on() -> None:
    lines = JsonLines()
    for time in (0, 999_999, 1_000_000, 1_000_001, 999_999, 86_400_000_000):
        assert decode(lines.show(Exit(time, 0))).time == time


def test_a_status_of_ours_is_a_number() -> None:
    assert fields(Exit(NOON, ExitStatus.NOT_BOUND, "no"))["status"] == 45


def test_a_name_is_shown_as_it_is_safe() -> None:
    stream = STREAM._replace(remote="unix:/tmp/\x1b[2J\udcff\n")
    record = decode(JsonLines().show(Opened(NOON, stream)))
    assert record == Opened(NOON, stream._replace(remote=r"unix:/tmp/\x1b[2J\udcff\x0a"))


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert fields(message(b"+2AA-"), sent="utf-7")["base64"] == "KzJBQS0="


def test_long_data_takes_several_lines() -> None:
    data = bytes(MAX_DATA_BYTES) + b"rest"
    lines = JsonLines().show(message(data, mark="overlong")).splitlines(keepends=True)
    found = [decode(line) for line in lines]
    assert found == [message(data[:-4], mark="overlong"), message(b"rest", mark="overlong")]
    assert max(map(len, lines)) <= MAX_LINE_BYTES
    assert len(JsonLines().show(message(data[:-4])).splitlines()) == 1


def test_more_streams_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_STREAMS", 2)
    lines = JsonLines()
    for number in (1, 2, 3, 1, 2, 3):
        record = message(b"")._replace(stream=STREAM._replace(number=number))
        assert decode(lines.show(record)) == record
        assert len(lines._heads) <= 2


LINE = fields(RECORDS[3])
FORGED: list[tuple[dict[str, Any], str]] = [
    ({"sockkit": 2}, "it has version 2 of the format, this sockkit reads 1"),
    ({"sockkit": True}, "it is not a sockkit record"),
    ({"time": 5}, "its time is not like 2026-01-31T13:59:59.000000Z"),
    ({"time": "2026-01-31T11:59:59Z"}, "its time is not like"),
    ({"time": "2026-02-30T11:59:59.000000Z"}, "its time is not a time"),
    ({"time": "1969-12-31T23:59:59.000000Z"}, "its time is not between 1970 and 9000"),
    ({"time": "２０２６-01-31T11:59:59.000000Z"}, "its time is not like"),
    ({"event": "massage"}, "its event is not one of 'begun', 'listening'"),
    ({"event": ["message"]}, "its event is not one of"),
    ({"peer": -1}, "its peer is not a count"),
    ({"peer": 1.0}, "its peer is not a count"),
    ({"peer": False}, "its peer is not a count"),
    ({"peer": 2**53}, "its peer is not a count"),
    ({"transport": "sctp"}, "its transport is not one of"),
    ({"local": "\x1b[2J"}, "its local is not a printable string"),
    ({"remote": "\ud800"}, "its remote is not a printable string"),
    ({"remote": "a" * 10_000}, "its remote is not a printable string"),
    ({"dialled": 1}, "its dialled is not true or false"),
    ({"direction": "up"}, "its direction is not one of 'sent', 'received'"),
    ({"size": 7}, "its size is 7, but it has 6 bytes"),
    ({"size": "6"}, "its size is not a count"),
    ({"mark": "odd"}, "its mark is not one of"),
    ({"text": 5}, "its text is not a string"),
    ({"text": "\udc80hello"}, "its text is not in utf-8"),
    ({"encoding": "ascii", "text": "é"}, "its text is not in ascii"),
    ({"encoding": "klingon"}, "'klingon' is not an encoding"),
    ({"encoding": "zlib_codec"}, "'zlib_codec' is not an encoding"),
    ({"encoding": "punycode"}, "'punycode' is not an encoding"),
    ({"encoding": "idna"}, "'idna' is not an encoding"),
    ({"encoding": "u" * 100_000}, "is not an encoding"),
    ({"encoding": None}, "its encoding is not a string"),
    ({"text": None, "base64": "aGVsbG8K"}, "its text is not a string"),
]
WITHOUT_TEXT = {name: value for name, value in LINE.items() if name != "text"}


@pytest.mark.parametrize(("changed", "why"), FORGED)
def test_a_field_that_is_wrong(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at
        decode(json.dumps(LINE | changed).encode())
    assert why in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"fault": "broken"}, "its fault is not one of 'refused', 'shaped'"),
        ({"direction": "up"}, "its direction is not one of 'sent', 'received'"),
        ({"passed": -1}, "its passed is not a count"),
        ({"detail": "\x1b[2J"}, "its detail is not a printable string"),
    ],
)
def test_a_fault_that_is_forged(changed: dict[str, Any], why: str) -> None:
    told = fields(Injected(NOON, STREAM, "shaped", "sent", 1, "delay 0.2 s"))
    with pytest.raises(ValueError, match=why):
        decode(json.dumps(told | changed).encode())


@pytest.mark.parametrize("name", ["encoding", "send_encoding"])
@pytest.mark.parametrize("value", ["klingon", "zlib_codec", "idna", "utf\x1b8", "u" * 9999, 5])
def test_a_run_with_an_encoding_that_is_none(name: str, value: Any) -> None:
    begun = fields(RECORDS[0])
    with pytest.raises(ValueError, match=f"^its {name} is not one that is known$"):
        decode(json.dumps(begun | {name: value}).encode())


def test_a_run_before_there_were_encodings() -> None:
    line = b'{"sockkit":1,"time":"2026-01-31T11:59:59.000001Z","event":"begun","command":"echo"}'
    assert decode(line) == Begun(NOON, "echo", "", "")
    assert JsonLines().show(Begun(NOON, "echo")) == line + b"\n"


@pytest.mark.parametrize("coded", ["aGVsbG8", "aGVsbG8K\n", "aGVs=bG8K", "*", 5])
def test_base64_that_is_none(coded: Any) -> None:
    with pytest.raises(ValueError, match="its base64 is not"):
        decode(json.dumps(WITHOUT_TEXT | {"base64": coded}).encode())


@pytest.mark.parametrize("name", [name for name in LINE if name not in ("sockkit", "text")])
def test_a_field_that_is_missing(name: str) -> None:
    without = {key: value for key, value in LINE.items() if key != name}
    with pytest.raises(ValueError, match=f"it has no {name}"):
        decode(json.dumps(without).encode())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"GET / HTTP/1.0", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
        (b"[]", "it is not a sockkit record"),
        (b"{}", "it is not a sockkit record"),
        (b'{"sockkit":NaN}', "it is not a sockkit record"),
        (b" " * (MAX_LINE_BYTES + 1), "too long"),
    ],
)
def test_what_is_no_record(line: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(line)


def test_fields_of_later_versions_are_ignored() -> None:
    assert decode(json.dumps(LINE | {"colour": "red"}).encode()) == RECORDS[3]


@given(st.binary() | st.dictionaries(st.sampled_from(list(LINE)), st.none() | st.text()).map(
    lambda some: json.dumps(LINE | some).encode()))  # fmt: skip
def test_nothing_but_a_value_error(line: bytes) -> None:
    try:
        decode(line)
    except ValueError:
        pass  # as documented
