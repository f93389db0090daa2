from __future__ import annotations

import pytest

from sockkit.core.habits.draft import Draft
from sockkit.core.habits.foreign import is_serial, is_socat, is_url, take_socat, take_url
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    ("url", "words", "before"),
    [
        ("tcp://h:80", "h 80", ""),
        ("tcp://[::1]:80/", "::1 80", ""),
        ("tcp://me@h:80", "h 80", ""),
        ("TCP://h", "h", ""),
        ("unix:///x", "unix:/x", ""),
        ("/dev/tcp/h/80", "h 80", ""),
        ("http://h", "h 80", "printf 'GET / HTTP/1.0\\r\\nHost: h\\r\\n\\r\\n' | "),
        ("http://h:80/", "h 80", "printf 'GET / HTTP/1.0\\r\\nHost: h\\r\\n\\r\\n' | "),
        (
            "https://[::1]:1/a%20b?c=d#e",
            "::1 1",
            "printf 'GET /a%%20b?c=d HTTP/1.0\\r\\nHost: [::1]:1\\r\\n\\r\\n' | ",
        ),
        (
            "http://h/it's\\x",
            "h 80",
            "printf 'GET /it'\"'\"'s\\\\x HTTP/1.0\\r\\nHost: h\\r\\n\\r\\n' | ",
        ),
    ],
)
def test_urls(url: str, words: str, before: str) -> None:
    assert is_url(url)
    draft = Draft()
    assert take_url(draft, url) == words.split()
    assert draft.before == before
    assert draft.reason


@pytest.mark.parametrize("url", ["http://h/a b", "http://h/\n", "http://h\t/"])
def test_a_request_is_one_line(url: str) -> None:
    with pytest.raises(UsageError):
        take_url(Draft(), url)


def test_a_probe_asks_for_no_page() -> None:
    draft = Draft("probe")
    assert take_url(draft, "http://h/x") == ["h", "80"]
    assert draft.before == ""


def test_what_is_not_here_is_refused() -> None:
    draft = Draft()
    assert take_url(draft, "ws://h/x y") == []
    assert draft.refusal == "WebSocket is not supported: use websocat 'ws://h/x y'"


@pytest.mark.parametrize("word", ["nope://h", "h:80", "unix:/x", "", "://"])
def test_what_is_no_url_and_no_address_of_socat(word: str) -> None:
    assert not is_url(word)
    assert not is_socat(word)


@pytest.mark.parametrize(
    "word", ["TCP:h:80", "tcp4:h:80", "TCP6-LISTEN:80", "tcp-l:80", "SOCKS4:p:h:1", "SCTP:h:1"]
)
def test_addresses_of_socat(word: str) -> None:
    assert is_socat(word)


@pytest.mark.parametrize(
    ("words", "acts", "address", "options"),
    [
        ("- TCP:h:80", "", "h 80", []),
        ("TCP-LISTEN:80 -", "listen once", "80", []),
        ("TCP6:[::1]:80", "", "::1 80", [("-6",)]),
        ("TCP-LISTEN:1,fork TCP:h:2", "listen relay", "1 h 2", []),
        ("UNIX-LISTEN:/x,fork STDIO", "listen", "unix:/x", []),
        ("TCP:h:1 EXEC:'tr a b',pty", "", "h 1", [("--exec", "tr a b")]),
        ("-t 5 -d - UDP:h:1", "udp", "h 1", [("--linger", "5")]),
    ],
)
def test_socat(words: str, acts: str, address: str, options: list[object]) -> None:
    import shlex

    draft = Draft()
    take_socat(draft, shlex.split(words))
    assert list(draft.acts) == acts.split()
    assert (draft.words, draft.options) == (address.split(), options)


@pytest.mark.parametrize("words", ["x", "NEW:x -", "TCP:a:1 TCP:b:2", "PROXY:h -", ":"])
def test_what_socat_would_not_take_or_has_no_place_here(words: str) -> None:
    with pytest.raises(UsageError):
        take_socat(Draft(), words.split())


def test_serial_lines() -> None:
    assert all(map(is_serial, ["/dev/ttyUSB0", "COM3", "serial:x", "/dev/cu.usb"]))
    assert not any(map(is_serial, ["com", "COMx", "/dev/tcp/h/1", "tty"]))
