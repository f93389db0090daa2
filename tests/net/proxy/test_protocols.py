"""What is said to proxies, byte for byte, and what their answers come to. No socket is needed."""

from __future__ import annotations

import contextlib
import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.address import HostPort
from sockkit.core.proxy import parse_proxy
from sockkit.errors import ProxyError, ResolveError
from sockkit.net.proxy.protocols import HEAD, TargetRefused, conversation

DB = HostPort("db.example", 5432)
PORT = (5432).to_bytes(2, "big")
V4, V6 = HostPort("10.0.0.7", 5432), HostPort("2001:db8::7", 5432)
PACKED_V6 = bytes.fromhex("20010db8000000000000000000000007")
OK5 = b"\5\0\0\1\0\0\0\0\0\0"
OK4 = b"\0\x5a\0\0\0\0\0\0"
GRANTED = b"HTTP/1.1 200 OK\r\n\r\n"


def play(url: str, target: HostPort, answers: bytes) -> tuple[list[bytes], bytes]:
    """Have a proxy answer with `answers`: what it was sent, and what is left of them."""
    sent: list[bytes] = []
    got = b""
    talk = conversation(parse_proxy(url), target)
    data, size = next(talk)
    with contextlib.suppress(StopIteration):
        while True:
            sent += [data] if data else []
            if size == HEAD:
                head = re.match(rb"(?s).*?\n\r?\n", got[-1:] + answers)
                assert head, "the head has no end"
                size = head.end() - len(got[-1:])
            assert len(answers) >= size, "it waits for more"
            got, answers = answers[:size], answers[size:]
            data, size = talk.send(got)
    return sent, answers


BANNER = b"SSH-2.0-x\r\n"  # which the target sends at once
SOCKS5_TARGETS = [(DB, b"\3\x0adb.example"), (V4, b"\1\x0a\0\0\7"), (V6, b"\4" + PACKED_V6)]


@pytest.mark.parametrize(("target", "address"), SOCKS5_TARGETS)
@pytest.mark.parametrize(
    "bound", [b"\1\0\0\0\0\0\0", b"\4" + bytes(18), b"\3\x03abc\0\0", b"\3\0\0\0"]
)
def test_socks5(target: HostPort, address: bytes, bound: bytes) -> None:
    sent, left = play("socks5h://h", target, b"\5\0" + b"\5\0\0" + bound + BANNER)
    assert sent == [b"\5\1\0", b"\5\1\0" + address + PORT]
    assert left == BANNER


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [
        ("bob:pw", b"bob", b"pw"),
        ("bob", b"bob", b""),
        ("bob:", b"bob", b""),
        ("%e5%b0%8f:%ff", "小".encode(), b"\xff"),
        ("b" * 255 + ":" + "p" * 255, b"b" * 255, b"p" * 255),
    ],
)
def test_socks5_with_a_user(login: str, user: bytes, password: bytes) -> None:
    url = f"socks5://{login}@h"
    says = b"\1" + bytes([len(user)]) + user + bytes([len(password)]) + password
    sent, left = play(url, V4, b"\5\2\1\0" + OK5 + BANNER)
    assert sent[:2] == [b"\5\2\0\2", says]
    assert (len(sent), left) == (3, BANNER)
    assert play(url, V4, b"\5\0" + OK5)[0][1][:4] == b"\5\1\0\1", "it wants none"


@pytest.mark.parametrize(
    ("target", "address", "name"),
    [(V4, b"\x0a\0\0\7", b""), (DB, b"\0\0\0\1", b"db.example\0")],
)
@pytest.mark.parametrize(("login", "user"), [("", b""), ("bob@", b"bob"), ("%ff@", b"\xff")])
def test_socks4(login: str, user: bytes, target: HostPort, address: bytes, name: bytes) -> None:
    sent, left = play(f"socks4a://{login}h", target, OK4 + BANNER)
    assert sent == [b"\4\1" + PORT + address + user + b"\0" + name]
    assert left == BANNER


