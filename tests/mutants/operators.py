"""Small faults that can be written into a source file: what mutation testing asks the tests to find.

Left out, because no test could or should see them: docstrings and all texts, annotations, decorators, what
an exception or a warning says, ``assert``, devices and types of numbers, ``strict`` of ``zip``, swapped
arguments of functions that are symmetric, calls that give the same numbers, and how much is computed at once
(:data:`PACE`).
"""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
#: How much is computed at once, which decides speed and memory alone.
PACE = frozenset({"BLOCK", "chunk"})
#: Keywords whose value changes nothing that a test on one processor sees.
UNSEEN = frozenset({"device", "dtype", "generator", "strict"})
#: Functions of which the order of arguments does not matter.
SYMMETRIC = frozenset({"max", "min", "maximum", "minimum", "equal", "isclose", "allclose", "isdisjoint"})
#: Methods that give the same numbers.
SAME = frozenset({"contiguous", "to", "cpu", "float", "detach", "clone", "eval"})
#: Modules that have functions, not values with methods.
MODULES = frozenset({"torch", "nn", "math", "np", "checkpoint", "functional", "itertools"})
#: Functions whose arguments are words for people.
SAYING = frozenset({"warn", "print"})


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Args:
        file: of the package, as given to :func:`mutants`.
        place: function and class that it is in, or ``""``.
        lines: first and last of the statement that it is in, counted from 1.
        operator: what kind of fault it is.
        before, after: the text that is changed.
        span: of that text in the file, in bytes.
        nth: of the faults with the same words in the same place, from 0.
    """

    file: str
    place: str
    lines: tuple[int, int]
    operator: str
    before: str
    after: str
    span: tuple[int, int]
    nth: int = 0

    def apply(self, source: str) -> str:
        """The file with the fault."""
        text = source.encode()
        return (text[: self.span[0]] + self.after.encode() + text[self.span[1] :]).decode()


def mutants(source: str, file: str) -> list[Mutant]:
    """Every fault that can be written into a source file, each once, in order."""
    finder = _Finder(source, file)
    finder.visit(ast.parse(source))
    count: Counter[tuple[str, ...]] = Counter()
    found = []
    for one in dict.fromkeys(finder.found):
        words = (one.place, one.operator, one.before, one.after)
        found.append(replace(one, nth=count[words]))
        count[words] += 1
    return found


class _Finder(ast.NodeVisitor):
    def __init__(self, source: str, file: str) -> None:
        self.file, self.text = file, source.encode()
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mutant] = []
        self.places: list[str] = []
        self.lines = (1, 1)
        self.named: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            last = node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno  # of `if`: its test
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
            self.lines = (first, max(node.lineno, last or node.lineno))
        place, named, lines = list(self.places), self.named, self.lines
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.places, self.named = [*place, node.name], set()
        for there, operator, after in _faults(node, named):
            self._add(there, operator, after)
        for child in _inside(node):
            self.visit(child)
            self.lines = lines
        self.places, self.named = place, named
        if isinstance(node, ast.Assign):
            self.named |= {one.id for one in node.targets if isinstance(one, ast.Name)}

    def _add(self, node: ast.AST, operator: str, after: str) -> None:
        start = self.starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self.starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        before = self.text[start:end].decode()
        place = ".".join(self.places)
        self.found.append(Mutant(self.file, place, self.lines, operator, before, after, (start, end)))


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node in which faults are looked for."""
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.FunctionDef):
        named = node.args.posonlyargs + node.args.args
        defaults = zip(reversed(named), reversed(node.args.defaults), strict=False)
        keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        yield from (value for one, value in (*defaults, *keywords) if value and one.arg not in PACE)
        yield from node.body
    elif isinstance(node, ast.ClassDef):
        yield from node.body
    elif isinstance(node, ast.AnnAssign):
        yield from [node.value] if node.value else []
    elif isinstance(node, ast.Assign):
        if not (isinstance(node.targets[0], ast.Name) and node.targets[0].id in PACE):
            yield from (node.value, *node.targets)
    elif isinstance(node, ast.Call):
        if _name(node.func) not in SAYING:
            yield from (node.func, *node.args, *(one.value for one in node.keywords if one.arg not in UNSEEN))
    else:
        yield from ast.iter_child_nodes(node)


