from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import stat
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sockkit.errors import SockkitError
from sockkit.net.tls import throw_away
from sockkit.net.tls.throw_away import install
from tests.net import tls
from tests.net.tls import InHand


class Shown(ssl.SSLContext):
    """Keeps the modes of the files that are loaded."""

    modes: list[int]

    def load_cert_chain(self, path: Any, *more: Any) -> None:  # type: ignore[override]
        self.modes = [*getattr(self, "modes", []), stat.S_IMODE(os.stat(path).st_mode)]
        super().load_cert_chain(path, *more)


def shown(context: ssl.SSLContext) -> x509.Certificate:
    """The certificate that a client sees."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    client, server = InHand(trusting), InHand(context, server=True)
    tls.shake_hands(client, server)
    assert client.done
    assert server.done
    return x509.load_der_x509_certificate(client.tls.getpeercert(binary_form=True) or b"")


def made(host: str) -> tuple[bytes, x509.Certificate]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return install(context, host), shown(context)


@pytest.mark.parametrize(
    ("host", "names", "addresses"),
    [
        ("", [], []),
        ("localhost", [], []),
        ("127.0.0.1", [], []),
        ("::1", [], []),
        ("10.0.0.7", [], ["10.0.0.7"]),
        ("fe80::1", [], ["fe80::1"]),
        ("fe80::1%eth0", [], ["fe80::1"]),
        ("server.example", ["server.example"], []),
        ("bücher.example", [], []),
    ],
)
def test_it_is_for_the_host_and_this_machine(
    host: str, names: list[str], addresses: list[str]
) -> None:
    _, cert = made(host)
    own = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert own.get_values_for_type(x509.DNSName) == ["localhost", *names]
    expected = {ipaddress.ip_address(each) for each in ("127.0.0.1", "::1", *addresses)}
    assert set(own.get_values_for_type(x509.IPAddress)) == expected
    assert len(own.get_values_for_type(x509.IPAddress)) == len(expected)


def test_the_fingerprint_is_that_of_what_is_shown_and_each_is_new() -> None:
    seen = [made("") for _ in range(2)]
    for fingerprint, cert in seen:
        assert fingerprint == hashlib.sha256(cert.public_bytes(Encoding.DER)).digest()
    assert seen[0][0] != seen[1][0]
    assert seen[0][1].serial_number != seen[1][1].serial_number


def test_a_client_whose_clock_is_behind_sees_it_as_valid() -> None:
    _, cert = made("")
    now = datetime.now(UTC)
    assert cert.not_valid_before_utc <= now - throw_away.CLOCK_DIFFERENCE
    assert cert.not_valid_after_utc > now + throw_away.LIFETIME / 2


def test_a_client_that_has_it_as_root_trusts_it() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    install(context, tls.NAME)
    pem = shown(context).public_bytes(Encoding.PEM).decode()
    client = InHand(ssl.create_default_context(cadata=pem), name=tls.NAME)
    tls.shake_hands(client, InHand(context, server=True))
    assert client.done


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_the_key_is_left(
    memory: bool, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    if fails:
        monkeypatch.setattr(throw_away, "_make", lambda _: (b"no certificate", b"no key", b""))
    context = Shown(ssl.PROTOCOL_TLS_SERVER)
    before = os.listdir("/proc/self/fd")
    if fails:
        with pytest.raises(ssl.SSLError):
            install(context, "")
    else:
        install(context, "")
    assert os.listdir("/proc/self/fd") == before
    assert list(tmp_path.iterdir()) == []
    assert len(context.modes) == 1
    if not memory:
        assert context.modes == [0o600]


def test_a_machine_with_memory_files_makes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    install(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "")


def test_without_the_package_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(
        SockkitError, match=r"--tls-cert and --tls-key, or run \S+ -m pip install cryptography"
    ):
        install(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "")
