"""Linear layers: the last size of the input against in_features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt, prod

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.text import divided, plain, quoted, sized
from attntrace.analysis.diagnosis.writing import amended, wrapped

_WHOLE = ("int8", "int16", "int32", "int64", "uint8")


def explain(call: FailedCall) -> Explained | None:
    """Return why a linear or bilinear layer refused its input, from the shapes alone."""
    op = plain(call.op)
    if op == "bilinear":
        return _bilinear(call)
    x, weight = call.argument(0, "input"), call.argument(1, "weight")
    if op != "linear" or not isinstance(x, Given) or not isinstance(weight, Given):
        return None
    if not x.shape or not weight.shape:
        return _scalar(call, x)
    fed = _Fed(call, x, weight)
    if weight.rank <= 2 and x.shape[-1] == weight.shape[-1]:
        return _bias(call, fed)
    if weight.rank == 2:
        return fed.explained()
    rule = (
        f"{quoted(call)} takes a weight of (out, in), 2 axes, but {weight.name} has {weight.rank}"
    )
    return Explained(rule=f"{rule}: {weight.shape}.", culprits=(Culprit(tensor=weight, dim=0),))


@dataclass(frozen=True, slots=True)
class _Fed:
    """A layer and what it was fed."""

    call: FailedCall
    x: Given
    weight: Given

    @property
    def width(self) -> int:
        """The last size of the input."""
        return (self.x.shape or (0,))[-1]

    @property
    def wanted(self) -> int:
        """The in_features of the layer."""
        return (self.weight.shape or (0,))[-1]

    @property
    def layer(self) -> str | None:
        """The layer as the author wrote it; None for F.linear."""
        module = self.call.module
        if module is None or module.type != "Linear":
            return None
        return module.text or module.path or module.type

    def explained(self) -> Explained:
        moves = [*self._moves()]
        given = Culprit(tensor=self.x, dim=self.x.rank - 1)
        setting = "in_features" if self.layer else None
        taken = Culprit(tensor=self.weight, dim=1, setting=setting)
        ids = self.x.dtype in _WHOLE and self.layer is not None
        return Explained(
            rule=self._rule(),
            culprits=(given, taken) if moves or ids else (taken, given),
            proposals=(self._embedding(),) if ids else self._proposals(moves[:3]),
        )

    def _proposals(self, moves: list[Proposal]) -> tuple[Proposal, ...]:
        why = "" if moves else _reason(self.x, self.width, self.wanted)
        return (*moves, *self._turned(), self._rebuilt(why), *self._split())

    def _rule(self) -> str:
        ratio = _ratio(self.width, self.wanted)
        if self.layer is None:
            return (
                f"{quoted(self.call)} needs {sized(self.x, -1)}, to equal "
                f"{sized(self.weight, -1)}{ratio}."
            )
        return (
            f"`{self.layer}` takes in_features={self.wanted}, but the last size of {self.x.name} "
            f"is {self.width}{ratio}."
        )

    def _moves(self) -> Iterator[Proposal]:
        """Yield the ways to bring the features to the end that the sizes allow."""
        for said, tensor in _arranged(self.x, self.wanted):
            key = self.call.key(0, "input")
            name, args = tensor.steps[-1]
            if key not in self.call.spans and name == "flatten":
                before = f"{said}, with an `nn.Flatten({args[0]})` before `{self.layer}`"
                yield Proposal(said=before, call=self.call.at({key: tensor}))
            else:
                yield amended(self.call, said, {key: tensor})

    def _turned(self) -> Iterator[Proposal]:
        """Yield F.linear with the weight turned to (out, in), as it wants it."""
        if self.layer is None and (self.weight.shape or (0,))[0] == self.width:
            said = f"F.linear takes the weight as (out, in), turn {self.weight.name}"
            yield amended(self.call, said, {self.call.key(1, "weight"): self.weight.then("t")})

    def _split(self) -> Iterator[Proposal]:
        """Yield the layer on each head, where the features are those of several."""
        parts, rest = divmod(self.width, self.wanted)
        if self.x.rank > 2 and self.wanted > 3 < parts and not rest:
            said = f"split {self.x.name} into {parts} heads of {self.wanted} first"
            heads = self.x.then("unflatten", -1, (parts, self.wanted))
            yield amended(self.call, said, {self.call.key(0, "input"): heads})

    def _rebuilt(self, why: str) -> Proposal:
        out = (self.weight.shape or (0, 0))[0]
        wider = self.weight.of_shape(out, self.width)
        call = self.call.at({self.call.key(1, "weight"): wider})
        if self.layer is None:
            return Proposal(said=f"make {self.weight.name} ({out}, {self.width})", call=call)
        no_bias = self.call.argument(2, "bias") is None
        code = f"nn.Linear({self.width}, {out}{', bias=False' if no_bias else ''})"
        said = f"build `{self.layer}` with in_features={self.width}: `{code}`{why}"
        written = self.call.module is not None and self.call.module.text
        return Proposal(said=said, code=f"{self.layer} = {code}" if written else None, call=call)

    def _embedding(self) -> Proposal:
        return Proposal(
            said=f"{self.x.name} holds whole numbers ({self.x.dtype}): look ids up first, with "
            f"`nn.Embedding(vocabulary, {self.wanted})`, or make numbers float: "
            f"`{wrapped(self.x.name)}.float()`"
        )


def _arranged(x: Given, wanted: int) -> Iterator[tuple[str, Given]]:
    """Yield sentences and tensors whose last size is the wanted one."""
    shape, rank = x.shape or (), x.rank
    if rank == 4 and shape[1] * shape[3] == wanted and shape[1] > 1:
        yield (
            f"concatenate the {shape[1]} heads of {shape[3]} of {x.name} first",
            x.then("transpose", 1, 2).then("flatten", 2),
        )
    image = rank > 3 and shape[-1] == shape[-2]
    starts = range(1, rank - 1)
    for start in starts if image else reversed(starts):
        if prod(shape[start:]) == wanted:
            said = f"flatten {x.name} from axis {start} on, {_product(shape[start:], wanted)}"
            yield said, x.then("flatten", start)
    if rank >= 3 and prod(shape) == wanted:
        yield (
            f"give {x.name} the batch axis that it lacks and flatten the rest",
            x.then("unsqueeze", 0).then("flatten", 1),
        )
    for dim in range(rank - 2, -1, -1):
        if shape[dim] == wanted:
            yield _to_the_end(x, dim)
            if (rank, dim) == (4, 1):
                tokens = x.then("flatten", 2).then("transpose", 1, 2)
                yield f"or make tokens of {x.name}, one for each place of the image", tokens
                yield f"or average {x.name} over the image", x.then("mean", (2, 3))


def _to_the_end(x: Given, dim: int) -> tuple[str, Given]:
    rank = x.rank
    if dim == rank - 2:
        return f"swap the last two axes of {x.name}", x.then("transpose", dim, dim + 1)
    rest = [other for other in range(rank) if other != dim]
    order = "channels-first" if dim == 1 else f"axis {dim} has the features"
    return f"move the features of {x.name} to the end ({order})", x.then("permute", *rest, dim)


def _product(sizes: tuple[int, ...], total: int) -> str:
    return f"{'*'.join(map(str, sizes))} = {total}"


def _ratio(width: int, wanted: int) -> str:
    """Return ", and 147 = 3*49" where one of two widths is a multiple of the other."""
    small, large = sorted((width, wanted))
    if small < 2 or large % small:
        return ""
    product = divided(large, large // small)
    return product.removeprefix(str(width)) if width > wanted else f", and {product}"


def _reason(x: Given, width: int, wanted: int) -> str:
    """Return what commonly makes one width a multiple of the other."""
    if wanted and width == 3 * wanted:
        return f" ({wanted} is one channel, {width} = 3*{wanted} are three, as of an RGB image)"
    if wanted and width == 2 * wanted:
        return " (two tensors side by side, or both directions of a bidirectional RNN)"
    parts, rest = divmod(wanted, width) if width else (0, 1)
    if not rest and parts <= 16:
        return f" ({wanted} = {parts}*{width} is for {parts} of them side by side)"
    return _squares(width, wanted) if x.rank == 2 else ""


def _squares(width: int, wanted: int) -> str:
    """Return two flattened images that explain the widths: 576 = 16*6*6 against 400 = 16*5*5."""
    for channels in range(min(width, wanted) // 4, 2, -1):
        if width % channels == 0 == wanted % channels:
            sides = isqrt(width // channels), isqrt(wanted // channels)
            if [side * side * channels for side in sides] == [width, wanted]:
                one, other = (f"{channels}*{side}*{side}" for side in sides)
                return f" ({width} = {one}, but {wanted} = {other}: another image size)"
    return ""


def _scalar(call: FailedCall, x: Given) -> Explained | None:
    """Return why a number without axes cannot be fed."""
    if x.shape != ():
        return None
    rule = f"{quoted(call)} needs a tensor with at least one axis, but {x.name} has 0."
    return Explained(rule=rule)


def _bias(call: FailedCall, fed: _Fed) -> Explained | None:
    bias = call.argument(2, "bias")
    out = (fed.weight.shape or (0,))[0]
    if not isinstance(bias, Given) or bias.shape in ((out,), (1,), (), None) or fed.weight.rank < 2:
        return None
    right = call.at({call.key(2, "bias"): bias.of_shape(out)})
    return Explained(
        rule=f"{quoted(call)} gives {out} features, the first size of {fed.weight.name}, but "
        f"{bias.name} has {(bias.shape or (0,))[-1]}.",
        culprits=(Culprit(tensor=bias, dim=bias.rank - 1), Culprit(tensor=fed.weight, dim=0)),
        proposals=(Proposal(said=f"make {bias.name} ({out},)", call=right),),
    )


def _bilinear(call: FailedCall) -> Explained | None:
    """Return why a bilinear layer refused its two inputs."""
    found = [
        call.argument(place, name) for place, name in enumerate(("input1", "input2", "weight"))
    ]
    tensors = [one for one in found if isinstance(one, Given) and one.shape]
    if len(tensors) < 3 or tensors[2].rank != 3:
        return None
    one, other, weight = tensors
    (a, *_), (b, *_) = (tuple(reversed(t.shape or ())) for t in (one, other))
    out, *wanted = weight.shape or ()
    if [a, b] == wanted:
        return _apart(call, one, other)
    first, second = call.key(0, "input1"), call.key(1, "input2")
    wrong = 0 if a != wanted[0] else 1
    proposals = []
    if [b, a] == wanted:
        code = call.code({first: other.name, second: one.name})
        said = f"swap {one.name} and {other.name}" + (f": `{code}`" if code else "")
        proposals.append(Proposal(said=said, code=code, call=call.at({first: other, second: one})))
    resized = call.at({call.key(2, "weight"): weight.of_shape(out, a, b)})
    said = f"build it with in1_features={a} and in2_features={b}: `nn.Bilinear({a}, {b}, {out})`"
    proposals.append(Proposal(said=said, code=f"nn.Bilinear({a}, {b}, {out})", call=resized))
    return Explained(
        rule=f"{quoted(call)} takes in1_features={wanted[0]} and in2_features={wanted[1]}, but the "
        f"last sizes of {one.name} and {other.name} are {a} and {b}.",
        culprits=(
            Culprit(tensor=weight, dim=wrong + 1, setting=f"in{wrong + 1}_features"),
            Culprit(tensor=(one, other)[wrong], dim=(one, other)[wrong].rank - 1),
        ),
        proposals=tuple(proposals),
    )


def _apart(call: FailedCall, one: Given, other: Given) -> Explained | None:
    """Return why two inputs of the right widths are refused: all other sizes must be equal."""
    if one.rank != other.rank:
        rule = f"needs as many axes of {one.name}, {one.rank}, as of {other.name}, {other.rank}"
        return Explained(rule=f"{quoted(call)} {rule}.")
    pairs = enumerate(zip(one.shape or (), other.shape or (), strict=True))
    dim = next((dim for dim, (a, b) in pairs if a != b and dim < one.rank - 1), None)
    if dim is None:
        return None
    return Explained(
        rule=f"{quoted(call)} needs {sized(one, dim)}, to equal {sized(other, dim)}.",
        culprits=(Culprit(tensor=other, dim=dim), Culprit(tensor=one, dim=dim)),
    )
