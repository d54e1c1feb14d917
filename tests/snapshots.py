"""Snapshots that no run has written: some to be read, and any number of random ones."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from random import Random

from attntrace.record.snapshot import Measured, Snapshot, SnapshotModule, SnapshotRow


def row(path="", name="x", op="linear", **changes):
    """Return a row of float32, by default with three sizes that are not the same."""
    made = SnapshotRow(
        path=path, name=name, op=op, kind="op", phase="forward", shape=(13, 100, 64), axes=None,
        dtype="float32", nbytes=None,
    )  # fmt: skip
    made = replace(made, **changes)
    return made if "nbytes" in changes else replace(made, nbytes=4 * prod(made.shape or ()))


def module(path="", type="Linear", parameters=0, **own):
    """Return one call of a module, with parameters of its own by name."""
    own = tuple(sorted(own.items()))
    return SnapshotModule(path=path, type=type, parameters=parameters, own=own)


def snapshot(rows=(), modules=None, **changes):
    """Return a run of rows; where no modules are given, the modules that the rows are in."""
    if modules is None:
        modules = [module(path) for path in dict.fromkeys(["", *(of.path for of in rows)])]
    made = Snapshot(
        subject="Model", sizes={}, parameters=0, rows=tuple(rows), modules=tuple(modules)
    )
    return replace(made, **changes)


PATHS = ["a", "b", "a.norm", "a.0", "a.1", "a.0.q", "a.1.q", "b.0.q", "c.q", "a.k"]


def random_row(random, paths):
    """Return a row in one of some modules, of few kinds, so that many are alike."""
    shape = random.choice([None, (4,), (100,), (4, 100), (100, 4)])
    return row(
        random.choice(paths),
        random.choice(["x", "y", "q", "k", "", "y[0]", "y[1]"]),
        random.choice(["linear", "mul", "view"]),
        phase=random.choice(["forward", "forward", "backward"]),
        shape=shape,
        axes=("tokens", "2*chan") if shape and len(shape) == 2 and random.random() < 0.5 else None,
        dtype=random.choice(["float32", "float16"]),
        nbytes=random.choice([None, 0, 16, 400]),
    )


def random_module(random, path):
    """Return a module with up to three parameters of its own, in few forms, and two settings."""
    forms = ["float32[4]", "float32[4, 100]", "float32[100, 4]", "bfloat16[4]"]
    names = random.sample(["weight", "bias", "scale"], random.randint(0, 3))
    own = {name: random.choice(forms) for name in names}
    made = module(path, random.choice(["Linear", "Norm"]), random.randint(0, 3), **own)
    names = random.sample(["dropout", "eps", "mode"], random.randint(0, 2))
    settings = {name: random.choice([0, 0.5, True, "tanh", (1, 2)]) for name in sorted(names)}
    return replace(made, settings=tuple(settings.items()))


def random_snapshot(random):
    """Return a run of a few modules, entered again and again, with a few rows."""
    paths = ["", *random.sample(PATHS, random.randint(0, 6))]
    modules = [random_module(random, path) for path in paths]
    return snapshot(
        [random_row(random, paths) for _ in range(random.randint(0, 10))],
        [*modules, *random.choices(modules, k=random.randint(0, 3))],
        subject=random.choice(["Model", "Model", "Other"]),
        **_numbers(random),
    )


def _numbers(random):
    devices = random.sample(["cpu", "meta as cuda"], random.randint(0, 2))
    return {
        "parameters": random.randint(0, 3),
        "sizes": {
            name: random.choice([4, 100]) for name in ("tokens", "chan")[random.randint(0, 2) :]
        },
        "measured": {
            device: Measured(
                peak_nbytes=random.randint(0, 300),
                training_peak_nbytes=random.choice([None, random.randint(200, 300)]),
            )
            for device in devices
        },
    }


def edited(random, run):
    """Return a run that was another: some rows and calls swapped, dropped, doubled or replaced."""
    rows, modules = list(run.rows), list(run.modules)
    for items in (rows, modules):
        for _ in range(random.randint(0, 2) if len(items) > 1 else 0):
            at, to = random.sample(range(len(items)), 2)
            items[at], items[to] = items[to], items[at]
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(rows) + 1)
        old = rows[at : at + 1]
        new = [random_row(random, [of.path for of in old] or [""])]
        named = [replace(of, name="other") for of in old]
        rows[at : at + 1] = random.choice([[], old + old, new, old + new, named])
    if random.random() < 0.3:
        old = random.choice(modules)
        other = random_module(random, old.path)
        new = replace(old, **random.choice([{"own": other.own}, {"settings": other.settings}]))
        modules = [new if of.path == old.path else of for of in modules]
    numbers = random.choice([{}, {}, _numbers(random)])
    return replace(run, rows=tuple(rows), modules=tuple(modules), **numbers)


def random_pair(seed):
    """Return two runs that may be one, nearly one, or quite different ones."""
    random = Random(seed)
    before = random_snapshot(random)
    return before, edited(random, before) if random.random() < 0.6 else random_snapshot(random)
