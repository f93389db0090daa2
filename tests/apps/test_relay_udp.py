"""relay --udp: what it refuses; more is in tests/e2e/test_relay_udp.py."""

from __future__ import annotations

import pytest

from tests.refusal import refusal
from tests.support import HERE

pytestmark = pytest.mark.process


def relay(*arguments: str, host: str = HERE) -> tuple[int, str]:
    status, _, stderr = refusal("relay", "--udp", "-p", "0", *arguments, host, "9")
    return status, stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--once",),
        ("--tls",),
        ("--to-tls",),
        ("--proxy", "socks5://127.0.0.1:1"),
        ("--frame", "line", "-x"),
        ("--chunk", "7"),
        ("--stall-at", "1k"),
        ("--reset-at", "1k"),
        ("--close-at", "1k"),
        ("--refuse", "10%"),
    ],
)
def test_what_only_connections_have_is_refused(arguments: tuple[str, ...]) -> None:
    status, stderr = relay(*arguments)
    assert status == 2
    assert f"{arguments[0]} cannot be used with --udp" in stderr


def test_peers_cannot_share_a_port_to_send_from() -> None:
    status, stderr = relay("--source", f"{HERE}:5000")
    assert status == 2
    assert "--max-connections 1" in stderr


def test_a_target_that_is_not_found_ends_it() -> None:
    status, stderr = relay(host="no.such.invalid")
    assert status == 6
    assert "listening" not in stderr


def test_a_group_is_no_target() -> None:
    status, stderr = relay(host="239.1.2.3")
    assert status == 2
    assert "is a group, not one target" in stderr
