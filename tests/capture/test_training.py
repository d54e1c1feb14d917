"""Forward, backward and the optimizer's step, to the byte: our account against the profiler's.

What autograd saves is compared with what `saved_tensors_hooks` see in a run of their own.
"""

from __future__ import annotations

import gc
import weakref
from functools import reduce
from itertools import combinations, product

import pytest
import torch

import attntrace
from attntrace.blocks import make_inputs
from attntrace.blocks.optimizers import OPTIMIZERS, optimizer
from attntrace.capture import Asked, Training, observe
from attntrace.errors import ForwardError, SettingsError
from attntrace.spec import load
from attntrace.spec.symbols import STACKS
from tests.blocks.variants import VARIANTS
from tests.capture.recorders import profiled, watched_state
from tests.capture.training_steps import Step, measured
from tests.configs.test_configs import CONFIGS
from tests.spec.rules.case import merged

WAYS = [
    ("eager", "float32", 0.0, "none"),
    ("eager", "bfloat16", 0.1, "causal"),
    ("sdpa", "float32", 0.1, "causal"),
    ("sdpa", "bfloat16", 0.0, "causal"),
    ("sdpa", "bfloat16", 0.1, "none"),
]
"""Implementation, dtype, dropout and mask: any two values of any two of them meet."""
STACK = {"block": "encoder", "batch": 2, "tokens": 9, "chan": 24, "heads": 4, "layers": 2, "ff_dim": 40}  # fmt: skip


def accounted(spec):
    """Return forward peak, training peak and saved bytes of our own account."""
    with torch.random.fork_rng():
        torch.manual_seed(spec.run.seed)  # what dropout drops decides where a router sends a token
        memory = attntrace.run(spec).memory
    training = memory.training_peak_nbytes or memory.peak_nbytes  # where nothing has parameters
    return memory.peak_nbytes, training, memory.saved_for_backward_nbytes or 0


def variant(name, **run):
    """Return a variant, with grad."""
    return attntrace.load(
        **{**VARIANTS[name], "run": {**VARIANTS[name].get("run", {}), "grad": True, **run}}
    )


def narrow(spec):
    """Return what makes a config small: few tokens, layers and features; its heads stay."""
    if spec.block not in STACKS:
        return {"batch": 2}
    small = {"batch": 2, "layers": 2, "ff_dim": 40}
    small["stack"] = {"vocab": spec.stack.vocab and 50, "shared_layers": spec.stack.shared_layers}
    if spec.stem == "none" and spec.image.map is None:
        small["tokens"] = 12
    latent = spec.kind == "mla"
    small |= {"chan": 96, "heads": 4} if latent else {"chan": 8 * spec.heads, "head_dim": 8}
    if spec.feed_forward.kind == "moe":
        dense = min(1, spec.feed_forward.dense_layers)
        small["feed_forward"] = {"dense_layers": dense, "expert_dim": 16}
        small["ff_dim"] = 40 if dense else None
    return small


def allowed(path, way):
    """Return a small config in as much of a way as rules let it."""
    impl, dtype, dropout, mask = way
    run = {"run": {"device": "cpu", "grad": True, "mode": "train", "dtype": dtype}}
    asked = [
        {"attention": {"impl": impl}},
        {"attention": {"dropout": dropout}},
        {"mask": {"kind": mask}},
    ]
    kept = [part for count in (3, 2, 1, 0) for part in combinations(asked, count)]
    for parts in kept:
        try:
            return load(path, **reduce(merged, (narrow(load(path).spec), *parts), run)).spec
        except SettingsError:
            continue
    raise AssertionError(path)


def configs():
    """Return every config at a small size, in each way of WAYS as far as rules let it."""
    found = {}
    for path, way in product(CONFIGS, WAYS):
        spec = allowed(path, way)
        found.setdefault((path.stem, spec.model_dump_json()), (spec, way))
    return [
        pytest.param(spec, id=" ".join([name, *map(str, way)]))
        for (name, _), (spec, way) in found.items()
    ]