def _faults(node: ast.AST, named: set[str]) -> Iterator[tuple[ast.AST, str, str]]:
    """What may be replaced, the operator and the text that may stand there.

    ``named`` are the variables that have a value before.
    """
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            for compared in COMPARED[type(operator)]:
                ops = [*node.ops[:number], compared(), *node.ops[number + 1 :]]
                yield node, "comparison", _text(ast.Compare(node.left, ops, node.comparators))
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        if not any(isinstance(one, ast.JoinedStr) or _is_text(one) for one in (node.left, node.right)):
            yield node, "arithmetic", _text(ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "logic", _text(ast.BoolOp(other, node.values))
    elif isinstance(node, ast.UnaryOp):
        yield node, "sign or not", _text(node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, "constant", str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield node, "constant", f"({node.value + 1})"
        if isinstance(node.value, int):
            yield node, "constant", f"({node.value - 1})"
    elif isinstance(node, ast.Call):
        yield from ((node, operator, after) for operator, after in _faults_of_call(node))
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
        first, second, *others = node.value.elts
        if ast.dump(first) != ast.dump(second):
            yield node.value, "swap", _text(ast.Tuple([second, first, *others], ast.Load()))
    elif isinstance(node, ast.stmt) and _may_go(node, named):
        yield node, "statement", "pass"
    decided = [node.test] if isinstance(node, ast.If | ast.IfExp | ast.While) else getattr(node, "ifs", [])
    for test in decided:
        if not isinstance(test, ast.Compare | ast.UnaryOp):  # those have faults of their own
            yield test, "condition", _text(ast.UnaryOp(ast.Not(), test))


def _faults_of_call(node: ast.Call) -> Iterator[tuple[str, str]]:
    name = _name(node.func)
    if name in SAYING:
        return
    for number, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in UNSEEN:
            others = [*node.keywords[:number], *node.keywords[number + 1 :]]
            yield "keyword", _text(ast.Call(node.func, node.args, others))
    if name not in SYMMETRIC:
        for number, (one, next_one) in enumerate(itertools.pairwise(node.args)):
            starred = isinstance(one, ast.Starred) or isinstance(next_one, ast.Starred)
            if not starred and ast.dump(one) != ast.dump(next_one):
                args = [*node.args[:number], next_one, one, *node.args[number + 2 :]]
                yield "swap", _text(ast.Call(node.func, args, node.keywords))
    if isinstance(node.func, ast.Attribute) and name not in SAME and not _is_module(node.func.value):
        yield "call", _text(node.func.value)  # the value as it was before


def _may_go(node: ast.stmt, named: set[str]) -> bool:
    """Whether a statement can be left out, and the rest still have a meaning."""
    if isinstance(node, ast.Assign):
        names = [one.id for one in node.targets if isinstance(one, ast.Name)]
        return len(names) < len(node.targets) or set(names) <= named
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and _name(node.value.func) not in SAYING
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break)


def _is_module(node: ast.AST) -> bool:
    """Whether an expression is (very likely) a module, a class or ``super()``, not a value."""
    if isinstance(node, ast.Attribute):
        return _is_module(node.value) and node.attr.islower()
    if isinstance(node, ast.Call):
        return _name(node.func) == "super"
    return isinstance(node, ast.Name) and (node.id in MODULES or node.id[0].isupper())


def _name(node: ast.AST) -> str:
    """The last part of the name of what is called."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(node: ast.AST) -> str:
    """Source text of an expression, in parentheses."""
    return f"({ast.unparse(node)})"
