"""Indexes and look-ups that fail: ids, positions, masks, parts of an axis."""

from __future__ import annotations

import pytest
import torch
from torch import nn, rand

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.indexing.index import explain
from tests.diagnosis.failing import Case, ids, likeliest

CASES = [
    Case(
        "x[torch.arange(2), y]",
        rand(2, 9, 5),
        ids(2, fill=9),
        rule="`x[torch.arange(2), y]` reads axis 1 of x, (2, 9, 5), which has 9, 0 to 8, and y holds the value 9.",
        fix="x[torch.arange(2), y - 1]",
    ),
    Case(
        "x[:, -1, :]",
        rand(2, 9),
        rule="`x[:, -1, :]` indexes 3 axes, and x, (2, 9), has 2.",
        fix="x[-1, :]",
    ),
    Case(
        "self.position_embeddings(x)",
        torch.arange(80),
        position_embeddings=nn.Embedding(64, 48),
        rule="`self.position_embeddings` has 64 rows, 0 to 63 (num_embeddings=64), and x holds values from 0 to 79.",
        fix="self.position_embeddings = nn.Embedding(80, 48)",
    ),
    Case(
        "self.emb(x)",
        ids(2, 9, fill=100),
        emb=nn.Embedding(100, 48),
        rule="`self.emb` has 100 rows, 0 to 99 (num_embeddings=100), and x holds the value 100.",
        fix="self.emb = nn.Embedding(101, 48)",
    ),
    Case(
        "self.emb(x)",
        ids(2, 9) - 1,
        emb=nn.Embedding(100, 48),
        rule="`self.emb` has 100 rows, 0 to 99 (num_embeddings=100), and x holds the value -1.",
        fix="self.emb(x.clamp(0))",
    ),
    Case(
        "self.emb(x)",
        torch.arange(9) - 4,
        emb=nn.Embedding(9, 48),
        rule="`self.emb` has 9 rows, 0 to 8 (num_embeddings=9), and x holds values from -4 to 4.",
        fix="self.emb(x + 4)",
    ),
    Case(
        "self.emb(x)",
        rand(2, 9),
        emb=nn.Embedding(100, 48),
        rule="`self.emb` looks rows up by whole numbers, int64, and x is float32.",
        fix="self.emb(x.long())",
    ),
    Case(
        "self.emb(x)",
        rand(2, 9, 12),
        emb=nn.Embedding(100, 48),
        rule="`self.emb` looks rows up by whole numbers, int64, and x is float32.",
        fix="take a linear layer for features: `nn.Linear(12, 48)`",
    ),
    Case(
        "self.emb(x)",
        rand(2, 9, 100),
        emb=nn.Embedding(100, 48),
        rule="`self.emb` looks rows up by whole numbers, int64, and x is float32.",
        fix="self.emb(x.argmax(-1))",
    ),
    Case(
        "self.emb(x)",
        ids(2, 9).to(torch.int16),
        emb=nn.Embedding(100, 48),
        rule="`self.emb` looks rows up by whole numbers, int64, and x is int16.",
        fix="self.emb(x.long())",
    ),
    Case(
        "F.embedding(x, y)",
        ids(2, 9, fill=120),
        rand(100, 48),
        rule="embedding has 100 rows, 0 to 99 (num_embeddings=100), and x holds the value 120.",
        fix="build embedding with num_embeddings=121 or more: `nn.Embedding(121, 48)`, one row for each id of the vocabulary",
    ),
    Case(
        "self.bag(x)",
        ids(9),
        bag=nn.EmbeddingBag(100, 48),
        rule="`self.bag` needs offsets for x of 1 axis, (9,), which say where each bag begins.",
        fix="self.bag(x.unsqueeze(0))",
    ),
    Case(
        "self.bag(x)",
        ids(2, 9, fill=100),
        bag=nn.EmbeddingBag(100, 48),
        rule="`self.bag` has 100 rows, 0 to 99 (num_embeddings=100), and x holds the value 100.",
        fix="self.bag = nn.EmbeddingBag(101, 48)",
    ),
    Case(
        "x.gather(1, y)",
        rand(3, 4),
        ids(3, 2, fill=9),
        rule="gather reads x, (3, 4), along axis 1 of 4, 0 to 3, and y holds the value 9.",
        fix="x.gather(1, y.clamp(0, 3))",
    ),
    Case(
        "x.gather(1, y)",
        rand(3, 4),
        ids(3),
        rule="gather needs y, (3,), to have as many axes as x, (3, 4), 2, and it has 1.",
        fix="x.gather(1, y.unsqueeze(1))",
    ),
    Case(
        "x.gather(1, y)",
        rand(3, 4, 7),
        ids(3, 2),
        rule="gather needs y, (3, 2), to have as many axes as x, (3, 4, 7), 3, and it has 2.",
        fix="x.gather(1, y.unsqueeze(2).expand(-1, -1, 7))",
    ),
    Case(
        "x.gather(1, y)",
        rand(3, 4),
        ids(5, 2),
        rule="gather along axis 1 needs axis 0 of y, 5, to be no longer than that of x, 3.",
        fix="x.gather(1, y.transpose(0, 1))",
    ),
    Case(
        "torch.gather(x, 1, y)",
        rand(3, 4),
        rand(3, 2),
        rule="gather needs y to be int64, and it is float32.",
        fix="torch.gather(x, 1, y.long())",
    ),
    Case(
        "x.scatter(1, y, x)",
        rand(3, 4),
        ids(3, 6),
        rule="scatter takes one number of x, (3, 4), for each of y, (3, 6).",
        fix="make x of shape (3, 6)",
    ),
    Case(
        "x.scatter(1, y, z)",
        rand(3, 4),
        ids(3, 2),
        rand(3, 4).double(),
        rule="scatter needs z, float64, to be of the dtype of x, float32.",
        fix="x.scatter(1, y, z.to(torch.float32))",
    ),
    Case(
        "torch.take_along_dim(x, y, 1)",
        rand(3, 4),
        ids(2, 2),
        rule="take_along_dim along axis 1 needs axis 0 of y, 2, to be 1 or that of x, 3.",
    ),
    Case(
        "torch.take_along_dim(x, y, 1)",
        rand(3, 4),
        ids(3),
        rule="take_along_dim needs y, (3,), to have as many axes as x, (3, 4), 2, and it has 1.",
        fix="torch.take_along_dim(x, y.unsqueeze(1), 1)",
    ),
    Case(
        "x.index_select(1, y)",
        rand(3, 14),
        ids(2, fill=19),
        rule="index_select reads x, (3, 14), along axis 1 of 14, 0 to 13, and y holds the value 19.",
        fix="x.index_select(1, y.clamp(0, 13))",
    ),
    Case(
        "x.index_select(0, y)",
        rand(3, 14),
        ids(2, fill=9),
        rule="index_select reads x, (3, 14), along axis 0 of 3, 0 to 2, and y holds the value 9.",
        fix="x.index_select(1, y)",
    ),
    Case(
        "x.index_select(1, y)",
        rand(3, 4),
        ids(3, 2),
        rule="index_select takes an index of 1 axis, and y, (3, 2), has 2.",
        fix="x.index_select(1, y.flatten())",
    ),
    Case(
        "x.index_select(1, y)",
        rand(3, 4),
        rand(2),
        rule="index_select needs y to be int64, and it is float32.",
        fix="x.index_select(1, y.long())",
    ),
    Case(
        "x.index_add(1, y, z)",
        rand(3, 4),
        ids(2),
        rand(3, 3),
        rule="index_add adds one slice of z along axis 1 for each number of y, and these are 3 of z, (3, 3), for 2 of y: 3 = 2 + 1.",
        fix="compute z with the same index as it is added by, so that both have 2: if z was extended in between (self loops, padding), extend it before",
    ),
    Case(
        "x.index_add(0, y, z)",
        rand(3, 4),
        ids(2),
        rand(2, 3),
        rule="index_add along axis 0 of x, (3, 4), with the 2 of y needs z, (2, 3), to be (2, 4).",
        fix="make z of shape (2, 4)",
    ),
    Case(
        "F.one_hot(x, 4)",
        ids(2, fill=9),
        rule="one_hot needs classes 0 to 3 for num_classes=4, and x holds the value 9.",
        fix="F.one_hot(x, 10)",
    ),
    Case(
        "F.one_hot(x, 4)",
        rand(2),
        rule="one_hot needs x to be int64, and it is float32.",
        fix="F.one_hot(x.long(), 4)",
    ),
    Case(
        "F.one_hot(x)",
        ids(2) - 1,
        rule="one_hot needs classes not below 0, and x holds the value -1.",
        fix="F.one_hot(x + 1)",
    ),
    Case(
        "x.narrow(1, 2, 3)",
        rand(3, 4),
        rule="narrow takes 3 from 2 on of axis 1 of x, (3, 4), up to 2 + 3 = 5, and there are 4.",
        fix="x.narrow(1, 2, 2)",
    ),
    Case(
        "x.select(1, 4)",
        rand(3, 4),
        rule="select asks for number 4 of axis 1 of x, (3, 4), which has 4: 0 to 3.",
        fix="x.select(1, -1)",
    ),
    Case(
        "x.unfold(1, 5, 1)",
        rand(3, 4),
        rule="unfold takes windows of 5 along axis 1 of x, (3, 4), which has 4.",
        fix="x.unfold(1, 4, 1)",
    ),
    Case(
        "x[3]",
        rand(3, 4),
        rule="`x[3]` asks for number 3 of axis 0 of x, (3, 4), which has 3: 0 to 2.",
        fix="x[:, 3]",
    ),
    Case(
        "x[:, 4]",
        rand(3, 4),
        rule="`x[:, 4]` asks for number 4 of axis 1 of x, (3, 4), which has 4: 0 to 3.",
        fix="x[:, -1]",
    ),
    Case(
        "x[:, -1, 5]",
        rand(3, 4, 5),
        rule="`x[:, -1, 5]` asks for number 5 of axis 2 of x, (3, 4, 5), which has 5: 0 to 4.",
        fix="x[:, -1, -1]",
    ),
    Case(
        "x[[0, 5]]",
        rand(3, 4),
        rule="`x[[0, 5]]` asks for number 5 of axis 0 of x, (3, 4), which has 3: 0 to 2.",
        fix="x[[0]]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        ids(2, fill=7),
        rule="`x[y]` reads axis 0 of x, (3, 4), which has 3, 0 to 2, and y holds the value 7.",
        fix="make x 8 long along axis 0: (8, 4)",
    ),
    Case(
        "x[:, y]",
        rand(3, 4),
        ids(2, fill=7),
        rule="`x[:, y]` reads axis 1 of x, (3, 4), which has 4, 0 to 3, and y holds the value 7.",
        fix="make x 8 long along axis 1: (3, 8)",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        rand(2),
        rule="An index must be of whole numbers or a mask, and y, (2,), is float32.",
        fix="x[y.long()]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        rand(3),
        rule="An index must be of whole numbers or a mask, and y, (3,), is float32.",
        fix="x[y.long()]",
    ),
    Case(
        "x[0, 1, 2]",
        rand(3, 4),
        rule="`x[0, 1, 2]` indexes 3 axes, and x, (3, 4), has 2.",
        fix="x.unsqueeze(0)[0, 1, 2]",
    ),
    Case(
        "x[:, :, 0]",
        rand(3, 4),
        rule="`x[:, :, 0]` indexes 3 axes, and x, (3, 4), has 2.",
        fix="x[:, 0]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        torch.ones(4, dtype=torch.bool),
        rule="`x[y]` needs the mask y, (4,), to have the shape of the axes of x, (3, 4), that it lies over, (3,): 4 is not 3.",
        fix="x[:, y]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        torch.ones(4, 3, dtype=torch.bool),
        rule="`x[y]` needs the mask y, (4, 3), to have the shape of the axes of x, (3, 4), that it lies over, (3, 4): 4 is not 3.",
        fix="x[y.transpose(0, 1)]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        torch.ones(3, 1, dtype=torch.bool),
        rule="`x[y]` needs the mask y, (3, 1), to have the shape of the axes of x, (3, 4), that it lies over, (3, 4): 1 is not 4.",
        fix="x[y.expand(3, 4)]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        torch.ones(3, 4, 1, dtype=torch.bool),
        rule="`x[y]` indexes 3 axes, and x, (3, 4), has 2.",
        fix="x[y.squeeze(-1)]",
    ),
    Case(
        "x[y]",
        rand(3, 4),
        torch.ones(5, dtype=torch.bool),
        rule="`x[y]` needs the mask y, (5,), to have the shape of the axes of x, (3, 4), that it lies over, (3,): 5 is not 3.",
        fix="x[y[:3]]",
    ),
    Case(
        "x[y, z]",
        rand(3, 4),
        ids(2),
        ids(3),
        rule="The indexes in `x[y, z]` must broadcast together, and y is (2,), z (3,).",
        fix="x[y.unsqueeze(-1), z]",
    ),
    Case(
        "x.sum()[0]",
        rand(3, 4),
        rule="`x.sum()[0]` indexes 1 axis, and x.sum(), (), has 0.",
        fix="x.sum()",
    ),
    Case(
        "x[1.5]",
        rand(3, 4),
        rule="`x[1.5]` has the index 1.5, and an index is a whole number.",
        fix="x[1]",
    ),
    Case(
        "x['a']",
        rand(3, 4),
        rule="`x['a']` asks for the name 'a', and x is a tensor, (3, 4), which has axes and no names.",
    ),
    Case(
        "x[:, 0:2] = y",
        rand(3, 4),
        rand(3, 3),
        rule="`x[:, 0:2]` of x, (3, 4), is (3, 2), and y, (3, 3), does not fit in it.",
        fix="x[:, 0:2] = y[:, :2]",
    ),
    Case(
        "x[:, :, 60:70] = y",
        rand(2, 4, 64, 8),
        rand(2, 4, 10, 8),
        rule="`x[:, :, 60:70]` of x, (2, 4, 64, 8), is (2, 4, 4, 8), and y, (2, 4, 10, 8), does not fit in it.",
        fix="build x with room for 70 along axis 2, where it has 64 (the maximum length, max_len): (2, 4, 70, 8)",
    ),
    Case(
        "x[y] = z",
        rand(3, 4),
        ids(2),
        rand(3, 4),
        rule="`x[y]` of x, (3, 4), is (2, 4), and z, (3, 4), does not fit in it.",
        fix="x[y] = z[:2]",
    ),
    Case(
        "x[:, :5] = y",
        rand(3, 9),
        rand(5, 3),
        rule="`x[:, :5]` of x, (3, 9), is (3, 5), and y, (5, 3), does not fit in it.",
        fix="x[:, :5] = y.transpose(0, 1)",
    ),
    Case(
        "x[y] = 0",
        rand(3, 4),
        torch.ones(4, dtype=torch.bool),
        rule="`x[y] = 0` needs the mask y, (4,), to have the shape of the axes of x, (3, 4), that it lies over, (3,): 4 is not 3.",
        fix="x[:, y] = 0",
    ),
    Case(
        "x[:, 0] = y",
        rand(3, 9),
        rand(3, 1),
        rule="`x[:, 0]` of x, (3, 9), is (3,), and y, (3, 1), does not fit in it.",
        fix="x[:, 0] = y.squeeze(1)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_failure_and_its_likeliest_fix(case):
    """The rule names both numbers, the likeliest fix comes first, and what is offered runs."""
    assert likeliest(case) == (case.rule, case.fix)


IDS = Given(name="ids", shape=(2, 9), dtype="int64", least=0, most=120)
TABLE = Given(name="table", shape=(100, 48))


@pytest.mark.parametrize(
    "call",
    [
        FailedCall(op="embedding", args=(IDS, TABLE)),
        FailedCall(op="embedding", args=(TABLE, IDS)),
        FailedCall(op="aten.embedding.default", args=(TABLE, IDS)),
        FailedCall(op="embedding", args=(IDS,), kwargs={"weight": TABLE}),
    ],
)
def test_a_table_is_told_from_the_ids(call):
    """`F.embedding` takes the ids first, `torch.embedding` the table."""
    found = explain(call)
    assert found.rule == (
        "embedding has 100 rows, 0 to 99 (num_embeddings=100), and ids holds values from 0 to 120."
    )
    assert [(one.tensor.name, one.dim, one.setting) for one in found.culprits] == [
        ("table", 0, "num_embeddings"),
    ]


def test_ids_that_nobody_looked_at():
    """On a GPU only the error says that ids are no rows; the length of the ids is a hint."""
    positions = Given(name="positions", shape=(80,), dtype="int64", device="cuda:0")
    call = FailedCall(op="embedding", args=(positions, TABLE), error="IndexError")
    assert explain(call).rule == (
        "embedding has 100 rows and needs positions, (80,), to hold 0 to 99 only."
    )
    assert explain(FailedCall(op="embedding", args=(positions, TABLE))) is None
    longer = FailedCall(
        op="embedding", args=(positions, TABLE.of_shape(64, 48)), error="IndexError"
    )
    (fix,) = explain(longer).proposals
    assert "nn.Embedding(80, 48)" in fix.said
