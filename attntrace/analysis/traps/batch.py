"""Modules of torch's that take the batch for the positions: batch_first was not thought of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attntrace.analysis.traps.evidence import MOSTLY, Evidence, Role, evidence
from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import RECURRENT, shape
from attntrace.analysis.traps.said import called, trap
from attntrace.record import Fix, ModuleRecord, TensorRecord, Trap

ATTENTION, RECURRENCE = "batch-attention", "batch-recurrence"


def batch_attention(flow: Flow) -> Iterator[Trap]:
    """Yield the modules that attend over, or step along, an axis that others take for the batch."""
    modules = list(_outermost(flow.trace.modules))
    if not modules:
        return
    told = Told(flow)
    for module in modules:
        for index in dict.fromkeys(module.inputs):
            row = flow.row(index)
            why = told.against(module, row) if len(shape(row)) == MOSTLY else None
            if why is not None and module.outputs:
                yield _trap(flow, module, row, why)
                break


class Told:
    """What all calls together tell of an axis."""

    def __init__(self, flow: Flow) -> None:
        self._axes = flow.axes
        self._known: dict[tuple[object, Role], list[Evidence]] = {}
        for one in evidence(flow):
            self._known.setdefault((self._axes.one(one.axis), one.role), []).append(one)

    def of(self, row: TensorRecord, axis: int, role: Role) -> list[Evidence]:
        """Return what tells that an axis has a role."""
        return self._known.get((self._axes.one((row.index, axis)), role), [])

    def against(self, module: ModuleRecord, row: TensorRecord) -> Evidence | None:
        """Return what tells that a module takes the axes of a row wrongly; None if they disagree."""
        steps, batch = (1, 0) if module.batch_first else (0, 1)
        if self._axes.one((row.index, 0)) == self._axes.one((row.index, 1)):
            return None
        wrong = [*self.of(row, steps, "batch"), *self.of(row, batch, "positions")]
        right = [*self.of(row, steps, "positions"), *self.of(row, batch, "batch")]
        if module.batch_first:  # which it tells of itself
            right = [one for one in right if "batch_first" not in one.said]
        return wrong[0] if wrong and not right else None


def _outermost(modules: Iterable[ModuleRecord]) -> Iterator[ModuleRecord]:
    """Yield the modules that have batch_first, and not those inside of one that has."""
    inside: str | None = None
    for module in modules:
        if inside is not None and module.path.startswith(inside):
            continue
        inside = None
        if module.batch_first is not None:
            inside = f"{module.path}."
            yield module


def _trap(flow: Flow, module: ModuleRecord, row: TensorRecord, why: Evidence) -> Trap:
    steps, batch = (1, 0) if module.batch_first else (0, 1)
    made = flow.row(module.outputs[0])
    recurs = module.type in RECURRENT
    does = "steps along" if recurs else "attends over"
    rule = (
        f"`{module.path or module.type}` has batch_first={module.batch_first}, so it reads "
        f"{called(row)} as {shape(row)[steps]} steps of {shape(row)[batch]} samples and {does} "
        f"axis {steps}, but that is the batch: {why.said}"
    )
    first = not module.batch_first
    build = Fix(
        said=f"build it with batch_first={first}, so that axis {batch} is taken for the positions",
        code=f"nn.{module.type}(..., batch_first={first})",
    )
    if module.type.endswith(("Encoder", "Decoder")):
        build = Fix(
            said=f"build its layers with batch_first={first}",
            code=f"nn.{module.type}Layer(..., batch_first={first})",
        )
    turn = Fix(
        said=f"or hand over `{row.name}.transpose(0, 1)`, and turn the result back",
        code=f"{row.name}.transpose(0, 1)",
    )
    return trap(RECURRENCE if recurs else ATTENTION, made, [row], rule, [build, turn])
