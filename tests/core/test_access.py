"""Access lists: what a rule is, and who is refused."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockkit.core import access
from sockkit.core.access import (
    DENIED,
    NOT_ALLOWED,
    AccessList,
    Network,
    of_address,
    parse_rule,
    parse_rules,
)
from sockkit.errors import UsageError


def networks(*rules: str) -> list[Network]:
    parsed = [parse_rule(rule) for rule in rules]
    return [rule for rule in parsed if isinstance(rule, Network)]


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.7", (4, 0, 0x0A000007, 0)),
        ("10.0.0.0/8", (4, 24, 10, 0)),
        ("10.0.0.0/255.0.0.0", (4, 24, 10, 0)),
        ("0.0.0.0/0", (4, 32, 0, 0)),
        ("::1", (6, 0, 1, 0)),
        ("[::1]", (6, 0, 1, 0)),
        ("2001:db8::/32", (6, 96, 0x20010DB8, 0)),
        ("::/0", (6, 128, 0, 0)),
        ("::ffff:10.0.0.7", (4, 0, 0x0A000007, 0)),
        ("::ffff:10.0.0.0/104", (4, 24, 10, 0)),
        ("::ffff:0:0/96", (4, 32, 0, 0)),
    ],
)
def test_a_network(text: str, network: tuple[int, ...]) -> None:
    assert parse_rule(text) == network


@pytest.mark.parametrize(
    "name",
    [
        "a.example",
        "localhost",
        "my_host",
        "3com",
        "10-0-0-1",
        "10.0.0.1-a.example",
        "bücher.example",
    ],
)
def test_a_name_is_left_to_be_resolved(name: str) -> None:
    assert parse_rule(name) == name


@pytest.mark.parametrize("text", ["10.0.0.1-10.0.0.9", "10.0.0.1-9", "::1-::9", "[::1-::9]"])
def test_a_range_is_no_name(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"is a range: write it as networks, such as 10\.0\.0\.0/28"
    ):
        parse_rule(text)


def test_so_is_an_address_of_one_interface() -> None:
    assert parse_rule("fe80::1%eth0") == parse_rule("[fe80::1%eth0]") == "fe80::1%eth0"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "10.0.0.300", "10.0.0.0/33", "::/129", "10.0.0.1,10.0.0.2", "10.0.0.1:80"),
        *("[::1]:80", "unix:/tmp/x", "a b", "!a", "a=b", "a/8", "fe80::1%", "10.0.0.1%eth0", "*"),
        # The resolver would find addresses for these: 10.0.0.1, 127.0.0.1, 8.0.0.1.
        *("10.1", "10", "0x7f.1", "2130706433", "010.0.0.1", "10.1."),
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(UsageError, match="is not an address, network or name") as caught:
        parse_rule(text)
    assert "10.0.0.0/8" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.5/8", "write 10.0.0.5 or 10.0.0.0/8"),
        ("2001:db8::1/32", "write 2001:db8::1 or 2001:db8::/32"),
        ("fe80::%eth0/64", "remove the %INTERFACE"),
    ],
)
def test_what_is_refused_says_what_to_give(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(text)
    assert caught.value.hint == hint


@given(st.text() | st.from_regex(r"[\d.:/a-f%\[\]x]{1,20}", fullmatch=True))
def test_any_text_is_a_rule_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_rule(text)


def test_the_rules_of_a_file() -> None:
    text = "# who may\n10.0.0.7\r\n\n  ::1 # here\na.example#there\n"
    assert parse_rules(text, "f") == [
        ("f line 2", parse_rule("10.0.0.7")),
        ("f line 4", parse_rule("::1")),
        ("f line 5", "a.example"),
    ]
    assert parse_rules("", "f") == parse_rules("# none\n\n", "f") == []
    with pytest.raises(
        UsageError,
        match=r"f line 2: '10.0.0.5/8' could be the address or its network: write 10.0.0.5 or",
    ):
        parse_rules("::1\n10.0.0.5/8\n", "f")


def test_deny_alone_lets_the_others_in() -> None:
    rules = AccessList(None, networks("10.0.0.0/8", "2001:db8::/32"))
    assert rules.refusal("10.1.2.3") == rules.refusal("2001:db8::1") == DENIED
    assert rules.refusal("11.0.0.0") == rules.refusal("2001:db9::") == ""


def test_allow_keeps_the_others_out() -> None:
    rules = AccessList(networks("10.0.0.0/8", "::1"), [])
    assert rules.refusal("10.255.255.255") == rules.refusal("::1") == ""
    assert rules.refusal("9.255.255.255") == rules.refusal("::2") == NOT_ALLOWED


def test_deny_beats_allow_however_narrow_that_is() -> None:
    rules = AccessList(networks("10.0.0.7", "10.0.0.0/8"), networks("10.0.0.0/24"))
    assert rules.refusal("10.0.0.7") == DENIED
    assert rules.refusal("10.0.1.7") == ""


def test_no_allow_rule_lets_everybody_in_and_an_empty_list_nobody() -> None:
    assert AccessList(None, []).refusal("10.0.0.7") == ""
    assert AccessList([], []).refusal("10.0.0.7") == NOT_ALLOWED


@pytest.mark.parametrize("rule", ["127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104"])
def test_a_mapped_address_is_the_one_of_version_4(rule: str) -> None:
    rules = AccessList(None, networks(rule))
    for peer in ("127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"):
        assert rules.refusal(peer) == DENIED
    assert rules.refusal("::7f00:1") == ""


def test_all_of_a_version_is_not_all_of_the_other() -> None:
    for everybody, peer in (("::/0", "::ffff:10.0.0.7"), ("0.0.0.0/0", "::1")):
        assert AccessList(None, networks(everybody)).refusal(peer) == ""
        assert AccessList(networks(everybody), []).refusal(peer) == NOT_ALLOWED


def test_a_rule_of_one_interface_is_for_that_one() -> None:
    rules = AccessList(None, [of_address("fe80::1", 2), of_address("fe80::2")])
    assert rules.refusal("fe80::1", 2) == DENIED
    assert rules.refusal("fe80::1", 3) == rules.refusal("fe80::1") == ""
    assert rules.refusal("fe80::2", 2) == rules.refusal("fe80::2", 3) == DENIED


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MAX_REMEMBERED", 10)
    rules = AccessList(networks("10.0.0.0/30"), [])
    for number in range(100):
        assert bool(rules.refusal(f"10.0.0.{number}")) is (number > 3)
    assert rules._remembered.cache_info().currsize == 10


# Against a plain model. Few bits differ, so that rules often meet peers.

LOW = st.integers(0, 255)
V4 = LOW.map(lambda low: IPv4Address(0x0A000000 + low))
V6 = LOW.map(lambda low: IPv6Address((0xFE80 << 112) + low))
MAPPED = V4.map(lambda address: IPv6Address((0xFFFF << 32) + int(address)))
PEERS = V4 | V6 | MAPPED
RULES = st.tuples(PEERS, st.integers(0, 10) | st.sampled_from([24, 32, 96, 128])).map(
    lambda rule: ip_network((rule[0], max(rule[0].max_prefixlen - rule[1], 0)), strict=False)
)


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (address.version == 6 and address.ipv4_mapped) or address  # type: ignore[union-attr]


def matches(peer: IPv4Address | IPv6Address, rules: list[str]) -> bool:
    for rule in map(ip_network, rules):
        if isinstance(rule, IPv6Network) and rule.prefixlen >= 96:
            base = rule.network_address.ipv4_mapped
            rule = ip_network((base, rule.prefixlen - 96)) if base else rule
        if plain(peer) in rule:
            return True
    return False


@given(PEERS, st.none() | st.lists(RULES.map(str)), st.lists(RULES.map(str)))
@example(IPv6Address("::ffff:10.0.0.1"), ["::ffff:10.0.0.0/120"], ["10.0.0.2/32"])
def test_who_is_refused(
    peer: IPv4Address | IPv6Address, allow: list[str] | None, deny: list[str]
) -> None:
    expected = ""
    if matches(peer, deny):
        expected = DENIED
    elif allow is not None and not matches(peer, allow):
        expected = NOT_ALLOWED
    rules = AccessList(None if allow is None else networks(*allow), networks(*deny))
    assert rules.refusal(str(peer)) == expected
    assert rules.refusal(str(peer), 3) == expected  # rules without an interface are for all
