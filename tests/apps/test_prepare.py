from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sockkit.apps.prepare import invite, secure_dialling, secure_listening, with_access
from sockkit.core.access import DENIED, parse_rule
from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import UsageError
from sockkit.events import Event, Notice
from sockkit.net.access import AccessOptions
from sockkit.net.context import Context
from sockkit.net.loop import Loop
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tls.options import ClientTls, Identity, ServerTls
from tests.net import kit, tls
from tests.net.kit import HERE

loop = kit.loop


class Listening:
    """A listener, as far as an invitation needs one."""

    port = 4711


class Run:
    def __init__(self) -> None:
        self.events: list[Event] = []
        nothing: Any = None
        self.context: Context = kit.context(nothing, emit=self.events.append)

    def invited(self, options: ListenOptions, command: str = "tcp-client") -> list[str]:
        listener: Any = Listening()
        invite(self.context, options, listener, command)
        return [event.text for event in kit.of_kind(self.events, Notice)]


@pytest.fixture
def run() -> Run:
    return Run()


def test_without_tls_nothing_changes(run: Run) -> None:
    connect, listen = ConnectOptions(timeout=5), ListenOptions(HostPort("localhost", 0))
    assert secure_dialling(run.context, connect, HostPort("localhost", 80), None) is connect
    assert secure_listening(run.context, listen, None, None) is listen
    assert run.invited(listen) == []


def test_an_access_list_becomes_part_of_where_to_listen(loop: Loop) -> None:
    options, context = ListenOptions(HostPort(HERE, 0), 5), kit.context(loop)
    assert with_access(context, options, None) is options
    made = with_access(context, options, AccessOptions(deny=(parse_rule(HERE),)))
    assert made.access
    assert made.access.refusal(HERE) == DENIED
    assert made._replace(access=None) == options


def test_a_client_asks_for_the_name_of_the_address(run: Run) -> None:
    options = ConnectOptions(timeout=5)
    secured = secure_dialling(run.context, options, HostPort(tls.NAME, 80), ClientTls())
    assert secured.tls
    assert (secured.tls.name, secured.tls.server) == (tls.NAME, False)
    assert secured._replace(tls=None) == options


def test_what_cannot_be_meant_is_told_before_anything_is_opened(run: Run) -> None:
    with pytest.raises(UsageError, match="no server name to check"):
        secure_dialling(run.context, ConnectOptions(), UnixPath("/x"), ClientTls())
    listen = ListenOptions(HostPort("localhost", 0))
    with pytest.raises(UsageError, match="could not read /missing"):
        secure_listening(run.context, listen, None, ServerTls(client_ca="/missing"))


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (HostPort("127.0.0.1", 0), "127.0.0.1 4711"),
        (HostPort("server.example", 0), "server.example 4711"),
        (HostPort("::1", 0), "::1 4711"),
        (HostPort("0.0.0.0", 0), "HOST 4711"),
        (HostPort("::", 0), "HOST 4711"),
        (UnixPath("/run/x"), "unix:/run/x"),
    ],
)
def test_a_certificate_made_for_the_run_is_told_as_a_command_line(
    address: Address, where: str, run: Run
) -> None:
    secured = secure_listening(run.context, ListenOptions(address), None, ServerTls())
    assert secured.tls
    assert secured.tls.server
    (told,) = run.invited(secured, "chat join")
    fingerprint = (secured.tls.fingerprint or b"").hex()
    assert told.endswith(f"sockkit chat join --tls --tls-fingerprint {fingerprint} {where}")
    assert len(fingerprint) == 64


def test_nobody_is_invited_by_a_certificate_of_ones_own(run: Run, tmp_path: Path) -> None:
    pem = tls.written(tls.leaf().private_key_and_cert_chain_pem, tmp_path / "both.pem")
    listen = ListenOptions(HostPort("127.0.0.1", 0))
    secured = secure_listening(run.context, listen, None, ServerTls(Identity(pem)))
    assert secured.tls
    assert run.invited(secured) == []
