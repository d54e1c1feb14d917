"""How the author wrote a call: its text, where each argument stands in it, and what each is called.

Read off the syntax tree alone, so that it serves a running forward and a traceback. Arguments have
the places that torch gives them: of a method the tensor is 0, of an operator the left side is 0, of
`x[i] = y` the three are 0, 1 and 2.
"""

from __future__ import annotations

import ast
import dis
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from torch import Tensor

from attntrace.analysis.diagnosis.call import Key, Span
from attntrace.capture.expressions import Expressions
from attntrace.capture.failed.values.operators import looked_at, operands
from attntrace.capture.source import Site, line_of, node_at
from attntrace.record import Mark

_LOOKS = ("POP_JUMP", "JUMP_IF", "TO_BOOL", "GET_ITER", "FOR_ITER")
"""Instructions that ask what an expression came to, which then is their one argument."""
_TAKES_APART = ("UNPACK_",)
_STORES = ("STORE_SUBSCR", "STORE_SLICE")
_CACHE = dis.opmap["CACHE"]
_NAMESPACES = frozenset({"torch", "nn", "F", "functional", "self", "cls"})
"""Names that stand before a function or a module of the author's, not for a tensor."""

_PLAIN = re.compile(r"[\w.\[\]'\"]+")
"""A name, or an attribute or an element of one."""

