"""What is true of the difference of any two runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from attntrace.analysis.difference import difference
from attntrace.record.snapshot import Measured
from tests.snapshots import random_pair

SEEDS = st.integers(0, 2**64)
MANY = settings(max_examples=150, deadline=None)


def each(changes):
    """Yield what a change was and is in each of its places."""
    for change in changes:
        for at, place in enumerate(change.places):
            was = change.were[at] if change.were else place
            named = {"name": change.names[at]} if getattr(change, "names", ()) else {}
            yield (
                change.what,
                change.before and replace(change.before, path=was, **named),
                change.after and replace(change.after, path=place, **named),
            )


def turned(change):
    """Return what became of a parameter as it is from the other side."""
    what = {"inserted": "removed", "removed": "inserted"}.get(change.what, change.what)
    return replace(change, what=what, before=change.after, after=change.before)


def renames(found):
    """Return the new paths of modules by the old ones."""
    pairs = [(was.path, now.path) for what, was, now in each(found.modules) if what == "renamed"]
    return dict(pairs)


def path_after(path, renamed):
    """Return what a path is called after the renames of the modules around it, the nearest first."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        above = ".".join(parts[:end])
        if above in renamed:
            return ".".join([renamed[above], *parts[end:]]).strip(".")
    return path


def differ(before, after, tolerance):
    """Return whether two runs differ, told in the plainest way."""
    for device in before.measured.keys() & after.measured.keys():
        for item in fields(Measured):
            first = getattr(before.measured[device], item.name)
            second = getattr(after.measured[device], item.name)
            if (first is None) != (second is None):
                return True
            if first is not None and abs(second - first) > tolerance * first:
                return True
    return replace(before, measured={}) != replace(after, measured={})


@MANY
@given(SEEDS)
def test_a_run_does_not_differ_from_itself(seed):
    """Of a run and an equal one nothing is said, and its figures are its own numbers."""
    run, _ = random_pair(seed)
    found = difference(run, replace(run, rows=tuple(map(replace, run.rows))))
    assert not found
    assert found.rows == found.modules == ()
    assert all(figure.before == figure.after for figure in found.figures)


@MANY
@given(SEEDS, st.sampled_from([0.0, 0.01, 0.5]))
def test_a_difference_is_true_if_there_is_one(seed, tolerance):
    """A difference is true just where two runs are not equal, within the tolerance of what was
    measured on a device that both ran on."""
    pair = random_pair(seed)
    assert bool(difference(*pair, tolerance=tolerance)) == differ(*pair, tolerance)


@MANY
@given(SEEDS)
def test_every_row_is_accounted_for_once(seed):
    """The first run without what was removed or changed is the second without what is new, under
    the new names of modules."""
    before, after = random_pair(seed)
    found = difference(before, after)
    renamed = renames(found)
    was = Counter(item for _, item, _ in each(found.rows) if item)
    now = Counter(item for _, _, item in each(found.rows) if item)
    rows, rows_after = Counter(before.rows), Counter(after.rows)
    assert was <= rows
    assert now <= rows_after
    kept = Counter()
    for item, times in (rows - was).items():
        kept[replace(item, path=path_after(item.path, renamed))] += times
    assert kept == rows_after - now


@MANY
@given(SEEDS)
def test_every_module_is_accounted_for_once(seed):
    """The modules of the first run without those removed are those of the second without the new
    ones, under their new names."""
    before, after = random_pair(seed)
    found = difference(before, after)
    gone = {was.path for what, was, _ in each(found.modules) if what == "removed"}
    new = {now.path for what, _, now in each(found.modules) if what == "inserted"}
    paths = {item.path for item in before.modules} - gone
    others = {item.path for item in after.modules} - new
    assert sorted(path_after(path, renames(found)) for path in paths) == sorted(others)


@MANY
@given(SEEDS)
def test_every_parameter_is_accounted_for_once(seed):
    """A module's own parameters without those removed or changed are the new ones but for what is
    new, and a name that only changed is of the same dtype and shape."""
    before, after = random_pair(seed)
    for change in difference(before, after).modules:
        was = {of.before for of in change.own if of.before}
        now = {of.after for of in change.own if of.after}
        if change.before and change.after:
            assert was <= set(change.before.own)
            assert now <= set(change.after.own)
            assert set(change.before.own) - was == set(change.after.own) - now
        else:
            assert change.own == ()
        both = {
            (of.what, of.before[1] == of.after[1]) for of in change.own if of.before and of.after
        }
        assert both <= {("renamed", True), ("changed", False)}


@MANY
@given(SEEDS)
def test_every_setting_is_accounted_for_once(seed):
    """What is told of settings is what is another under a name, as long as the type is the same."""
    for change in difference(*random_pair(seed)).modules:
        told = {(of.name, of.before, of.after) for of in change.settings}
        if change.before and change.after:
            was, now = dict(change.before.settings), dict(change.after.settings)
            same = change.before.type == change.after.type
            names = was.keys() | now.keys() if same else was.keys() & now.keys()
            pairs = {(name, was.get(name), now.get(name)) for name in names}
            assert told == {pair for pair in pairs if pair[1] != pair[2]}
        else:
            assert told == set()


@MANY
@given(SEEDS)
def test_from_the_other_side_it_is_the_other_way_round(seed):
    """Swapped runs give the same changes with before and after swapped."""
    swapped = {"inserted": "removed", "removed": "inserted"}
    pair = random_pair(seed)
    there, back = difference(*pair), difference(*pair[::-1])
    for changes, others in ((there.rows, back.rows), (there.modules, back.modules)):
        again = Counter((swapped.get(what, what), now, was) for what, was, now in each(others))
        assert Counter(each(changes)) == again
    made = [
        {
            (of.name, *sorted((repr(of.before), repr(of.after))))
            for one in way.modules
            for of in one.settings
        }
        for way in (there, back)
    ]
    assert made[0] == made[1]
    own = [{of for change in way.modules for of in change.own} for way in (there, back)]
    assert own[0] == set(map(turned, own[1]))
    assert {(of.name, of.device, of.before, of.after) for of in there.figures} == {
        (of.name, of.device, of.after, of.before) for of in back.figures
    }


@MANY
@given(SEEDS)
def test_figures_are_those_of_both_runs(seed):
    """Rows, parameters, bytes and sizes are what each run says; measured ones of shared devices."""
    pair = random_pair(seed)
    found = {(of.name, of.device): (of.before, of.after) for of in difference(*pair).figures}
    totals = [
        {"rows": len(run.rows), "parameters": run.parameters,
         "nbytes": sum(of.nbytes for of in run.rows if of.nbytes is not None),
         **{f"size {name}": size for name, size in run.sizes.items()}}
        for run in pair
    ]  # fmt: skip
    expected = {
        (name, None): (totals[0].get(name), totals[1].get(name))
        for name in {**totals[0], **totals[1]}
    }
    for device in pair[0].measured.keys() & pair[1].measured.keys():
        for item in fields(Measured):
            both = tuple(getattr(run.measured[device], item.name) for run in pair)
            if both != (None, None):
                expected[item.name, device] = both
    assert found == expected
