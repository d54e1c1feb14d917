"""From a subject to a call that is ready to be made. The only door into this room."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch

from attntrace.capture.structure import tensors_in
from attntrace.capture.twin import Call
from attntrace.errors import BuildError
from attntrace.spec import Subject
from attntrace.spec.target import HF, code_of
from attntrace.subjects.find import found
from attntrace.subjects.hugging_face import recipe
from attntrace.subjects.inputs import arguments, floating_of
from attntrace.subjects.make import Made, make
from attntrace.subjects.memoryless import Briefly, OnlyNumbers, unshared
from attntrace.subjects.place import placed
from attntrace.subjects.resized import Resizable, of_subject


@dataclass(frozen=True, slots=True)
class Ready:
    """A module or a function of the user's own, on its device, and what goes in."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    axes: tuple[tuple[str, ...] | None, ...]
    """What the user calls the dimensions of each tensor that goes in, in order."""
    dtype: str
    """Of its numbers that are not whole, as torch calls it."""
    resizable: Callable[[], Resizable]
    """Returns what runs it with other sizes, within the block of `opened`."""


@contextmanager
def opened(subject: Subject) -> Iterator[Ready]:
    """Find a subject's code, build it with seeded weights, make its inputs, and yield all of it.

    Within the block imports work as they do for the code itself. The random state of torch and of
    Python, sys.path and sys.modules are as before afterwards, as `found` has it.

    Raises:
        SettingsError: no such file, module or name, or arguments that do not fit.
        BuildError: the user's own code raised, or torch could not make the inputs.

    """
    code = code_of(subject.target)
    with _seeded(subject.run.seed), found(code) if code else nullcontext() as value:
        made = placed(_built(value, subject), subject)
        args, kwargs, named = arguments(made, subject)
        given = dict.fromkeys(id(tensor) for tensor in tensors_in((args, kwargs)))
        axes = tuple(named.get(tensor) for tensor in given)
        dtype = str(floating_of(made, subject)).removeprefix("torch.")

        twin = value

        def rebuild(changed: Subject) -> Call:
            with Briefly():
                built = _built(unshared(twin), changed, allocates=False)
            again = placed(built, changed)
            more = arguments(again, changed)
            return again.call, more[0], more[1]

        def resizable() -> Resizable:
            nonlocal twin
            twin = unshared(value)  # before anything runs
            names = tuple(one or () for one in axes)
            return of_subject(subject, value, (made.call, args, kwargs), rebuild, names)

        yield Ready(made.call, args, kwargs, axes, dtype, resizable)


def _built(value: Any, subject: Subject, *, allocates: bool = True) -> Made:
    """Return what was made, on meta without allocating where its constructor allows that."""
    make_it = _of_config if subject.target.startswith(HF) else make
    if subject.run.device == "meta":
        for mode in (torch.device("meta"), OnlyNumbers()):
            with suppress(BuildError), mode:  # it looks at numbers, such as those of a linspace
                return make_it(value, subject)
        if not allocates:
            refuse = f"{subject.target} cannot be built without memory"
            raise BuildError(refuse)
    return make_it(value, subject)


def _of_config(_value: Any, subject: Subject) -> Made:
    model, args, kwargs = recipe(subject.target.removeprefix(HF), subject.init)
    return Made(model, args, kwargs)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    state = random.getstate()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
