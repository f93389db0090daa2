"""The notation of input: --hex-input and --escape-input, and which options they exclude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click import Option

from sockkit.cli.commands import Bundle, fold
from sockkit.errors import UsageError

if TYPE_CHECKING:
    from sockkit.core.text import TextOptions


INPUT = Bundle(
    "Input",
    (
        Option(["--hex-input"], is_flag=True,
               help="Read stdin as hexadecimal bytes: 01 03 00 0a. Other ways to write them are "
                    r"0103000a, 0x01,0x03 and \x01\x03. White space, line ends and commas "
                    "separate bytes, and are not sent."),
        Option(["--escape-input"], is_flag=True,
               help=r"Read stdin as text with escapes: hello\r\n. There are \r \n \t \0 \a \b \e "
                    r"\f \v \\, \x41 for a byte, and \u4f60 or \U0001f600 for a character."),
    ),
)  # fmt: skip


def input_of(what: str, more: str = "") -> Bundle:
    """INPUT for a command that reads `what` in these notations."""
    return INPUT.saying(
        **{
            str(option.name): str(option.help).replace("stdin", what, 1) + more
            for option in INPUT.options
        }
    )


def text_options(values: dict[str, Any]) -> TextOptions:
    """The options for text. Raises UsageError for options that exclude each other."""
    check_input(
        values, ("--crlf", "crlf"), ("--send-encoding", "send_encoding"), ("--name", "name")
    )
    from sockkit.core.text import TextOptions

    return fold(TextOptions, values)


def check_input(values: dict[str, Any], *unconverted: tuple[str, str]) -> None:
    """Raise UsageError for options that exclude each other. `unconverted` are options for text,
    each with the name of its value.
    """
    if not values["hex_input"]:
        return
    if values["escape_input"]:
        raise UsageError("--hex-input cannot be used with --escape-input", "remove one of them")
    for option, name in unconverted:
        if values.get(name):
            raise UsageError(
                f"{option} cannot be used with --hex-input",
                "bytes in hexadecimal are sent as they are",
            )
