"""Tells which bytes pass, how many, and which call moved them."""

from __future__ import annotations

from sockkit.cli.explain import python
from sockkit.cli.explain.role import Tell


def went(tell: Tell, kind: str, call: str, key: str, data: bytes, more: str = "") -> None:
    """Tell that `call` has sent `data`. The code shows short data."""
    shown, short = python.message(data), python.is_short(data)
    code = f"{call}({shown if short else 'data'}{more})"
    tell(kind, code, "size" if short else "data", key, size=len(data), data=shown)


def came(tell: Tell, kind: str, code: str, keys: str, data: bytes, **holes: str) -> None:
    """Tell that `code` has received `data`, with the sentences of `keys`."""
    shown = python.message(data)
    tell(kind, code, "data", *keys.split(), size=len(data), data=shown, **holes)