@pytest.mark.parametrize("spec", configs())
def test_a_config_takes_what_the_profiler_says(spec):
    """Forward peak, training peak and saved bytes of every config, whatever way it runs."""
    assert accounted(spec) == measured(spec)[:3]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_takes_what_the_profiler_says(name):
    """Forward peak, training peak and saved bytes of every kind of block."""
    spec = variant(name)
    assert accounted(spec) == measured(spec)[:3]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_an_optimizer_takes_what_the_profiler_says(name, dtype):
    """In the middle of a real loop: bytes of the state, and the peak with the step in it."""
    spec = attntrace.load(
        batch=2, tokens=9, chan=24, heads=4, run={"grad": True, "optimizer": name, "dtype": dtype}
    )
    real = measured(spec, OPTIMIZERS[name], before=6)
    memory = attntrace.run(spec).memory
    assert memory.optimizer_nbytes == real.state
    assert (memory.peak_nbytes, memory.training_peak_nbytes) == real[:2]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_an_optimizer_is_ready_and_has_changed_nothing(name, dtype):
    """Its first steps leave the weights bit for bit, no gradient, and the rate as it was."""
    spec = attntrace.load(**STACK, run={"grad": True, "optimizer": name, "dtype": dtype})
    block = attntrace.build(spec)
    before = [p.detach().clone() for p in block.parameters()]
    made = optimizer(spec, block)
    usual = OPTIMIZERS[name]([torch.nn.Parameter(torch.ones(2))])
    assert all(torch.equal(p, b) for p, b in zip(block.parameters(), before, strict=True))
    assert all(p.grad is None for p in block.parameters())
    assert made.param_groups[0]["lr"] == usual.param_groups[0]["lr"]


def test_a_step_shows_each_parameter():
    """One row a parameter, in the phase of the optimizer, with what its update allocates."""
    trace = attntrace.run({**STACK, "run": {"grad": True, "optimizer": "adamw"}})
    rows = [row for row in trace if row.phase == "optimizer"]
    names = [name for name, _ in attntrace.build(trace.facts.spec).named_parameters()]
    assert [f"{row.path}.{row.name}" for row in rows] == names
    assert {(row.op, row.origin, row.allocated_nbytes) for row in rows} == {
        ("AdamW", "in place", 0)
    }
    assert all(row.hidden_nbytes == 2 * row.nbytes for row in rows), "a root and a quotient"


@pytest.mark.parametrize(
    "name", ["sgd", "adam", "adamw", "nadam", "radam", "rprop", "rmsprop", "adagrad"]
)
def test_an_optimizer_on_meta_is_that_of_cpu(name):
    """State and training peak need no memory to be known."""
    spec = {**STACK, "run": {"grad": True, "optimizer": name}}
    real = attntrace.run(spec).memory
    meta = attntrace.run({**spec, "run": {**spec["run"], "device": "meta"}}).memory
    assert meta.optimizer_nbytes == real.optimizer_nbytes
    assert meta.training_peak_nbytes == real.training_peak_nbytes


@pytest.mark.parametrize("name", VARIANTS)
def test_a_checkpointed_variant_takes_what_the_profiler_says(name):
    """With dropout's random numbers kept: both peaks of every kind of block, recomputed."""
    spec = variant(name, checkpoint=True, mode="train")
    assert accounted(spec)[:2] == measured(spec)[:2]


@pytest.mark.parametrize("name", list(VARIANTS)[::6])
def test_a_checkpointed_variant_on_meta_is_that_of_cpu(name):
    """What is run again in backward is run as the target would, too."""
    found = []
    for device in ("cpu", "meta"):
        spec = variant(name, checkpoint=True, mode="train", optimizer="adamw", device=device)
        memory = attntrace.run(spec).memory
        found.append((*accounted(spec), memory.optimizer_nbytes))
    assert found[0] == found[1]


