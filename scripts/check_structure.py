"""Holds the structure: which room may import which, and that each module has its tests.

Prints what is wrong, a line each, and exits 1; prints nothing and exits 0 otherwise.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "sockkit"

# What each room may import of the package, besides itself.
MAY_IMPORT = {
    "values": set(),
    "system": set(),
    "errors": set(),
    "events": {"values"},
    "core": {"values", "errors", "events"},
    "net": {"values", "system", "errors", "events", "core"},
    "term": {"values", "system", "errors", "events", "core"},
    "apps": {"values", "system", "errors", "events", "core", "net", "term"},
    "cli": {"values", "system", "errors", "events", "core", "net", "term", "apps", PACKAGE},
    "__main__": {"cli"},
    PACKAGE: set(),
}
# What of Python and others a room may not know.
MAY_NOT_KNOW = {
    "core": {"socket", "ssl", "os", "select", "selectors", "time", "click"},
    "net": {"click", "prompt_toolkit", "colorama"},
    "term": {"socket", "ssl", "select", "selectors", "click"},
    "apps": {"click", "argparse"},
}
NOT_TESTED_BY_NAME = {"__init__", "__main__"}


def room_of(module: str) -> str:
    """`sockkit.net.loop` is in the room `net`; the package itself is a room too."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else PACKAGE


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def wrong_imports(root: Path) -> Iterator[str]:
    for path in sorted((root / PACKAGE).rglob("*.py")):
        inside = path.relative_to(root)
        room = room_of(".".join(inside.with_suffix("").parts).removesuffix(".__init__"))
        for line, name in imports(path):
            top = name.split(".")[0]
            if name.startswith("."):
                yield f"{inside}:{line}: a relative import hides its room"
            elif top == PACKAGE:
                target = room_of(name)
                if target != room and target not in MAY_IMPORT.get(room, set()):
                    yield f"{inside}:{line}: {room} may not import {target}"
            elif top in MAY_NOT_KNOW.get(room, set()):
                yield f"{inside}:{line}: {room} may not know {top}"


def missing_tests(root: Path) -> Iterator[str]:
    for path in sorted((root / PACKAGE).rglob("*.py")):
        if path.stem in NOT_TESTED_BY_NAME:
            continue
        inside = path.relative_to(root / PACKAGE)
        test = root / "tests" / inside.parent / f"test_{inside.name}"
        if not test.exists():
            yield f"{PACKAGE}/{inside}: no {test.relative_to(root)}"


def main() -> int:
    problems = [*wrong_imports(ROOT), *missing_tests(ROOT)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
