"""Rules of the recurrent block, and of where a block runs."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "additive without its width",
        {"block": "rnn-seq2seq", "context_tokens": 7, "recurrent": {"alignment": "additive"}},
        "recurrent.alignment",
        ("recurrent.alignment additive needs attention.align_dim, the width of v^T tanh(W [h; s])"),
        {"attention": {"align_dim": 5}},
    ),
    Case(
        "float64 on mps",
        {"run": {"device": "mps", "dtype": "float64"}},
        "run.dtype",
        "mps has no float64; use float32, or device cpu",
        {"run": {"device": "cpu"}},
    ),
    Case(
        "a target of a run that is not on meta",
        {"run": {"device": "cpu", "as_device": "cuda"}},
        "run.as_device",
        (
            "only a run on meta speaks for another device: device cpu as cuda would still be cpu; "
            "set device meta (--device meta --as cuda), or device cuda"
        ),
        {"run": {"device": "meta"}},
    ),
    Case(
        "an optimizer without gradients",
        {"run": {"optimizer": "adamw"}},
        "run.optimizer",
        (
            "optimizer adamw steps along gradients, and without grad there are none; set run.grad "
            "true (--grad)"
        ),
        {"run": {"grad": True}},
    ),
    Case(
        "a checkpoint without backward",
        {"run": {"checkpoint": True}},
        "run.checkpoint",
        (
            "checkpoint saves what backward would need, and without grad nothing is kept for it; "
            "set run.grad true (--grad)"
        ),
        {"run": {"grad": True}},
    ),
    Case(
        "an optimizer that looks at numbers, on meta",
        {"run": {"optimizer": "adafactor", "grad": True, "device": "meta"}},
        "run.optimizer",
        (
            "optimizer adafactor reads numbers out of its tensors, and on meta there are none; use "
            "device cpu, or another optimizer"
        ),
        {"run": {"optimizer": "adamw"}},
    ),
]
