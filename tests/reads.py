"""Which fields of which classes the source reads, by the types that it declares.

Names are typed by annotations, by what they are assigned, and by calls of what has a declared
result: enough for options, which are handed on as declared tuples.
"""

from __future__ import annotations

import ast
from pathlib import Path

Read = tuple[str, str]  # a class and its field


def _named(annotation: ast.expr | None, known: dict[str, ast.ClassDef]) -> str:
    """The class that an annotation names, as in `EndOptions | None`; nothing if it names others.

    Of a tuple it is what each place has, with commas between them.
    """
    match annotation:
        case ast.Subscript(ast.Name("tuple"), ast.Tuple(places)):
            return ",".join(_named(place, known) for place in places)
    names = [node.id for node in ast.walk(annotation or ast.Tuple()) if isinstance(node, ast.Name)]
    return names[0] if len(names) == 1 and names[0] in known else ""


class Source(ast.NodeVisitor):
    """`reads` are those of all modules below `root`."""

    def __init__(self, root: Path) -> None:
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.py"))]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        self.classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
        self._results = {
            node.name: _named(node.returns, self.classes)
            for node in nodes
            if isinstance(node, ast.FunctionDef)
        }
        self._attributes = {name: self._declared(node) for name, node in self.classes.items()}
        self._scopes: list[dict[str, str]] = [{}]
        self.reads: set[Read] = set()
        for _ in range(2):  # the second time it is known what constructors assign
            for tree in trees:
                self.visit(tree)

    def _declared(self, node: ast.ClassDef) -> dict[str, str]:
        return {
            part.target.id: _named(part.annotation, self.classes)
            for part in node.body
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
        }

    def options(self, *names: str) -> set[Read]:
        """The fields of these classes, and of the classes that their fields have."""
        found: set[Read] = set()
        for name in names:
            declared = self._declared(self.classes[name])
            found |= {(name, field) for field in declared}
            found |= self.options(*self.classes.keys() & set(declared.values()))
        return found

    def _kind(self, node: ast.expr) -> str:
        """The class of a value; nothing where it is not known."""
        match node:
            case ast.Name(name):
                return next((scope[name] for scope in self._scopes[::-1] if name in scope), "")
            case ast.Attribute(owner, name):
                return self._attributes.get(self._kind(owner), {}).get(name, "")
            case ast.Call(ast.Attribute(owner, "_replace")):
                return self._kind(owner)
            case ast.Call(ast.Name(name) | ast.Attribute(_, name)):
                return name if name in self.classes else self._results.get(name, "")
        return ""

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load) and (kind := self._kind(node.value)):
            self.reads.add((kind, node.attr))
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._assign(target, node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Tuple(targets), ast.Tuple(values):
                for one, other in zip(targets, values, strict=False):
                    self._learn(one, self._kind(other))
            case ast.Tuple(targets), _:
                for one, kind in zip(targets, self._kind(value).split(","), strict=False):
                    self._learn(one, kind)
            case _:
                self._learn(target, self._kind(value))

    def _learn(self, target: ast.expr, kind: str) -> None:
        match target:
            case ast.Name(name):
                self._scopes[-1][name] = kind
            case ast.Attribute(owner, name) if kind and (known := self._kind(owner)):
                self._attributes[known].setdefault(name, kind)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scopes.append({"self": node.name})
        self.generic_visit(node)
        self._scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        typed = {one.arg: _named(one.annotation, self.classes) for one in given}
        self._scopes.append({name: kind for name, kind in typed.items() if name != "self"})
        self.generic_visit(node)
        self._scopes.pop()
