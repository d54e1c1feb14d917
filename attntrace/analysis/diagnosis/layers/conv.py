"""Convolutions: the channels at axis 1, the number of axes, and the reach of the kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.layers import resize, window
from attntrace.analysis.diagnosis.layers.layer import (
    elsewhere,
    layer,
    moved,
    ordered,
    rearranged,
    rebuilt,
    reorder,
    through,
)
from attntrace.analysis.diagnosis.layers.window import SIDES, each, too_small
from attntrace.analysis.diagnosis.shapes import inverse
from attntrace.analysis.diagnosis.text import divided, plain, times

_USUAL: dict[str, Any] = {
    "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "bias": True,
    "padding_mode": "zeros",
}  # fmt: skip
"""Settings that are not written where they are these."""
_OP = re.compile(r"conv(_transpose)?([123])d|Conv(Transpose)?([123])d")


def explain(call: FailedCall) -> Explained | None:
    """Return why a convolution, a pooling or a resizing failed."""
    found = _OP.fullmatch(plain(call.op))
    if found is None:
        return window.explain(call) or resize.explain(call)
    x, weight = call.argument(0, "input"), call.argument(1, "weight")
    dims = int(found[2] or found[4])
    if not isinstance(x, Given) or x.shape is None:
        return None
    if not isinstance(weight, Given) or not weight.rank:
        return _output_size(call, x, dims)
    groups = call.argument(6, "groups", 1)
    one = _Convolution(call, x, weight, dims, bool(found[1]), groups)
    return one.explained() if isinstance(groups, int) and groups > 0 else None


@dataclass(frozen=True, slots=True)
class _Convolution:
    """What a convolution was given."""

    call: FailedCall
    x: Given
    weight: Given
    dims: int
    transposed: bool
    groups: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape or ()

    @property
    def kernel(self) -> tuple[int, ...]:
        return (self.weight.shape or ())[2:]

    @property
    def wanted(self) -> int:
        """The in_channels that the weight was made for."""
        first, second, *_ = self.weight.shape or ()
        return first if self.transposed else second * self.groups

    @property
    def out(self) -> int:
        first, second, *_ = self.weight.shape or ()
        return second * self.groups if self.transposed else first

    @property
    def axis(self) -> int:
        """Where the channels are: axis 1, or 0 without a batch."""
        return self.x.rank - self.dims - 1

    def explained(self) -> Explained | None:
        if self.weight.rank != self.dims + 2:
            return None
        if self.x.rank not in (self.dims + 1, self.dims + 2):
            return self._rank()
        if self.shape[self.axis] != self.wanted:
            return self._channels()
        if not self.transposed and self.out % self.groups:
            return self._groups()
        return self._bias() or (None if self.transposed else self._kernel())

    def _rank(self) -> Explained:
        axes = ", ".join(["channels", *SIDES[self.dims]])
        rule = f"{layer(self.call)} takes {self.dims + 2} axes, (batch, {axes}), or "
        rule += f"{self.dims + 1} without the batch, and {self.x.name}, {self.shape}, has "
        fixes = tuple(self._other_ranks())
        return Explained(rule=f"{rule}{self.x.rank}.", culprits=self._set(), proposals=fixes)

    def _set(self) -> tuple[Culprit, ...]:
        return (Culprit(tensor=self.x, dim=None),) if self.x.rank else ()

    def _other_ranks(self) -> list[Proposal]:
        shape, name, rank, fixes = self.shape, self.x.name, self.x.rank, []
        if rank == self.dims + 3 and shape[2] == self.wanted:
            said = f"fold axis 1 of {name}, {shape[1]}, into the batch, {times(shape[:2])} = "
            said += f"{shape[0] * shape[1]}, and unfold it after"
            back = ("unflatten", 0, shape[:2])
            fixes.append(through(self.call, [("flatten", 0, 1)], said, back))
        if self.dims == 1 and rank == 4 and shape[1] == self.wanted:
            said = f"flatten height and width of {name}, {times(shape[2:])}"
            fixes.append(through(self.call, [("flatten", 2)], said))
        if rank == self.dims and self.wanted == 1:
            said = f"add the axis of the 1 channel that {name} lacks, unsqueeze(0)"
            fixes.append(through(self.call, [("unsqueeze", 0)], said))
        if rank == self.dims and shape[-1] == self.wanted:
            said = f"give the features of {name} sides of 1, as pictures have"
            fixes.append(through(self.call, [("unsqueeze", -1)] * self.dims, said))
        return fixes

    def _channels(self) -> Explained:
        size, call, name = self.shape[self.axis], self.call, self.x.name
        rule = f"{layer(call)} needs the channels of {name}, axis {self.axis}, {size}, to equal "
        rule += f"its in_channels, {self.wanted}"
        if self.groups > 1 and not self.transposed:
            each_group = (self.weight.shape or ())[1]
            rule += f" = {self.groups} groups * {each_group} of {self.weight.name}"
        rule += elsewhere(self.x, self.wanted)
        dim = 0 if self.transposed else 1
        own = Culprit(tensor=self.weight, dim=dim, setting="in_channels")
        given = Culprit(tensor=self.x, dim=self.axis)
        fixes = (*self._rearranged(), *self._colours(), *self._widths())
        culprits = (own,) if elsewhere(self.x, self.wanted) else (own, given)
        return Explained(rule=f"{rule}.", culprits=culprits, proposals=fixes)

    def _rearranged(self) -> list[Proposal]:
        """Return the channels moved to their axis, or an axis given to the one channel."""
        pictures = self.dims > 1 and self.x.rank == self.dims + 2
        fixes = rearranged(self.call, self.wanted, self.axis, back=False)
        if not pictures:
            behind = ", and back behind it where what follows takes them last"
            fixes = [replace(one, said=one.said + behind) for one in fixes]
        if self.x.rank == self.dims + 1 and self.wanted == 1:
            said = f"{self.x.name} has a batch and no channels: add axis 1, unsqueeze(1)"
            fixes = [through(self.call, [("unsqueeze", 1)], said), *fixes]
        elif self.x.rank == self.dims + 1 and self.shape[-1] == self.wanted:
            order = moved(self.x.rank, self.x.rank - 1, 0)
            said = f"bring the {self.wanted} channels of {self.x.name} to the front"
            fixes = [ordered(self.call, order, said, back=False)]
            fixes += self._batched() if self.dims == 1 else []
        return fixes

    def _batched(self) -> list[Proposal]:
        order = reorder(inverse((0, 2, 1)))
        said = f"give one sequence its batch: {self.x.name} as (1, channels, length)"
        return [through(self.call, [("unsqueeze", 0), order], said)]

    def _colours(self) -> list[Proposal]:
        """Return what is done about grey, colour and transparent pictures."""
        size, call, axis = self.shape[self.axis], self.call, self.axis
        if self.dims != 2 or axis not in (0, 1):
            return []
        if (size, self.wanted) == (1, 3):
            wide = tuple(3 if at == axis else -1 for at in range(self.x.rank))
            said = f"repeat the grey channel of {self.x.name} for red, green and blue (RGB)"
            return [through(call, [("expand", *wide)], said)]
        if (size, self.wanted) == (3, 1):
            said = f"average the 3 colours (RGB) of {self.x.name} to 1 grey channel"
            return [through(call, [("mean", axis, True)], said)]
        if (size, self.wanted) == (4, 3):
            said = f"drop the 4th channel of {self.x.name}, the alpha of RGBA"
            return [through(call, [("narrow", axis, 0, 3)], said)]
        return []

    def _widths(self) -> list[Proposal]:
        """Return the layer for the channels that came, and a weight that was meant for groups."""
        size, call = self.shape[self.axis], self.call
        first, second, *_ = self.weight.shape or ()
        key, fixes = call.key(1, "weight"), []
        if call.module is None and self.groups > 1 and second == size:
            said = f"take groups=1: {self.weight.name} reads all {size} channels at once"
            fixes.append(Proposal(said=said, call=call.at({call.key(6, "groups"): 1})))
        if self.transposed and second == size:
            said = f"swap the widths of {layer(call)}, in_channels={size} and out_channels={first}"
            weight = self.weight.of_shape(second, first, *self.kernel)
            bias = {k: t.of_shape(first) for k, t in call.tensors() if t.rank == 1}
            fixes.append(Proposal(said=said, call=call.at({key: weight, **bias})))
        if size % self.groups:
            return fixes
        new = (size, second) if self.transposed else (first, size // self.groups)
        changed = call.at({key: self.weight.of_shape(*new, *self.kernel)})
        fixes.append(rebuilt(call, {"in_channels": size}, self._made(size), changed))
        return fixes

    def _made(self, size: int, **other: Any) -> str:
        """Return what the constructor takes: "8, 4, 2, stride=2", with all that is not usual."""
        module = self.call.module
        settings = {**(module.settings if module else {}), "kernel_size": self.kernel, **other}
        kernel = _shown(settings["kernel_size"])
        kept = [
            f"{name}={_shown(settings[name])!r}".replace("'", '"')
            for name, usual in _USUAL.items()
            if _shown(settings.get(name, usual)) != usual
        ]
        return ", ".join([str(size), str(self.out), str(kernel), *kept])

    def _groups(self) -> Explained:
        rule = f"{layer(self.call)} needs groups, {self.groups}, to divide the {self.out} output "
        rule += f"channels of {self.weight.name}, and {divided(self.out, self.groups)}."
        more = self.out + -self.out % self.groups
        weight = self.weight.of_shape(more, *(self.weight.shape or ())[1:])
        said = f"make {self.weight.name} for {more} output channels, "
        said += divided(more, self.groups)
        bias = {k: t.of_shape(more) for k, t in self.call.tensors() if t.rank == 1}
        new = self.call.at({self.call.key(1, "weight"): weight, **bias})
        fix = Proposal(said=said, call=new)
        culprits = (Culprit(tensor=self.weight, dim=0),)
        return Explained(rule=rule, culprits=culprits, proposals=(fix,))

    def _bias(self) -> Explained | None:
        bias = self.call.argument(2, "bias")
        if not isinstance(bias, Given) or bias.shape == (self.out,):
            return None
        rule = (
            f"{layer(self.call)} needs {bias.name}, {bias.shape}, to have one number for each of "
        )
        new = self.call.at({self.call.key(2, "bias"): bias.of_shape(self.out)})
        fix = Proposal(said=f"make {bias.name} of shape ({self.out},)", call=new)
        return Explained(rule=f"{rule}the {self.out} output channels.", proposals=(fix,))

    def _kernel(self) -> Explained | None:
        padding = self.call.argument(4, "padding", 0)
        dilation = each(self.call.argument(5, "dilation", 1), self.dims)
        pads = None if isinstance(padding, str) else each(padding, self.dims)
        if pads is None or dilation is None:
            return None
        found = too_small(self.call, self.x, self.kernel, pads, dilation)
        if found is None:
            return None
        pad = max(d * (k - 1) // 2 for d, k in zip(dilation, self.kernel, strict=True))
        new = self.call.at({self.call.key(4, "padding"): (pad,) * self.dims})
        shown = self._made(self.wanted, padding=pad)
        sides = tuple(
            min(k, (n + 2 * p - 1) // d + 1)
            for k, n, p, d in zip(
                self.kernel, self.shape[-self.dims :], pads, dilation, strict=True
            )
        )
        smaller = self.weight.of_shape(*(self.weight.shape or ())[:2], *sides)
        less = self.call.at({self.call.key(1, "weight"): smaller})
        made = self._made(self.wanted, kernel_size=sides)
        fixes = (
            rebuilt(self.call, {"padding": pad}, shown, new),
            rebuilt(self.call, {"kernel_size": _shown(sides)}, made, less),
            *found.proposals,
        )
        return Explained(rule=found.rule, culprits=found.culprits, proposals=fixes)


def _shown(value: Any) -> Any:
    """Return a setting as it is written: 3 for (3, 3)."""
    same = isinstance(value, tuple) and len(set(value)) == 1
    return value[0] if same else value


def _output_size(call: FailedCall, x: Given, dims: int) -> Explained | None:
    """Return why a transposed convolution cannot give a size that was asked for."""
    asked, module = call.argument(1, "output_size"), call.module
    if module is None or not isinstance(asked, (tuple, list)) or x.rank < dims + 1:
        return None
    kept = ("stride", "padding", "dilation", "kernel_size")
    parts = [each(module.settings.get(name), dims) for name in kept]
    if any(part is None for part in parts):
        return None
    given = zip((x.shape or ())[-dims:], *(part or () for part in parts), strict=True)
    least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in given)
    most = tuple(n + s - 1 for n, s in zip(least, parts[0] or (), strict=True))
    rule = (
        f"{layer(call)} makes {(x.shape or ())[-dims:]} of {x.name} {least} to {most} large, and "
    )
    rule += f"output_size asks for {tuple(asked)}."
    key = call.key(1, "output_size")
    fix = Proposal(
        said=f"ask for output_size={most}",
        code=call.code({key: str(most)}),
        call=call.at({key: most}),
    )
    return Explained(rule=rule, proposals=(fix,), culprits=(Culprit(tensor=x, dim=x.rank - 1),))
