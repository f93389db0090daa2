from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_structure
from scripts.check_structure import (
    MAX_ATTRIBUTES,
    asked_kinds,
    large_classes,
    missing_tests,
    package_of,
    wrong_imports,
    wrong_reads,
    wrong_waits,
)


def write(root: Path, name: str, code: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("sockkit", "sockkit"),
        ("sockkit.errors", "errors"),
        ("sockkit.net", "net"),
        ("sockkit.net.loop", "net"),
    ],
)
def test_package_of(module: str, package: str) -> None:
    assert package_of(module) == package


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("errors.py", "import os\nfrom enum import IntEnum"),
        ("core/text.py", "from sockkit.errors import TextError\nimport sockkit.core.units"),
        ("net/loop.py", "import socket, select, time\nfrom sockkit.core import text"),
        ("apps/echo.py", "import os\nfrom sockkit.net.loop import Loop\nimport sockkit.term"),
        ("cli/main.py", "import click\nfrom sockkit import __version__\nimport sockkit.apps.echo"),
        ("cli/__init__.py", "import click"),
        ("__main__.py", "from sockkit.cli.main import main"),
        ("term/__init__.py", "import os\nimport socketserver"),
    ],
)
def test_what_a_package_may_import(name: str, code: str, tmp_path: Path) -> None:
    write(tmp_path, f"sockkit/{name}", code)
    assert list(wrong_imports(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "code", "problem"),
    [
        ("errors.py", "import sockkit.events", "errors may not import events"),
        ("events.py", "from sockkit import __version__", "events may not import sockkit"),
        ("core/text.py", "from sockkit.net.loop import Loop", "core may not import net"),
        ("core/text.py", "import socket", "core may not know socket"),
        ("core/text.py", "from os import path", "core may not know os"),
        ("core/text.py", "import os.path", "core may not know os"),
        ("core/__init__.py", "import click", "core may not know click"),
        ("net/loop.py", "import sockkit.apps.echo", "net may not import apps"),
        ("net/loop.py", "from click import echo", "net may not know click"),
        ("term/prompt.py", "import ssl", "term may not know ssl"),
        ("apps/echo.py", "from sockkit.cli import main", "apps may not import cli"),
        ("__main__.py", "import sockkit.net", "__main__ may not import net"),
        ("__init__.py", "import sockkit.cli", "sockkit may not import cli"),
        ("net/loop.py", "from . import stream", "a relative import hides its package"),
        ("net/loop.py", "from ..apps import echo", "a relative import hides its package"),
        ("core/text.py", "from sockkit import net", "core may not import sockkit"),
    ],
)
def test_what_it_may_not(name: str, code: str, problem: str, tmp_path: Path) -> None:
    write(tmp_path, f"sockkit/{name}", f"import re\n{code}\n")
    assert list(wrong_imports(tmp_path)) == [f"sockkit/{name}:2: {problem}"]


@pytest.mark.parametrize(
    "code", ["def late():\n    import socket", "if TYPE_CHECKING:\n    import socket"]
)
def test_an_import_hidden_inside_counts(code: str, tmp_path: Path) -> None:
    write(tmp_path, "sockkit/core/text.py", code)
    assert list(wrong_imports(tmp_path)) == ["sockkit/core/text.py:2: core may not know socket"]


def test_each_wrong_import_is_told(tmp_path: Path) -> None:
    write(tmp_path, "sockkit/core/text.py", "import socket, ssl\nimport time")
    told = [problem.split(" know ")[1] for problem in wrong_imports(tmp_path)]
    assert told == ["socket", "ssl", "time"]


ADDRESSES = "class HostPort: ...\nclass UnixPath: ...\nclass Program: ...\n"


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(address, UnixPath)",
        "isinstance(address, (str, UnixPath))",
        "isinstance(address, core.address.UnixPath)",
        "not isinstance(options.address, str | UnixPath)",
        "type(address) is UnixPath",
        "type(address) in (UnixPath, str)",
        "match address:\n    case UnixPath(path): pass",
    ],
)
def test_who_asks_for_a_kind_of_address(code: str, tmp_path: Path) -> None:
    write(tmp_path, "sockkit/core/address.py", ADDRESSES)
    write(tmp_path, "sockkit/apps/echo.py", f"import os\n{code}\n")
    (told,) = asked_kinds(tmp_path)
    assert told.startswith("sockkit/apps/echo.py:")
    assert told.endswith(": asks for UnixPath: its row in net/openers.py knows")


def test_a_kind_that_is_new_is_one_too(tmp_path: Path) -> None:
    write(tmp_path, "sockkit/core/address.py", ADDRESSES)
    write(tmp_path, "sockkit/net/dial.py", "isinstance(a, Program)\nisinstance(a, Address)\n")
    assert [told.split(":")[1:3] for told in asked_kinds(tmp_path)] == [
        ["1", " asks for Program"],
        ["2", " asks for Address"],
    ]


def test_who_may_name_a_kind_of_address(tmp_path: Path) -> None:
    code = "{HostPort: 1}[type(a)]\nb: UnixPath = UnixPath(a)\nisinstance(b, str)\na == type(b)"
    write(tmp_path, "sockkit/core/address.py", ADDRESSES)
    write(tmp_path, "sockkit/net/openers.py", code)
    assert list(asked_kinds(tmp_path)) == []


