"""man/: every option is there, and what formatters show can be copied."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import click
import pytest

from scripts.make_man import (
    ENVIRONMENT,
    FOLDER,
    NAME,
    ROOT,
    Page,
    filled,
    head,
    literal,
    main,
    names,
    page_name,
    pages,
    prose,
    roff,
    statuses,
    walk,
)
from sockkit.cli.commands import group
from sockkit.errors import ExitStatus
from tests.support import WAIT, need

COMMANDS = {path: command for path, command, _ in walk(group, NAME, "")}
FORMATTERS = {
    "groff": ["groff", "-man", "-ww", "-Tutf8", "-P-cbou"],
    "mandoc": ["mandoc", "-Tutf8"],
    "man": ["man", "-l", "-"],
}
NASTY = [
    ".TH starts with a dot",
    "'quoted' \"twice\" `thrice` ''' \"\"",
    r"a\nb \\ \fB \(aq \*[x] \"no comment",
    "--no-delay -x a-b – — ~user ^C",
    "  indented   and spaced",
    "小雪 … é",
    "...",
    "\\",
    "",
    "|tr 'a-z' A-Z;printf '\\r\\n'|",
]
# What formatters of manuals are told by others than sockkit, and what is not for users.
NOT_TOLD = {"PATH", "HOME", "LOGNAME", "USER", "_SOCKKIT_COMPLETE"}


def shown(formatter: str, page: str) -> list[str]:
    """The lines that a formatter shows of `page`. It must not complain."""
    command = FORMATTERS[formatter]
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    need(command[0])
    done = subprocess.run(
        command, input=page, capture_output=True, env=env, encoding="utf-8", timeout=WAIT
    )
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(".\b", "", done.stdout)  # mandoc strikes bold characters twice
    return plain.splitlines()


def page_of(*body: str) -> str:
    return "\n".join([*head("x"), ".SH X", *body]) + "\n"


def examples(command: click.Command) -> list[str]:
    return re.findall(r"^  (.+)$", command.epilog or "", flags=re.MULTILINE)


class Help(click.HelpFormatter):
    """The rows of a command's help: the names of each option, and what is said of it."""

    def __init__(self, command: click.Command) -> None:
        super().__init__()
        self.rows: list[tuple[str, str]] = []
        command.format_options(click.Context(command), self)
        assert self.rows

    def write_dl(self, rows: Iterable[tuple[str, str]], *_: object, **__: object) -> None:
        self.rows += rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("scripts.make_man.FOLDER", tmp_path / "man")
    monkeypatch.setattr("sys.argv", ["make_man.py"])
    assert main() == 0
    return tmp_path / "man"


def test_the_pages_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["make_man.py", "--check"])
    assert main() == 0


def test_pages_are_the_same_each_time(folder: Path) -> None:
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert {f"{page_name(path)}.1" for path in COMMANDS} == set(written)


