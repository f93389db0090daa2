"""The proxy to use, from --proxy and the environment, and the password of its user."""

from __future__ import annotations

import os
from typing import Any

from sockkit.core.address import Address
from sockkit.core.programs import PROXY_PASSWORD
from sockkit.core.proxy import Proxy, environment_proxy
from sockkit.errors import UsageError

ENVIRONMENT = "env"  # in place of a URL


def chosen_proxy(values: dict[str, Any], address: Address) -> Proxy | None:
    """The proxy through which to reach `address`; None for none. Raises UsageError, Stopped."""
    password = os.environ.get(PROXY_PASSWORD)
    if values.get("udp"):
        raise UsageError("--proxy cannot be used with --udp", "remove one of them")
    proxy: Proxy | None = values["through"]
    if values["through"] == ENVIRONMENT:
        proxy = environment_proxy(os.environ, address)
    if not proxy:
        return None
    proxy.target(address)  # fails before we ask for the password of a proxy that cannot be used
    if proxy.wants_password:
        if password is None and not values["quiet"] and os.isatty(0):
            password = _ask(proxy)
        proxy = proxy._replace(password=password).check()
    return proxy


def _ask(proxy: Proxy) -> str | None:
    from sockkit.cli.secret import ask_secret

    return ask_secret(f"Password for {proxy.user} at {proxy}: ")
