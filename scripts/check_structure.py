"""Checks the structure: imports between packages, waits for descriptors, attributes of classes.

It also checks that each module has tests, and that only the table of openers asks for the kind of
an address. Prints a line for each problem. The exit status is 1 if there are any, otherwise 0.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "sockkit"

# The packages that each package or top-level module of sockkit may import.
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
# Modules that a package may not import.
MAY_NOT_KNOW = {
    "core": {"socket", "ssl", "os", "select", "selectors", "time", "click"},
    "net": {"click", "prompt_toolkit", "colorama"},
    "term": {"socket", "ssl", "select", "selectors", "click"},
    "apps": {"click", "argparse"},
}
# Only these read the process's environment, arguments and streams, and pass them on.
READ_THE_PROCESS = {"cli", "__main__"}
_PROCESS = {
    *(f"os.{name}" for name in ("environ", "environb", "getenv", "getenvb", "getlogin")),
    *(f"sys.{name}" for name in ("argv", "orig_argv", "stdin", "stdout", "stderr")),
    *(f"sys.__{name}__" for name in ("stdin", "stdout", "stderr")),
    *(f"os.path.{name}" for name in ("expanduser", "expandvars")),
    *("getpass.getuser", "getpass.getpass", "pathlib.Path.home", "Path.home"),
}
_BUILTINS = {"input", "print"}
NOT_TESTED_BY_NAME = {"__init__", "__main__"}

MAX_ATTRIBUTES = 14  # that a class sets in its constructor

# The methods that make the loop wait for a descriptor. Only ends may call them.
_WAITS = {"when_readable", "when_writable"}
# The modules of ends. A datagram socket counts as one.
_ENDS = ("net/ends/", "net/udp/datagrams.py", "net/lanes.py", "net/kernel.py", "net/loop.py")
NO_PEERS_DESCRIPTOR = {
    "cli/status_lines.py",  # standard error
    "net/hang_ups.py",  # an epoll descriptor in the loop's
    "net/port_file.py",  # a FIFO
    "net/programs.py",  # the processes
    "net/tcp/dial.py",  # attempts, before there is an end
    "net/tcp/listen.py",  # the listening socket
    "net/workers.py",  # the processes and their pipes
}


def package_of(module: str) -> str:
    """The package of `module`: `net` for `sockkit.net.loop`. sockkit itself counts as one."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else PACKAGE


def modules(root: Path) -> Iterator[Path]:
    yield from sorted((root / PACKAGE).rglob("*.py"))


def nodes(path: Path) -> tuple[ast.AST, ...]:
    return _parsed(path.read_text(encoding="utf-8"))


@functools.cache
def _parsed(text: str) -> tuple[ast.AST, ...]:
    """Every node of a module. Cached, as each check examines each module."""
    return tuple(ast.walk(ast.parse(text)))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def wrong_imports(root: Path) -> Iterator[str]:
    for path in modules(root):
        inside = path.relative_to(root)
        package = package_of(".".join(inside.with_suffix("").parts).removesuffix(".__init__"))
        for line, name in imports(path):
            top = name.split(".")[0]
            if name.startswith("."):
                yield f"{inside}:{line}: a relative import hides its package"
            elif top == PACKAGE:
                target = package_of(name)
                if target != package and target not in MAY_IMPORT.get(package, set()):
                    yield f"{inside}:{line}: {package} may not import {target}"
            elif top in MAY_NOT_KNOW.get(package, set()):
                yield f"{inside}:{line}: {package} may not know {top}"


def process_reads(path: Path) -> Iterator[tuple[int, str]]:
    """The names of _PROCESS that a module uses or imports, each with its line."""
    for node in nodes(path):
        match node:
            case ast.Attribute() if (name := ast.unparse(node)) in _PROCESS:
                yield node.lineno, name
            case ast.ImportFrom(str(module), names):
                used = (f"{module}.{alias.name}" for alias in names)
                yield from ((node.lineno, name) for name in used if name in _PROCESS)
            case ast.Call(ast.Name(name)) if name in _BUILTINS:
                yield node.lineno, name


def wrong_reads(root: Path) -> Iterator[str]:
    for path in modules(root):
        inside = path.relative_to(root)
        if inside.with_suffix("").parts[1] not in READ_THE_PROCESS:
            for line, name in process_reads(path):
                yield f"{inside}:{line}: only cli/ uses {name}"


def kinds(root: Path) -> set[str]:
    """The names of the classes of addresses, and of their union."""
    module = root / PACKAGE / "core" / "address.py"
    tree = ast.parse(module.read_text(encoding="utf-8")) if module.exists() else ast.Module([], [])
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return {*classes, "Address"}


def asks_for_a_kind(node: ast.AST) -> ast.AST | None:
    """The type in an isinstance or a similar check, if `node` is one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        asks = node.func.id in ("isinstance", "issubclass") and len(node.args) == 2
        return node.args[1] if asks else None
    if isinstance(node, ast.MatchClass):
        return node.cls
    if isinstance(node, ast.Compare) and "type(" in ast.unparse(node):
        return node
    return None


def asked_kinds(root: Path) -> Iterator[str]:
    """Code that asks for the kind of an address, instead of using the table of openers."""
    of_address = kinds(root)
    for path in modules(root):
        for node in nodes(path):
            asked = asks_for_a_kind(node)
            parts = list(ast.walk(asked)) if asked else []
            names = {part.id for part in parts if isinstance(part, ast.Name)}
            names |= {part.attr for part in parts if isinstance(part, ast.Attribute)}
            for name in sorted(names & of_address):
                where = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
                yield f"{where}: asks for {name}: its row in net/openers.py knows"


def missing_tests(root: Path) -> Iterator[str]:
    for path in modules(root):
        if path.stem in NOT_TESTED_BY_NAME:
            continue
        inside = path.relative_to(root / PACKAGE)
        test = root / "tests" / inside.parent / f"test_{inside.name}"
        if not test.exists():
            yield f"{PACKAGE}/{inside}: no {test.relative_to(root)}"


def attributes(kind: ast.ClassDef) -> set[str]:
    """The attributes of `self` that a class sets in its constructor, by any assignment."""
    found: set[str] = set()
    for method in kind.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            own = method.args.args[0].arg
            found.update(
                node.attr
                for node in ast.walk(method)
                if isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == own
            )
    return found


def large_classes(root: Path) -> Iterator[str]:
    for path in modules(root):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and len(attributes(node)) > MAX_ATTRIBUTES:
                where = f"{path.relative_to(root)}:{node.lineno}"
                yield f"{where}: {node.name} sets {len(attributes(node))} attributes"


def waits(path: Path) -> Iterator[int]:
    """The lines that make a loop wait for a descriptor."""
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and node.attr in _WAITS:
            loop = node.value
            name = loop.attr if isinstance(loop, ast.Attribute) else getattr(loop, "id", "")
            if name.endswith("loop"):
                yield node.lineno


def wrong_waits(root: Path) -> Iterator[str]:
    for path in modules(root):
        inside = path.relative_to(root / PACKAGE).as_posix()
        if not inside.startswith(_ENDS) and inside not in NO_PEERS_DESCRIPTOR:
            for line in waits(path):
                yield f"{PACKAGE}/{inside}:{line}: only an end has the loop wait for a descriptor"


def main() -> int:
    problems = [
        *wrong_imports(ROOT),
        *wrong_reads(ROOT),
        *asked_kinds(ROOT),
        *missing_tests(ROOT),
        *large_classes(ROOT),
        *wrong_waits(ROOT),
    ]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
