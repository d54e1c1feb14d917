"""Normalisations that fail: which axis, which width, and what to write instead."""

from __future__ import annotations

import pytest
from torch import nn, rand

from tests.diagnosis.failing import Case, likeliest

CASES = [
    Case(
        "self.norm(x)",
        rand(2, 96, 14, 14),
        norm=nn.LayerNorm(96),
        rule="`self.norm` normalises the last axis and needs the last size of x, 14, to equal its normalized_shape, 96, which is the size of axis 1.",
        fix="self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)",
    ),
    Case(
        "self.norm(x * 2)",
        rand(2, 96, 20),
        norm=nn.LayerNorm(96),
        rule="`self.norm` normalises the last axis and needs the last size of x * 2, 20, to equal its normalized_shape, 96, which is the size of axis 1.",
        fix="self.norm((x * 2).transpose(1, 2)).transpose(1, 2)",
    ),
    Case(
        "self.norm(x)",
        rand(2, 96, 20),
        norm=nn.RMSNorm(96),
        rule="`self.norm` normalises the last axis and needs the last size of x, 20, to equal its normalized_shape, 96, which is the size of axis 1.",
        fix="self.norm(x.transpose(1, 2)).transpose(1, 2)",
    ),
    Case(
        "self.norm(x)",
        rand(2, 20, 128),
        norm=nn.LayerNorm(96),
        rule="`self.norm` normalises the last axis and needs the last size of x, 128, to equal its normalized_shape, 96.",
        fix="self.norm = nn.LayerNorm(128)",
    ),
    Case(
        "self.norm(x)",
        rand(2, 20, 4, 24),
        norm=nn.LayerNorm(96),
        rule="`self.norm` normalises the last axis and needs the last size of x, 24, to equal its normalized_shape, 96.",
        fix="self.norm = nn.LayerNorm(24)",
    ),
    Case(
        "self.norm(x)",
        rand(2, 20, 96),
        norm=nn.LayerNorm(24),
        rule="`self.norm` normalises the last axis and needs the last size of x, 96, to equal its normalized_shape, 24.",
        fix="self.norm = nn.LayerNorm(96)",
    ),
    Case(
        "self.norm(x)",
        rand(2, 14, 14, 96),
        norm=nn.LayerNorm((96, 14, 14)),
        rule="`self.norm` needs the last 3 sizes of x, (14, 14, 96), to equal its normalized_shape, (96, 14, 14).",
        fix="self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)",
    ),
    Case(
        "self.norm(x)",
        rand(2, 15, 96),
        norm=nn.LayerNorm((20, 96)),
        rule="`self.norm` needs the last 2 sizes of x, (15, 96), to equal its normalized_shape, (20, 96).",
        fix="self.norm = nn.LayerNorm(96)",
    ),
    Case(
        "F.layer_norm(x, 8)",
        rand(2, 8),
        rule="The function layer_norm needs normalized_shape to be a tuple, (8,), and it is the number 8.",
        fix="F.layer_norm(x, (8,))",
    ),
    Case(
        "F.layer_norm(x, (8,), y)",
        rand(2, 8),
        rand(4),
        rule="layer_norm needs y, (4,), to have the shape of normalized_shape, (8,).",
        fix="build y with the shape (8,)",
    ),
    Case(
        "F.layer_norm(x, x.shape[1:2])",
        rand(2, 8, 3),
        rule="layer_norm normalises the last axis and needs the last size of x, 3, to equal its normalized_shape, 8, which is the size of axis 1.",
        fix="F.layer_norm(x.transpose(1, 2), x.shape[1:2]).transpose(1, 2)",
    ),
    Case(
        "self.bn(x)",
        rand(2, 5, 6),
        bn=nn.BatchNorm1d(6),
        rule="`self.bn` reads the channels from axis 1 and needs its size in x, 5, to equal its num_features, 6, which is the size of axis 2.",
        fix="self.bn(x.transpose(1, 2)).transpose(1, 2)",
    ),
    Case(
        "self.bn(x)",
        rand(3, 5),
        bn=nn.BatchNorm1d(6),
        rule="`self.bn` reads the channels from axis 1 and needs its size in x, 5, to equal its num_features, 6.",
        fix="self.bn = nn.BatchNorm1d(5)",
    ),
    Case(
        "self.bn(x)",
        rand(2, 5, 5, 6),
        bn=nn.BatchNorm2d(6),
        rule="`self.bn` reads the channels from axis 1 and needs its size in x, 5, to equal its num_features, 6, which is the size of axis 3.",
        fix="self.bn(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)",
    ),
    Case(
        "self.bn(x)",
        rand(6, 5, 5),
        bn=nn.BatchNorm2d(6),
        rule="`self.bn`, BatchNorm2d(6), needs an input of 4 axes, (batch, channels, height, width), and x, (6, 5, 5), has 3.",
        fix="self.bn(x.unsqueeze(0))",
    ),
    Case(
        "self.bn(x)",
        rand(2, 6, 5),
        bn=nn.BatchNorm2d(6),
        rule="`self.bn`, BatchNorm2d(6), needs an input of 4 axes, (batch, channels, height, width), and x, (2, 6, 5), has 3.",
        fix="self.bn = nn.BatchNorm1d(6)",
    ),
    Case(
        "self.bn(x)",
        rand(2, 5, 6),
        bn=nn.BatchNorm2d(6),
        rule="`self.bn`, BatchNorm2d(6), needs an input of 4 axes, (batch, channels, height, width), and x, (2, 5, 6), has 3.",
        fix="build `self.bn` as `nn.BatchNorm1d(6)`, which takes 3 axes, and move the 6 channels of x from axis 2 to axis 1 and back: `self.bn(x.transpose(1, 2)).transpose(1, 2)`",
    ),
    Case(
        "self.bn(x)",
        rand(2, 6),
        bn=nn.BatchNorm2d(6),
        rule="`self.bn`, BatchNorm2d(6), needs an input of 4 axes, (batch, channels, height, width), and x, (2, 6), has 2.",
        fix="self.bn = nn.BatchNorm1d(6)",
    ),
    Case(
        "self.bn(x)",
        rand(2, 6, 4, 4),
        bn=nn.BatchNorm1d(6),
        rule="`self.bn`, BatchNorm1d(6), needs an input of 2 or 3 axes, (batch, channels) or (batch, channels, length), and x, (2, 6, 4, 4), has 4.",
        fix="self.bn = nn.BatchNorm2d(6)",
    ),
    Case(
        "self.bn(x)",
        rand(6),
        bn=nn.BatchNorm1d(6).eval(),
        rule="`self.bn`, BatchNorm1d(6), needs an input of 2 or 3 axes, (batch, channels) or (batch, channels, length), and x, (6,), has 1.",
        fix="self.bn(x.unsqueeze(0))",
    ),
    Case(
        "self.bn(x)",
        rand(1, 6),
        bn=nn.BatchNorm1d(6),
        rule="`self.bn` in training needs more than 1 value per channel to take a variance of, and x, (1, 6), has 1.",
        fix="train with at least 2 samples a batch (drop_last=True in the DataLoader)",
    ),
    Case(
        "self.bn(x)",
        rand(1, 6, 1, 1),
        bn=nn.BatchNorm2d(6),
        rule="`self.bn` in training needs more than 1 value per channel to take a variance of, and x, (1, 6, 1, 1), has 1.",
        fix="train with at least 2 samples a batch (drop_last=True in the DataLoader)",
    ),
    Case(
        "self.gn(x)",
        rand(2, 5, 5, 6),
        gn=nn.GroupNorm(3, 6),
        rule="`self.gn` reads the channels from axis 1 and needs its size in x, 5, to equal its num_channels, 6, which is the size of axis 3.",
        fix="self.gn(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)",
    ),
    Case(
        "self.gn(x)",
        rand(2, 9, 5, 5),
        gn=nn.GroupNorm(3, 6),
        rule="`self.gn` reads the channels from axis 1 and needs its size in x, 9, to equal its num_channels, 6.",
        fix="self.gn = nn.GroupNorm(3, 9)",
    ),
    Case(
        "self.gn(x)",
        rand(6),
        gn=nn.GroupNorm(3, 6),
        rule="`self.gn` needs at least 2 axes, (batch, 6), and x, (6,), has 1.",
        fix="self.gn(x.unsqueeze(0))",
    ),
    Case(
        "F.group_norm(x, 3)",
        rand(2, 8, 4),
        rule="group_norm needs num_groups, 3, to divide the 8 channels at axis 1 of x, and 8 = 3*2 + 2.",
        fix="F.group_norm(x, 2)",
    ),
    Case(
        "F.group_norm(x, 3)",
        rand(2, 8, 6),
        rule="group_norm needs num_groups, 3, to divide the 8 channels at axis 1 of x, and 8 = 3*2 + 2.",
        fix="F.group_norm(x.transpose(1, 2), 3).transpose(1, 2)",
    ),
    Case(
        "self.inn(x)",
        rand(2, 6),
        inn=nn.InstanceNorm2d(6),
        rule="`self.inn`, InstanceNorm2d(6), needs an input of 3 or 4 axes, (batch, channels, height, width), and x, (2, 6), has 2.",
    ),
    Case(
        "self.inn(x)",
        rand(2, 5, 5, 6),
        inn=nn.InstanceNorm2d(6, affine=True),
        rule="`self.inn` reads the channels from axis 1 and needs its size in x, 5, to equal its num_features, 6, which is the size of axis 3.",
        fix="self.inn(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)",
    ),
    Case(
        "self.inn(x)",
        rand(2, 6, 1),
        inn=nn.InstanceNorm1d(6),
        rule="`self.inn` in training needs more than 1 value per channel to take a variance of, and x, (2, 6, 1), has 1.",
    ),
    Case(
        "F.batch_norm(x, y, y)",
        rand(2, 5, 6),
        rand(6),
        rule="batch_norm reads the channels from axis 1 and needs its size in x, 5, to equal its num_features, 6, which is the size of axis 2.",
        fix="F.batch_norm(x.transpose(1, 2), y, y).transpose(1, 2)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_failure_and_its_likeliest_fix(case):
    """The rule names both numbers, the likeliest fix comes first, and what is offered runs."""
    assert likeliest(case) == (case.rule, case.fix)
