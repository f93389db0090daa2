"""How bytes to send are written: --hex-input and --escape-input, and what excludes them."""

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
               help="Read what is to be sent (stdin, --greet, --reply, echo's rules) as bytes in "
                    r"hexadecimal: 01 03 00 0a, 0103000a, 0x01,0x03 or \x01\x03. White space, line "
                    "ends and commas separate them, and are not sent. Over UDP a line is a "
                    "datagram."),
        Option(["--escape-input"], is_flag=True,
               help=r"Read it as text with escapes: \r \n \t \0 \a \b \e \f \v \\, \x41 for a byte "
                    r"and \u4f60 or \U0001f600 for a character. Over UDP a line is a datagram."),
    ),
)  # fmt: skip


def text_options(values: dict[str, Any]) -> TextOptions:
    """How text is converted. Raises UsageError for options that exclude each other."""
    check_input(
        values, ("--crlf", "crlf"), ("--send-encoding", "send_encoding"), ("--name", "name")
    )
    from sockkit.core.text import TextOptions

    return fold(TextOptions, values)


def check_input(values: dict[str, Any], *unconverted: tuple[str, str]) -> None:
    """`unconverted` are options, and the names of their values, that mean nothing for bytes."""
    if not values["hex_input"]:
        return
    if values["escape_input"]:
        raise UsageError("--hex-input and --escape-input exclude each other", "leave out one")
    for option, name in unconverted:
        if values.get(name):
            raise UsageError(
                f"{option} and --hex-input exclude each other",
                "bytes in hexadecimal are sent as they are",
            )
