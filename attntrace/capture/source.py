"""The author's own words for a tensor: the name it was assigned to, else the expression's text.

A call's place is kept as a code object and an instruction, never as a frame, which would keep the
author's tensors alive. Python 3.11 records the columns of each instruction, so that the expression
is found in the syntax tree by its position alone, and only once the run is over.
"""

from __future__ import annotations

import ast
import dis
import linecache
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from attntrace.capture.expressions import Expressions
from attntrace.capture.targets import Part

_INTERNAL = ("torch.", "attntrace.capture.")
_PYTHON = str(Path(linecache.__file__).parent) + os.sep
_CALLING = frozenset(
    {"torch.nn.modules.module", "torch.utils._contextlib", "torch.autograd.function"}
)
"""Modules of torch's whose functions return what the author's return: the calls of modules, of
functions under `@torch.no_grad()`, and of an `autograd.Function`."""
_MOST_RETURNS = 8
_OUTERMOST = "attntrace.capture.observe"
_IS_INTERNAL: dict[str, bool] = {}
"""By the name of a module: it is asked of every frame of every call."""
_MOST_CODES, _MOST_TEXTS = 4096, 64


Place = tuple[CodeType, int]
"""An instruction of the author's."""


class Site(NamedTuple):
    """One call in the author's source."""

    code: CodeType
    instruction: int
    line: int | None
    """None where Python was told to keep no lines."""
    above: tuple[Place, ...] = ()
    """Where the functions stand that return what this call gives, the innermost first."""


_site = tuple.__new__
"""Makes a Site; its own constructor, which is written in Python, takes four times as long."""


def caller(skip: int = 1) -> Site | None:
    """Return the innermost place on the stack that is not of torch, Python or a function mode.

    `skip` frames are known to be ours. None where no code of the author's is on the stack.
    """
    frame: FrameType | None = sys._getframe(skip)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        internal = _IS_INTERNAL.get(name)
        if internal is None:
            internal = _IS_INTERNAL[name] = is_internal(name, frame.f_code.co_filename)
        if not internal and frame.f_code.co_name != "__torch_function__":
            code, at = frame.f_code, frame.f_lasti
            above = _above(frame) if at in _returned(code) else ()
            return _site(Site, (code, at, frame.f_lineno, above))
        if name == _OUTERMOST:
            return None  # torch called itself: the root is a module of its own
        frame = frame.f_back
    return None


def is_internal(name: str, file: str) -> bool:
    """Return whether a module is torch's, ours or Python's own: `copy.deepcopy` calls for others."""
    if name == "torch" or name.startswith(_INTERNAL):
        return True
    return file.startswith(_PYTHON) and "-packages" not in file


def _above(frame: FrameType) -> tuple[Place, ...]:
    """Return where the function of a frame was called, and what returns that, and so on."""
    above: list[Place] = []
    while len(above) < _MOST_RETURNS and frame.f_lasti in _returned(frame.f_code):
        code, back = frame.f_code, frame.f_back
        while back is not None and (name := back.f_globals.get("__name__", "")) in _CALLING:
            if name == "torch.nn.modules.module" and code.co_name != "forward":  # a hook
                return tuple(above)
            back = back.f_back
        if back is None or is_internal(name, back.f_code.co_filename):
            break
        above.append((back.f_code, back.f_lasti))
        frame = back
    return tuple(above)


_RETURNED: dict[int, tuple[CodeType, frozenset[int]]] = {}
_ENDING = ("STORE_", "POP_", "JUMP_", "RETURN_", "RAISE_", "RERAISE")
"""How the instructions begin that no expression has."""
_ENDS = frozenset(op for name, op in dis.opmap.items() if name.startswith(_ENDING))
_CACHE = dis.opmap["CACHE"]
_LEAVING = (dis.opmap["RETURN_VALUE"], dis.opmap["JUMP_FORWARD"])  # `return a if b else c` jumps
_BUILDING = (dis.opmap["BUILD_TUPLE"], dis.opmap["BUILD_LIST"])


def _returned(code: CodeType) -> frozenset[int]:
    """Return the instructions of which code returns what they leave, alone or in a tuple.

    There may be some too many: the syntax tree tells.
    """
    known = _RETURNED.get(id(code))
    if known is None:
        if len(_RETURNED) >= _MOST_CODES:
            _RETURNED.clear()
        known = _RETURNED[id(code)] = code, frozenset(_returning(code.co_code))
    return known[1]