def test_a_checkpoint_saves_what_goes_in():
    """Of each layer its input and the random state; the rest is run again, but for its end."""
    spec = {**STACK, "stack": {"dropout": 0.1}, "run": {"grad": True, "mode": "train"}}
    whole = attntrace.run(spec)
    again = attntrace.run({**spec, "run": {**spec["run"], "checkpoint": True}})
    x, state, statistics = 2 * 9 * 24 * 4, len(torch.get_rng_state()), 2 * 2 * 9 * 4
    layers = 2 * state + 2 * x  # what goes into the first and into the second
    assert again.memory.saved_for_backward_nbytes == layers + x + statistics  # and the last norm's
    assert again.facts.notes == ()
    rows = {"forward": [], "recompute": []}
    for row in again:
        if row.kind == "op" and row.path.startswith("stack.layers"):
            rows.get(row.phase, []).append((row.path, row.name, row.axes, row.shape))
    last, first = (
        [one for one in rows["recompute"] if one[0].startswith(f"stack.layers.{n}")] for n in (1, 0)
    )
    assert rows["recompute"] == last + first
    for number, found in ((0, first), (1, last)):
        forward = [one for one in rows["forward"] if one[0].startswith(f"stack.layers.{number}")]
        assert found == forward[: len(found)]
        assert [one[1] for one in forward[len(found) :]] == ["dropped", "residual"]
    assert whole.memory.saved_for_backward_nbytes > 3 * again.memory.saved_for_backward_nbytes


