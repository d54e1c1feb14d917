"""One-line changes of the blocks' own code, and what plain hooks see of a run."""

from __future__ import annotations

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

import torch
from torch.overrides import TorchFunctionMode

from attntrace import blocks

FOLDER = Path(blocks.__file__).parent
_HEADS = ("heads", "kv_heads")
_TURNS = ("transpose", "permute", "movedim")


@dataclass(frozen=True)
class Mutant:
    """One changed expression in one function of a block."""

    what: str
    """"heads", "transpose", "bias", "dtype", "axes" or "copy"."""
    file: Path
    line: int
    function: str
    """Its qualified name."""
    before: str
    after: str
    code: CodeType

    def __str__(self) -> str:
        at = f"{self.file.relative_to(FOLDER)}:{self.line}"
        return f"{self.what} at {at}: {self.before} -> {self.after}"


def changes(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield what may stand in place of an expression, and what kind of mistake that is."""
    match node:
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in _HEADS:
            yield "heads", ast.BinOp(ast.Constant(2), ast.Mult(), node)
        case ast.Call(func=ast.Attribute(value=tensor, attr=name)) if name in _TURNS:
            yield "transpose", tensor
        case ast.keyword(arg="bias", value=value):
            yield "bias", ast.UnaryOp(ast.Not(), value)
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="tap")), args=[value]):
            yield "dtype", _calling(value, "double")
            yield "axes", _calling(value, "transpose", 0, -1)
            yield "copy", _calling(value, "clone")


def _calling(value: ast.expr, name: str, *arguments: int) -> ast.expr:
    return ast.Call(ast.Attribute(value, name, ast.Load()), [*map(ast.Constant, arguments)], [])


def mutants(file: Path) -> Iterator[Mutant]:
    """Yield every one-line change of a file of blocks."""
    tree = ast.parse(file.read_text())
    for node in list(ast.walk(tree)):
        for field, value in list(ast.iter_fields(node)):
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    yield from _of_child(tree, file, (node, field, place), child)


def _of_child(tree, file, where, child) -> Iterator[Mutant]:
    inner = child.value if isinstance(child, ast.keyword) else child
    if not isinstance(inner, ast.expr):
        return
    node, field, place = (child, "value", 0) if isinstance(child, ast.keyword) else where
    for what, changed in changes(child):
        before = ast.unparse(inner)
        _put(node, field, place, ast.copy_location(changed, inner))
        code = compile(ast.fix_missing_locations(tree), str(file), "exec")
        after = ast.unparse(changed)
        _put(node, field, place, inner)
        function = next((c for c in _functions(code) if _holds(c, inner.lineno)), None)
        if function is not None:
            name = function.co_qualname
            yield Mutant(what, file, inner.lineno, name, before, after, function)


def _put(node, field, place, value):
    old = getattr(node, field)
    if isinstance(old, list):
        old[place] = value
    else:
        setattr(node, field, value)


def _functions(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            if one.co_flags & inspect.CO_OPTIMIZED and not one.co_name.startswith("<"):
                yield one
            else:
                yield from _functions(one)


def _holds(code: CodeType, line: int) -> bool:
    return any(at == line for *_, at in code.co_lines())


@contextmanager
def in_force(mutant: Mutant, function: FunctionType) -> Iterator[None]:
    """Let a function run the changed code."""
    before = function.__code__
    function.__code__ = mutant.code
    try:
        yield
    finally:
        function.__code__ = before


@dataclass(frozen=True)
class Ran:
    """What of the blocks' own code ran."""

    lines: set[tuple[str, int]]
    codes: set[CodeType]


@contextmanager
def lines_run() -> Iterator[Ran]:
    """Note every line of the blocks that runs."""
    ran = Ran(set(), set())
    left: dict[CodeType, set[int]] = {}

    def note(frame, event, _argument):
        code = frame.f_code
        if not code.co_filename.startswith(str(FOLDER)):
            return None
        if code not in left:
            ran.codes.add(code)
            left[code] = {line for *_, line in code.co_lines() if line}
        left[code].discard(frame.f_lineno)
        ran.lines.add((code.co_filename, frame.f_lineno))
        return note if left[code] else None

    before = sys.gettrace()
    sys.settrace(note)
    try:
        yield ran
    finally:
        sys.settrace(before)


def function_of(code: CodeType) -> FunctionType | None:
    """Return the function whose code this is; None of a property and of what is made inside."""
    owner: object = sys.modules[_module_of(Path(code.co_filename))]
    for name in code.co_qualname.split("."):
        owner = inspect.getattr_static(owner, name, None)
    return owner if isinstance(owner, FunctionType) and owner.__code__ is code else None


def _module_of(file: Path) -> str:
    parts = ("attntrace", "blocks", *file.relative_to(FOLDER).with_suffix("").parts)
    return ".".join(part for part in parts if part != "__init__")


class _Calls(TorchFunctionMode):
    """Counts the Python-level calls that returned tensors, with what they returned."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[object] = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.seen[getattr(func, "__name__", str(func)), facts(result)] += 1
        return result


def facts(tensor: torch.Tensor) -> tuple[object, ...]:
    """Return the shape, dtype and bytes of a tensor."""
    return tuple(tensor.shape), tensor.dtype, tensor.numel() * tensor.element_size()


@dataclass(frozen=True)
class Seen:
    """What plain hooks of torch's see of a run."""

    taps: tuple[tuple[str, object], ...]
    """Path of the tap, and facts of its tensor, in order."""
    parameters: dict[str, object]
    calls: Counter[object]

    def differs_in(self, other: Seen) -> set[str]:
        """Return the names of taps and parameters that are not alike in two runs."""
        ours, theirs = Counter(self.taps), Counter(other.taps)
        taps = {path for path, _ in (ours - theirs) + (theirs - ours)}
        changed = self.parameters.items() ^ other.parameters.items()
        return taps | {path for path, _ in changed}


def observed(spec: object) -> Seen:
    """Build and run a block under hooks of torch's own, without attntrace's witnesses."""
    torch.manual_seed(0)
    block, inputs = blocks.build(spec), blocks.make_inputs(spec)
    taps: list[tuple[str, object]] = []
    for path, module in block.named_modules():
        if ".tap." in f".{path}":
            module.register_forward_hook(
                lambda _module, _args, out, path=path: taps.append((path, facts(out)))
            )
    parameters = {path: facts(one) for path, one in block.named_parameters()}
    with torch.no_grad(), _Calls() as calls:
        block(**inputs)
    return Seen(tuple(taps), parameters, calls.seen)
