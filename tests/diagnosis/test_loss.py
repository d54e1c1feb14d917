"""Losses that fail: classes at the wrong axis, targets that are none, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn, rand

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.layers.loss import explain
from tests.diagnosis.failing import Case, ids, likeliest

CASES = [
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 9, 50),
        ids(2, 9),
        rule="cross_entropy reads the classes of x, (2, 9, 50), from axis 1, 9, and needs y to be (2, 50), and it is (2, 9).",
        fix="F.cross_entropy(x.transpose(1, 2), y)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 8, 8, 5),
        ids(2, 8, 8),
        rule="cross_entropy reads the classes of x, (2, 8, 8, 5), from axis 1, 8, and needs y to be (2, 8, 5), and it is (2, 8, 8).",
        fix="F.cross_entropy(x.permute(0, 3, 1, 2), y)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        ids(2, 9),
        rule="cross_entropy reads the classes of x, (18, 50), from axis 1, 50, and needs y to be (18,), and it is (2, 9).",
        fix="F.cross_entropy(x, y.flatten())",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 9, 50),
        ids(18),
        rule="cross_entropy reads the classes of x, (2, 9, 50), from axis 1, 9, and needs y to be (2, 50), and it is (18,).",
        fix="F.cross_entropy(x.flatten(0, 1), y)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        ids(17),
        rule="cross_entropy reads the classes of x, (18, 50), from axis 1, 50, and needs y to be (18,), and it is (17,).",
        fix="F.cross_entropy(x[:17], y)",
    ),
    Case(
        "F.cross_entropy(x[:, :-1], y[:, 1:])",
        rand(2, 9, 50),
        ids(2, 9),
        rule="cross_entropy reads the classes of x[:, :-1], (2, 8, 50), from axis 1, 8, and needs y[:, 1:] to be (2, 50), and it is (2, 8).",
        fix="F.cross_entropy(x[:, :-1].transpose(1, 2), y[:, 1:])",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 9, 50),
        ids(2, 8),
        rule="cross_entropy reads the classes of x, (2, 9, 50), from axis 1, 9, and needs y to be (2, 50), and it is (2, 8).",
        fix="F.cross_entropy(x[:, :8].transpose(1, 2), y)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        rand(18),
        rule="cross_entropy needs the classes in y to be int64, and they are float32.",
        fix="F.cross_entropy(x, y.long())",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        ids(18).int(),
        rule="cross_entropy needs the classes in y to be int64, and they are int32.",
        fix="F.cross_entropy(x, y.long())",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 21, 4, 4),
        ids(2, 4, 4, fill=255),
        rule="cross_entropy has 21 classes, 0 to 20, from axis 1 of x, and y holds the value 255.",
        fix="F.cross_entropy(x, y, ignore_index=255)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        ids(18, fill=50),
        rule="cross_entropy has 50 classes, 0 to 49, from axis 1 of x, and y holds the value 50.",
        fix="F.cross_entropy(x, y - 1)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        torch.arange(18) - 1,
        rule="cross_entropy has 50 classes, 0 to 49, from axis 1 of x, and y holds values from -1 to 16.",
        fix="F.cross_entropy(x, y, ignore_index=-1)",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        torch.arange(18) + 40,
        rule="cross_entropy has 50 classes, 0 to 49, from axis 1 of x, and y holds values from 40 to 57.",
        fix="give the last layer 58 outputs, one for each class from 0 to 57",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        ids(18, 1),
        rule="cross_entropy reads the classes of x, (18, 50), from axis 1, 50, and needs y to be (18,), and it is (18, 1).",
        fix="F.cross_entropy(x, y.squeeze(1))",
    ),
    Case(
        "F.cross_entropy(x, y, weight=z)",
        rand(18, 50),
        ids(18),
        rand(40),
        rule="cross_entropy needs a weight for each of the 50 classes of x, and z is (40,).",
        fix="make z of 50 numbers",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        rand(18, 40),
        rule="cross_entropy reads the classes of x, (18, 50), from axis 1, 50, and needs y to be (18,), and it is (18, 40).",
        fix="let the last layer give a number for each of the 40 classes of y",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 50),
        ids(18, 50),
        rule="cross_entropy takes y of the shape of x, (18, 50), for probabilities and needs it to be float32, and it is int64.",
        fix="F.cross_entropy(x, y.float())",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 5, 8, 8),
        ids(2, 1, 8, 8),
        rule="cross_entropy reads the classes of x, (2, 5, 8, 8), from axis 1, 5, and needs y to be (2, 8, 8), and it is (2, 1, 8, 8).",
        fix="F.cross_entropy(x, y.squeeze(1))",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(2, 5, 8, 8),
        ids(2, 4, 4),
        rule="cross_entropy reads the classes of x, (2, 5, 8, 8), from axis 1, 5, and needs y to be (2, 8, 8), and it is (2, 4, 4).",
        fix="bring the logits to the size of y: `F.interpolate(x, size=(4, 4))`",
    ),
    Case(
        "F.cross_entropy(x, y)",
        rand(18, 1),
        ids(18, fill=1),
        rule="cross_entropy has 1 classes, 0 to 0, from axis 1 of x, and y holds the value 1.",
        fix="F.cross_entropy(x, y - 1)",
    ),
    Case(
        "self.loss(x, y)",
        rand(2, 9, 50),
        ids(2, 9),
        loss=nn.CrossEntropyLoss(),
        rule="`self.loss` reads the classes of x, (2, 9, 50), from axis 1, 9, and needs y to be (2, 50), and it is (2, 9).",
        fix="self.loss(x.transpose(1, 2), y)",
    ),
    Case(
        "F.nll_loss(x, y)",
        rand(2, 9, 50),
        ids(2, 9),
        rule="nll_loss reads the classes of x, (2, 9, 50), from axis 1, 9, and needs y to be (2, 50), and it is (2, 9).",
        fix="F.nll_loss(x.transpose(1, 2), y)",
    ),
    Case(
        "F.mse_loss(x, y)",
        rand(4, 3),
        rand(4, 5),
        rule="mse_loss needs y, (4, 5), to have the shape of x, (4, 3): 3 is not 5.",
        fix="let the layer that makes x give 5 numbers, not 3",
    ),
    Case(
        "F.l1_loss(x, y)",
        rand(4, 3),
        rand(3, 4),
        rule="l1_loss needs y, (3, 4), to have the shape of x, (4, 3): 3 is not 4.",
        fix="F.l1_loss(x, y.transpose(-2, -1))",
    ),
    Case(
        "F.smooth_l1_loss(x, y)",
        rand(4, 3),
        rand(5, 3),
        rule="smooth_l1_loss needs y, (5, 3), to have the shape of x, (4, 3): 4 is not 5.",
        fix="F.smooth_l1_loss(x, y[:4])",
    ),
    Case(
        "F.mse_loss(x, y)",
        ids(4),
        ids(4),
        rule="mse_loss compares numbers with a point, and y is int64.",
        fix="F.mse_loss(x, y.float())",
    ),
    Case(
        "F.mse_loss(x, y)",
        rand(4, 3),
        ids(4),
        rule="mse_loss needs y, (4,), to have the shape of x, (4, 3).",
        fix="y holds classes, one of 3 for each row: `F.cross_entropy(x, y)`",
    ),
    Case(
        "F.binary_cross_entropy(x, y)",
        rand(4, 1),
        rand(4),
        rule="binary_cross_entropy needs y, (4,), to have the shape of x, (4, 1).",
        fix="F.binary_cross_entropy(x.squeeze(-1), y)",
    ),
    Case(
        "F.binary_cross_entropy_with_logits(x, y)",
        rand(4, 1),
        rand(4),
        rule="binary_cross_entropy_with_logits needs y, (4,), to have the shape of x, (4, 1).",
        fix="F.binary_cross_entropy_with_logits(x.squeeze(-1), y)",
    ),
    Case(
        "self.loss(self.head(x), y)",
        rand(4, 7),
        rand(4),
        loss=nn.BCEWithLogitsLoss(),
        head=nn.Linear(7, 1),
        rule="`self.loss` needs y, (4,), to have the shape of self.head(x), (4, 1).",
        fix="self.loss(self.head(x).squeeze(-1), y)",
    ),
    Case(
        "F.binary_cross_entropy(x, y)",
        rand(4),
        ids(4),
        rule="binary_cross_entropy compares numbers with a point, and y is int64.",
        fix="F.binary_cross_entropy(x, y.float())",
    ),
    Case(
        "F.binary_cross_entropy_with_logits(x, y)",
        rand(4),
        ids(4),
        rule="binary_cross_entropy_with_logits compares numbers with a point, and y is int64.",
        fix="F.binary_cross_entropy_with_logits(x, y.float())",
    ),
    Case(
        "F.binary_cross_entropy_with_logits(x, y)",
        rand(4),
        rand(4, 1),
        rule="binary_cross_entropy_with_logits needs y, (4, 1), to have the shape of x, (4,).",
        fix="F.binary_cross_entropy_with_logits(x, y.squeeze(-1))",
    ),
    Case(
        "F.binary_cross_entropy_with_logits(x, y)",
        rand(4, 3),
        ids(4),
        rule="binary_cross_entropy_with_logits needs y, (4,), to have the shape of x, (4, 3).",
        fix="y holds classes, one of 3 for each row: `F.cross_entropy(x, y)`",
    ),
    Case(
        "F.binary_cross_entropy_with_logits(x, y, pos_weight=z)",
        rand(4, 3),
        rand(4, 3),
        rand(4),
        rule="binary_cross_entropy_with_logits needs z, (4,), to spread over x, (4, 3).",
        fix="make z of 3 numbers, one for each of the last axis of x",
    ),
    Case(
        "F.kl_div(x, y)",
        rand(4, 3),
        rand(4, 5),
        rule="kl_div needs y, (4, 5), to have the shape of x, (4, 3): 3 is not 5.",
        fix="let the layer that makes x give 5 numbers, not 3",
    ),
    Case(
        "F.cosine_embedding_loss(x, y, z)",
        rand(4, 3),
        rand(4, 3),
        rand(4, 1),
        rule="cosine_embedding_loss needs z, (4, 1), to be (4,), one label for each row of x, (4, 3).",
        fix="F.cosine_embedding_loss(x, y, z.squeeze(-1))",
    ),
    Case(
        "F.cosine_embedding_loss(x, y, z)",
        rand(4, 3),
        rand(4, 5),
        rand(4),
        rule="cosine_embedding_loss compares embeddings of one shape, and they are x (4, 3), y (4, 5).",
        fix="let the layer that makes y give (4, 3)",
    ),
    Case(
        "F.triplet_margin_loss(x, y, z)",
        rand(4, 3),
        rand(4, 3),
        rand(4, 5),
        rule="triplet_margin_loss compares embeddings of one shape, and they are x (4, 3), y (4, 3), z (4, 5).",
        fix="let the layer that makes z give (4, 3)",
    ),
    Case(
        "F.margin_ranking_loss(x, y, z)",
        rand(4),
        rand(4),
        rand(4, 1),
        rule="margin_ranking_loss needs z, (4, 1), to be (4,), one label for each row of x, (4,).",
        fix="F.margin_ranking_loss(x, y, z.squeeze(-1))",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_failure_and_its_likeliest_fix(case):
    """The rule names both numbers, the likeliest fix comes first, and what is offered runs."""
    assert likeliest(case) == (case.rule, case.fix)


def test_numbers_that_are_no_probabilities():
    """Where shapes and dtypes are right, a binary loss can only have been given logits."""
    call = FailedCall(
        op="binary_cross_entropy",
        args=(Given(name="x", shape=(4,)), Given(name="y", shape=(4,))),
        text="F.binary_cross_entropy(x, y)",
        spans={0: (23, 24), 1: (26, 27)},
    )
    found = explain(call)
    assert found.rule == (
        "binary_cross_entropy needs probabilities: all of x and of y between 0 and 1."
    )
    logits, squashed = found.proposals
    assert "F.binary_cross_entropy_with_logits(x, y)" in logits.said
    assert squashed.code == "F.binary_cross_entropy(x.sigmoid(), y)"