def test_dropout_drops_the_same_again():
    """Gradients with checkpointing are those without, and what is drawn next is the same, too."""
    spec = attntrace.load(
        **STACK,
        stack={"dropout": 0.3},
        attention={"dropout": 0.2},
        run={"grad": True, "mode": "train"},
    )
    again = spec.model_copy(update={"run": spec.run.model_copy(update={"checkpoint": True})})
    found = []
    for one in (spec, again):
        step = Step(one)
        step()
        found.append([*(p.grad for p in step.block.parameters()), torch.rand(3)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_hooks_of_the_author_are_told_from_a_checkpoint():
    """A checkpoint of the author's own is read, too; what other hooks pack is only counted."""
    layer, x = torch.nn.Linear(24, 24), torch.ones(9, 24)

    def checkpointed(x):
        inner = torch.nn.Sequential(layer, torch.nn.ReLU(), layer)
        return torch.utils.checkpoint.checkpoint(inner, x * 2, use_reentrant=False)

    def packed(x):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            return layer(layer(x).relu())

    seen = attntrace.trace(checkpointed, x)
    assert (seen.memory.saved_for_backward_nbytes, seen.facts.notes) == (x.nbytes, ())
    notes = attntrace.trace(packed, x).facts.notes
    assert notes == ("4 saved tensors are packed by hooks, and not in 'for backward'",)


def test_a_loop_of_the_authors_has_its_phases():
    """`loss.backward()` and `optimizer.step()` in a traced function: gradients, phases, the peak."""
    model = torch.nn.Sequential(torch.nn.Linear(24, 40), torch.nn.GELU(), torch.nn.Linear(40, 24))
    adamw, x = torch.optim.AdamW(model.parameters()), torch.randn(9, 24)

    def step(x):
        loss = model(x).square().mean()
        loss.backward()
        adamw.step()
        return loss.detach()

    step(x)
    adamw.zero_grad()
    real = profiled(lambda: step(x)).without_scratch
    adamw.zero_grad()
    trace = attntrace.trace(step, x)
    assert trace.memory.training_peak_nbytes == real
    assert list(trace.facts.began) == ["backward", "optimizer"]
    assert trace.memory.gradients_nbytes == sum(p.nbytes for p in model.parameters())
    assert [row.phase for row in trace][-1] == "forward"


def test_a_backward_that_fails_is_a_failure():
    """The error is told as any other, and no mode stays behind."""
    weight, before = torch.ones(5, requires_grad=True), watched_state()
    with pytest.raises(ForwardError) as caught:
        attntrace.trace(lambda x: (x * weight).backward(), torch.ones(5))
    assert caught.value.trace.diagnosis.op == "backward"
    assert watched_state() == before


@pytest.mark.parametrize("checkpoint", [False, True])
def test_nothing_is_left_behind(checkpoint):
    """The graph that survives has no note and no hook of ours; no mode, draw or tensor is left."""
    spec = attntrace.load(**STACK, run={"grad": True, "checkpoint": checkpoint})
    block, before = attntrace.build(spec), watched_state()
    seen = observe(block, (), make_inputs(spec), Asked(Training()))
    assert watched_state() == before
    output, ledger = seen.output, weakref.ref(seen.notes.ledger)
    todo, nodes = [output.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            assert not node.metadata
            todo.extend(above for above, _ in node.next_functions)
    assert nodes
    del seen
    gc.collect()
    assert ledger() is None, "a hook would lead to it"
    alive = [t for t in gc.get_objects() if issubclass(type(t), torch.Tensor)]
    assert not [t for t in alive if t.shape == (2, 4, 9, 9)]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_watching_does_not_change_the_gradients(checkpoint):
    """Bit for bit the gradients of a backward that no one watches."""
    spec = attntrace.load(**STACK, run={"grad": True, "checkpoint": checkpoint})
    watched, alone = attntrace.build(spec), Step(spec)
    alone()
    observe(watched, (), make_inputs(spec), Asked(Training()))
    for ours, theirs in zip(watched.parameters(), alone.block.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_attention_without_projections_has_gradients_of_its_inputs():
    """q, k and v need gradients there, or there were nothing to follow; a peak has its row."""
    trace = attntrace.run("dot-product")
    assert trace.memory.saved_for_backward_nbytes is None
    q, k, v = 3 * [13 * 4 * 100 * 16 * 4]
    trace = attntrace.run(attntrace.load("dot-product", run={"grad": True}))
    gradients = {row.gradient_of: row.nbytes for row in trace.tensors if row.kind == "gradient"}
    assert {trace.tensors[of].name: gradients[of] for of in (0, 1, 2)} == {"q": q, "k": k, "v": v}
    kept = [life.nbytes for life in trace.facts.storages if life.saved_for_backward]
    assert sum(n for n in kept if n > 8) == q + k + v + trace["probs"].nbytes  # 8 is the scale
    assert trace.memory.peak_at == trace["scores_scaled"].index


def test_the_first_step_of_an_optimizer_makes_its_state():
    """State that is born in a step of the caller's own is state all the same."""
    layer = torch.nn.Linear(7, 5)
    stepper, x = torch.optim.AdamW(layer.parameters()), torch.randn(3, 7)

    def step():
        layer(x).sum().backward()
        stepper.step()

    first = attntrace.trace(step)
    state = [value for entry in stepper.state.values() for value in entry.values()]
    assert first.memory.optimizer_nbytes == sum(tensor.nbytes for tensor in state)
    assert attntrace.trace(step).memory.peak_at is not None


def test_an_optimizer_needs_parameters():
    """Where there is nothing to step, an optimizer is refused rather than passed over."""
    spec = attntrace.load("dot-product", run={"grad": True, "optimizer": "sgd"})
    with pytest.raises(SettingsError) as caught:
        attntrace.run(spec)
    assert str(caught.value) == (
        "run.optimizer: optimizer sgd has nothing to step: the block has no parameters; leave it out"
    )


def test_a_number_that_autograd_keeps_is_in_the_peak():
    """Torch wraps 0.7 in a tensor of 8 bytes; backward frees it before the forward is over."""
    weight, x = torch.randn(24, 24, requires_grad=True), torch.randn(9, 24)

    def step(x):
        out = (x @ weight * 0.7 / 3).square().mean()
        out.backward()
        return out.detach()

    step(x)
    weight.grad = None
    real = profiled(lambda: step(x)).without_scratch
    weight.grad = None
    assert attntrace.trace(step, x).memory.training_peak_nbytes == real


def test_a_class_made_for_one_module_is_let_go():
    """`parametrize` makes such a class, and that holds the module."""
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(24, 24))
    attntrace.trace(layer, torch.ones(9, 24))
    left = weakref.ref(layer)
    del layer
    gc.collect()
    assert left() is None
