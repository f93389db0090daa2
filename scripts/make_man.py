r"""Writes man/ from the help, a page for each command; with --check only compares the files.

click writes the help into a `Page`, which keeps it as roff. All text is escaped, so that text
copied from a page is the text of the help: a hyphen is `\-`, as formatters turn `-` into another
character, and a quote is `\(aq`. The pages have no date, only the version.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click

from sockkit import __version__
from sockkit.cli.commands import NAME, group
from sockkit.errors import ExitStatus

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "man"
REFERENCE = ROOT / "docs" / "reference.md"
SUMMARY = "talk to sockets from the shell"
WIDTH = 78  # of a line of roff; mandoc warns of more than 80

# The characters that roff or a formatter would change, and their escapes.
_ESCAPED = {
    "\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq",
}  # fmt: skip
_OPTION = re.compile(r"(?<![\w(\\/-])((?:\\-){1,2}[A-Za-z0-9](?:[A-Za-z0-9]|\\-)*)")

# The option that a command must have for a status to be on its page. A status that is not here is
# on every page. `show` is the command without a network.
_NEEDS: dict[int, str] = {
    **dict.fromkeys((6, 7, 28, 45, 55, 56), "--connect-timeout"),
    **dict.fromkeys((ExitStatus.NOT_AGREED, ExitStatus.NOT_TRUSTED), "--tls"),
    ExitStatus.NOT_TEXT: "--encoding",
    ExitStatus.NOT_PROXIED: "--proxy",
    **dict.fromkeys((ExitStatus.NOT_RUN, ExitStatus.NOT_FOUND), "--wait"),
}
_ANY_STATUS = "any"  # the row for the status of a program

# The variables, the option that a command must have for them, and their effect.
ENVIRONMENT = [
    ("NO_COLOR", "", "If set, turns colours off."),
    ("FORCE_COLOR", "", "If set, turns colours on, even if the output is not a terminal."),
    ("TERM", "", "The value dumb turns off the line editor, colours and redrawn lines."),
    (
        "XDG_STATE_HOME",
        "--no-edit",
        "The line editor keeps typed lines in $XDG_STATE_HOME/sockkit for the next run. "
        "Default: ~/.local/state/sockkit.",
    ),
    (
        "SOCKKIT_PASSWORD",
        "--password",
        "The password of the chat room. Unlike --password, it does not appear in the list of "
        "processes. Programs that sockkit starts do not get it.",
    ),
    (
        "ALL_PROXY, all_proxy",
        "--proxy",
        "The URL of the proxy that --proxy env uses. If both are set, all_proxy counts.",
    ),
    (
        "NO_PROXY, no_proxy",
        "--proxy",
        "The hosts that --proxy env connects to directly: names, addresses and networks, "
        "separated by commas. * means all hosts.",
    ),
    (
        "SOCKKIT_PROXY_PASSWORD",
        "--proxy",
        "The password for the user in the proxy's URL. Programs that sockkit starts do not get it.",
    ),
    (
        "SSLKEYLOGFILE",
        "--tls",
        "Appends the keys of TLS connections to this file. With them, Wireshark can decrypt "
        "captured traffic.",
    ),
    (
        "XDG_RUNTIME_DIR, TMPDIR",
        "--expect",
        "To receive replies from a unix socket, udp-client creates a socket in a private folder "
        "here. Default: /tmp.",
    ),
    (
        "SOCKKIT_PROTO, SOCKKIT_REMOTE_HOST, SOCKKIT_REMOTE_PORT, SOCKKIT_LOCAL_HOST, "
        "SOCKKIT_LOCAL_PORT, SOCKKIT_TLS_SUBJECT",
        "--exec",
        "Set for the program that --exec or --shell starts: the protocol, the addresses of its "
        "connection, and the subject of the client's certificate.",
    ),
]


def roff(text: str) -> str:
    """`text` escaped for roff, for any place but the beginning of a line."""
    return "".join(
        _ESCAPED.get(char, char if char.isascii() else rf"\[u{ord(char):04X}]") for char in text
    )


def lines(escaped: Sequence[str]) -> list[str]:
    """Lines of escaped text, changed so that none is a request to the formatter."""
    return [rf"\&{line}" if line.startswith(".") else line for line in escaped]


def prose(text: str) -> list[str]:
    """A paragraph: each sentence begins a line, and options are bold."""
    sentences = re.split(r"(?<=[.!?]) +(?=[A-Z-])", " ".join(text.split()))
    marked = (_OPTION.sub(r"\\fB\1\\fR", roff(sentence)) for sentence in sentences)
    return lines([line for sentence in marked for line in wrapped(sentence)])


def wrapped(escaped: str) -> list[str]:
    return textwrap.wrap(escaped, WIDTH, break_long_words=False, break_on_hyphens=False)


def bold(text: str) -> str:
    return rf"\fB{roff(text)}\fR"


def literal(text: str) -> list[str]:
    """Lines to show as they are."""
    return [".EX", *lines([roff(line) for line in text.splitlines()]), ".EE"]


def tagged(tag: str, text: str) -> list[str]:
    """A row of a list; `tag` is already escaped, and contains font changes."""
    return [".TP", *lines([tag]), *prose(text)]


def names(text: str) -> str:
    """The names of an option, bold, with their metavars, italic: `-w, --wait DURATION`."""
    words = re.split(r"([ ,=/]+)", text)
    styled = (
        roff(word) if index % 2 else rf"\f{'B' if word.startswith('-') else 'I'}{roff(word)}\fR"
        for index, word in enumerate(words)
        if word
    )
    return "".join(styled)


class Page(click.HelpFormatter):
    """A formatter into which click writes a command's help. It keeps the help as roff, by sections.

    Examples begin at a block after `\\b`, whose lines are kept, if its first line ends in a colon.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, list[str]] = {
            name: [] for name in ("SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXAMPLES")
        }
        self.commands: dict[str, str] = {}  # the summary of each command
        self._part = "DESCRIPTION"

    def write(self, string: str) -> None:
        raise NotImplementedError(f"a page has no place for {string!r}")

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        styled = (
            rf"\fI{roff(word)}\fR" if re.search("[A-Z]", word) else roff(word)
            for word in args.split()
        )
        self.parts["SYNOPSIS"] = [" ".join([bold(prog), *styled])]

    def write_heading(self, heading: str) -> None:
        self._part = "COMMANDS" if heading == "Commands" else "OPTIONS"
        if heading not in ("Commands", "Options"):
            self.parts["OPTIONS"].append(f".SS {roff(heading)}")

    def write_paragraph(self) -> None:
        """Do nothing: `write_text` separates the paragraphs."""

    def write_text(self, text: str) -> None:
        for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
            kept = paragraph.removeprefix("\b\n")
            first, _, rest = kept.partition("\n")
            if kept != paragraph and first.endswith(":"):
                self._part = "EXAMPLES"
                self._paragraph([] if first == "Examples:" else prose(first))
                self._paragraph(literal(textwrap.dedent(rest)))
            else:
                self._paragraph(literal(kept) if kept != paragraph else prose(paragraph))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        for name, text in rows:
            if self._part == "COMMANDS":
                self.commands[name] = text
            tag = bold(name) if self._part == "COMMANDS" else names(name)
            self.parts[self._part] += tagged(tag, text)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        before = self._part
        self.write_heading(name)
        yield
        self._part = before

    def _paragraph(self, more: list[str]) -> None:
        part = self.parts[self._part]
        part += [".PP", *more] if part and more else more