@pytest.mark.parametrize(
    ("target", "place"),
    [(DB, b"db.example:5432"), (V4, b"10.0.0.7:5432"), (V6, b"[2001:db8::7]:5432")],
)
@pytest.mark.parametrize(
    ("login", "credentials"),
    [("", None), ("bob:p%3Aw", b"bob:p:w"), ("bob", b"bob:"), ("小:é", "小:é".encode())],
)
def test_http(target: HostPort, place: bytes, login: str, credentials: bytes | None) -> None:
    url = f"http://{login}@h" if login else "http://h"
    sent, left = play(url, target, GRANTED + BANNER)
    first, *headers, end, nothing = sent[0].split(b"\r\n")
    assert first == b"CONNECT " + place + b" HTTP/1.1"
    assert (len(sent), end, nothing, left) == (1, b"", b"", BANNER)
    assert b"Host: " + place in headers
    shown = [line for line in headers if line.startswith(b"Proxy-Authorization: ")]
    basic = b"Proxy-Authorization: Basic " + b64encode(credentials or b"")
    assert shown == ([] if credentials is None else [basic])


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 200 \r\nVia: x\r\n\r\n",
        b"HTTP/1.1 299 Any\nX: y\n\n",
        b"HTTP/2 200 OK\r\nX: y\n\r\n",
    ],
)
def test_heads_that_grant(head: bytes) -> None:
    assert play("http://h", DB, head + BANNER)[1] == BANNER


# Refusals.

SOCKS5 = {
    1: "no reason given",
    2: "its rules do not allow it",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "it does not support CONNECT",
    8: "it does not support this type of address",
    9: "no reason given",
    255: "no reason given",
}


def refusal(url: str, answers: bytes) -> str:
    with pytest.raises(TargetRefused) as failed:
        play(url, DB, answers)
    assert failed.value.transient
    told, _, why = str(failed.value.args[0]).partition(": ")
    assert told == "the proxy h port 1080 refused the connection to db.example port 5432"
    return why


@pytest.mark.parametrize(("code", "why"), SOCKS5.items())
def test_a_refusal_of_socks5(code: int, why: str) -> None:
    assert refusal("socks5h://h", b"\5\0\5" + bytes([code])) == why


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (0x5B, "no reason given"),
        (0x5C, "it cannot reach identd on this machine"),
        (0x5D, "identd on this machine reports another user"),
        (0, "no reason given"),
    ],
)
def test_a_refusal_of_socks4(code: int, why: str) -> None:
    assert refusal("socks4a://h", bytes([0, code])) == why


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("HTTP/1.1 403 Filtered", "403 Filtered"),
        ("HTTP/1.0 502", "502"),
        ("HTTP/1.1 100 Continue", "100 Continue"),
        ("HTTP/1.1 500 " + "x" * 1000, "500 " + "x" * 100),
        ("HTTP/1.1 500 a\x1b[2Jb", "500 a\x1b[2Jb"),  # escaped where it is shown
    ],
)
def test_a_refusal_of_http(line: str, why: str) -> None:
    assert refusal("http://h", line.encode() + b"\r\nX: y\r\n\r\n") == why


@pytest.mark.parametrize(
    ("scheme", "answers"),
    [
        ("socks5", b"\5\xff"),
        ("http", b"HTTP/1.1 407 No\r\n\r\n"),
    ],
)
def test_a_user_that_is_missing(scheme: str, answers: bytes) -> None:
    with pytest.raises(ProxyError) as failed:
        play(f"{scheme}://h", V4, answers)
    told = "the proxy h port 1080 requires a user and a password"
    assert str(failed.value) == f"{told}: add the user, as in {scheme}://USER@h:1080"
    assert not failed.value.transient


@pytest.mark.parametrize(
    ("scheme", "answers"),
    [
        ("socks5", b"\5\xff"),
        ("socks5", b"\5\2\1\1"),
        ("http", b"HTTP/1.1 407 No\r\n\r\n"),
        ("http", b"HTTP/1.1 401 No\r\n\r\n"),
    ],
)
def test_a_user_that_is_refused(scheme: str, answers: bytes) -> None:
    with pytest.raises(ProxyError) as failed:
        play(f"{scheme}://bob:pw@h", V4, answers)
    told = "the proxy h port 1080 rejected the user or the password: check the user in --proxy, and"
    assert str(failed.value).startswith(told)
    assert not failed.value.transient