@pytest.mark.parametrize("change", ["changed", "missing", "left over"])
def test_a_difference_is_noticed(
    change: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "sockkit-old.1" if change == "left over" else "sockkit-echo.1"
    if change == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_text("more")
    monkeypatch.setattr("sys.argv", ["make_man.py", "--check"])
    assert main() == 1
    assert capsys.readouterr().out == f"man/{name} is out of date: run make man\n"
    monkeypatch.setattr("sys.argv", ["make_man.py"])
    assert main() == 0
    assert {path.name for path in folder.iterdir()} == {path.name for path in FOLDER.iterdir()}


@pytest.mark.process
@pytest.mark.parametrize("formatter", FORMATTERS)
def test_text_is_shown_as_it_is(formatter: str) -> None:
    lines = shown(formatter, page_of(*literal("\n".join(NASTY))))
    start = next(number for number, line in enumerate(lines) if line.endswith(NASTY[0]))
    margin = len(lines[start]) - len(NASTY[0])
    assert [line[margin:] for line in lines[start : start + len(NASTY)]] == NASTY
    found = " ".join(shown(formatter, page_of(*chain(*map(prose, NASTY)))))
    for text in NASTY:
        assert " ".join(text.split()) in " ".join(found.split())


@pytest.mark.process
def test_a_long_line_is_not_broken_in_a_word() -> None:
    option = "--an-option-that-representatives-internationalize"
    for width in range(44, 76, 4):
        lines = shown("groff", page_of(*prose(f"{'x ' * (width // 2)}{option} unrepresentative.")))
        assert any(option in line for line in lines)
        assert any("unrepresentative." in line for line in lines)


@pytest.mark.process
@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("path", COMMANDS)
def test_a_page_has_each_option_and_each_example(path: str, formatter: str) -> None:
    command = COMMANDS[path]
    lines = shown(formatter, (FOLDER / f"{page_name(path)}.1").read_text())
    tags = {line.strip().split("  ")[0] for line in lines}
    told = " ".join(" ".join(lines).split())
    assert "\N{HYPHEN}" not in told
    words = {word.rstrip(",") for tag in tags for word in tag.split()}
    for option in command.get_params(click.Context(command)):
        if isinstance(option, click.Option):
            assert {*option.opts, *option.secondary_opts} <= words
    for name, text in Help(command).rows:
        assert name in tags or any(tag.startswith(f"{name} ") for tag in tags)
        assert " ".join(text.split()) in told
    assert examples(command)
    assert set(examples(command)) <= {line.strip() for line in lines}


@pytest.mark.process
@pytest.mark.parametrize("path", COMMANDS)
def test_mandoc_finds_no_fault(path: str) -> None:
    command = [need("mandoc"), "-T", "lint", FOLDER / f"{page_name(path)}.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    assert "ERROR" not in done.stdout
    assert re.findall("(?:WARNING|STYLE): .*", done.stdout) == [
        'WARNING: missing date, using "": TH'
    ]


def test_every_section_is_there() -> None:
    for name, text in pages().items():
        found = re.findall(r"^\.SH (.+)$", text, flags=re.MULTILINE)
        inner = ["COMMANDS"] if re.fullmatch(r"sockkit(-chat)?\.1", name) else []
        rest = ["EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"]
        assert found == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", *inner, *rest]


def test_sections_are_the_bundles() -> None:
    text = (FOLDER / "sockkit-tcp-client.1").read_text()
    with click.Context(COMMANDS["sockkit tcp-client"]) as context:
        headings = re.findall(r"^(\w.*):$", context.get_help(), flags=re.MULTILINE)
    assert headings
    assert re.findall(r"^\.SS (.+)$", text, flags=re.MULTILINE) == headings


def rows(path: str, heading: str) -> list[str]:
    text = (FOLDER / f"{page_name(path)}.1").read_text()
    section = text.partition(f".SH {heading}\n")[2].partition("\n.SH")[0]
    return re.findall(r"^\.TP\n(.+)$", section, flags=re.MULTILINE)


def test_exit_statuses() -> None:
    everything = [rf"\fB{int(status)}\fR" for status in ExitStatus]
    assert rows("sockkit", "EXIT STATUS") == [*everything, r"\fBany\fR"]
    for path, left_out in {
        "sockkit tcp-client": {126, 127},
        "sockkit udp-client": {35, 60, 97, 126, 127, "any"},
        "sockkit show": {6, 7, 28, 35, 45, 55, 56, 60, 97, 126, 127, "any"},
        "sockkit probe": {65, 97, "any"},
    }.items():
        found = rows(path, "EXIT STATUS")
        assert set(rows("sockkit", "EXIT STATUS")) - set(found) == {rf"\fB{x}\fR" for x in left_out}
    assert len(statuses()) == len(ExitStatus) + 1


def variables() -> Iterator[str]:
    """The variables that sockkit reads by a name that is written there."""
    for path in (ROOT / "sockkit").rglob("*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if "environ" in source else ():
            match node:
                case ast.Call(ast.Attribute(owner, "get"), [ast.Constant(str(name)), *_]):
                    if ast.unparse(owner).endswith(("environ", "environment")):
                        yield name


def test_every_variable_is_told() -> None:
    told = {name for names, _, _ in ENVIRONMENT for name in names.split(", ")}
    read = set(variables())
    assert {"TERM", "NO_COLOR", "ALL_PROXY", "SSLKEYLOGFILE"} <= read
    assert read - NOT_TOLD <= told


def test_a_variable_is_told_where_it_has_a_meaning() -> None:
    assert rows("sockkit show", "ENVIRONMENT") == [
        roff(rf"{name}").join([r"\fB", r"\fR"]) for name in ("NO_COLOR", "FORCE_COLOR", "TERM")
    ]
    assert r"\fBSOCKKIT_PASSWORD\fR" in rows("sockkit chat join", "ENVIRONMENT")
    assert r"\fBSOCKKIT_PASSWORD\fR" not in rows("sockkit tcp-client", "ENVIRONMENT")


def test_names_of_an_option() -> None:
    assert names("-w, --wait SIZE") == r"\fB\-w\fR, \fB\-\-wait\fR \fISIZE\fR"
    assert names("--a / --no-a") == r"\fB\-\-a\fR / \fB\-\-no\-a\fR"


def test_options_in_text_are_bold() -> None:
    assert prose("Use --once, or -i.") == [r"Use \fB\-\-once\fR, or \fB\-i\fR."]
    assert prose("half-close a-b") == [r"half\-close a\-b"]


def test_what_a_page_cannot_hold_is_an_error() -> None:
    with pytest.raises(NotImplementedError):
        Page().write("raw")
    assert filled(group, NAME).commands["echo"]
