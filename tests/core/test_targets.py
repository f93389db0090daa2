from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.address import MAX_PORT
from sockkit.core.targets import parse_ports, parse_targets, show_target
from sockkit.errors import UsageError

SERVICES = {"http": 80, "http-alt": 8080}.get
ports = st.integers(1, MAX_PORT)
ranges = st.tuples(ports, st.integers(0, 40)).map(lambda pair: (pair[0], min(sum(pair), MAX_PORT)))


def shown(*words: str) -> list[str]:
    return [show_target(target) for target in parse_targets(words, SERVICES)]


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        (["db:5432"], ["db:5432"]),
        (["db", "22,http"], ["db:22", "db:80"]),
        (["db:http-alt,80"], ["db:8080", "db:80"]),
        (["db:9-11"], ["db:9", "db:10", "db:11"]),
        (["::1", "80"], ["[::1]:80"]),
        (["[::1]:80", "unix:/x"], ["[::1]:80", "unix:/x"]),
        (["fe80::1%lo", "80"], ["[fe80::1%lo]:80"]),
        (["a:1", "b:2", "a:3"], ["a:1", "b:2", "a:3"]),
        (["unix:@x"], ["unix:@x"]),
        (["unix:/a\x1b"], ["unix:/a\\x1b"]),
    ],
)
def test_what_words_mean(words: list[str], targets: list[str]) -> None:
    assert shown(*words) == targets


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        (["a:1,1"], ["a:1"]),
        (["a:1-3", "A:2-4"], ["a:1", "a:2", "a:3", "A:4"]),
        (["a:2", "a:1-3"], ["a:2", "a:1", "a:3"]),
        (["a:1", "b:1"], ["a:1", "b:1"]),
        (["unix:/x", "unix:/x", "unix:/X"], ["unix:/x", "unix:/X"]),
    ],
)
def test_a_target_that_is_named_twice_is_one(words: list[str], targets: list[str]) -> None:
    assert shown(*words) == targets


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no target to probe: write HOST:PORTS"),
        (["db"], "'db' has no port: write db:PORTS"),
        (["db", "80", "443"], "'db' has no port: write db:80,443"),
        (["db:80", "443"], "'443' has no host: write db:80,443"),
        (["80"], "'80' has no host: write HOST:80"),
        (["unix:/x", "80"], "'80' has no host: write HOST:80"),
        (["db", "web:80"], "'db' has no port: write db:PORTS"),
        (["::1:80"], "'::1:80' has no port: write [IPV6]:PORTS, as in [::1]:80"),
        (["[::1]"], "'[::1]' has no port: write [::1]:PORTS"),
        (["db:"], "'db:' has no port: write db:PORTS"),
        (["db:1", "web"], "'web' has no port: write web:PORTS, or put -- before a COMMAND"),
        (["db:1", "web", "80"], "'web' has no port: write web:80"),
        (["db:", "80"], "'db:' has no port: write db:80"),
        (["db:22,,80"], "a port is missing in '22,,80'"),
        (["db:80-"], "'80-' has no end: write 80-65535"),
        (["db:9-8"], "'9-8' ends before it begins: write 8-9"),
        (["db:1-65536"], "'65536' is not a port"),
        (["db:0"], "'0' is not a port"),
        (["db:-80"], "'-80' is not a port"),
        (["db:８０"], "'８０' is not a port"),
        (["db:８-９"], "'８' is not a port"),
        (["db:nosuch"], "'nosuch' is not a port"),
        (["db", "nosuch"], "'nosuch' is not a port"),
        (["http://db:80"], "'http://db:80' is not a host"),
        (["unix:"], "'unix:' is not a unix address"),
    ],
)
def test_what_means_nothing(words: list[str], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_targets(words, SERVICES)
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)


def test_a_host_with_all_its_ports_costs_no_more_than_one_with_a_few() -> None:
    tracemalloc.start()
    try:
        targets = parse_targets([f"h{number}:1-65535,7" for number in range(1000)], SERVICES)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000  # and not the 8 KiB of each that a bit for each port takes
    assert len(targets) == 1000 * MAX_PORT
    assert show_target(next(iter(targets))) == "h0:1"
    assert targets.width == len("h999:65535")


@given(st.lists(st.tuples(st.sampled_from("ab"), ranges), min_size=1, max_size=12))
def test_each_port_of_each_host_once_in_the_order_of_naming(
    named: list[tuple[str, tuple[int, int]]],
) -> None:
    words = [f"{host}:{low}-{high}" for host, (low, high) in named]
    every = [f"{host}:{port}" for host, (low, high) in named for port in range(low, high + 1)]
    assert shown(*words) == list(dict.fromkeys(every))
    targets = parse_targets(words, SERVICES)
    assert len(targets) == len(set(every))
    assert targets.width == max(map(len, every))
    assert targets == parse_targets([*words, words[0]], SERVICES)


@given(st.lists(st.text(), max_size=3))
def test_anything_is_targets_or_a_usage_error(words: list[str]) -> None:
    try:
        targets = parse_targets(words, lambda _: None)
    except UsageError:
        return
    assert len(targets) > 0


@given(st.text("0123456789,-ab"))
def test_ports_are_in_range(text: str) -> None:
    try:
        found = parse_ports(text, {"a": 1, "b": 65535}.get)
    except UsageError:
        return
    assert all(1 <= part[0] <= part[-1] <= MAX_PORT for part in found)
