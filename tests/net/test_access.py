"""Access lists are prepared from options, files and names, once."""

from __future__ import annotations

import socket
import threading
from functools import partial
from pathlib import Path

import pytest

from sockkit.core.access import DENIED, NOT_ALLOWED, AccessList, parse_rule
from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import ResolveError, UsageError
from sockkit.events import Event, Notice
from sockkit.net import access as module
from sockkit.net.access import AccessOptions, prepare
from sockkit.net.loop import Loop
from sockkit.net.waiting import wait_for
from tests.net import kit
from tests.net.kit import HERE

loop = kit.loop
HOST = HostPort(HERE, 0)
NAMES = {
    "a.example": [(socket.AF_INET, ("10.0.0.7", 0)), (socket.AF_INET6, ("2001:db8::7", 0, 0, 0))],
    "link.example": [(socket.AF_INET6, ("fe80::7", 0, 0, 2))],
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are known to nobody but these tests."""
    real = socket.getaddrinfo

    def find(host: bytes | str, *more: int) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        if found := NAMES.get(name) if not more[-1] & socket.AI_NUMERICHOST else None:
            return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]
        if name.endswith(".example"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", find)


def prepared(
    loop: Loop, options: AccessOptions, address: Address = HOST, events: list[Event] | None = None
) -> AccessList:
    emit = (events if events is not None else []).append
    return wait_for(loop, partial(prepare, kit.context(loop, emit=emit), options, address))


def test_a_name_stands_for_all_its_addresses(loop: Loop) -> None:
    rules = prepared(loop, AccessOptions(allow=("a.example", parse_rule("10.1.0.0/16"))))
    for allowed in ("10.0.0.7", "2001:db8::7", "::ffff:10.0.0.7", "10.1.2.3"):
        assert rules.refusal(allowed) == ""
    assert rules.refusal("10.0.0.8") == NOT_ALLOWED


def test_a_name_may_be_of_one_interface(loop: Loop) -> None:
    rules = prepared(loop, AccessOptions(deny=("link.example",)))
    assert (rules.refusal("fe80::7", 2), rules.refusal("fe80::7", 3)) == (DENIED, "")


def test_an_interface_has_its_number(loop: Loop) -> None:
    number = socket.if_nametoindex("lo")
    rules = prepared(loop, AccessOptions(deny=("fe80::1%lo",)))
    assert rules.refusal("fe80::1", number) == DENIED
    assert rules.refusal("fe80::1", number + 1) == ""


def test_files_have_more_rules(loop: Loop, tmp_path: Path) -> None:
    for number, text in enumerate(["10.0.0.0/8 # ours\n", "a.example\n::1\n", "10.0.0.9\n"]):
        (tmp_path / str(number)).write_text(text)
    allowed, more, denied = (str(tmp_path / str(number)) for number in range(3))
    options = AccessOptions((parse_rule("::2"),), (), (allowed, more), (denied,))
    rules = prepared(loop, options)
    for peer in ("::2", "10.0.0.8", "2001:db8::7", "::1"):
        assert rules.refusal(peer) == ""
    assert (rules.refusal("10.0.0.9"), rules.refusal("::3")) == (DENIED, NOT_ALLOWED)


def test_a_file_without_rules_allows_nobody_and_that_is_told(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("# nobody yet\n")
    empty = (str(tmp_path / "file"),)
    events: list[Event] = []
    rules = prepared(loop, AccessOptions(allow_file=empty), events=events)
    assert rules.refusal(HERE) == NOT_ALLOWED
    assert events == [Notice("nobody is allowed to connect: --allow-file has no rules")]
    assert prepared(loop, AccessOptions(deny_file=empty), events=events).refusal(HERE) == ""
    options = AccessOptions(allow=(parse_rule(HERE),), allow_file=empty)
    assert prepared(loop, options, events=events).refusal(HERE) == ""
    assert len(events) == 1


@pytest.mark.parametrize("option", ["allow", "deny"])
def test_a_name_that_is_not_found_says_where_it_was_given(
    option: str, loop: Loop, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text("10.0.0.7\nnone.example\n")
    for field, place in (({option: ("none.example",)}, f"--{option}"),
                         ({f"{option}_file": (str(path),)}, f"{path} line 2")):  # fmt: skip
        with pytest.raises(ResolveError) as caught:
            prepared(loop, AccessOptions(**field))  # type: ignore[arg-type]
        told = f"{place}: could not resolve none.example: Name or service not known"
        assert str(caught.value) == told


def test_a_name_has_so_much_time(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LOOKUP_SECONDS", 0.02)
    answer, answered = threading.Event(), threading.Event()

    def stall(_: bytes | str, *more: int) -> object:
        if more[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        answer.wait(kit.WAIT)
        answered.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stall)
    try:
        with pytest.raises(ResolveError, match=r"--deny: could not resolve a.example: no answer"):
            prepared(loop, AccessOptions(deny=("a.example",)))
    finally:
        answer.set()
        assert answered.wait(kit.WAIT)


def test_peers_of_a_unix_socket_have_no_address(loop: Loop) -> None:
    with pytest.raises(
        UsageError, match=r"clients of unix:/s have no IP address: remove --allow and"
    ):
        prepared(loop, AccessOptions(allow=("a.example",)), UnixPath("/s"))
