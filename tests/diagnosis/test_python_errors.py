"""One number or one yes asked of many, sizes that are not whole, and checks of the author's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import attntrace
from attntrace.capture.failed import stop
from attntrace.capture.failed.crashed import crashed
from attntrace.capture.failed.values.on_meta import OnMeta
from tests.diagnosis.asserting import asserted, at_most, divisible, shapes, with_names
from tests.diagnosis.failing import Kept
from tests.diagnosis.plain_python import both

X = torch.ones(2, 5, 8)


def truth(self, x):
    if x > 0:
        return x
    return -x


def given(self, x):
    if x:
        return x
    return -x


def loop(self, x):
    while x < 3:
        x = x + 1
    return x


def conjunction(self, x):
    return x > 0 and x < 2


def negation(self, x):
    return not x


def membership(self, x):
    return x.sum(-1) in [1, 2]


def maximum(self, x):
    return max(x, 0)


def counted(self, x):
    return [step for step in range(x)]  # noqa: C416


def whole(self, x):
    return int(x.mean(-1))


def decimal(self, x):
    return float(x)


def item(self, x):
    return x.item()


def length(self, x):
    total = x.sum()
    return len(total)


def iterated(self, x):
    total = x.sum()
    return [part for part in total]  # noqa: C416


def index(self, x):
    rows, place = [1, 2, 3], x[0, 0, 0]
    return rows[place]


@pytest.mark.parametrize(
    ("function", "rule", "fix", "tried"),
    [
        (
            truth,
            "A condition is one true or false, and x > 0 (2, 5, 8) has 80 elements, 2*5*8.",
            "(x > 0).all()",
            "on cpu",
        ),
        (
            given,
            "A condition is one true or false, and x (2, 5, 8) has 80 elements, 2*5*8.",
            "x is not None",
            None,
        ),
        (
            loop,
            "A condition is one true or false, and x < 3 (2, 5, 8) has 80 elements, 2*5*8.",
            "(x < 3).all()",
            "on cpu",
        ),
        (
            conjunction,
            "A condition is one true or false, and x > 0 (2, 5, 8) has 80 elements, 2*5*8.",
            "(x > 0) & (x < 2)",
            None,
        ),
        (
            negation,
            "A condition is one true or false, and x (2, 5, 8) has 80 elements, 2*5*8.",
            "x == 0",
            None,
        ),
        (
            membership,
            "A condition is one true or false, and x.sum(-1) (2, 5) has 10 elements, 2*5.",
            "torch.isin(x.sum(-1), torch.tensor([1, 2]))",
            None,
        ),
        (
            maximum,
            "A condition is one true or false, and x (2, 5, 8) has 80 elements, 2*5*8.",
            "x.clamp(min=0)",
            None,
        ),
        (
            counted,
            "`range(x)` takes a tensor of one element, and x (2, 5, 8) has 80, 2*5*8.",
            "range(x.shape[0])",
            None,
        ),
        (
            whole,
            "`int(x.mean(-1))` takes a tensor of one element, and x.mean(-1) (2, 5) has 10, 2*5.",
            "x.mean(-1).long()",
            "on cpu",
        ),
        (
            decimal,
            "`float(x)` takes a tensor of one element, and x (2, 5, 8) has 80, 2*5*8.",
            "x.float()",
            "on cpu",
        ),
        (
            item,
            "`x.item()` takes a tensor of one element, and x (2, 5, 8) has 80, 2*5*8.",
            "x.tolist()",
            "on cpu",
        ),
        (
            length,
            "len() needs an axis to go along, and total () has 0 dimensions: it is one number.",
            "len(total.reshape(1))",
            "on cpu",
        ),
        (
            iterated,
            "A loop needs an axis to go along, and total () has 0 dimensions: it is one number.",
            "total.reshape(1)",
            "on cpu",
        ),
        (
            index,
            "An index is a whole number, and place () is float32.",
            "rows[int(place)]",
            None,
        ),
    ],
)
def test_one_of_many(function, rule, fix, tried):
    """Python asks for one number, one yes or one row, and the tensor has others."""
    found = both(function, X)
    assert (found.rule, found.fix, found.tried) == (rule, fix, tried)


def division_before(self, x):
    width = x.shape[-1] / 2
    return x.view(2, 5, 2, width)


def bound(self, x):
    half = x.shape[-1] / 2
    return x[..., :half]


def made(self, x):
    return torch.zeros(2, x.shape[-1] / 2)


def split(self, x):
    return x.split(x.shape[-1] / 2, dim=-1)


def ranged(self, x):
    return [step for step in range(x.shape[-1] / 2)]  # noqa: C416


def in_a_list(self, x):
    return x.view([2, x.sum(), -1])


def negative(self, x):
    return x.new_zeros(2, x.shape[1] - 7)


def named_axis(self, x):
    return x.sum(dim="last")


def quoted_axis(self, x):
    return x.softmax("-1")


@pytest.mark.parametrize(
    ("function", "rule", "fix"),
    [
        (
            bound,
            "`x[..., :half]` takes whole numbers, and `half` is the float 4.0.",
            "half = x.shape[-1] // 2",
        ),
        (
            made,
            (
                "`torch.zeros(2, x.shape[-1] / 2)` takes whole numbers, and `x.shape[-1] / 2` is the "
                "float 4.0."
            ),
            "torch.zeros(2, x.shape[-1] // 2)",
        ),
        (
            split,
            (
                "`x.split(x.shape[-1] / 2, dim=-1)` takes whole numbers, and `x.shape[-1] / 2` is the "
                "float 4.0."
            ),
            "x.split(x.shape[-1] // 2, dim=-1)",
        ),
        (
            ranged,
            "`range(x.shape[-1] / 2)` takes whole numbers, and `x.shape[-1] / 2` is the float 4.0.",
            "range(x.shape[-1] // 2)",
        ),
        (
            in_a_list,
            (
                "`x.view([2, x.sum(), -1])` takes whole numbers, and x.sum() () is a tensor of "
                "float32."
            ),
            "x.view([2, int(x.sum()), -1])",
        ),
        (
            negative,
            (
                "`x.new_zeros(2, x.shape[1] - 7)` takes sizes of 0 and more, and `x.shape[1] - 7` "
                "is -2."
            ),
            "x.new_zeros(2, max(x.shape[1] - 7, 0))",
        ),
        (
            named_axis,
            (
                "`x.sum(dim=\"last\")` takes its axis as a whole number, not as the text 'last', and "
                "x (2, 5, 8) has axes -3 to 2."
            ),
            "x.sum(dim=-1)",
        ),
        (
            quoted_axis,
            (
                "`x.softmax(\"-1\")` takes its axis as a whole number, not as the text '-1', and "
                "x (2, 5, 8) has axes -3 to 2."
            ),
            "x.softmax(-1)",
        ),
    ],
)
def test_whole_numbers(function, rule, fix):
    """Sizes, bounds and axes are whole numbers, and what makes them so was tried."""
    found = both(function, X)
    assert (found.rule, found.fix, found.tried) == (rule, fix, "on cpu")


def test_where_a_float_was_made():
    """The division that a name was assigned is shown with the line."""
    assert both(division_before, X).origin == ["width is a float: `x.shape[-1] / 2`."]


def sizes(self, x):
    high, wide = x.shape[1:]
    return high * wide


def test_a_part_of_a_shape():
    """The tensor is named whose sizes they are."""
    found = both(sizes, torch.ones(2, 5, 8, 3))
    assert found.rule == (
        "2 names (high, wide) take 2 sizes, and `x.shape[1:]` of x (2, 5, 8, 3) has 3: (5, 8, 3)."
    )
    assert (found.fix, found.tried) == ("high, wide = x.shape[-2:]", "on cpu")


def beyond(self, x):
    return x.shape[3]


def test_a_size_beyond_the_last():
    """An index of a shape is an axis of the tensor."""
    found = both(beyond, X)
    assert found.operands == ["x (2, 5, 8)"]
    assert (found.fix, found.tried) == ("x.shape[-1]", "on cpu")


def raised(self, x):
    if x.dim() == 3 and x.size(-1) != self.dim:
        raise ValueError("bad")
    return x


def unless(self, x):
    if not x.shape[-1] == self.dim:
        raise ValueError("bad")
    return x


def ranked(self, x):
    if x.dim() != self.dim:
        message = f"{x.dim()} axes"
        raise ValueError(message)
    return x


@pytest.mark.parametrize(
    ("function", "dim", "rule", "fixes"),
    [
        (
            asserted,
            64,
            (
                "The code itself asks for `x.shape[-1] == self.dim`, which does not hold: x.shape[-1] "
                "is 8 and self.dim is 64."
            ),
            ["build the module with dim=8"],
        ),
        (
            asserted,
            5,
            (
                "The code itself asks for `x.shape[-1] == self.dim`, which does not hold: x.shape[-1] "
                "is 8 and self.dim is 5."
            ),
            [
                "the size 5 is at axis 1, swap it with axis 2: `x.transpose(1, 2)`",
                "build the module with dim=8",
            ],
        ),
        (
            with_names,
            64,
            (
                "The code itself asks for `channels == self.dim`, which does not hold: channels is 8 "
                "and self.dim is 64."
            ),
            ["build the module with dim=8"],
        ),
        (
            at_most,
            4,
            (
                "The code itself asks for `tokens <= self.dim`, which does not hold: tokens is 5 and "
                "self.dim is 4."
            ),
            ["cut x to 4 before: `x[:, :4]`", "build the module with dim=5"],
        ),
        (
            divisible,
            3,
            (
                "The code itself asks for `x.shape[-1] % self.dim == 0`, which does not hold, "
                "8 = 3*2 + 2: x.shape[-1] % self.dim is 2, x.shape[-1] is 8 and self.dim is 3."
            ),
            ["build the module with dim=2"],
        ),
        (
            unless,
            64,
            (
                "The code itself asks for `x.shape[-1] == self.dim`, which does not hold: x.shape[-1] "
                "is 8 and self.dim is 64."
            ),
            ["build the module with dim=8"],
        ),
        (
            ranked,
            4,
            (
                "The code itself refuses `x.dim() != self.dim`, which holds: x.dim() is 3 and self.dim "
                "is 4."
            ),
            ["add the axis that it lacks: `x.unsqueeze(0)` has shape (1, 2, 5, 8)"],
        ),
    ],
)
def test_a_check_of_the_authors_own(function, dim, rule, fixes):
    """Both sides of what did not hold are said, and what would pass it was tried."""
    found = both(function, X, dim=dim)
    assert (found.rule, found.fixes, found.tried) == (rule, fixes, "on cpu")
    assert found.operands == ["x (2, 5, 8)"]


def test_a_check_of_two_shapes():
    """Whole shapes are sides as well."""
    found = both(shapes, X, X[0])
    assert found.rule == (
        "The code itself asks for `x.shape == y.shape`, which does not hold: x.shape is (2, 5, 8) "
        "and y.shape is (5, 8)."
    )
    assert found.operands == ["x (2, 5, 8)", "y (5, 8)"]


def test_an_error_of_the_authors_own_among_others():
    """Of two conditions the one that decided is said."""
    found = both(raised, X, dim=64)
    assert found.rule == (
        "The code itself refuses `x.dim() == 3 and x.size(-1) != self.dim`, which holds: x.dim() "
        "is 3, x.size(-1) is 8 and self.dim is 64."
    )


def copied(self, x):
    return copy.deepcopy(x * self.scale)


def test_a_function_of_pythons_is_no_method():
    """`copy.deepcopy(state)` copies state: the module before the point is no operand."""
    x = X.clone().requires_grad_()
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(Kept(copied, scale=2), x)
    assert [one.name for one in caught.value.diagnosis.operands] == ["x * self.scale"]


def product(self, x):
    return x @ x


def test_a_traceback_is_not_read_for_what_was_watched(monkeypatch):
    """The call that a witness saw is explained without working out the author's expressions."""
    asked = []
    monkeypatch.setattr(stop, "crashed", lambda *given: asked.append(given))
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(Kept(product), X)
    assert caught.value.diagnosis.rule is not None
    assert asked == []


def lost(self, x):
    return (x * 2) @ torch.cat([x, self.norm(x)], dim=-1).relu()


def test_a_few_numbers_are_worked_out_without_meta(monkeypatch):
    """The first op on meta imports a compiler, which a small crash on the CPU does not wait for."""
    monkeypatch.delattr(OnMeta, "twin")
    with pytest.raises(RuntimeError) as caught:
        Kept(lost, norm=nn.LayerNorm(8))(X)
    assert [(one.name, one.shape) for _, one in crashed(caught.value).call.tensors()] == [
        ("x * 2", (2, 5, 8)),
        ("torch.cat([x, self.norm(x)], dim=-1).relu()", (2, 5, 16)),
    ]