@pytest.mark.parametrize(
    ("scheme", "answers", "hint"),
    [
        ("socks5", b"HTTP/1.0 400 Bad", ": it answers like an HTTP server: try http://"),
        ("socks4", b"HTTP/1.0 400 Bad", ": it answers like an HTTP server: try http://"),
        ("http", b"\5\xff\5\xff\5", ": it answers like a SOCKS proxy: try socks5h://"),
        ("http", BANNER, ": try another scheme, such as socks5h://"),
        ("http", b"HTTP/1.1 +200 OK\r\n\r\n", ": check its address"),
        ("http", "HTTP/1.1 ２００ OK\r\n\r\n".encode(), ": check its address"),
        ("http", b"HTTP/1.1 2000\r\n\r\n", ": check its address"),
        ("http", b"HTTP/1.1 200OK\r\n\r\n", ": check its address"),
        ("http", b"HTTP/ 200 OK\r\n\r\n", ": check its address"),
        ("socks5", b"SSH-", ": try another scheme, such as http://"),
        ("socks5", b"\5\1", ": check its address"),
        ("socks5", b"\5\2", ": check its address"),  # not what was offered
        ("socks5", b"\5\x33", ": check its address"),
        ("socks5", b"\5\0\4\0\0\1\0\0\0\0\0\0", ": try another scheme, such as http://"),
        ("socks5", b"\5\0\5\0\1\1\0\0\0\0\0\0", ": check its address"),
        ("socks5", b"\5\0\5\0\0\2", ": check its address"),
        ("socks5", b"\5\0\5\0\0\3\1\xff\0\0", ": check its address"),
        ("socks4", b"\5\x5a\0\0\0\0\0\0", ": try another scheme, such as http://"),
    ],
)
def test_what_is_not_such_a_proxy(scheme: str, answers: bytes, hint: str) -> None:
    with pytest.raises(ProxyError) as failed:
        play(f"{scheme}://h", V4, answers)
    article = {"http": "an HTTP"}.get(scheme, f"a {scheme.upper()}")
    assert str(failed.value) == f"h port 1080 is not {article} proxy{hint}"


def test_a_login_answered_in_another_version() -> None:
    with pytest.raises(ProxyError, match="is not a SOCKS5 proxy"):
        play("socks5://bob:pw@h", V4, b"\5\2\5\0")


ANSWERS = st.binary(max_size=40) | st.builds(
    bytes.__add__, st.sampled_from([b"\5\0", b"\5\0\5\0\0", b"\0\x5a", b"HTTP/1.1 "]), st.binary()
)


@given(st.sampled_from(["socks5h://h", "socks5h://a:b@h", "socks4a://h", "http://h"]), ANSWERS)
def test_any_answer_is_understood_or_an_error(url: str, answers: bytes) -> None:
    with contextlib.suppress(ProxyError):
        play(url, DB, answers + b"\n\n" + bytes(600))


# Names.


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a", "http"])
@pytest.mark.parametrize(
    "host",
    ["a\rb", "a\x0bb", "a..b", "a" * 64, ".".join(["a" * 60] * 5), "\udcff", "01.2.3.4", "a\u2028"],
)
def test_a_name_that_cannot_be_sent(scheme: str, host: str) -> None:
    with pytest.raises(ResolveError, match=r"could not resolve .*: not a valid host name"):
        conversation(parse_proxy(f"{scheme}://h"), HostPort(host, 80))


@given(st.sampled_from(["socks5h://h", "socks4a://h", "http://h"]), st.text(min_size=1))
def test_any_name_can_be_sent_or_not(url: str, host: str) -> None:
    answers = {"socks5h://h": b"\5\0" + OK5, "socks4a://h": OK4, "http://h": GRANTED}[url]
    with contextlib.suppress(ResolveError):
        sent, left = play(url, HostPort(host, 80), answers)
        assert not left
        assert sent[-1].count(b"\r\n") == (4 if url == "http://h" else 0)


@pytest.mark.parametrize("url", ["socks5h://h", "socks4a://h", "http://h"])
def test_a_name_is_sent_in_ascii(url: str) -> None:
    answers = {"socks5h://h": b"\5\0" + OK5, "socks4a://h": OK4, "http://h": GRANTED}[url]
    sent, _ = play(url, HostPort("bücher.example", 80), answers)
    assert b"xn--bcher-kva.example" in sent[-1]