def statuses() -> list[tuple[str, str]]:
    """The rows of the table of exit statuses, each with its meaning."""
    text = REFERENCE.read_text(encoding="utf-8").partition("## Exit statuses\n")[2]
    rows = re.findall(r"^\| (\d+|any) \| (.+) \|$", text, flags=re.MULTILINE)
    numbers = [int(status) for status, _ in rows if status != _ANY_STATUS]
    if numbers != sorted(ExitStatus):
        raise SystemExit(f"{REFERENCE} has other exit statuses than sockkit: {numbers}")
    return rows


def options(command: click.Command) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)}


def _concerns(command: click.Command, need: str) -> bool:
    """Whether a command has the option `need`. A group's page covers all commands."""
    return isinstance(command, click.Group) or not need or need in options(command)


def _exit_status(path: str, command: click.Command) -> Iterator[str]:
    for status, meaning in statuses():
        if status == _ANY_STATUS:
            named = f"`{path.removeprefix(NAME).strip()}"
            shown = isinstance(command, click.Group) or named in meaning
        else:
            shown = _concerns(command, _NEEDS.get(int(status), ""))
        if shown:
            told = meaning.replace("`", "").replace("\\|", "|")
            yield from tagged(bold(status), f"{told[:1].upper()}{told[1:]}.")


