from __future__ import annotations

from sockkit.net.tls.options import ClientTls, ServerTls, Version


def test_nothing_less_than_1_2_unless_it_is_asked_for() -> None:
    assert ClientTls().minimum is ServerTls().minimum is Version.V1_2
    assert [version.value for version in Version] == ["1.0", "1.1", "1.2", "1.3"]


def test_a_client_checks_all_unless_it_is_told_otherwise() -> None:
    options = ClientTls()
    assert (options.insecure, options.fingerprint, options.ca) == (False, None, None)
