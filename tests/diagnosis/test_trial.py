"""Calls tried again: as they were they fail, and only what works is offered."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attntrace
from attntrace.analysis.diagnosis import Called, FailedCall, Given, Proposal
from attntrace.capture.failed.trial import Trial, built, named
from attntrace.record import Fix


def of_shape(*shape, **more):
    """Return a tensor as data."""
    return Given(name="x", shape=shape, **more)


PRODUCT = FailedCall(op="matmul", args=(of_shape(3, 5), of_shape(3, 5)))


def proposal(call, said="do it"):
    """Return a change of a call."""
    return Proposal(said=said, call=call)


def test_only_what_works_is_offered_in_its_order():
    """Of four changes the two that work are kept, the first of them first."""
    changes = [
        PRODUCT.at({1: PRODUCT[1].then("transpose", 0, 1)}),
        PRODUCT.at({0: PRODUCT[0].then("unsqueeze", 0)}),
        PRODUCT.at({1: of_shape(5, 7)}),
        PRODUCT.at({0: of_shape(3, 5).then("no_such_method")}),
    ]
    trial = Trial.of(PRODUCT, torch.matmul)
    fixes = trial.fixes([proposal(call, f"{n}") for n, call in enumerate(changes)])
    assert fixes == (
        Fix(said="0", tried="on cpu"), Fix(said="2", tried="on cpu")
    )  # fmt: skip


def test_at_most_three_are_offered():
    """More would be no help."""
    works = proposal(PRODUCT.at({1: of_shape(5, 7)}))
    assert len(Trial.of(PRODUCT, None).fixes([works] * 9)) == 3


@pytest.mark.parametrize(
    ("call", "device"),
    [
        (PRODUCT, "cpu"),
        (FailedCall(op="matmul", args=(of_shape(3, 5, device="meta"),) * 2), "meta"),
        (FailedCall(op="matmul", args=(of_shape(3, 5, device="cuda:0"),) * 2), "meta"),
        (FailedCall(op="matmul", args=(of_shape(3, 2**30), of_shape(3, 2**30))), "meta"),
        (FailedCall(op="matmul", args=(of_shape(5, device="meta"), of_shape(5))), "rule"),
        (FailedCall(op="matmul", args=(of_shape(5), of_shape(5))), None),
        (FailedCall(op="no_such_op", args=(of_shape(5),)), None),
    ],
)
def test_where_a_call_fails_again(call, device):
    """On the CPU if it is small and was there, else on meta; devices must be one by rule."""
    assert Trial.of(call, None).device == device


def test_what_fails_by_its_values():
    """An id beyond a table fails on the CPU alone, where the largest id is tried."""
    ids, table = of_shape(2, 80, dtype="int64", least=0, most=79), of_shape(64, 48)
    call = FailedCall(op="embedding", args=(ids, table))
    trial = Trial.of(call, nn.functional.embedding)
    assert trial.device == "cpu"
    assert trial.fails(call.at({1: table.of_shape(79, 48)}))
    assert trial.fails(call.at({1: table.of_shape(80, 48)})) is False


def test_a_device_is_changed_by_rule():
    """A tensor moved to where the other is counts as there."""
    table, x = of_shape(5, device="cpu"), of_shape(5, device="cuda:0")
    trial = Trial.of(FailedCall(op="add", args=(x, table)), None)
    assert trial.fixes([proposal(trial.call.at({1: table.then("to", "cuda:0")}))])
    assert not trial.fixes([proposal(trial.call.at({1: table.then("contiguous")}))])


def test_formats_strides_and_gradients_are_as_they_were():
    """What a view, a dtype and a leaf may not do fails again."""
    turned = of_shape(4, 3, stride=(1, 4))
    assert Trial.of(FailedCall(op="view", args=(turned, 12)), None).device == "cpu"
    half = FailedCall(op="matmul", args=(of_shape(3, 3), of_shape(3, 3, dtype="float16")))
    trial = Trial.of(half, None)
    assert trial.fixes([proposal(half.at({1: half[1].then("to", "torch.float32")}))])
    leaf = FailedCall(op="add_", args=(of_shape(3, requires_grad=True), 1))
    assert Trial.of(leaf, None).device == "cpu"


def test_a_call_that_cannot_be_repeated_offers_what_is_not_tried():
    """Where nothing fails again, nothing is said to be tried."""
    call = FailedCall(op="matmul", args=(of_shape(5), of_shape(5)))
    assert Trial.of(call, None).fixes([proposal(call)]) == (Fix(said="do it"),)


def test_a_module_is_built_again():
    """A module of other settings is tried as a whole."""
    settings = {"embed_dim": 8, "num_heads": 2, "batch_first": True}
    module = Called(type="MultiheadAttention", text="self.attn", path="attn", settings=settings)
    x = of_shape(2, 5, 12)
    call = FailedCall(op="MultiheadAttention", args=(x, x, x), module=module)
    trial = Trial.of(call, None)
    assert trial.device == "cpu"
    other = Called(type=module.type, text="", path="", settings={**settings, "embed_dim": 12})
    assert trial.fails(FailedCall(op=call.op, args=call.args, module=other)) is False
    assert built(other, "meta").embed_dim == 12


def test_no_random_number_is_drawn():
    """Trying dropout leaves the generator as it was."""
    before = torch.get_rng_state()
    call = FailedCall(op="dropout", args=(of_shape(3), 0.5, True))
    assert Trial.of(call, None).fails(call) is False
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("op", ["getitem", "matmul", "layer_norm", "masked_fill_", "rsub"])
def test_functions_by_name(op):
    """A function of torch's, of a tensor, and an operator are found."""
    assert callable(named(op))


def test_an_explainer_that_raises_hides_nothing(monkeypatch):
    """The op, the operands and the original error are there all the same."""

    def broken(call):
        raise LookupError

    monkeypatch.setattr("attntrace.analysis.diagnosis.families.explained", broken)
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(lambda x: x @ x, torch.ones(2, 3))
    found = caught.value.diagnosis
    assert (found.op, found.rule, len(found.operands)) == ("matmul", None, 1)
    assert isinstance(caught.value.__cause__, RuntimeError)
