"""The same block with other sizes: what tells how each dimension follows from the sizes.

Every size that can be set apart from the others is a knob, and is multiplied by a prime of its own.
What must stay divisible by it, or equal to it, is multiplied along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attntrace.spec.block import Spec
from attntrace.spec.document import Setting
from attntrace.spec.problems import check
from attntrace.spec.rules.feed_forward import expert_impl

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79)
_OWN = {
    "ff_dim": "ff_dim",
    "attention.q_lora_rank": "q_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.nope_head_dim": "nope_head_dim",
    "attention.rope_head_dim": "rope_head_dim",
    "attention.align_dim": "align_dim",
    "attention.kernel_features": "kernel_features",
    "feed_forward.expert_dim": "expert_dim",
    "feed_forward.shared_dim": "shared_dim",
    "stack.vocab": "vocab",
    "stack.classes": "classes",
}
"""Sizes that nothing else depends on, where they are given."""
_EXPERTS = {
    "feed_forward.experts": ("experts", "groups", "groups_per_token", "experts_per_token"),
    "feed_forward.groups": ("groups", "groups_per_token"),
    "feed_forward.groups_per_token": ("groups_per_token",),
    "feed_forward.experts_per_token": ("experts_per_token",),
}
_LENGTHS = ("tokens", "past", "context_tokens", "rows", "columns", "image_rows", "image_columns")


class Knobs:
    """The specs that differ from one in its sizes alone.

    `free` lets the width of a head be another than chan / heads where it is given.
    """

    def __init__(self, spec: Spec, *, free: bool = True) -> None:
        self.spec, self.free = spec, free
        self.given = dict(_flat(spec.model_dump(exclude_unset=True, exclude={"run"})))
        self._drop_what_follows()
        self.scales = dict(self._scales())
        self.unrolled = tuple(_unrolled(spec))
        """The sizes of which each one has rows of its own, such as a step of a recurrent net."""
        moving = {name for sides in self.scales.values() for side in sides for name in side}
        moving -= {*self.unrolled}
        known = [*(("past",) if "past" in spec.sizes else ()), *spec.sizes]
        self.names = tuple(name for name in dict.fromkeys(known) if name in moving)
        """The knobs, in order."""
        self.order = tuple(dict.fromkeys((*self.names, *spec.sizes)))
        """All sizes, those first that others follow from."""

    def factors(self, turns: Mapping[str, int]) -> dict[str, int]:
        """Return a prime for each of these knobs; another for another turn."""
        sides = [name for sides in self.scales.values() for side in sides for name in side]
        often = sorted(self.names, key=sides.count, reverse=True)  # the smallest for most sizes
        places = {name: place for place, name in enumerate(often)}
        primes = {name: PRIMES[(places[name] + turn) % len(PRIMES)] for name, turn in turns.items()}
        if turns.get("chan", 0) % 2:  # not odd every time: PSA halves the width of a head
            primes["chan"] *= 2
        return primes

    def changed(self, factors: Mapping[str, int]) -> Spec | None:
        """Return the spec on meta with its knobs multiplied, None where the rules refuse it."""
        spec, given = self.spec, dict(self.given)
        for path, sides in self.scales.items():
            value = self.given.get(path, _default(spec, path))
            values = value if isinstance(value, tuple | list) else (value,)
            grown = [v * _product(factors, side) for v, side in zip(values, sides, strict=True)]
            given[path] = grown if len(sides) > 1 else grown[0]
        if not spec.attention.out_proj and {"head_dim", "value_head_dim"} & given.keys():
            each = given.get("value_head_dim", given.get("head_dim"))
            given["chan"] = given.get("heads", spec.heads) * each
        if "mask.lengths" in given:
            given["mask.lengths"] = [*given["mask.lengths"]] * factors.get("batch", 1)
        if "positions.max" in given:
            given["positions.max"] *= _product(factors, _LENGTHS) * PRIMES[-1]
        if spec.kind == "mla" and spec.value_head_dim == spec.head_dim:
            parts = ("nope_head_dim", "rope_head_dim")
            given["value_head_dim"] = sum(given[f"attention.{name}"] for name in parts)
        given |= self._run()
        return _checked(given)

    def _run(self) -> dict[str, Any]:
        run = self.spec.run
        seen = run.as_device or ("cuda" if run.device.startswith("cuda") else "cpu")
        kept = {f"run.{name}": getattr(run, name) for name in ("dtype", "seed", "mode", "grad")}
        return {
            **kept,
            "run.device": "meta",
            "run.as_device": seen,
            "run.checkpoint": run.checkpoint,
        }

    def _drop_what_follows(self) -> None:
        spec, given = self.spec, self.given
        tied = not self.free and spec.width == spec.chan
        if tied or spec.kind in ("mla", "additive"):
            if spec.value_head_dim == spec.head_dim and spec.kind != "mla":
                given.pop("value_head_dim", None)
            given.pop("head_dim", None)
        if self._on_own_map():
            given.pop("context_tokens" if spec.block == "encoder-decoder" else "tokens", None)
        elif spec.stem != "none":
            given.pop("tokens", None)

    def _on_own_map(self) -> bool:
        """Whether the tokens lie on a map that no image makes."""
        return self.spec.uses_map and self.spec.stem == "none" and self.spec.map is not None

    def _scales(self) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
        given = self.given
        yield "batch", (("batch",),)
        yield from ((path, (side,)) for path, side in self._lengths())
        yield from ((path, (side,)) for path, side in self._widths())
        yield from ((path, ((name,),)) for path, name in _OWN.items() if path in given)
        yield from ((p, (side,)) for p, side in _EXPERTS.items() if given.get(p, 1) != 1)
        yield from self._places()

    def _lengths(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        spec = self.spec
        on_map = self._on_own_map()
        if spec.stem == "none" and (not on_map or spec.block == "encoder-decoder"):
            yield "tokens", ("tokens",)
        if "context_tokens" in self.given:
            yield "context_tokens", ("context_tokens",)
        if self.given.get("cache.past"):
            yield "cache.past", ("past",)
            if "mask.window" in self.given:
                yield "mask.window", ("past",)

    def _widths(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        spec, given = self.spec, self.given
        grouped = spec.kv_heads not in (1, spec.heads) and "kv_heads" in given
        heads = ("heads", "kv_heads") if grouped else ("heads",)
        splits = spec.block not in ("patch-embed", "t2t", "rnn-seq2seq")
        if splits and spec.attention.layout != "single":
            yield "heads", heads
        if "kv_heads" in given and spec.kv_heads != 1:
            yield "kv_heads", ("kv_heads",) if grouped else heads
        widths = {spec.chan: ("chan", *heads)}
        yield "chan", widths[spec.chan]
        for path in ("dim", "context_dim", "stack.embedding_dim"):
            size = given.get(path, spec.dim if path == "dim" and self._has_dim() else None)
            if size is not None:
                name = path.rpartition(".")[2]
                yield path, widths.setdefault(size, (name,))
        if "head_dim" in given:
            yield "head_dim", ("head_dim",)
        if "value_head_dim" in given:
            same = ("head_dim",) if "head_dim" in given else ("chan",)
            own = spec.value_head_dim != spec.head_dim
            yield "value_head_dim", ("value_head_dim",) if own else same

    def _has_dim(self) -> bool:
        """Whether the width of what comes in can be set."""
        return self.spec.block in ("attention", "rnn-seq2seq") and self.spec.qkv != "none"

    def _places(self) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
        """Yield the sides of images, maps, patches and windows."""
        spec = self.spec
        windowed = ("window",) if spec.attention.window else ()
        if windowed:
            yield "attention.window", (windowed,)
        if spec.stem != "none":
            patch = ("patch",) if spec.stem == "patch" else ()
            yield "image.channels", (("channels",),)
            yield "image.size", (("image_rows", *patch), ("image_columns", *patch))
            if patch:
                yield "image.patch", (patch,)
            if spec.stem == "t2t":
                yield "image.token_dim", (("token_dim",),)
        if self._on_own_map():
            yield "image.map", (("rows", *windowed), ("columns", *windowed))


_STACKS = {"decoder.layers": "stack.decoder_layers"}
"""The setting of a stack's layers by the stack's path, where it is not `layers`."""


def with_layers(spec: Spec, layers: Mapping[str, int]) -> Spec | None:
    """Return the spec with fewer layers, by path of the stack; None where the rules refuse it."""
    given = dict(_flat(spec.model_dump(exclude_unset=True)))
    given |= {_STACKS.get(stack, "layers"): count for stack, count in layers.items()}
    return _checked(given)


def _checked(given: Mapping[str, Any]) -> Spec | None:
    settings = {path: Setting(path, value, path, "python") for path, value in given.items()}
    changed, problems = check(settings)
    return None if problems else changed


def _unrolled(spec: Spec) -> Iterator[str]:
    if spec.block == "rnn-seq2seq":
        yield from ("tokens", "context_tokens")
    if spec.kind == "separate-heads":
        yield "heads"
    if spec.feed_forward.kind == "moe" and expert_impl(spec) == "loop":
        yield from _EXPERTS["feed_forward.experts"]


def _product(factors: Mapping[str, int], names: Iterable[str]) -> int:
    product = 1
    for name in names:
        product *= factors.get(name, 1)
    return product


def _default(spec: Spec, path: str) -> Any:
    if path == "image.map":
        return spec.map
    section, _, name = path.rpartition(".")
    return getattr(getattr(spec, section) if section else spec, name)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
