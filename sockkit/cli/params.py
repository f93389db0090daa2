"""Parameter types for click, which call the parsers in `core`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click

from sockkit.core.address import (
    Address,
    HostPort,
    UnixPath,
    parse_address,
    parse_listening,
    parse_port,
    parse_unix,
    split_port,
)
from sockkit.core.text import check_codec, check_line_codec
from sockkit.core.units import parse_duration, parse_mode, parse_size, parse_timeout
from sockkit.errors import UsageError
from sockkit.net.endpoint import service_port
from sockkit.term.color import COLORS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Parsed(click.ParamType[Any]):
    """A value that `parse` makes of a word. Its UsageError becomes click's, with the option."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except UsageError as error:
            return self.fail(str(error), param, ctx)


class EnumChoice(click.Choice[str]):
    """One of an enumeration's values, converted to its member."""

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__([member.value for member in kind])
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self._kind(super().convert(value, param, ctx))


class Language(click.Choice[str]):
    """A language, which may be written as a locale: `zh_CN` or `zh-CN.UTF-8`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(re.split("[-_.]", value.lower())[0], param, ctx)


class File(click.ParamType[str]):
    """A click.Path that is made only for a value: its constructor looks up a translation (2 ms)."""

    name = "file"

    def __init__(self, *, exists: bool = False) -> None:
        self._exists = exists

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        reads = self._exists
        path: click.Path[str] = click.Path(exists=reads, readable=reads, dir_okay=False)
        return path.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return click.Path().shell_complete(ctx, param, incomplete)


def _server_port(text: str) -> int:
    return parse_port(text, service_port, lowest=0)


def _bind(text: str) -> UnixPath | str:
    if unix := parse_unix(text):
        return unix
    host, port = split_port(text)
    if port is not None:
        raise UsageError(f"{text!r} has a port", f"give --bind {host} -p {port}")
    return host


def _group(text: str) -> str:
    host, port = ("", None) if "," in text else split_port(text)
    if not host:
        raise UsageError(f"{text!r} is not one group", "start a server for each")
    if port is not None:
        raise UsageError(f"{text!r} has a port", f"give --join {host} -p {port}")
    return host


def _source(text: str) -> Address:
    if unix := parse_unix(text):
        return unix
    digits = text.removeprefix(":")
    if digits.isascii() and digits.isdigit():
        raise UsageError(f"{text!r} is a port", f"give an address, too: 0.0.0.0:{digits}")
    host, port = split_port(text)
    if port == "":
        raise UsageError(f"{text!r} has no port after its colon", "leave the colon out")
    return HostPort(host, parse_port(port, service_port, lowest=0) if port else 0)


def _name(text: str) -> str:
    from sockkit.core.chat.names import check_name

    try:
        return check_name(text)
    except UsageError as error:
        raise UsageError(str(error), error.hint or "choose another") from error


def _rule(text: str) -> Any:
    from sockkit.core.access import parse_rule  # imports ipaddress

    return parse_rule(text)


def _proxy(text: str) -> Any:
    from sockkit.core.proxy import parse_proxy  # imports ipaddress

    return text if text == "env" else parse_proxy(text)


def _color(text: str) -> tuple[str, str]:
    name, _, color = text.replace("\uff1d", "=").rpartition("=")
    color = color.lower()
    if not name or color not in COLORS:
        raise UsageError(f"{text!r} is not NAME=COLOR", f"the colours are {', '.join(COLORS)}")
    return name, color


def _fingerprint(text: str) -> bytes:
    digits = re.sub("^sha256( fingerprint=|:)", "", text.lower()).replace(":", "")
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(f"{text!r} is not the SHA-256 of a certificate", "give its 64 hex digits")
    return bytes.fromhex(digits)


def _server_name(text: str) -> str:
    if not re.fullmatch(r"[\w.:-]+", text):
        raise UsageError(
            f"{text!r} cannot be the name of a server", "give one such as server.example"
        )
    return text


def _protocols(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(name.isascii() and 0 < len(name) < 256 for name in names):
        raise UsageError(f"{text!r} is not a list of protocols", "write it as in h2,http/1.1")
    return names


SIZE = Parsed("size", parse_size)
DURATION = Parsed("duration", parse_duration)
TIMEOUT = Parsed("duration", parse_timeout)
PORT = Parsed("port", _server_port)
GROUP = Parsed("group", _group)
BIND = Parsed("addr", _bind)
SOURCE = Parsed("addr[:port]", _source)
MODE = Parsed("mode", parse_mode)
ENCODING = Parsed("name", check_codec)
LINE_ENCODING = Parsed("name", check_line_codec)
NAME = Parsed("name", _name)
COLOR = Parsed("name=color", _color)
FINGERPRINT = Parsed("sha256", _fingerprint)
SERVER_NAME = Parsed("name", _server_name)
PROTOCOLS = Parsed("names", _protocols)
RULE = Parsed("access rule", _rule)
PROXY_URL = Parsed("url", _proxy)


def at_terminal() -> bool:
    """Whether a person can be asked: stdin, stdout and stderr are a terminal."""
    return all(os.isatty(stream) for stream in (0, 1, 2))


def listening_words() -> click.Argument:
    """The address and the port of a server, where they are words and no options."""
    return click.Argument(["words"], nargs=-1, metavar="[[ADDR] PORT]")


def listening(values: dict[str, Any]) -> Address:
    """The address to listen on, from a server's options and words. Raises UsageError."""
    words = values["words"]
    program = values.get("execute") is not None or values.get("shell") is not None
    if words and program and (values["port"] is not None or values["bind"]):
        told = f"unexpected {words[0]!r}"
        raise UsageError(told, "quote a command of several words, as in --exec 'tr a-z A-Z'")
    return server_address(values["bind"], values["port"], values["family"], words)


def client_address(words: tuple[str, ...], *, ask: bool = True) -> Address:
    """The address in `words`. At a terminal the user is asked for a missing host or port, if `ask`.

    Raises UsageError, and click.Abort if the user does not answer.
    """
    ask = ask and len(words) < 2 and not "".join(words).isdigit()  # a port alone lacks its host
    if ask and at_terminal():
        from sockkit.cli.ask import ask_address

        words = ask_address(words)
    return parse_address(words, service_port)


def server_address(
    bind: UnixPath | str | None,
    port: int | None,
    family: int | None,
    words: Sequence[str] = (),
) -> Address:
    """The address to listen on, from --bind, -p, -4 or -6, and words as in LISTENING.

    Raises UsageError.
    """
    host, number = parse_listening(words, service_port) if words else (None, None)
    if bind and host:
        raise UsageError(f"two addresses: --bind {bind} and {words[0]}", "leave one out")
    if port is not None and number is not None:
        raise UsageError(f"two ports: -p {port} and {words[-1]}", "leave one out")
    bind, port = bind or host, number if port is None else port
    if bind and not isinstance(bind, str):
        if port is not None:
            raise UsageError(f"{bind} has no port", f"remove {port}")
        return bind
    if port is None:
        raise UsageError("no port to listen on", "give -p 8080, or -p 0 for any free port")
    return HostPort(bind or ("::1" if family == 6 else "127.0.0.1"), port)
