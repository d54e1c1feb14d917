"""The axes of every row: the same run once more on meta, with other sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attntrace.analysis.axes import Derived, Deriver
from attntrace.analysis.layers import shortened
from attntrace.analysis.probing import Probe, Probes, Run, Sketch, Turns
from attntrace.analysis.resizing import axes_of_code
from attntrace.errors import BuildError, Problem, SettingsError, nearest

if TYPE_CHECKING:
    from attntrace.capture.twin import Call
    from attntrace.spec import Spec
    from attntrace.spec.probes import Knobs
    from attntrace.subjects import Resizable

MOST_ROWS = 200_000
"""Of all probes of code of the user's own, some 20 s. A count, and no time, so that a run has the
same axes on every machine."""
TOO_LONG = (
    f"trying other sizes was stopped after {MOST_ROWS:,} rows: axes not known by then are numbers"
)
NO_COPY = "axes are numbers: a copy of the model could not be made"
Naming = Callable[[Sketch], Derived]
"""Finds the axes of a run from its rows."""


def block_naming(spec: Spec) -> Naming:
    """Return what finds the axes of a block of ours."""
    return lambda base: _of_block(spec, base)


def code_naming(prepared: Callable[[], Resizable]) -> Naming:
    """Return what finds the axes of code of the user's own, which is copied at once.

    No probe is begun after `MOST_ROWS`.
    """
    try:
        code = prepared()
    except Exception as error:  # noqa: BLE001 - whatever a model's own copying raises
        said = f"{NO_COPY} ({type(error).__name__}: {error})"
        return lambda _: Derived(notes=(said,))

    def naming(base: Sketch) -> Derived:
        rows, refused = 0, False

        def run(values: Mapping[str, int], most: int) -> Sketch | None:
            nonlocal rows, refused
            if rows > MOST_ROWS:
                refused = True
                return None
            found = code.run(values, most)
            rows += len(found.strokes) if found else len(base.strokes)
            return found

        derived = axes_of_code(base, code.sizes, run)
        return replace(derived, notes=(*derived.notes, TOO_LONG)) if refused else derived

    return naming


def call_naming(call: Call, named: Mapping[str, tuple[str, ...]]) -> Naming:
    """Return what finds the axes of a call; `named` has words for the dimensions of its inputs."""
    from attntrace.subjects import of_call

    _refuse_other_words(call, named)
    return code_naming(lambda: of_call(call, named))


def _refuse_other_words(call: Call, named: Mapping[str, tuple[str, ...]]) -> None:
    """Raise SettingsError for names of no input, and for words that do not fit its dimensions."""
    from attntrace.capture.describe import plain, shape_of
    from attntrace.capture.inputs import named_inputs

    inputs = {name: plain(shape_of(tensor)) or () for name, tensor in named_inputs(*call)}
    problems, sizes = [], dict[str, tuple[int, str]]()
    for name, words in named.items():
        if name not in inputs:
            said = f"no tensor of that name goes in; {nearest(name, inputs)}"
        elif len(words) != len(inputs[name]):
            said = f"{len(words)} names for {len(inputs[name])} dimensions, {inputs[name]}"
        else:
            pairs = zip(words, inputs[name], strict=True)
            twice = [
                f"{word} is {size} here and {sizes[word][0]} in {sizes[word][1]}"
                for word, size in pairs
                if word.isidentifier() and sizes.setdefault(word, (size, name))[0] != size
            ]
            said = "; ".join(twice)
        problems += [Problem(f"axes[{name!r}]", said)] if said else []
    if problems:
        raise SettingsError(problems)


def _of_block(spec: Spec, base: Sketch) -> Derived:
    """Return the axes of a block; of a stack those of its first layers, where others are as they."""
    from attntrace.spec.probes import with_layers

    short = shortened(base, cached=spec.cache.past is not None)
    fewer = with_layers(spec, short.layers) if short else None
    found = _of_spec(fewer, short.sketch) if short and fewer else None
    if short is not None and found is not None:
        return replace(short.spread(found), sizes=spec.sizes)
    derived = _of_spec(spec, base, in_parts=True)
    assert derived is not None, "in parts, there is always something"
    return derived


def _of_spec(spec: Spec, base: Sketch, *, in_parts: bool = False) -> Derived | None:
    """Return the axes; None where not all sizes can change at once, unless they may `in_parts`."""
    from attntrace.spec.probes import Knobs

    for knobs in (Knobs(spec), Knobs(spec, free=False)):
        probes = Probes(Probe(spec.sizes, base), _runs(knobs))
        if probes.try_all(dict.fromkeys(knobs.names, 0)):
            break
    else:
        if not in_parts:
            return None
        probes.halve([[name] for name in knobs.names])
    if spec.feed_forward.kind == "moe" and spec.run.device != "meta":
        probes.again({})  # how many tokens an expert gets depends on their values
    probes.unrolled += [name for name in knobs.unrolled if name in spec.sizes]
    return _told_apart(probes, knobs.order)


def _told_apart(probes: Probes, order: Sequence[str]) -> Derived:
    """Return the axes that the probes show; of one more probe, where a formula takes that."""
    deriver = Deriver(probes, order)
    if probes.turns and deriver.unknown():
        probes.again({name: turn + 1 for name, turn in probes.turns.items()})
        deriver = Deriver(probes, order)
    return deriver.derived()


def _runs(knobs: Knobs) -> Run:
    import torch

    from attntrace import blocks
    from attntrace.capture import Uninitialized, sketch

    def run(turns: Turns) -> Probe | None:
        spec = knobs.changed(knobs.factors(turns))
        if spec is None:
            return None
        try:
            with Uninitialized():
                block = blocks.build(spec)
            inputs = blocks.make_inputs(spec)
        except BuildError:
            return None
        device = spec.run.as_device
        assert device is not None, "a probe is made on meta"
        with torch.set_grad_enabled(spec.run.grad):
            return Probe(spec.sizes, sketch(block, (), inputs, device))

    return run
