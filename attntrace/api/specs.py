"""From a spec to a trace: load it, build its block, run the block once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attntrace import record
from attntrace.analysis.estimate import least_nbytes
from attntrace.api.subjects import run_subject, unallowed
from attntrace.api.traced import Then, Trace, observed
from attntrace.errors import BuildError, Problem, SettingsError, TooLargeError

if TYPE_CHECKING:
    from torch import nn

    from attntrace.capture import Meter
    from attntrace.spec import Spec, Subject

FITS_ANYWHERE = 2**26
"""Bytes that a process which could import torch has left."""
ONLY_RUN = "code of your own is run alone, not built: attntrace.run"
NOTHING_TO_MEASURE = "--measure needs a run that allocates: device cpu or cuda"


def load(file: str | Path | None = None, **settings: Any) -> Spec | Subject:
    """Return the spec of a YAML file or a preset, of settings such as `heads=4`, or of both.

    Where it has a target, or is one such as "file.py:Block", it is a Subject: code of the user's
    own, with settings `init`, `inputs`, `sizes` and `run`. A setting of another project's config
    that means nothing here is left out, with a warning.

    Raises:
        SettingsError: with every problem at once.

    """
    from attntrace.spec import asks_for_subject, load_subject
    from attntrace.spec import load as load_spec

    if "target" in settings or asks_for_subject(file):
        return load_subject(file, **settings).spec
    loaded = load_spec(file, **settings)
    for note in loaded.notes:
        warnings.warn(note, stacklevel=2)
    return loaded.spec


def build(spec: Spec | Mapping[str, Any] | str | Path) -> nn.Module:
    """Return the block that a spec describes, with seeded weights on the spec's device.

    Raises:
        SettingsError: a mapping that is no spec, or a device that is not there.
        BuildError: torch could not build it.

    """
    from attntrace import blocks
    from attntrace.spec import Spec

    found = _ready(spec)
    if not isinstance(found, Spec):
        raise SettingsError([Problem("target", ONLY_RUN)])
    return blocks.build(found)


def run(
    spec: Spec | Subject | Mapping[str, Any] | str | Path,
    *,
    measure: bool = False,
    axes: bool = False,
) -> Trace:
    """Build the block of a spec, of settings or of a YAML file, run it once, and return the trace.

    What `load` makes of code of the user's own is built and run alike.

    The input is random and seeded. With `measure`, what each kernel allocates for itself is
    measured, too, which takes several times as long. With `axes`, every row has axes, not the named
    intermediates alone: it is run again on meta with other sizes, which allocates nothing.

    Raises:
        SettingsError: a mapping that is no spec, a device that is not there, or one that allocates
            nothing where that is to be measured.
        TooLargeError: the device has less memory than the run is sure to need.
        BuildError, ForwardError: torch could not build or run it.
        BuildError: also, when the facts are looked at, that a tap's axes are not its tensor's.

    """
    from attntrace.capture import meter_for
    from attntrace.spec import Subject

    found = _ready(spec)
    if measure and found.run.device == "meta":
        raise SettingsError([Problem("run.device", NOTHING_TO_MEASURE)])
    meter = meter_for(found.run.device) if measure else None
    if isinstance(found, Subject):
        return run_subject(found, meter, axes)
    return _run_block(found, meter, axes)


def _run_block(spec: Spec, meter: Meter | None, axes: bool) -> Trace:
    import torch

    from attntrace import blocks
    from attntrace.api.axes import block_naming
    from attntrace.capture import Asked, Training

    _refuse_what_cannot_fit(spec)
    block, inputs = blocks.build(spec), blocks.make_inputs(spec)
    training = Training(blocks.optimizer(spec, block)) if spec.run.grad else None
    asked = Asked(training, meter, spec.run.as_device)
    then = Then(lambda facts: _of_spec(facts, spec), block_naming(spec) if axes else None)
    with torch.set_grad_enabled(spec.run.grad):
        return observed(block, (), inputs, then, asked)


def _ready(spec: Spec | Subject | Mapping[str, Any] | str | Path) -> Spec | Subject:
    from attntrace.capture import missing_device
    from attntrace.spec import Spec, Subject

    if isinstance(spec, (str, Path)):
        spec = load(spec)
    elif not isinstance(spec, Spec | Subject):
        spec = load(None, **spec)
    missing = missing_device(spec.run.device)
    if missing:
        raise SettingsError([Problem("run.device", missing)])
    return spec


def _refuse_what_cannot_fit(spec: Spec) -> None:
    need = least_nbytes(spec)
    if need < FITS_ANYWHERE:
        return
    from attntrace.capture import available_nbytes
    from attntrace.render.units import nbytes_text

    left = available_nbytes(spec.run.device)
    if left is not None and need > left:
        raise TooLargeError(
            f"this run holds at least {nbytes_text(need)} at once, and {spec.run.device} has "
            f"{nbytes_text(left)} left; use --device meta, which allocates nothing, or make "
            "batch or tokens smaller"
        )


def _of_spec(facts: record.Trace, spec: Spec) -> record.Trace:
    from attntrace.analysis.axes import misdeclared

    wrong = misdeclared(facts, spec.sizes)
    if wrong is not None:
        raise BuildError(f"the block is not what its taps declare: {wrong}")
    environment = replace(facts.environment, dtype=spec.run.dtype)  # ids are whole numbers
    return replace(
        facts,
        environment=environment,
        spec=spec.settings(),
        sizes=spec.sizes,
        warnings=unallowed(facts, spec.run.allow),
    )
