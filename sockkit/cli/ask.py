"""Asks the user at the terminal for an address or a name that the command line lacks."""

from __future__ import annotations

from collections.abc import Callable

import click

from sockkit.cli.render import complain
from sockkit.core.address import parse_address, parse_port, parse_unix, split_port
from sockkit.core.chat.names import check_name
from sockkit.errors import UsageError
from sockkit.net.endpoint import service_port


def ask_address(words: tuple[str, ...]) -> tuple[str, ...]:
    """`words` with the missing host and port. Raises click.Abort if there is no answer."""
    if not words:
        words = tuple(_ask("Host", "127.0.0.1", _check_host).split())
    if len(words) == 1 and _lacks_port(words[0]):
        words = (*words, _ask("Port", None, lambda text: parse_port(text, service_port)))
    return words


def ask_name() -> str:
    """The name for a chat room. Raises click.Abort if there is no answer."""
    try:
        return _ask("Your name", None, check_name)
    except click.Abort as error:
        raise UsageError("no name was given", "give it with --name NAME") from error


def _check_host(answer: str) -> None:
    """Raise UsageError unless `answer` is a host, or an address with a port."""
    words = answer.split()
    (parse_address(words, service_port) if len(words) > 1 else _lacks_port(answer))


def _lacks_port(word: str) -> bool:
    return not parse_unix(word) and split_port(word)[1] is None


def _ask(what: str, default: str | None, check: Callable[[str], object]) -> str:
    """The first answer that passes `check`, which raises UsageError."""
    while True:
        try:
            answer: str = click.prompt(what, default=default)
        except click.Abort:
            click.echo()  # the error gets a line of its own
            raise
        try:
            check(answer)
        except UsageError as error:
            complain(str(error))
        else:
            return answer
