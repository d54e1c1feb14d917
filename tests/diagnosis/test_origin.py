"""Where what is wrong came from, as the panel tells it: sizes, number formats, devices, writes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attntrace


def origin_of(module, *inputs):
    """Return what is said of the origin of a failure, with the text of each line."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, *inputs)
    return [(step.said, step.line) for step in caught.value.diagnosis.origin]


class Mixed(nn.Module):
    """Multiplies by a table of another number format, and then by what has the first."""

    def __init__(self):
        super().__init__()
        self.table = torch.ones(4)

    def forward(self, x):
        scaled = x * self.table
        scores = scaled.softmax(-1)
        return scores @ x


def test_the_line_that_promoted():
    """The line where the number format changed is told, not those that kept it."""
    assert origin_of(Mixed(), torch.ones(4, 4, dtype=torch.bfloat16)) == [
        (
            "`mul` made scaled float32 of x, bfloat16.",
            "scaled = x * self.table",
        )
    ]


class Left(nn.Module):
    """Holds a table that moves nowhere."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.table = torch.ones(5, 3)

    def forward(self, x):
        rows = self.table[: x.shape[0]]
        return x * self.scale + rows


def test_the_line_that_made_what_stayed_behind():
    """A plain tensor that the module holds is told from a buffer, with the line that made it."""
    steps = origin_of(Left().to("meta"), torch.ones(2, 3, device="meta"))
    assert steps[-1] == (
        "`self.table` is a plain tensor, no buffer: model.to(...) leaves it behind.",
        "self.table = torch.ones(5, 3)",
    )


class Heads(nn.Module):
    """Splits a width into heads that do not divide it."""

    def __init__(self, width=64, heads=6):
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads

    def forward(self, x):
        return x.view(2, 5, self.heads, self.head_dim)


def test_the_lines_that_set_the_numbers_of_a_call():
    """What a call takes from the module is followed to the constructor."""
    steps = origin_of(Heads(), torch.ones(2, 5, 64))
    assert (
        "`Heads` is built with head_dim = width // heads = 10, with width=64, heads=6.",
        "self.head_dim = width // heads",
    ) in steps
    assert any(said.startswith("heads=6") for said, _ in steps)


class Written(nn.Module):
    """Writes into what backward needs."""

    def forward(self, x):
        h = torch.sigmoid(x)
        h += 1
        h.sum().backward()
        return h


def test_the_line_that_wrote_in_place():
    """The line that changed what backward needs is told."""
    assert origin_of(Written(), torch.ones(3, requires_grad=True)) == [
        ("`add_` wrote in place into h of `sigmoid`.", "h += 1")
    ]


class Divided(nn.Module):
    """Divides in place what backward needs."""

    def forward(self, x):
        h = torch.exp(x)
        h /= h.sum()
        return torch.autograd.grad(h.sum(), x)[0]


def test_the_line_that_divided_in_place():
    """What is overwritten is then of the op that wrote, and is found all the same."""
    (step,) = origin_of(Divided(), torch.ones(3, requires_grad=True))
    assert step == ("`div_` wrote in place into h of `exp`.", "h /= h.sum()")


class Relative(nn.Module):
    """Looks a bias up by an index that was made for another length."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(9, 2))
        self.register_buffer("index", torch.zeros(5, 5, dtype=torch.long))

    def forward(self, scores):
        bias = self.table[self.index].permute(2, 0, 1)
        return scores + bias


def test_an_index_of_the_module_is_followed_to_where_it_was_made():
    """What x[index] has of its index is the index's, and both tensors have their say."""
    steps = origin_of(Relative(), torch.zeros(1, 2, 4, 4))
    assert steps[0] == (
        "`getitem` with the index `self.index` made 5 at axis 0.",
        "bias = self.table[self.index].permute(2, 0, 1)",
    )
    assert steps[1][1] == 'self.register_buffer("index", torch.zeros(5, 5, dtype=torch.long))'
    assert steps[-1] == ("`scores` came in as (1, 2, 4, 4), 4 at axis 2.", None)


class Gathered(nn.Module):
    """Weighs the rows of one index by those of another."""

    def forward(self, x, src, dst):
        return x[src] * x[dst]


def test_rows_that_were_picked_are_followed_to_the_index():
    """The length of x[index] is that of the index."""
    steps = origin_of(Gathered(), *(torch.zeros(n).long() for n in (9, 4, 3)))
    assert steps == [
        ("`dst` came in as (3,), 3 at axis 0.", None),
        ("`src` came in as (4,), 4 at axis 0.", None),
    ]


class Started(nn.Module):
    """Makes a state of a number that it holds."""

    def __init__(self, layers=3):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        state = torch.zeros(self.layers, 5)
        return x + state


def test_a_number_on_the_last_line_is_followed_to_the_constructor():
    """Where no row tells more, the module's own number on that line does."""
    steps = origin_of(Started(), torch.zeros(2, 5))
    assert ("layers=3 is the default of Started.", "def __init__(self, layers=3):") in steps


class Adapted(nn.Module):
    """Has one layer that was added after the rest was cast."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        self.down = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        return self.down(self.body(x))


def test_a_layer_of_another_format_than_the_model():
    """A layer of torch's is told of where it alone has its number format."""
    module = Adapted()
    module.body.half()
    assert origin_of(module, torch.zeros(3, 4).half())[-1] == (
        "`down.weight` is float32, where 4 of the model's 5 parameters are float16.",
        "self.down = nn.Linear(4, 2, bias=False)",
    )