def _returning(steps: bytes) -> Iterator[int]:
    after, in_tuple = 0, False
    end = len(steps)
    for at in range(len(steps) - 2, -2, -2):
        op = steps[at]
        if op == _CACHE:  # the last of these is where a frame is that calls Python code
            continue
        leaves = after in _LEAVING
        in_tuple = op not in _ENDS and (in_tuple or (leaves and op in _BUILDING))
        if in_tuple or leaves:
            yield from range(at, end, 2)
        after, end = op, at


def place(site: Site) -> str:
    """Return `file:line`, the file relative to the working directory where it lies below it."""
    file = _of(site.code).file
    return file if site.line is None else f"{file}:{site.line}"


def line_of(site: Site) -> str | None:
    """Return the text of the source line, None where there is no source."""
    return _of(site.code).line(site.line)


def name_at(site: Site, output: int = 0, count: int | None = None) -> str | None:
    """Return what the author calls output number `output` of a call; None without source.

    `count` is how many the call returned: 0 if it was a tensor alone, None if it is not known.
    """
    part, steps = Part(output, count), list[Part]()
    code, at = site.code, site.instruction
    for above in site.above:
        inside = _of(code).returned(at)
        if inside is None:
            break
        steps += inside
        code, at = above
        target = _of(code).target(at, part, steps)
        if target is not None:
            return target
    return _of(site.code).name(site.instruction, output, count)


def node_at(site: Site) -> tuple[Expressions, ast.expr | ast.AugAssign] | None:
    """Return the expression at a place, with the text that it stands in; None without source."""
    known = _of(site.code)
    if known.text is None or not 0 <= site.instruction // 2 < len(known.spans):
        return None
    node = known.text.node(known.spans[site.instruction // 2])
    return None if node is None else (known.text, node)


def statement_at(site: Site) -> list[str]:
    """Return the lines of the statement at a place, [] without source."""
    found = node_at(site)
    return found[0].statement_lines(found[1]) if found else []


class _Code:
    """What is known of a code object: a name is worked out once for every place and output."""

    def __init__(self, code: CodeType) -> None:
        self.code = code  # whose identity is the key: it must not become another's
        self.file = shown(code.co_filename)
        self.names: dict[tuple[int, int, int | None], str | None] = {}
        text = _expressions(code.co_filename)
        self.text = text if text is not None and text.agree(code) else None
        self.spans = list(code.co_positions()) if self.text else []

    def line(self, number: int | None) -> str | None:
        if self.text is None or number is None or number > len(self.text.lines):
            return None
        return self.text.lines[number - 1].strip() or None

    def name(self, instruction: int, output: int, count: int | None) -> str | None:
        if self.text is None:
            return None
        key = instruction, output, count
        if key not in self.names:
            span, part = self.spans[instruction // 2], Part(output, count)
            self.names[key] = self.text.name(span, part)
        return self.names[key]

    def returned(self, instruction: int) -> list[Part] | None:
        """Return the steps to a result in what this code returns; None if it is not there."""
        return self.text.returned(self.spans[instruction // 2]) if self.text else None

    def target(self, instruction: int, part: Part, steps: list[Part]) -> str | None:
        """Return what this code calls such a result of a call."""
        return self.text.target(self.spans[instruction // 2], part, steps) if self.text else None


_TEXTS: dict[str, Expressions] = {}
_KNOWN: dict[int, _Code] = {}
"""By identity: the hash of a code object takes longer than everything else here, and two that are
equal may come from two files."""


def _of(code: CodeType) -> _Code:
    known = _KNOWN.get(id(code))
    if known is None:
        if len(_KNOWN) >= _MOST_CODES:
            _KNOWN.clear()
        known = _KNOWN[id(code)] = _Code(code)
    return known


def shown(file: str) -> str:
    """Return a file's path, relative to the current folder where it lies below it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _expressions(file: str) -> Expressions | None:
    """Return the expressions of a file as it is now; None where there is no source."""
    linecache.checkcache(file)
    lines = linecache.getlines(file) or (_command() if file == "<string>" else [])
    known = _TEXTS.get(file)
    if known is None or known.lines is not lines:
        if len(_TEXTS) >= _MOST_TEXTS:
            _TEXTS.clear()
        known = _TEXTS[file] = Expressions(lines)
    return known if lines else None


@cache
def _command() -> list[str]:
    """Return the lines of `python -c`, which Python 3.11 and 3.12 keep nowhere else."""
    options = pairwise(sys.orig_argv[1:])
    text = next((text for option, text in options if re.fullmatch("-[a-zA-Z]*c", option)), "")
    return text.splitlines(keepends=True)
