"""The corpus as parameters: each case, with and without grad."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import pytest
import torch

from tests.corpus.case import CASES

NOT_CASES = ("case", "recorder", "conftest")

with warnings.catch_warnings(action="ignore"):  # TorchScript and others are deprecated
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem not in NOT_CASES and not file.stem.startswith("test_"):
            importlib.import_module(f"tests.corpus.{file.stem}")


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """Each case of the corpus; what torch says of its prototypes is none of ours."""
    with warnings.catch_warnings(action="ignore"):
        yield request.param


@pytest.fixture(params=[False, True], ids=["no grad", "grad"])
def grad(request):
    """Without and with grad."""
    with torch.set_grad_enabled(request.param):
        yield request.param
