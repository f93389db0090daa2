"""Lists every sentence that a user of sockkit can see, each with its place and its kind.

Help texts and examples come from the commands themselves. The rest is found in the source: the
arguments of errors, events and other calls that show text, and any other string of several words.
Replacement fields of f-strings are shown as `{name}`. With --count it only counts the sentences of
each kind.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

import sockkit.errors
from sockkit.cli.commands import group

ROOT = Path(__file__).resolve().parent.parent
ERRORS = {
    name
    for name, value in vars(sockkit.errors).items()
    if inspect.isclass(value) and issubclass(value, sockkit.errors.SockkitError)
}
# The kind of a string, by the call that it is an argument of. There even one word is a sentence.
SHOWN_BY = dict.fromkeys(ERRORS | {"BadParameter", "NoSuchOption", "complain"}, "error") | {
    "Notice": "notice",
    "Hint": "notice",
    "Failure": "error",
    "Unreachable": "error",
    "Closed": "error",
    "ConnectFailed": "status",
    "Unanswered": "status",
    "Answer": "console",
    "Command": "console",
    "raise_lost": "error",
    "prompt": "prompt",
    "input": "prompt",
    "Option": "help",
    "Argument": "help",
    "BundledCommand": "help",
    "LazyGroup": "help",
    "Bundle": "help",
}
# The kind of all other strings of a module, by the first of these that begins its path.
OF_MODULES = (
    ("sockkit/cli/render.py", "status"),
    ("sockkit/cli/status_lines.py", "status"),
    ("sockkit/cli/progress", "status"),
    ("sockkit/core/progress.py", "status"),
    ("sockkit/core/chat/", "chat"),
    ("sockkit/net/chat/", "chat"),
    ("sockkit/apps/chat_", "chat"),
    ("sockkit/core/console.py", "console"),
    ("sockkit/core/server_console.py", "console"),
    ("sockkit/core/command_prompt.py", "console"),
    ("sockkit/apps/operator.py", "console"),
    ("sockkit/apps/prompt.py", "console"),
    ("sockkit/cli/ask.py", "prompt"),
    ("sockkit/cli/chat.py", "help"),
    ("sockkit/cli/commands.py", "help"),
)
# In modules of these kinds one word counts, as it is joined with others.
_ONE_WORD = {"status", "console", "prompt"}
# Users do not see the arguments of these.
_UNSEEN = {
    "AssertionError",
    "NotImplementedError",
    "compile",
    "match",
    "fullmatch",
    "search",
    "sub",
}
_UNSEEN |= {"findall", "finditer", "split", "getLogger", "TypeVar", "Struct", "pack", "unpack"}
_UNSEEN |= {
    "execute",
    "encode",
    "decode",
    "import_module",
    "getattr",
    "startswith",
    "endswith",
    "cast",
    "open",
}
_WORDS = re.compile(r"[^\W\d_]{2,}\S* \S*[^\W\d_]")  # two words, the first not a single letter
_WORD = re.compile(r"[^\W\d_]{2,}")


class Sentence(NamedTuple):
    """A text of `kind` at a line of a file."""

    path: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        shown = self.text.replace("\n", r"\n").replace("\x1b", r"\e").replace("\r", r"\r")
        return f"{self.path}:{self.line}: {self.kind}: {shown}"


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((root / "sockkit").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield path.relative_to(root).as_posix(), tree


def of_source(path: str, tree: ast.Module) -> Iterator[Sentence]:
    """The sentences in a module."""
    usual = next((kind for begin, kind in OF_MODULES if path.startswith(begin)), "text")
    yield from _Walk(path, usual).of(tree, "")


class _Walk:
    """Finds the strings below a node, with their kind by the call around them."""

    def __init__(self, path: str, usual: str) -> None:
        self._path, self._usual = path, usual

    def of(self, node: ast.AST, kind: str) -> Iterator[Sentence]:
        match node:
            case ast.Call():
                yield from self._of_call(node, kind)
            case ast.Constant(str(text)):
                yield from self._sentence(node.lineno, text, kind)
            case ast.Constant(bytes(data)) if self._path.startswith("sockkit/cli/"):
                yield from self._sentence(node.lineno, data.decode("latin-1"), kind)
            case ast.JoinedStr():
                yield from self._sentence(node.lineno, shown(node), kind)
            case _:
                for part in _parts(node):
                    yield from self.of(part, kind)

    def _of_call(self, node: ast.Call, kind: str) -> Iterator[Sentence]:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        own = SHOWN_BY.get(name, kind)
        yield from self.of(node.func, kind)
        if name in _UNSEEN:
            return
        for place, argument in enumerate(node.args):
            yield from self.of(argument, "hint" if name in ERRORS and place == 1 else own)
        for keyword in node.keywords:
            yield from self.of(keyword.value, "count" if keyword.arg == "kind" else own)

    def _sentence(self, line: int, text: str, kind: str) -> Iterator[Sentence]:
        given, kind = kind != "", kind or self._usual
        words = re.sub(r"\{[^{}]*\}", "{}", text)  # names in replacement fields do not count
        if words == words.upper() or (words.startswith("-") and " " not in words):
            return
        one_is_enough = (given and kind != "help") or kind in _ONE_WORD
        if (_WORD if one_is_enough else _WORDS).search(words):
            yield Sentence(self._path, line, kind, text)


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes directly below `node` that may contain shown text."""
    parts: list[ast.AST | None]
    match node:
        case ast.Expr(ast.Constant(str())) | ast.Compare() | ast.MatchValue():
            return  # a docstring, or a comparison
        case ast.Raise(exception):
            parts = [exception]  # not the cause
        case ast.AnnAssign(_, _, value) | ast.Subscript(value, _):
            parts = [value]
        case ast.FunctionDef():
            parts = [*node.args.defaults, *node.args.kw_defaults, *node.body]
        case _:
            parts = list(ast.iter_child_nodes(node))
    yield from (part for part in parts if part)


