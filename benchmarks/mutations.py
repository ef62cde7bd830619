"""Small faults in Python source: one operator, number, word or statement changed a mutant.

Changed are: arithmetic (+ and −, × and /, a power), comparisons (their bound, their negation),
`and` and `or`, signs, `not`, numbers (n + 1), True and False, the condition of an `if`, the first
two arguments of a call, pairs of names such as min and max, and statements that are left out. Not
changed are docstrings, hints, decorators, `raise`, `assert`, warnings, and text.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
BOUND: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
NEGATION: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
BOOLEAN: dict[type[ast.boolop], type[ast.boolop]] = {ast.And: ast.Or, ast.Or: ast.And}
PAIRS = (("min", "max"), ("any", "all"), ("zeros", "ones"), ("zeros_like", "ones_like"),
         ("floor", "ceil"), ("sin", "cos"), ("amin", "amax"), ("argmin", "argmax"))  # fmt: skip
PARTNER = dict(PAIRS) | {b: a for a, b in PAIRS}
SILENT = ("warn", "print", "isinstance", "issubclass", "cast", "TypeVar", "hasattr")
SYMMETRIC = ("max", "min", "maximum", "minimum", "equal", "array_equal", "gcd", "hypot",
             "broadcast_shapes")  # fmt: skip
Change = Callable[[Any], None]
Functions = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Args:
        file: as in the repository.
        line, column: of what is changed.
        number: of the change among those of the file.
        operator: its kind.
        before, after: what is changed, as source.
        lines: first and last one whose run shows that a test meets it.
        statement: first line of the statement that has it.
        function: whether it stands in the body of one, so that it runs after the import.
    """

    file: str
    line: int
    column: int
    number: int
    operator: str
    before: str
    after: str
    lines: tuple[int, int]
    statement: int
    function: bool

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.before} -> {self.after}"


def mutants(root: Path, file: str) -> list[Mutant]:
    """All of a file."""
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    found = []
    for number, place in enumerate(_places(tree)):
        changed = copy.deepcopy(place.node)
        place.change(changed)
        before, after = _source(place.node), _source(changed)
        if place.operator == "statement":
            after = "pass"
        node = place.node
        line = int(node.lineno)
        found.append(
            Mutant(
                file,
                line,
                int(node.col_offset),
                number,
                place.operator,
                before,
                after,
                (line, int(node.end_lineno)),
                place.statement,
                place.function,
            )
        )
    return found


def mutated(root: Path, mutant: Mutant) -> CodeType:
    """The code of the changed file, with the lines of the unchanged one."""
    path = root / mutant.file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    places = list(_places(tree))
    place = places[mutant.number]
    if place.operator == "statement":
        empty = ast.copy_location(ast.Pass(), place.node)
        tree = ast.fix_missing_locations(_Replaced(place.node, empty).visit(tree))
    else:
        place.change(place.node)
    return compile(tree, str(path), "exec", dont_inherit=True)


def _source(node: Any) -> str:
    """In one line; of an `if` or `while` what it asks."""
    if isinstance(node, ast.If | ast.While):
        return f"if {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())


class _Replaced(ast.NodeTransformer):
    def __init__(self, node: ast.AST, other: ast.AST) -> None:
        self.node, self.other = node, other

    def visit(self, node: ast.AST) -> ast.AST:
        return self.other if node is self.node else self.generic_visit(node)


@dataclass
class _Place:
    node: ast.AST
    operator: str
    change: Change
    statement: int
    function: bool


def _places(tree: ast.AST) -> Iterator[_Place]:
    yield from _of_node(tree, 0, False)


def _of_node(node: ast.AST, statement: int, function: bool) -> Iterator[_Place]:
    if isinstance(node, ast.stmt):
        statement = node.lineno
    if _silent(node):
        return
    for operator, change in _changes(node, function):
        yield _Place(node, operator, change, statement, function)
    for child, inside in _children(node, function):
        yield from _of_node(child, statement, inside)


