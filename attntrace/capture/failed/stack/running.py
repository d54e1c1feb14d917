"""The modules whose forwards an error went through, and where each of their parts is."""

from __future__ import annotations

from torch import nn

from attntrace.capture.failed.stack.frames import Frames
from attntrace.capture.failed.values.settings import torch_class


def modules(frames: Frames) -> tuple[nn.Module | None, str, dict[int, str]]:
    """Return the outermost module, the path of the author's innermost, and all paths in it."""
    running = [
        level.frame.f_locals["self"]
        for level in frames.levels
        if isinstance(level.frame.f_locals.get("self"), nn.Module)
        and level.site.code.co_name in ("forward", "_call_impl", "_wrapped_call_impl")
    ]
    if not running:
        return None, "", {}
    paths = dict[int, str]()
    _note_paths(running[0], "", paths)
    own = [module for module in running if torch_class(module) is None]
    return running[0], paths.get(id(own[-1]) if own else 0, ""), paths


def _note_paths(module: nn.Module, prefix: str, paths: dict[int, str]) -> None:
    """Note the path of each module, parameter and buffer, without asking the author's classes."""
    if id(module) in paths:
        return
    paths[id(module)] = prefix.removesuffix(".")
    own = vars(module)
    for name, held in (*own["_parameters"].items(), *own["_buffers"].items()):
        if held is not None:
            paths.setdefault(id(held), prefix + name)
    for name, part in own["_modules"].items():
        if part is not None:
            _note_paths(part, f"{prefix}{name}.", paths)
