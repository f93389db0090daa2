"""Asking a person for what the command line leaves out."""

from __future__ import annotations

import click

from sockkit.cli.params import Parsed
from sockkit.core.address import parse_port, parse_unix, split_port
from sockkit.net.resolve import service_port


def ask_address(words: tuple[str, ...]) -> tuple[str, ...]:
    """`words` with the host and the port that they lack. Raises click.Abort without an answer."""
    if not words:
        words = (click.prompt("Host", default="127.0.0.1", type=_HOST),)
    if len(words) == 1 and _lacks_port(words[0]):
        words = (*words, click.prompt("Port", type=_PORT))
    return words


def _lacks_port(word: str) -> bool:
    return not parse_unix(word) and split_port(word)[1] is None


def _checked_host(text: str) -> str:
    _lacks_port(text)
    return text


def _checked_port(text: str) -> str:
    parse_port(text, service_port)
    return text


_HOST, _PORT = Parsed("host", _checked_host), Parsed("port", _checked_port)