def _children(node: ast.AST, function: bool) -> Iterator[tuple[ast.AST, bool]]:
    """With whether each runs in the body of a function. No hints, decorators or text."""
    if isinstance(node, Functions):
        yield from ((d, function) for d in (*node.args.defaults, *node.args.kw_defaults) if d)
        yield from ((part, True) for part in node.body)
    elif isinstance(node, ast.Lambda):
        yield from ((d, function) for d in node.args.defaults)
        yield node.body, function
    elif isinstance(node, ast.ClassDef):
        yield from ((part, function) for part in node.body)
    elif isinstance(node, ast.AnnAssign):
        yield from ((part, function) for part in (node.target, node.value) if part)
    elif isinstance(node, ast.Call):
        yield node.func, function
        yield from ((part, function) for part in node.args)
        yield from ((k.value, function) for k in node.keywords if k.arg not in ("strict", "dtype"))
    else:
        yield from ((child, function) for child in ast.iter_child_nodes(node))


def _silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, Functions) and node.name in ("__repr__", "__str__"):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        return name in SILENT or name.endswith(("Error", "Warning"))
    return False


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _changes(node: ast.AST, function: bool) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.BinOp() | ast.AugAssign():
            if type(node.op) in ARITHMETIC and not _text_or_hint(node, function):
                yield "arithmetic", lambda n: _set(n, op=ARITHMETIC[type(n.op)]())
        case ast.Compare():
            if type(node.ops[0]) in BOUND:
                yield "bound", lambda n: _set(n, ops=[BOUND[type(n.ops[0])](), *n.ops[1:]])
            yield "comparison", lambda n: _set(n, ops=[NEGATION[type(n.ops[0])](), *n.ops[1:]])
        case ast.BoolOp():
            yield "boolean", lambda n: _set(n, op=BOOLEAN[type(n.op)]())
        case ast.UnaryOp(op=ast.USub()):
            yield "sign", lambda n: _set(n, op=ast.UAdd())
        case ast.UnaryOp(op=ast.Not()):
            yield "not", lambda n: _set(n, op=ast.Not(), operand=ast.UnaryOp(ast.Not(), n.operand))
        case ast.Constant(value=bool()):
            yield "truth", lambda n: _set(n, value=not n.value)
        case ast.Constant(value=int() | float()):
            yield "number", lambda n: _set(n, value=n.value + 1)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            if not isinstance(test, ast.Compare) and not _is_not(test):
                yield "condition", _negate
        case ast.Call(args=[a, b, *_]):
            starred = isinstance(a, ast.Starred) or isinstance(b, ast.Starred)
            same = _last_name(node.func) in SYMMETRIC or ast.dump(a) == ast.dump(b)
            if not starred and not same:
                yield "arguments", lambda n: _set(n, args=[n.args[1], n.args[0], *n.args[2:]])
    match node:
        case ast.Name(id=name) if name in PARTNER:
            yield "name", lambda n: _set(n, id=PARTNER[n.id])
        case ast.Attribute(attr=name) if name in PARTNER:
            yield "name", lambda n: _set(n, attr=PARTNER[n.attr])
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield "statement", lambda n: None
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "statement", lambda n: None


def _text_or_hint(node: ast.AST, function: bool) -> bool:
    """Text put together, or `int | None` outside of functions."""
    if isinstance(node, ast.BinOp):
        if not function and isinstance(node.op, ast.BitOr):
            return True
        return any(
            isinstance(part, ast.JoinedStr)
            or (isinstance(part, ast.Constant) and isinstance(part.value, str))
            for part in (node.left, node.right)
        )
    return False


def _is_not(test: ast.AST) -> bool:
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _negate(node: Any) -> None:
    test = node.test
    _set(node, test=ast.copy_location(ast.UnaryOp(ast.Not(), test), test))


def _set(node: Any, **changes: object) -> None:
    for name, value in changes.items():
        setattr(node, name, value)
    ast.fix_missing_locations(node)
