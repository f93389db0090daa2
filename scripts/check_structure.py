"""Holds the structure: which room may import which, that each module has its tests, and that
nobody but the table of openers asks which kind an address is.

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


def kinds(root: Path) -> set[str]:
    """The kinds of address, and the name of them all."""
    module = root / PACKAGE / "core" / "address.py"
    tree = ast.parse(module.read_text(encoding="utf-8")) if module.exists() else ast.Module([], [])
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return {*classes, "Address"}


def asks_for_a_kind(node: ast.AST) -> ast.AST | None:
    """What `node` compares the type of something with, if it does."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        asks = node.func.id in ("isinstance", "issubclass") and len(node.args) == 2
        return node.args[1] if asks else None
    if isinstance(node, ast.MatchClass):
        return node.cls
    if isinstance(node, ast.Compare) and "type(" in ast.unparse(node):
        return node
    return None


def asked_kinds(root: Path) -> Iterator[str]:
    """Where code asks which kind an address is, in place of asking the table of openers."""
    of_address = kinds(root)
    for path in sorted((root / PACKAGE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            asked = asks_for_a_kind(node)
            parts = list(ast.walk(asked)) if asked else []
            names = {part.id for part in parts if isinstance(part, ast.Name)}
            names |= {part.attr for part in parts if isinstance(part, ast.Attribute)}
            for name in sorted(names & of_address):
                where = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
                yield f"{where}: asks for {name}: its row in net/openers.py knows"


def missing_tests(root: Path) -> Iterator[str]:
    for path in sorted((root / PACKAGE).rglob("*.py")):
        if path.stem in NOT_TESTED_BY_NAME:
            continue
        inside = path.relative_to(root / PACKAGE)
        test = root / "tests" / inside.parent / f"test_{inside.name}"
        if not test.exists():
            yield f"{PACKAGE}/{inside}: no {test.relative_to(root)}"


def main() -> int:
    problems = [*wrong_imports(ROOT), *asked_kinds(ROOT), *missing_tests(ROOT)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
