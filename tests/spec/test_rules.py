"""Settings that are each legal and do not go together; the cases themselves lie in rules/."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

import pytest

from attntrace.errors import Problem, SettingsError
from attntrace.spec import load, rules
from tests.spec.rules import (
    attention,
    belongs,
    feed_forward,
    impl,
    kinds,
    mask,
    others,
    positions,
    sizes,
    stack,
    vision,
)
from tests.spec.rules.case import merged

ROOMS = [
    attention,
    belongs,
    feed_forward,
    impl,
    kinds,
    mask,
    others,
    positions,
    sizes,
    stack,
    vision,
]
CASES = [
    pytest.param(case, id=f"{room.__name__.rpartition('.')[2]}: {case.name}")
    for room in ROOMS
    for case in room.CASES
]
FOLDER = Path(inspect.getfile(rules)).parent
HEADS_3 = (
    "chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads that divide 64: 2, 4. "
    "Or set head_dim"
)


def problems_of(**given):
    with pytest.raises(SettingsError) as caught:
        load(**given)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("case", CASES)
def test_a_rule(case):
    """What does not go together is one problem, with its arithmetic and a way out."""
    with pytest.raises(SettingsError) as caught:
        load(**case.wrong)
    assert [(p.path, p.message) for p in caught.value.problems] == [(case.path, case.message)]


@pytest.mark.parametrize("case", CASES)
def test_its_neighbour(case):
    """The nearest settings that do go together are a block."""
    assert load(**merged(case.wrong, case.right)).spec


def problem_sites(folder):
    """Return the file and line of each place that makes a Problem."""
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                found.add((path.name, node.lineno))
    return found


@pytest.mark.parametrize("leave_out", [None, "mask"])
def test_every_rule_has_a_case(leave_out, monkeypatch):
    """Each line that makes a problem is reached by some case; without one room, some are not."""
    reached = set()

    class Seen(Problem):
        def __init__(self, *args, **kwargs):
            caller = sys._getframe(1)
            reached.add((Path(caller.f_code.co_filename).name, caller.f_lineno))
            super().__init__(*args, **kwargs)

    for name, module in list(sys.modules.items()):
        if name.startswith("attntrace.spec.rules.") and hasattr(module, "Problem"):
            monkeypatch.setattr(module, "Problem", Seen)
    for room in ROOMS:
        for case in room.CASES:
            if room.__name__.rpartition(".")[2] != leave_out:
                problems_of(**case.wrong)
    missing = problem_sites(FOLDER) - reached
    if leave_out is None:
        assert sorted(missing) == []
    else:
        assert {name for name, _ in missing} == {f"{leave_out}.py"}


@pytest.mark.parametrize(
    ("chan", "heads", "near"), [(64, 3, "2, 4"), (60, 7, "6, 10"), (64, 65, "64")]
)
def test_heads_that_do_not_divide_chan(chan, heads, near):
    """The message shows the division and the nearest numbers of heads that work."""
    quotient, rest = divmod(chan, heads)
    assert problems_of(chan=chan, heads=heads) == [
        (
            f"heads={heads}: chan {chan} is not divisible by heads {heads} ({chan} = "
            f"{heads}*{quotient} + {rest}); nearest heads that divide {chan}: {near}. Or set head_dim"
        )
    ]


def test_a_huge_chan_is_judged_at_once():
    """Nearest heads are found for a chan with too many numbers below it to try each."""
    chan, heads = 10**11, 3
    assert problems_of(chan=chan, heads=heads) == [
        (
            f"heads={heads}: chan {chan} is not divisible by heads 3 ({chan} = 3*33333333333 + 1); "
            f"nearest heads that divide {chan}: 2, 4. Or set head_dim"
        )
    ]


def test_rules_of_different_rooms_are_reported_together():
    """A problem of the sizes and one of the run come in one error."""
    assert problems_of(heads=3, run={"device": "mps", "dtype": "float64"}) == [
        f"heads=3: {HEADS_3}",
        "run.dtype='float64': mps has no float64; use float32, or device cpu",
    ]


def test_heads_do_not_hide_a_skip_that_does_not_fit():
    """Heads that do not divide chan leave a skip of the wrong width to be reported too."""
    assert problems_of(heads=3, attention={"skip": "input"}) == [
        f"heads=3: {HEADS_3}",
        (
            "attention.skip='input': skip=input adds x of width dim 49 to an output of width chan 64; "
            "use skip value or none, or set dim 64"
        ),
    ]


def test_a_rule_is_silent_about_a_field_that_is_wrong_itself():
    """Where heads is no number, nothing is said about dividing chan by it."""
    assert problems_of(heads=0, chan=65) == ["heads=0: heads must be a whole number >= 1, got 0"]


def test_a_field_that_is_wrong_hides_no_rule_of_another_section():
    """A wrong kind of norm leaves what is said of the kind of attention to be said."""
    wrong = {"norm": {"kind": "x"}, "attention": {"kind": "mqa"}}
    found = problems_of(block="encoder", heads=4, kv_heads=2, **wrong)
    assert [line.partition(":")[0] for line in found] == ["norm.kind='x'", "kv_heads=2"]


@pytest.mark.parametrize("key", ["set", "nearest", "a(", "c++", ""])
def test_an_unknown_key_hides_no_rule(key):
    """A key that is unknown, whatever its letters, leaves the rules between others in force."""
    given = {key: 1, "heads": 3}
    assert problems_of(**given)[1:] == [f"heads=3: {HEADS_3}"]


@pytest.mark.parametrize(
    "given",
    [
        {"layers": 1},
        {"ff_dim": 256},
        {"kv_heads": 1},
        {"dim": 49},
        {"context_dim": 49},
        {"block": "psa", "chan": 64, "heads": 2, "kv_heads": 2, "value_head_dim": 16},
        {"norm": {"kind": "layernorm", "place": "pre"}},
        {"attention": {"out_proj": False, "out_bias": True}},
        {"block": "encoder", "ff_dim": 128, "feed_forward": {"ratio": 2}},
        {"mask": {"fill": "-inf"}},
    ],
    ids=str,
)
def test_what_would_be_so_anyway_is_no_problem(given):
    """A setting that means nothing is no trap where it is given as what it would be anyway."""
    assert load(**given).spec
