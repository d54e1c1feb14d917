"""What the author calls the results of an expression, read off the syntax tree around it.

The tree says which target an expression ends up in; where it ends up in none, its own text is the
name. Nothing here has to do with torch or with a run.
"""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Sequence
from types import CodeType

from attntrace.capture.targets import (
    ALONE,
    Item,
    Part,
    assigned,
    calls,
    element,
    hands_on,
    leaf,
    picks,
    place,
    reached,
)

Span = tuple[int | None, int | None, int | None, int | None]
"""First line, last line, first column, column after the last: the order of `co_positions`."""
_Noted = ast.expr | ast.AugAssign | ast.For | ast.If | ast.Raise
_SYMBOLS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Pow: "**", ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_BUILT_IN = frozenset(dir(builtins))
"""Functions that call others, as `map` does, and give something else than those return."""
_WORDED = {*dis.hasname, *dis.haslocal, *dis.hasfree, dis.opmap["BINARY_OP"]}


class Expressions:
    """The expressions of a source text, by where they stand; none where it is no Python."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self._at: dict[Span, ast.expr | ast.AugAssign] = {}
        self._above: dict[ast.AST, ast.AST] = {}
        self._words: dict[Span, set[str]] = {}
        self._caught: set[str | None] = set()
        """Names of errors, which code lets go of in places of its own."""
        self._unread = _statements(lines)

    def _read(self, first: int, last: int) -> None:
        """Take in the outermost statements between two lines, once: few of a file are traced."""
        for statement in self._unread.copy():
            if statement.lineno <= last and first <= (statement.end_lineno or first):
                self._unread.remove(statement)
                self._take_in(statement)

    def _take_in(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            for child in ast.iter_child_nodes(node):
                self._above[child] = node
            if isinstance(node, _Noted) and not _is_again(node):
                self._note(node)
            elif isinstance(node, ast.ExceptHandler):
                self._caught.add(node.name)

    def _note(self, node: _Noted) -> None:
        span = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        self._at[span] = _asked(node)
        if isinstance(node, (ast.Call, ast.Attribute)) and span[0] != span[1]:
            self._at[None, span[1], None, span[3]] = node  # code has but the end of such a chain
        word = _word(node)
        if word is not None:
            self._words.setdefault(span, set()).add(word)

    def agree(self, code: CodeType) -> bool:
        """Return whether code may have been compiled from this text.

        A file that was edited after its import would give wrong names. So each name and operator
        of the code must be what the expression at its place says, and one at least must be said.
        """
        lines = [line for _, _, line in code.co_lines() if line]
        self._read(min(lines, default=0), max(lines, default=0))
        is_said = False
        for step in dis.get_instructions(code):
            if step.opcode in _WORDED and step.positions is not None:
                word = step.argrepr if step.opname == "BINARY_OP" else step.argval
                said = self._words.get(step.positions)
                if said and isinstance(word, str):
                    if not self._fits(word, said):
                        return False
                    is_said = True
        return is_said

    def _fits(self, word: str, said: set[str]) -> bool:
        """Return whether code may have a word where the text has others."""
        if (
            word in said or word in self._caught or word.endswith("__")
        ):  # a class has such of its own
            return True
        if word.startswith("@py"):  # pytest keeps here what a part of an assert came to
            return True
        return any(part.startswith("__") and word.endswith(part) for part in said)  # `_Class__name`

    def name(self, span: Span, part: Part) -> str | None:
        """Return what the author calls a result of the expression at `span`; None if none is."""
        node = self.node(span)
        if node is None:
            return None
        if isinstance(node, ast.AugAssign):
            return self.text(node.target)
        try:
            return self.text(self._target(node, part, ()) or element(node, part))
        except RecursionError:  # hundreds of terms: no name for a table
            return None

    def target(self, span: Span, part: Part, steps: Sequence[Part]) -> str | None:
        """Return the target of a call whose function returns a result; None if it has none.

        `steps` lead to the result in what the function returns, the innermost first.
        """
        node = self.node(span)
        if not isinstance(node, ast.expr) or calls(node, *_BUILT_IN):
            return None
        target = self._target(node, part, steps)
        return None if target is None else self.text(target)

    def returned(self, span: Span) -> list[Part] | None:
        """Return the steps to an expression in what its function returns; None if it is not there."""
        node: ast.AST | None = self.node(span)
        steps: list[Part] = []
        while node is not None:
            above = self._above.get(node)
            if isinstance(above, (ast.Return, ast.Lambda)):
                return steps
            if above is None or not hands_on(above, node):
                return None
            if isinstance(above, (ast.Tuple, ast.List)):
                steps.append(place(node, above.elts))
            node = above
        return None

    def node(self, span: Span) -> ast.expr | ast.AugAssign | None:
        """Return the expression of the code at `span`; None where the tree has none."""
        self._read(span[0] or 0, span[1] or 0)
        return self._at.get(span) or self._at.get((None, span[1], None, span[3]))

    def above(self, node: ast.AST) -> ast.AST | None:
        """Return what an expression or a statement is a direct part of."""
        return self._above.get(node)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """Return the statement that an expression is a direct part of, None if it lies deeper."""
        above = self._above.get(node)
        return above if isinstance(above, ast.stmt) else None

    def statement_lines(self, node: ast.AST) -> list[str]:
        """Return the lines of the statement around an expression; of one with a body its head."""
        while not isinstance(node, ast.stmt):
            node = self._above[node]
        first, last = node.lineno, node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        return list(self.lines[first - 1 : body[0].lineno - 1 if body else last])

    def text(self, node: ast.expr | ast.stmt) -> str:
        """Return an expression or a statement as the author wrote it, on one line."""
        if isinstance(node, Item):
            return f"{self.text(node.value)}[{node.number}]"
        if node.lineno != node.end_lineno:
            source = "".join(self.lines[node.lineno - 1 : node.end_lineno])
            text = ast.unparse(node)  # which writes 'this' for "this"
            return text if "'" in source or '"' in text else text.replace("'", '"')
        line = self.lines[node.lineno - 1].encode()  # columns are bytes
        return line[node.col_offset : node.end_col_offset].decode()

    def _target(self, node: ast.AST, part: Part, within: Sequence[Part]) -> ast.expr | None:
        """Return what a result ends up in: the target of an assignment or of a loop."""
        if isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Store):
            return leaf(node, part)  # `a, b = x` takes the tensor x apart
        steps = [*within]
        while True:
            above = self._above[node]
            target = assigned(above, node)
            if target is not None:
                found = reached(target, steps)
                return None if found is None else leaf(found, part)
            if picks(above, node, steps[-1] if steps else part):
                part = part if steps else ALONE
                del steps[-1:]
            elif not hands_on(above, node):
                break
            elif isinstance(above, (ast.Tuple, ast.List)):
                steps.append(place(node, above.elts))
            node = above
        return None if steps or part == ALONE else self._loop_target(node)

    def _loop_target(self, node: ast.AST) -> ast.expr | None:
        """Return what each element of a sequence becomes that a loop goes through."""
        steps = [Part(1, 2)] if calls(node, "enumerate") else []
        while True:
            above = self._above[node]
            match above:
                case (
                    ast.For(target=target, iter=value)
                    | ast.comprehension(target=target, iter=value)
                ):
                    found = reached(target, steps) if node is value else None
                    return None if isinstance(found, (ast.Tuple, ast.List)) else found
                case ast.Call(func=ast.Name(id="zip"), args=args) if node in args:
                    steps.append(place(node, args))
                case ast.Call() if calls(above, "enumerate"):
                    steps.append(Part(1, 2))
                case ast.Call() if calls(above, "iter", "list", "tuple", "reversed"):
                    pass
                case _:
                    return None
            node = above


def _statements(lines: Sequence[str]) -> list[ast.stmt]:
    try:
        return ast.parse("".join(lines)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _is_again(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and node.exc is None


def _asked(node: _Noted) -> ast.expr | ast.AugAssign:
    """Return what a loop goes through, which until Python 3.13 it does at the place of the loop.

    So too what an `if` asks, and what is raised.
    """
    match node:
        case ast.For():
            return node.iter
        case ast.If():
            return node.test
        case ast.Raise():
            assert node.exc is not None, "one that has none is not noted"
            return node.exc
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return node.generators[0].iter
    return node


def _word(node: ast.AST) -> str | None:
    """Return the name or the operator that code has for a node."""
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return word
        case ast.BinOp(op=op):
            return _SYMBOLS[type(op)]
        case ast.AugAssign(op=op):
            return f"{_SYMBOLS[type(op)]}="
    return None