def _environment(command: click.Command) -> Iterator[str]:
    for variables, need, text in ENVIRONMENT:
        if _concerns(command, need):
            tag = ", ".join(map(bold, variables.split(", ")))
            yield from tagged(tag, text)


def page_name(path: str) -> str:
    """`sockkit-chat-join` for `sockkit chat join`."""
    return path.replace(" ", "-")


def _see_also(path: str, paths: Sequence[str]) -> list[str]:
    """The group above, the commands beside and below, and similar programs."""
    above = path.rpartition(" ")[0]
    near = [
        page_name(one) for one in paths if one != path and one.rpartition(" ")[0] in (above, path)
    ]
    found = [*([page_name(above)] if above else []), *near, "nc", "ncat", "socat"]
    return [f".BR {roff(name)} (1){',' if name != found[-1] else ''}" for name in found]


def head(name: str) -> list[str]:
    """The beginning of a page. Words are not hyphenated, as a broken word cannot be copied."""
    return [
        r".\" Written by scripts/make_man.py.",
        f'.TH {roff(name.upper())} 1 "" "{NAME} {__version__}" "{NAME}"',
        ".nr HY 0",
        ".nh",
        ".ad l",
    ]


def text(path: str, command: click.Command, summary: str, paths: Sequence[str]) -> str:
    """The page of one command. `paths` are those of all commands."""
    page = filled(command, path)
    told = summary[:1].lower() + summary[1:].rstrip(".")
    parts = {
        "NAME": wrapped(rf"{roff(page_name(path))} \- {roff(told)}"),
        **page.parts,
        "EXIT STATUS": [*_exit_status(path, command)],
        "ENVIRONMENT": [*_environment(command)],
        "SEE ALSO": _see_also(path, paths),
    }
    parts["EXAMPLES"] = parts.pop("EXAMPLES")  # after the tables
    parts["SEE ALSO"] = parts.pop("SEE ALSO")
    body = chain.from_iterable([f".SH {name}", *part] for name, part in parts.items() if part)
    return "\n".join([*head(page_name(path)), *body]) + "\n"


def filled(command: click.Command, path: str) -> Page:
    page = Page()
    with click.Context(command, info_name=path) as context:
        command.format_help(context, page)
    return page


def walk(
    command: click.Command, path: str, summary: str
) -> Iterator[tuple[str, click.Command, str]]:
    """A command and those below it, each with its path and its summary."""
    yield path, command, summary
    if isinstance(command, click.Group):
        with click.Context(command, info_name=path) as context:
            for name, told in filled(command, path).commands.items():
                one = command.get_command(context, name)
                assert one
                yield from walk(one, f"{path} {name}", told)


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    found = list(walk(group, NAME, SUMMARY))
    paths = [path for path, _, _ in found]
    return {
        f"{page_name(path)}.1": text(path, command, summary, paths)
        for path, command, summary in found
    }


def main() -> int:
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*")}
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    for name in stale:
        if "--check" in sys.argv[1:]:
            print(f"man/{name} is out of date: run make man")
        elif name in wanted:
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