class Merged(nn.Module):
    """Permutes the axes of a map that was flattened before."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 2)

    def forward(self, x):
        tokens = self.conv(x).flatten(2)
        tokens = tokens * 2
        return tokens.permute(0, 2, 3, 1)


def test_the_line_that_set_the_number_of_axes():
    """Where the number of axes is wrong, no size is followed but the line that made it so."""
    assert origin_of(Merged(), torch.ones(2, 3, 5, 5)) == [
        (
            "`flatten` made `tokens` (2, 5, 16) of `self.conv(x)`, (2, 5, 4, 4).",
            "tokens = self.conv(x).flatten(2)",
        )
    ]


def test_gather_has_the_shape_of_its_index():
    """It picks single numbers, which is where rows were lost."""

    class Picked(nn.Module):
        def forward(self, x, places):
            near = torch.gather(x, 1, places)
            return x.unsqueeze(2).expand_as(near)

    places = torch.zeros(2, 5, 3, dtype=torch.int64)
    steps = origin_of(Picked(), torch.ones(2, 5, 4), places)
    assert steps[0] == (
        "`gather` made `near` (2, 5, 3) of `x`, (2, 5, 4) and `places`, (2, 5, 3).",
        "near = torch.gather(x, 1, places)",
    )


def test_an_input_without_a_batch():
    """What came in with too few axes is told as that."""

    class Unpacked(nn.Module):
        def forward(self, x):
            y = x + 1
            batch, _, _, _ = y.shape
            return y.view(batch, -1)

    assert origin_of(Unpacked(), torch.ones(3, 4, 4)) == [("`x` came in as (3, 4, 4).", None)]


def _table(width):
    return torch.ones(10, width)


class Rotated(nn.Module):
    """Multiplies by a buffer that a function made."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cos", _table(4))

    def forward(self, x):
        cos = self.cos[: x.shape[1]]
        return x * cos


def test_the_line_that_registered_a_buffer():
    """Where no size of it can be read off the source, the line that made it is told."""
    assert origin_of(Rotated(), torch.ones(2, 3, 8))[:2] == [
        ("`getitem` gave `cos` as (3, 4), 4 at axis 1.", "cos = self.cos[: x.shape[1]]"),
        ("`cos` (10, 4) float32 is made here.", 'self.register_buffer("cos", _table(4))'),
    ]


class Half(nn.Module):
    """Multiplies by a buffer of another number format."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("bank", torch.ones(3, 4).half())

    def forward(self):
        return self.fc(self.bank.expand(2, -1, -1))


def test_the_line_that_made_a_buffer_of_another_format():
    """A buffer that is of another number format is told with its line."""
    assert origin_of(Half())[-1] == (
        "`bank` (3, 4) float16 is made here.",
        'self.register_buffer("bank", torch.ones(3, 4).half())',
    )


class Cache(nn.Module):
    """Writes more than there is room for, the second time."""

    def __init__(self, longest=4):
        super().__init__()
        self.register_buffer("k", torch.zeros(2, longest, 3))

    def forward(self, x):
        self.k[:, 0:3] = x
        self.k[:, 3:6] = x
        return self.k


def test_the_room_of_a_cache():
    """A buffer that was written into is still one, and the size of it that is short is told."""
    assert origin_of(Cache(), torch.ones(2, 3, 3))[:2] == [
        (
            "`k` is built with axis 1 = longest = 4.",
            'self.register_buffer("k", torch.zeros(2, longest, 3))',
        ),
        ("longest=4 is the default of Cache.", "def __init__(self, longest=4):"),
    ]


class Projected(nn.Module):
    """Multiplies by a parameter of its own."""

    def __init__(self, width):
        super().__init__()
        self.proj = nn.Parameter(torch.ones(4, width))

    def forward(self, x):
        return x @ self.proj


class Towers(nn.Module):
    """Compares what two projections make."""

    def __init__(self):
        super().__init__()
        self.one, self.other = Projected(6), Projected(7)

    def forward(self, x):
        left, right = self.one(x), self.other(x)
        return left @ right.t()


def test_a_product_with_a_parameter_of_the_module():
    """The size that it gives is that parameter's, and is followed to the constructor."""
    steps = origin_of(Towers(), torch.ones(5, 4))
    assert (
        "`matmul` with `self.proj` made 7, the last size of that.",
        "return x @ self.proj",
    ) in steps
    assert (
        "`other.proj` is built with axis 1 = width = 7.",
        "self.proj = nn.Parameter(torch.ones(4, width))",
    ) in steps
    assert "`Projected(7)` gives it width=7." in [said for said, _ in steps]


def test_both_directions_of_a_recurrence():
    """The features of a bidirectional one are twice its hidden size."""

    class Read(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)

        def forward(self, x):
            memory, _ = self.rnn(x)
            return x @ memory.transpose(1, 2)

    said = [one for one, _ in origin_of(Read(), torch.ones(2, 3, 4))]
    assert "`rnn` made it: 10 = 2 * 5, both directions of hidden_size=5." in said


class Routed(nn.Module):
    """Adds what was weighed in another number format, at an index."""

    def forward(self, x, rows):
        weights = x.softmax(-1, dtype=torch.float32)
        weighed = x * weights
        return torch.zeros_like(x).index_add_(0, rows, weighed)


def test_the_line_that_made_what_promoted():
    """Of a promotion the operand that brought the format is followed too; an index is not."""
    x = torch.ones(3, 4, dtype=torch.bfloat16)
    assert origin_of(Routed(), x, torch.arange(3)) == [
        (
            "`weighed` became float32 here: weights is float32, x is bfloat16.",
            "weighed = x * weights",
        ),
        (
            "`softmax` made weights float32 of x, bfloat16.",
            "weights = x.softmax(-1, dtype=torch.float32)",
        ),
    ]
