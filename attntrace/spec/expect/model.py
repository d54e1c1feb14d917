"""What a config expects of its run: one frozen record an entry of `expect:`."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.notation.arithmetic import Formula
from attntrace.spec.expect.bounds import Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that is expected of a run."""

    name: str
    """The entry below `expect`: "q", "dtype.scores", "peak_memory"."""
    where: str = ""
    """`file:line:column` of the entry; empty where no file says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeOf(Expectation):
    """The shape of every row of a name."""

    tensor: str
    """A name, path.name, or either with `@` and an op behind it, with `*` for any letters."""
    dims: tuple[Formula, ...]
    """Expressions over sizes; "_" is any size, "..." any number of dimensions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeOf(Expectation):
    """The number format of every row of a name."""

    tensor: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Within(Expectation):
    """A number of the run that is within a bound: `name` says which."""

    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelIs(Expectation):
    """The attention kernel that runs is one of these."""

    kernels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWarnings(Expectation):
    """Nothing that ran is hardly meant so."""