def shown(string: ast.JoinedStr) -> str:
    """An f-string as text, with the expressions of its replacement fields."""
    parts = []
    for part in string.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            parts.append(f"{{{ast.unparse(part.value)}}}".replace("\n", " "))
    return "".join(parts)


def commands(one: click.Command, name: str = "sockkit") -> Iterator[tuple[str, click.Command]]:
    """`one` and the commands below it, each with its full name."""
    yield name, one
    if isinstance(one, click.Group):
        with click.Context(one) as context:
            for below in one.list_commands(context):
                if command := one.get_command(context, below):
                    yield from commands(command, f"{name} {below}")


def help_texts() -> Iterator[tuple[str, str, str]]:
    """Each (command, kind, text) of the help, and of its examples each line."""
    for name, command in commands(group):
        for text in (command.help, command.epilog):
            for line in paragraphs(inspect.cleandoc(text or "")):
                yield name, "example" if line.startswith("  ") else "help", line.strip()
        for param in command.params:
            if text := getattr(param, "help", None):
                yield name, "help", " ".join(text.split())


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text as a line each; the lines after a \\b stay as they are."""
    for part in re.split(r"\n\s*\n", text):
        if part.startswith("\b") or "\n  " in part:
            yield from (line for line in part.splitlines() if line.strip(" \b"))
        elif part:
            yield " ".join(part.split())


def sentences(root: Path = ROOT) -> list[Sentence]:
    """Every sentence, in the order of files and lines."""
    trees = list(modules(root))
    strings = [one for path, tree in trees if "/cli/" in path for one in _strings(path, tree)]
    helps = list(help_texts())
    shown_by_help = {text for _, _, text in helps}
    found = {_placed(name, kind, text, strings) for name, kind, text in helps}
    places = {(one.path, one.line) for one in found}
    for path, tree in trees:
        for one in of_source(path, tree):
            lines = {line.strip() for line in paragraphs(inspect.cleandoc(one.text))}
            lines.add(" ".join(one.text.split()))
            if not lines & shown_by_help and (path, one.line) not in places:
                found.add(one)
    return sorted(found)


def _strings(path: str, tree: ast.Module) -> Iterator[tuple[str, int, str | re.Pattern[str]]]:
    """The path, the line and the text of each string; of an f-string a pattern of its texts."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(str(text)) if " " in text:
                yield path, node.lineno, text
            case ast.JoinedStr():
                parts = [re.escape(part) for part in re.split(r"\{[^{}]*\}", shown(node))]
                if len("".join(parts)) > 20:
                    yield path, node.lineno, re.compile(".*".join(parts))


def _placed(
    name: str, kind: str, text: str, strings: list[tuple[str, int, str | re.Pattern[str]]]
) -> Sentence:
    """The help text with its place in the source; one that is joined from parts has no line."""
    for path, line, string in strings:
        if isinstance(string, str) and text in string.replace("\n", " "):
            before = string.replace("\n", " ").partition(text)[0]
            return Sentence(path, line + string[: len(before)].count("\n"), kind, text)
    for path, line, string in strings:
        if not isinstance(string, str) and string.fullmatch(text):
            return Sentence(path, line, kind, text)
    return Sentence(f"({name})", 0, kind, text)


def main() -> int:
    found = sentences()
    if "--count" in sys.argv[1:]:
        for kind, count in sorted(Counter(one.kind for one in found).items()):
            print(f"{count:5} {kind}")
        print(f"{len(found):5} in all")
    else:
        print("\n".join(map(str, found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
