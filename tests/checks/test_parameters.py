"""Whatever changes of a parameter is said by its name, also where no row shows it."""

from __future__ import annotations

import pytest

from attntrace.checks.find import find
from attntrace.checks.one import Options, check_one

CONFIG = "target: net.py:Net\ninputs: {x: [2, 6, 6]}\n"
NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(6, 18)
        self.norm = nn.LayerNorm(6)
        self.table = nn.ParameterList([torch.ones(6), torch.ones(2, 6)])
        self.idle = nn.Linear(6, 4)
        self.cls_token = nn.Parameter(torch.zeros(6, 6))
        self.wide = nn.Parameter(torch.zeros(6, 4))
        self.tall = nn.Parameter(torch.zeros(4, 6))

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x) + self.table[0]).chunk(3, -1)
        return (q @ k.mT).softmax(-1) @ v
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("self.cls_token", "self.class_token", "module Net: cls_token renamed class_token"),
        ("nn.Linear(6, 4)", "nn.Linear(4, 6)",
         "module Net: idle.bias [4] -> [6], idle.weight [4, 6] -> [6, 4], parameters 268 -> 270 (2 more)"),
        ("nn.Linear(6, 18)", "nn.Linear(6, 18, bias=False)",
         "module qkv Linear: bias float32[18] removed, parameters 126 -> 108 (18 less)"),
        ("zeros(6, 4)", "zeros(6, 4).half()", "module Net: wide float32 -> float16"),
        ("self.wide", "self.tall_", "module Net: wide renamed tall_"),
        ("zeros(6, 4)", "zeros(4, 6)", "module Net: wide [6, 4] -> [4, 6]"),
        ("torch.ones(2, 6)", "torch.ones(3, 4)", "module Net: table.1 [2, 6] -> [3, 4]"),
        ("self.idle = ", "self.lazy = ",
         "module Net: idle.bias renamed lazy.bias, idle.weight renamed lazy.weight"),
        ("LayerNorm(6)", "LayerNorm(6, bias=False); self.norm.scale = nn.Parameter(torch.ones(6))",
         "module norm LayerNorm: bias renamed scale"),
        ("LayerNorm(6)", "LayerNorm(6); self.norm.weight = self.table_ = nn.Parameter(torch.ones(6))",
         "module Net: table_ float32[6] added"),
    ],
)  # fmt: skip
def test_a_changed_parameter_is_named(write, old, new, said):
    """A parameter that is renamed, transposed, dropped, halved or tied, called or not, is named."""
    write({"net.yaml": CONFIG, "net.py": NET})
    (checked,) = find(["net.yaml"])
    assert check_one(checked, Options(update=True)).status == "passed"
    assert check_one(checked, Options()).status == "passed"
    write({"net.py": NET.replace(old, new)})
    came = check_one(checked, Options())
    assert came.status == "changed"
    first = came.verdicts[-1].said.splitlines()[0]
    assert first.startswith(f"differs from its baseline: {said.replace(': ', ' changed: ', 1)}")


def test_two_parameters_that_swap_their_sizes(write):
    """Both are said, though the number of parameters and every row are the same."""
    write({"net.yaml": CONFIG, "net.py": NET})
    (checked,) = find(["net.yaml"])
    check_one(checked, Options(update=True))
    swapped = {
        "zeros(6, 4)": "zeros(9, 9)",
        "zeros(4, 6)": "zeros(6, 4)",
        "zeros(9, 9)": "zeros(4, 6)",
    }
    text = NET
    for old, new in swapped.items():
        text = text.replace(old, new)
    write({"net.py": text})
    said = check_one(checked, Options()).verdicts[-1].said
    assert "module Net changed: tall [4, 6] -> [6, 4], wide [6, 4] -> [4, 6]" in said
