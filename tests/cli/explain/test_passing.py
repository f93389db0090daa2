from __future__ import annotations

from sockkit.cli.explain.passing import came, went
from tests.cli.explain.kit import Told


def test_what_is_short_is_sent_in_the_call() -> None:
    told = Told()
    went(told, "sendto", "s.sendto", "sendto", b"{x}", ", ('127.0.0.1', 80)")
    assert told.steps == [("s.sendto(b'{x}', ('127.0.0.1', 80))", ("size", "sendto"))]
    assert told.text[0] == "3."


def test_what_is_long_is_shown_apart() -> None:
    told = Told()
    went(told, "sendall", "s.sendall", "sendall", b"x" * 5000)
    assert told.steps == [("s.sendall(data)", ("data", "sendall"))]
    assert told.text[0].startswith("data = b'xxx")
    assert told.text[0].endswith("… (5000)")


def test_what_is_received_is_shown() -> None:
    told = Told()
    came(told, "recvfrom", "f()", "recvfrom.addr recvfrom", b"\x1b", addr="a")
    assert told.steps == [("f()", ("data", "recvfrom.addr", "recvfrom"))]
    assert told.text[0] == r"data = b'\x1b' (1)"
