from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.proxy import (
    MAX_SECRET_BYTES,
    SCHEMES,
    Proxy,
    bypasses,
    environment_proxy,
    parse_proxy,
    wire,
)
from sockkit.errors import UsageError

HERE = HostPort("127.0.0.1", 1080)
TARGET = HostPort("db.example", 5432)
SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("socks5://127.0.0.1", Proxy("socks5", HERE)),
        ("SOCKS5H://127.0.0.1:1080/", Proxy("socks5h", HERE)),
        ("http://proxy.example", Proxy("http", HostPort("proxy.example", 1080))),
        ("http://[::1]:8080", Proxy("http", HostPort("::1", 8080))),
        ("http://[::1]", Proxy("http", HostPort("::1", 1080))),
        ("socks4://[fe80::1%25eth0]:1", Proxy("socks4", HostPort("fe80::1%eth0", 1))),
        ("socks5://bob@127.0.0.1", Proxy("socks5", HERE, "bob")),
        ("socks5://bob:@127.0.0.1", Proxy("socks5", HERE, "bob", "")),
        ("socks5://@127.0.0.1", Proxy("socks5", HERE)),
        ("socks5://b%40b:p%3Aw:%2f@127.0.0.1", Proxy("socks5", HERE, "b@b", "p:w:/")),
        ("socks5://bob:p@w/x@127.0.0.1", Proxy("socks5", HERE, "bob", "p@w/x")),
        ("socks5://bob:50%@127.0.0.1", Proxy("socks5", HERE, "bob", "50%")),
        ("http://%e5%b0%8f:%ff@127.0.0.1", Proxy("http", HERE, "小", "\udcff")),
        ("socks4a://bob@127.0.0.1", Proxy("socks4a", HERE, "bob")),
    ],
)
def test_a_url(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("10.0.0.1:1080", "has no scheme: write SCHEME://"),
        ("10.0.0.1:1080", "HOST[:PORT], as in socks5h://127.0.0.1:1080"),
        ("", "has no scheme"),
        ("https://127.0.0.1", "unknown proxy scheme: use one of socks5h, socks5,"),
        ("socks5://", "invalid host in the proxy URL"),
        ("socks5://:1080", "invalid host in the proxy URL"),
        ("socks5://::1:1080", "put an IPv6 address in brackets"),
        ("http://h/path", "invalid host in the proxy URL"),
        ("http://h:1/path", "invalid port in the proxy URL"),
        *((f"http://h:{port}", "invalid port in the proxy URL")
          for port in ("", "0", "65536", "http", "１", "+1", "99999999999")),
        ("socks5://:pw@h", "has a password but no user"),
        ("socks4://bob:pw@h", "SOCKS4 has no passwords: remove the password"),
        ("socks4://b%00b@h", "a SOCKS4 user cannot contain a NUL byte"),
        ("http://b%3Ab:pw@h", "cannot contain a colon"),
        (f"socks5://{'b' * 256}@h", "user is longer than 255 bytes"),
        (f"socks5://b:{'é' * 128}@h", "password is longer than 255 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_proxy(url: str, words: str) -> None:
    with pytest.raises(UsageError) as failed:
        parse_proxy(url)
    assert words in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://bob:{}", "{}://bob@h", "bob:{}@h", "socks5://{}@h:x", "http://bob:{}@h:0",
        "socks4://bob:{}@h", "http://a%3A{}@h", "socks5://:{}@h", "socks5://bob@h:{}",
        "socks5://bob:{}@[::1", "socks5://bob:{}/@h h", "http://{}/h",
    ],
)  # fmt: skip
def test_an_error_shows_no_password(url: str) -> None:
    for call in (parse_proxy, lambda url: environment_proxy({"ALL_PROXY": url}, TARGET)):
        with pytest.raises(UsageError) as failed:
            call(url.format(SECRET))  # type: ignore[operator]
        assert SECRET not in str(failed.value)


def test_shown_without_user_and_password() -> None:
    assert str(parse_proxy(f"socks5h://{SECRET}:{SECRET}@[::1]:9")) == "socks5h://[::1]:9"


@given(st.text() | st.builds("{}://{}".format, st.sampled_from(SCHEMES), st.text()))
@example("socks5://[")
def test_any_text_is_a_proxy_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        proxy = parse_proxy(text)
        assert 0 < proxy.address.port < 65536
        assert proxy.scheme in SCHEMES


@given(st.text(min_size=1, max_size=60), st.none() | st.text(max_size=60))
def test_a_user_and_a_password_come_as_they_were(user: str, password: str | None) -> None:
    login = quote(user, safe="") + ("" if password is None else f":{quote(password, safe='')}")
    proxy = parse_proxy(f"socks5://{login}@h")
    assert (proxy.user, proxy.password) == (user, password)
    assert len(wire(user)) <= MAX_SECRET_BYTES


