"""What goes into sockkit.pyz; tests/e2e/test_pyz.py runs it."""

from __future__ import annotations

import ast
import marshal
import sys
import zipfile
import zlib
from importlib.metadata import distribution
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import make_pyz
from scripts.make_pyz import BEGINNING, COMPILED, PACKAGES, sources, write

THIS = [Path(sys.executable)]


def required(package: str) -> set[str]:
    """All that a package needs, itself included, without its extras."""
    found = {canonicalize_name(package)}
    for text in distribution(package).requires or ():
        one = Requirement(text)
        if not one.marker or one.marker.evaluate({"extra": ""}):
            found |= required(one.name)
    return found


def test_it_has_all_that_sockkit_needs_or_tells_of() -> None:
    named = {canonicalize_name(package) for package in (*PACKAGES, *COMPILED)}
    assert required("sockkit") == named


def test_each_package_has_its_modules_and_its_licence() -> None:
    names = list(sources())
    for package in PACKAGES:
        folder = package.replace("-", "_")
        assert f"{folder}/__init__.py" in names
        own = [name for name in names if name.startswith(f"{folder}-") and "/licenses/" in name]
        assert own, package


def test_nothing_is_there_that_one_machine_alone_can_run() -> None:
    for name in sources():
        assert name.endswith(".py") or ".dist-info/" in name
        assert not name.startswith(("/", ".."))
    assert "sockkit/cli/main.py" in sources()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_pyz, "PACKAGES", ("sockkit", "colorama"))


@pytest.mark.process
def test_the_same_files_make_the_same_bytes(small: None, tmp_path: Path) -> None:
    for name in ("one", "two"):  # Python hashes text in another way each time
        write(tmp_path / name, THIS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "one").read_bytes().startswith(b"#!/usr/bin/env python3\n")


@pytest.mark.process
def test_each_module_is_there_as_source_and_compiled(small: None, tmp_path: Path) -> None:
    write(tmp_path / "it", THIS)
    with zipfile.ZipFile(tmp_path / "it") as archive:
        names = set(archive.namelist())
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        data = archive.read(f"compiled-{MAGIC_NUMBER.hex()}")
    size = int.from_bytes(data[:4], "little")
    index = marshal.loads(data[4 : 4 + size])
    modules = {name for name in names if name.endswith(".py")} - {"__main__.py"}
    paths = {
        f"{name.replace('.', '/')}{'/__init__' if package else ''}.py"
        for name, (_, _, package) in index.items()
    }
    assert paths == modules
    begin, end, _ = index["sockkit"]
    code = marshal.loads(zlib.decompress(data[4 + size :][begin:end]))
    assert code.co_filename == "sockkit/__init__.py"


def test_an_old_python_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 13))
    monkeypatch.setattr("sys.argv", ["./sockkit.pyz", "echo"])
    with pytest.raises(SystemExit) as raised:
        exec(BEGINNING, {})
    told = "sockkit needs Python 3.11 or newer, and this is 3.10: try python3.11 ./sockkit.pyz"
    assert raised.value.code == told


def test_an_old_python_can_read_the_beginning() -> None:
    main = sources()["sockkit/__main__.py"].read_text()
    ast.parse(BEGINNING + main, feature_version=(3, 7))
    assert "f'" not in main
    assert 'f"' not in main
