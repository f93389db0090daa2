"""Makes a target with each Python on this machine that can run sockkit, and prints the results.

Each Python has its own virtual environment, such as .venv-3.12. It searches for Pythons on PATH and
in the directories of version managers.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST_VERSION = (3, 11)
MAX_START_SECONDS = 30  # for a Python to print its version
ASK = "import sys; print(*sys.version_info[:2])"
CAN = "import ensurepip, venv"
MANAGERS = (
    ("PYENV_ROOT", ".pyenv", "versions/*/bin"),
    ("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python", "*/bin"),
)


def pythons() -> dict[tuple[int, int], Path]:
    """The first Python of each version that can make virtual environments, with its path."""
    found: dict[tuple[int, int], Path] = {}
    for path in _candidates():
        version = _version(path)
        if not version or version < OLDEST_VERSION or version in found:
            continue
        if _run(path, CAN) is None:
            print(f"{path} is left out: it cannot make a virtual environment")
        else:
            found[version] = path
    return dict(sorted(found.items()))


def _candidates() -> Iterator[Path]:
    places = [Path(place) for place in os.get_exec_path()]
    for variable, usual, pattern in MANAGERS:
        root = Path(os.environ.get(variable) or Path.home() / usual)
        places += sorted(root.glob(pattern), reverse=True)
    for place in places:
        if place.is_dir():
            yield from sorted(
                path for path in place.iterdir() if re.fullmatch(r"python3\.\d+", path.name)
            )


def _version(path: Path) -> tuple[int, int] | None:
    """The version that `path` prints; None if it is no Python, like the shims of some managers."""
    try:
        major, minor = map(int, (_run(path, ASK) or "").split())
    except ValueError:
        return None
    return major, minor


def _run(path: Path, code: str) -> str | None:
    """The output of `code`, run by the Python at `path`; None if it fails."""
    try:
        done = subprocess.run(
            [path, "-c", code], capture_output=True, text=True, timeout=MAX_START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--not", dest="but", metavar="PYTHON", help="leave out the version of this one"
    )
    parser.add_argument("target", help="the make target to run, such as unit")
    arguments = parser.parse_args()
    but = _version(Path(arguments.but)) if arguments.but else None
    if arguments.but and not but:
        sys.exit(f"{arguments.but} is no Python")
    outcomes: dict[bool, list[str]] = {True: [], False: []}
    for version, path in pythons().items():
        if version != but:
            name = ".".join(map(str, version))
            outcomes[_make(arguments.target, name, path)].append(name)
    for passed, names in outcomes.items():
        if names:
            print(
                f"make {arguments.target} {'passed' if passed else 'FAILED'} on {', '.join(names)}"
            )
    if not any(outcomes.values()):
        print(f"make {arguments.target}: there is no other Python")
    sys.exit(bool(outcomes[False]))


def _make(target: str, name: str, path: Path) -> bool:
    print(f"make {target} on Python {name} ({path})", flush=True)
    command = ["make", "--no-print-directory", target, f"PYTHON={path}", f"VENV=.venv-{name}"]
    return subprocess.run(command).returncode == 0


if __name__ == "__main__":
    main()