@pytest.mark.parametrize(
    ("scheme", "protocol", "resolves", "has_passwords"),
    [
        ("socks5h", "SOCKS5", True, True),
        ("socks5", "SOCKS5", False, True),
        ("socks4a", "SOCKS4", True, False),
        ("socks4", "SOCKS4", False, False),
        ("http", "HTTP", True, True),
    ],
)
def test_schemes(scheme: str, protocol: str, resolves: bool, has_passwords: bool) -> None:
    proxy = Proxy(scheme, HERE, "bob")
    assert (proxy.protocol, proxy.resolves, proxy.wants_password) == (
        protocol, resolves, has_passwords,
    )  # fmt: skip
    assert not proxy._replace(user=None).wants_password
    assert not proxy._replace(password="").wants_password


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("address", "words"),
    [
        (UnixPath("/x"), "unix:/x cannot be reached through a proxy: remove --proxy"),
        (HostPort("fe80::1%eth0", 1), "names an interface of this machine"),
        (HostPort("::1", 1), "a SOCKS4 proxy cannot reach the IPv6 address ::1"),
        (TARGET, ""),
    ],
)
def test_targets(scheme: str, address: Address, words: str) -> None:
    proxy = Proxy(scheme, HERE)
    if not words or ("SOCKS4" in words and proxy.protocol != "SOCKS4"):
        assert proxy.target(address) == address
    else:
        with pytest.raises(UsageError) as failed:
            proxy.target(address)
        assert words in str(failed.value)


# The environment.


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, None),
        ({"ALL_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://a", "http_proxy": "http://a"}, None),
        ({"ALL_PROXY": "http://a"}, "a"),
        ({"all_proxy": "http://b", "ALL_PROXY": "http://a"}, "b"),
        ({"all_proxy": "", "ALL_PROXY": "http://a"}, "a"),
        ({"ALL_PROXY": "http://a", "NO_PROXY": "db.example"}, None),
        ({"ALL_PROXY": "http://a", "no_proxy": "other", "NO_PROXY": "db.example"}, "a"),
        ({"ALL_PROXY": "nonsense", "NO_PROXY": "*"}, None),
    ],
)
def test_the_environment(environment: dict[str, str], host: str | None) -> None:
    proxy = environment_proxy(environment, TARGET)
    assert (proxy and proxy.address.host) == host


def test_an_environment_that_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"^ALL_PROXY: the proxy URL has no scheme: write SCHEME"):
        environment_proxy({"all_proxy": "127.0.0.1:8080"}, TARGET)


def test_a_unix_socket_is_reached_without_a_proxy() -> None:
    assert environment_proxy({"ALL_PROXY": "http://a"}, UnixPath("/x")) is None


@pytest.mark.parametrize(
    ("exceptions", "goes", "stays"),
    [
        ("*", ["a", "10.0.0.1", "::1"], []),
        ("", [], ["a"]),
        (" , ,", [], ["a"]),
        ("b.example", ["b.example", "B.Example.", "a.b.example"], ["ab.example", "example", "b"]),
        (".b.example", ["b.example", "a.b.example"], ["ab.example"]),
        ("*.b.example", ["b.example", "a.b.example"], ["ab.example"]),
        ("a, B.example\tc", ["a", "b.example", "c"], ["d"]),
        ("a:80", ["a"], []),
        ("a:81", [], ["a"]),
        ("10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "10.example", "::a01:203"]),
        ("10.0.0.7", ["10.0.0.7"], ["10.0.0.70", "110.0.0.7", "10.0.0.7.example"]),
        ("0.0.7", [], ["10.0.0.7"]),
        ("10.0.0.0/8:80 10.0.0.0/8:x", ["10.1.2.3"], ["11.0.0.1"]),
        ("::1 2001:db8::/32", ["::1", "2001:db8::9", "0:0::1"], ["::2", "127.0.0.1"]),
        ("[::1]:80", ["::1"], ["::2"]),
        ("[::1]:81", [], ["::1"]),
        ("fe80::/10", ["fe80::1%eth0"], ["fec0::1"]),
        ("10.0.0.0/99 :: / : .", [], ["10.0.0.1", "a"]),
    ],
)
def test_which_hosts_are_reached_without_a_proxy(
    exceptions: str, goes: list[str], stays: list[str]
) -> None:
    for host in goes:
        assert bypasses(exceptions, host, 80), host
    for host in stays:
        assert not bypasses(exceptions, host, 80), host


@given(st.text() | st.text("0123456789.:/*[] ,a"), st.text() | st.text("0123456789.:a%"))
def test_any_text_may_be_in_no_proxy(exceptions: str, host: str) -> None:
    assert bypasses(exceptions, host, 80) in (True, False)