def test_missing_tests(tmp_path: Path) -> None:
    for name in ("__init__.py", "__main__.py", "errors.py", "net/__init__.py", "net/loop.py"):
        write(tmp_path, f"sockkit/{name}")
    write(tmp_path, "tests/test_loop.py")  # not where it belongs
    assert list(missing_tests(tmp_path)) == [
        "sockkit/errors.py: no tests/test_errors.py",
        "sockkit/net/loop.py: no tests/net/test_loop.py",
    ]
    write(tmp_path, "tests/test_errors.py")
    write(tmp_path, "tests/net/test_loop.py")
    assert list(missing_tests(tmp_path)) == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("return os.environ.get(1)", "os.environ"),
        ("value = os.environb", "os.environb"),
        ("value = os.getenv('TERM')", "os.getenv"),
        ("from os import getpid, getenv", "os.getenv"),
        ("from os import environ as variables", "os.environ"),
        ("if sys.stdin: pass", "sys.stdin"),
        ("sys.stdout.write('')", "sys.stdout"),
        ("sys.stderr = None", "sys.stderr"),
        ("value = sys.__stderr__", "sys.__stderr__"),
        ("f(sys.argv[1:])", "sys.argv"),
        ("from sys import argv", "sys.argv"),
        ("os.path.expanduser('~')", "os.path.expanduser"),
        ("from os.path import expandvars", "os.path.expandvars"),
        ("getpass.getuser()", "getpass.getuser"),
        ("value = pathlib.Path.home()", "pathlib.Path.home"),
        ("print('hi')", "print"),
        ("value = input()", "input"),
    ],
)
def test_only_the_command_line_reads_the_process(code: str, name: str, tmp_path: Path) -> None:
    function = f"def f():\n    {code}\n"
    for allowed in ("cli/render.py", "cli/__init__.py", "__main__.py"):
        write(tmp_path, f"sockkit/{allowed}", function)
    write(tmp_path, "sockkit/apps/echo.py", "os.read(stdin.fileno(), environ)\nself.print(input)")
    assert list(wrong_reads(tmp_path)) == []
    for module in ("events.py", "term/editor.py"):
        write(tmp_path, f"sockkit/{module}", function)
    assert list(wrong_reads(tmp_path)) == [
        f"sockkit/{module}:2: only cli/ uses {name}" for module in ("events.py", "term/editor.py")
    ]


SETS = """
class Small:
    def __init__(this, a):
        {0}
        this.a = this.a = a  # one, twice
        a.other = 1
    def later(self):
        self.b = 1
"""
MOST = "\n        ".join(f"this.a{number} = a" for number in range(MAX_ATTRIBUTES - 1))


@pytest.mark.parametrize(
    "more",
    [
        "this.last = 1",
        "this.last: int = 1",
        "one, (this.last, two) = 1, (2, 3)",
        "one = this.last = 1",
        "for this.last in (): pass",
        "if a:\n            this.last = 1",
    ],
)
def test_a_class_sets_so_many_attributes_and_no_more(more: str, tmp_path: Path) -> None:
    write(tmp_path, "sockkit/net/loop.py", SETS.format(MOST))
    assert list(large_classes(tmp_path)) == []
    write(tmp_path, "sockkit/net/loop.py", SETS.format(f"{MOST}\n        {more}"))
    assert list(large_classes(tmp_path)) == ["sockkit/net/loop.py:2: Small sets 15 attributes"]


@pytest.mark.parametrize(
    "code",
    [
        "loop.when_readable(stream.descriptor, None)",
        "self._echo.loop.when_writable(stream.descriptor, self._write)",
        "self._loop.when_readable(\nself._watched, read)",
        "wait = self._loop.when_readable",
    ],
)
def test_only_an_end_waits_for_a_descriptor(code: str, tmp_path: Path) -> None:
    for name in ("net/ends/tls.py", "net/lanes.py", "net/workers.py"):
        write(tmp_path, f"sockkit/{name}", code)
    write(tmp_path, "sockkit/net/pump.py", "stream.when_readable(self._step)\nloop.later(1, f)")
    assert list(wrong_waits(tmp_path)) == []
    write(tmp_path, "sockkit/net/pump.py", code)
    assert list(wrong_waits(tmp_path)) == [
        "sockkit/net/pump.py:1: only an end has the loop wait for a descriptor"
    ]


def test_main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_structure, "ROOT", tmp_path)
    write(tmp_path, "sockkit/__init__.py")
    assert check_structure.main() == 0
    assert capsys.readouterr().out == ""
    text = f"import socket, sys; sys.argv\n{SETS.format(MOST)}        loop.when_readable(1, this)"
    write(tmp_path, "sockkit/core/text.py", text.replace("this.a = this.a", "this.b = this.c"))
    assert check_structure.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "sockkit/core/text.py:1: core may not know socket",
        "sockkit/core/text.py:1: only cli/ uses sys.argv",
        "sockkit/core/text.py: no tests/core/test_text.py",
        "sockkit/core/text.py:3: Small sets 15 attributes",
        "sockkit/core/text.py:22: only an end has the loop wait for a descriptor",
    ]
