"""On which Pythons a target is made, told by programs that only say they are one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import WAIT

pytestmark = pytest.mark.process

SCRIPT = Path("scripts/each_python.py").resolve()

Make = Callable[..., subprocess.CompletedProcess[str]]


def program(path: Path, code: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Run the script where `make` only says what it is asked for, and fails on 3.14."""
    program(tmp_path / "bin/python3.10", "echo 3 10")
    program(tmp_path / "bin/python3.11", 'case "$*" in *venv*) exit 1;; *) echo 3 11;; esac')
    program(tmp_path / "bin/python3.12", "echo 3 12")
    program(tmp_path / "bin/python3.13", "echo 'no such version' >&2; exit 127")
    program(tmp_path / "pyenv/versions/3.13.0/bin/python3.13", "echo 3 13")
    program(tmp_path / "pyenv/versions/3.14.1/bin/python3.14", "echo 3 14")
    program(tmp_path / "bin/make", 'case "$*" in *.venv-3.14) exit 2;; *) echo "$*";; esac')

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            env={
                "PATH": f"{tmp_path / 'bin'}{os.pathsep}/nowhere",
                "PYENV_ROOT": str(tmp_path / "pyenv"),
                "HOME": str(tmp_path),
            },
            stdout=subprocess.PIPE, text=True, timeout=WAIT,
        )  # fmt: skip

    return run


def test_each_that_can_run_sockkit(make: Make, tmp_path: Path) -> None:
    done = make("unit")
    assert done.returncode == 1
    assert f"unit PYTHON={tmp_path}/bin/python3.12 VENV=.venv-3.12\n" in done.stdout
    assert "make unit on Python 3.13 " in done.stdout
    assert done.stdout.endswith("make unit passed on 3.12, 3.13\nmake unit FAILED on 3.14\n")
    assert "3.10" not in done.stdout
    assert "bin/python3.11 is left out: it cannot make a virtual environment\n" in done.stdout


def test_one_is_left_out(make: Make, tmp_path: Path) -> None:
    done = make("unit", "--not", str(tmp_path / "pyenv/versions/3.14.1/bin/python3.14"))
    assert done.returncode == 0
    assert done.stdout.endswith("make unit passed on 3.12, 3.13\n")


def test_what_is_no_python_cannot_be_left_out(make: Make) -> None:
    done = make("unit", "--not", "/nowhere/python3.11")
    assert done.returncode == 1
    assert done.stdout == ""