Node = ast.expr | ast.stmt


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A call as it stands in the source; all of it empty where there is no source."""

    text: str = ""
    spans: dict[Key, Span] = field(default_factory=dict)
    """Where in `text` each argument stands, with the parentheses around it."""
    names: dict[Key, str] = field(default_factory=dict)
    """What each argument is called: its text, without parentheses."""
    parts: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    """Of an argument that is written as a list or a tuple, what each element is called."""
    mark: Mark | None = None
    """Where in the line of the site, without its indent, the call stands."""

    def name(self, key: Key, *within: int | str) -> str | None:
        """Return what an argument, or a part of it, is called: "k", "x[0]", "state['h']"."""
        parts = self.parts.get(key, ())
        if within and isinstance(within[0], int) and within[0] < len(parts):
            name: str | None = parts[within[0]]
            within = within[1:]
        else:
            name = self.names.get(key)
        if name and within and not _PLAIN.fullmatch(name):
            return None  # `([f(x) for x in xs] + [y])[0]`: its row has a better one
        return name and name + "".join(f"[{step!r}]" for step in within)

    def reflected(self) -> Written:
        """Return the same of an operator that its right side answered: that is argument 0."""
        turned: dict[Key, Key] = {0: 1, 1: 0}
        return replace(
            self,
            spans={turned.get(key, key): span for key, span in self.spans.items()},
            names={turned.get(key, key): name for key, name in self.names.items()},
            parts={turned.get(key, key): part for key, part in self.parts.items()},
        )


def written(site: Site, *, method: bool | None = None) -> Written:
    """Return how the call at a place is written.

    `method` says whether the call is one of a tensor's methods, so that `x` in `x.norm(2)` is
    argument 0; None leaves that to the look of it, by which `self.norm(x)` is none.
    """
    found = node_at(site)
    if found is None:
        return Written()
    source, node = found
    step = instruction(site)
    whole = _whole(source, node, step)
    try:
        text = source.text(whole)
        places = _places(_parsed(text, whole), step, method)
    except (RecursionError, SyntaxError):  # hundreds of terms, or `yield`
        text, places = "", []
    read = _Read(text)
    return Written(
        text=text,
        spans={key: read.around(part, low) for key, part, low in places},
        names={key: read.within(part) for key, part, _ in places},
        parts={
            key: tuple(read.within(element) for element in part.elts)
            for key, part, _ in places
            if isinstance(part, (ast.List, ast.Tuple)) and not _has_star(part)
        },
        mark=_mark(site, source, whole),
    )


def instruction(site: Site) -> str:
    """Return the name of the instruction at a site, which a frame may be some caches past."""
    steps, at = site.code.co_code, site.instruction
    while at > 0 and steps[at] == _CACHE:
        at -= 2
    return dis.opname[steps[at]]


def _whole(source: Expressions, node: ast.expr | ast.AugAssign, step: str) -> Node:
    """Return what is shown for a node: of what is stored or taken apart the whole assignment."""
    statement = source.statement(node)
    stores = step.startswith((*_STORES, *_TAKES_APART))
    return statement if stores and isinstance(statement, ast.Assign) else node


def _parsed(text: str, node: Node) -> Node:
    if isinstance(node, ast.stmt):
        return ast.parse(text).body[0]
    return ast.parse(text, mode="eval").body


def _places(node: Node, step: str, method: bool | None) -> list[tuple[Key, ast.expr, int]]:
    """Return each argument with its place, and after which column of the text it must begin."""
    if step.startswith(_LOOKS) and isinstance(node, ast.expr):
        return [(0, looked_at(node), -1)]
    if isinstance(node, ast.Call):
        return list(_called(node, method))
    return [(place, part, -1) for place, part in enumerate(operands(node))]


def _called(node: ast.Call, method: bool | None) -> Iterator[tuple[Key, ast.expr, int]]:
    first = 0
    if isinstance(node.func, ast.Attribute):
        is_method = method is not False and _looks_like_method(node.func)
        if is_method:
            yield 0, node.func.value, -1
            first = 1
    low = node.func.end_col_offset or 0
    for place, part in enumerate(node.args, first):
        if isinstance(part, ast.Starred):  # what follows has places that only the run knows
            break
        yield place, part, low
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value, low


def _looks_like_method(func: ast.Attribute) -> bool:
    root: ast.expr = func.value
    while isinstance(root, ast.Attribute) and root.attr in _NAMESPACES:
        root = root.value
    spoken = isinstance(root, ast.Name) and root.id in _NAMESPACES
    return hasattr(Tensor, func.attr) and not spoken


def _has_star(part: ast.List | ast.Tuple) -> bool:
    return any(isinstance(element, ast.Starred) for element in part.elts)


class _Read:
    """A text on one line, and where its nodes stand in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._bytes = text.encode()  # the columns of a tree are bytes

    def _letters(self, column: int | None) -> int:
        return len(self._bytes[:column].decode(errors="replace"))

    def span(self, node: ast.expr) -> Span:
        return self._letters(node.col_offset), self._letters(node.end_col_offset)

    def within(self, node: ast.expr) -> str:
        begin, end = self.span(node)
        return self._text[begin:end]

    def around(self, node: ast.expr, low: int) -> Span:
        """Return a node's span with the parentheses around it, but not those of the call.

        The call's begin with the first one after column `low`, where what it calls ends.
        """
        begin, end = self.span(node)
        first = self._text.find("(", self._letters(low)) if low >= 0 else -1
        while True:
            before = len(self._text[:begin].rstrip()) - 1
            after = len(self._text) - len(self._text[end:].lstrip())
            if before <= first or self._text[before : before + 1] != "(":
                return begin, end
            if self._text[after : after + 1] != ")":
                return begin, end
            begin, end = before, after + 1


def _mark(site: Site, source: Expressions, node: Node) -> Mark | None:
    """Return which part of the site's line belongs to a node."""
    text, line = line_of(site), site.line
    if text is None or line is None:
        return None
    if not node.lineno <= line <= (node.end_lineno or node.lineno):
        return None
    full = source.lines[line - 1].rstrip("\n")
    indent, bytes_ = len(full) - len(full.lstrip()), full.encode()
    begin = len(bytes_[: node.col_offset].decode()) - indent if line == node.lineno else 0
    last = line == node.end_lineno
    end = len(bytes_[: node.end_col_offset].decode()) - indent if last else len(text)
    return max(begin, 0), min(end, len(text))
