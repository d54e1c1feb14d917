"""`attntrace.watch`: a block of code that calls the model in ways of its own."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import traceback
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import attntrace
from attntrace.capture.ledger import Ledger
from attntrace.capture.stopped import Stopped
from tests.capture.recorders import Calls, facts, watched_state

ALREADY = (
    "this thread is being traced already, and two traces at once would see each other: call "
    "attntrace before or after the trace or the `with attntrace.watch(...)` that is under way, or "
    "in another thread"
)


class Decoder(nn.Module):
    """One step of a decoder with a cache of keys and values."""

    def __init__(self, dim=6):
        super().__init__()
        self.embed, self.qkv, self.head = nn.Embedding(11, dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, 11)  # fmt: skip

    def forward(self, ids, past=None, *, scale=None):
        q, k, v = self.qkv(self.embed(ids)).chunk(3, -1)
        if past is not None:
            k, v = torch.cat([past[0], k], 1), torch.cat([past[1], v], 1)
        probs = (q @ k.mT * (1.0 if scale is None else scale)).softmax(-1)
        return {"logits": self.head(probs @ v), "past": (k, v)}


def net():
    """Return a small network and what a step of it is given."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(11, 7)


def named(trace, **wanted):
    """Return the names of some rows."""
    return [row.name for row in trace.find(**wanted)]


def test_a_loop_that_generates():
    """Each call's inputs and outputs are there, and what is sampled outside of it has no path."""
    model, ids = Decoder(), torch.tensor([[1, 2, 3]])
    with torch.no_grad(), attntrace.watch(model) as session:
        past = None
        for _ in range(3):
            out = model(ids, past)
            past = out["past"]
            ids = out["logits"][:, -1:].argmax(-1)
    trace = session.trace
    assert named(trace, kind="input") == ["ids"]
    assert [trace[index].shape for index in trace.facts.outputs[::3]] == [(1, n, 11) for n in (3, 1, 1)]  # fmt: skip
    assert [trace[index].shape[1] for index in trace.facts.outputs[1::3]] == [3, 4, 5]
    assert [row.path for row in trace.find(op="argmax")] == [""] * 3
    assert [call.path for call in trace.modules] == ["", "embed", "qkv", "head"] * 3
    assert [call.depth for call in trace.modules] == [0, 1, 1, 1] * 3
    assert (trace.output, trace.diagnosis) == (None, None)
    assert trace.memory.parameters == sum(p.numel() for p in model.parameters())


def test_each_tensor_from_outside_is_an_input():
    """Positional and by keyword, in every call, under the names of forward's parameters."""
    model, scale = Decoder(), torch.tensor(2.0)
    past = torch.randn(1, 2, 6), torch.randn(1, 2, 6)
    with torch.no_grad(), attntrace.watch(model) as session:
        model(torch.tensor([[1]]), past, scale=scale)
        model(past=past, ids=torch.ones(1, 1).long(), scale=scale)
    inputs = session.trace.find(kind="input")
    assert [row.name for row in inputs] == ["past[0]", "past[1]", "scale"]
    assert [row.shape for row in inputs] == [(1, 2, 6), (1, 2, 6), ()]


def test_no_call_is_lost():
    """Every tensor that an independent recorder sees is a row, and no other is."""
    model, ids = Decoder(), torch.tensor([[1, 2, 3]])

    def generate():
        past, given = None, ids
        for _ in range(2):
            out = model(given, past)
            past = out["past"]
            given = out["logits"][:, -1:].argmax(-1)

    with torch.no_grad(), Calls() as calls:
        generate()
    with torch.no_grad(), attntrace.watch(model) as session:
        generate()
    rows = [row for row in session.trace if row.kind == "op"]
    assert sorted((row.op, row.shape, row.dtype) for row in rows) == sorted(calls.seen.elements())
    assert facts("x", ids) == ("x", (1, 3), "int64")


def train(model, optimizer, x, steps=2):
    """Train as anyone would."""
    for _ in range(steps):
        loss = F.cross_entropy(model(x), torch.arange(11) % 3)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def test_steps_of_training():
    """Forward, loss, backward and the optimizer, in phases, with the names of the gradients."""
    model, x = net()
    with attntrace.watch(model) as session:
        train(model, torch.optim.AdamW(model.parameters()), x)
    trace = session.trace
    phases = list(dict.fromkeys(row.phase for row in trace))
    assert phases == ["forward", "backward", "optimizer"]
    gradients = trace.find(kind="gradient")
    assert gradients[0].name == "d loss"
    assert [row.path for row in gradients] == ["", "2", "2", "1", "2", "0", "0", "0"] * 2
    assert named(trace, gradient_of=None, kind="gradient") == ["d bias", "d weight"] * 4
    assert {row.name for row in trace.find(phase="optimizer", op="sqrt")} == {"sqrt"}
    assert [trace[i].shape for i in trace.facts.outputs] == [(11, 3)] * 2
    assert trace.memory.saved_for_backward_nbytes == 2 * 4 * 11 * (7 + 5) - 4 * 11 * 7


def test_training_computes_the_same_bits():
    """Weights and losses after watched steps are those of steps that nobody watched."""
    (plain, x), (watched, _) = net(), net()
    train(plain, torch.optim.AdamW(plain.parameters()), x)
    optimizer = torch.optim.AdamW(watched.parameters())
    before = watched_state()
    with attntrace.watch(watched):
        train(watched, optimizer, x)
    assert watched_state() == before
    both = zip(plain.parameters(), watched.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)


def test_a_step_that_raises_is_over():
    """Its phase ends with it, and so does what is called in it by a class of the author's own."""

    class Halving(torch.optim.Optimizer):
        def step(self):
            with torch.no_grad():
                halved = self.param_groups[0]["params"][0].grad * 0.5
            raise ArithmeticError(halved)

    model = nn.Linear(3, 3, bias=False)
    optimizer = Halving(model.parameters(), {})
    with attntrace.watch(model) as session:
        model(torch.ones(2, 3)).sum().backward()
        with pytest.raises(ArithmeticError):
            optimizer.step()
        model(torch.ones(2, 3))
    rows = [(row.name, row.op) for row in session.trace.find(phase="optimizer")]
    assert rows[-1] == ("halved", "mul")
    assert session.trace[-1].phase == "forward"


def test_a_call_that_autograd_repeats_is_no_call_of_the_authors():
    """A model that is checkpointed runs twice, and comes out once."""
    model, x = net()
    with attntrace.watch(model) as session:
        checkpoint(model, x, use_reentrant=False).sum().backward()
    trace = session.trace
    assert [row.phase for row in trace.find(op="tanh")] == ["forward", "recompute"]
    assert len(trace.facts.outputs) == 1
    assert named(trace, kind="input") == ["input"]


def test_an_error_in_the_block_is_the_authors():
    """It comes out as it is; the session has what ran up to there, and why it stopped."""
    model, x = net()
    before = watched_state()
    session = attntrace.watch(model)

    def block():
        with session:
            h = model(x)
            h @ x

    with pytest.raises(RuntimeError, match=r"^mat1 and mat2 shapes cannot be multiplied") as caught:
        block()
    assert watched_state() == before
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert traceback.extract_tb(caught.value.__traceback__)[1].line == "h @ x"
    failure = session.trace.diagnosis
    assert (failure.op, failure.line) == ("matmul", "h @ x")
    assert [operand.name for operand in failure.operands] == ["h", "x"]
    assert named(session.trace, kind="op")[-1] == "h"


def test_an_interrupt_is_no_failure():
    """What is no error of the code's passes, and the session has what ran."""
    model, x = net()
    before = watched_state()
    session = attntrace.watch(model)

    def block():
        with session:
            model(x)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert watched_state() == before
    assert session.trace.diagnosis is None
    assert len(session.trace) == 4


def test_a_model_that_failed_can_be_tried_again():
    """An error that the block handled is no failure, and the next call counts."""
    model, x = net()
    with attntrace.watch(model) as session:
        with pytest.raises(RuntimeError):
            model(x[:, 1:])
        model(x)
    assert session.trace.diagnosis is None
    assert [session.trace[i].shape for i in session.trace.facts.outputs] == [(11, 3)]


def test_nothing_is_kept():
    """No tensor, no model and nothing on the graph is left of a session that is over."""
    model, x = net()
    with attntrace.watch(model) as session:
        out = model(x)
    assert len(session.trace) == 4
    assert [dict(node.metadata) for node in nodes(out) if node.metadata] == []
    gone = [weakref.ref(thing) for thing in (model, x, out)]
    del model, x, out
    gc.collect()
    assert [thing() for thing in gone] == [None] * 3


def nodes(out):
    """Return the nodes of a graph."""
    found, todo = [], [out.grad_fn]
    while todo:
        node = todo.pop()
        found.append(node)
        todo += [above for above, _ in node.next_functions if above is not None]
    return found


def test_memory_is_freed_when_it_would_be():
    """A tensor of the block dies in the block."""
    model, x = net()
    with torch.no_grad(), attntrace.watch(model):
        gone = weakref.ref(model(x))
        assert gone() is None


def test_several_models():
    """Each has its own path, and what comes out of one is no input of the other."""
    encoder, decoder = nn.Linear(7, 5), nn.Linear(5, 3)
    with torch.no_grad(), attntrace.watch(encoder, decoder) as session:
        decoder(encoder(torch.ones(2, 7)).relu())
    trace = session.trace
    assert [(row.path, row.op) for row in trace] == [
        ("", "ones"),
        ("<Linear>", "linear"),
        ("", "relu"),
        ("<Linear>2", "linear"),
    ]
    assert trace.facts.outputs == (1, 3)
    assert trace.facts.subject == "Linear, Linear"
    assert trace.memory.parameters == 7 * 5 + 5 + 5 * 3 + 3


def test_no_model_is_every_model():
    """Without a model each outermost call counts, and plain functions are seen as well."""
    model, x = net()
    with torch.no_grad(), attntrace.watch() as session:
        model(x)
        x.exp()
    assert [(row.op, row.path) for row in session.trace] == [
        ("input", ""),
        ("linear", "<Sequential>.0"),
        ("tanh", "<Sequential>.1"),
        ("linear", "<Sequential>.2"),
        ("exp", ""),
    ]
    assert session.trace.facts.outputs == (3,)
    assert session.trace.facts.subject == "with block"


X = torch.zeros(3)


def test_a_model_that_calls_itself():
    """Only what the outermost call takes and returns goes in and comes out."""

    class Twice(nn.Module):
        def forward(self, x, depth=1):
            y = x + 1
            return self(y, depth - 1) if depth else y

    model = Twice()
    with attntrace.watch(model) as session:
        model(X)
        model(X)
    assert named(session.trace, kind="input") == ["x"]
    assert len(session.trace.facts.outputs) == 2


def test_the_environment_is_that_of_the_first_call():
    """Modes that the block sets are noted, as is the model's own."""
    model, x = net()
    model.eval()
    with attntrace.watch(model) as session, torch.inference_mode():
        model(x)
    seen = session.trace.facts.environment
    assert (seen.grad, seen.inference, seen.training, seen.dtype) == (False, True, False, "float32")


def test_nothing_runs():
    """A block in which nothing ran has a trace without rows."""
    with attntrace.watch(net()[0]) as session:
        pass
    assert (len(session.trace), session.trace.facts.outputs) == (0, ())
    assert "peak " in str(session.trace)


def test_on_meta_a_session_speaks_for_a_cpu():
    """A model on meta has the rows that it would have on a CPU."""
    on_meta, on_cpu = (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, device=d).eval() for d in ("meta", "cpu"))  # fmt: skip
    ops = []
    for model, device in ((on_meta, "meta"), (on_cpu, "cpu")):
        x = torch.ones(2, 3, 8, device=device)
        with torch.no_grad(), attntrace.watch(model) as session:
            model(x)
        ops.append([op.op for op in session.trace.ops])
    assert ops[0] == ops[1]


def test_a_watched_layer_of_torchs_own_takes_its_fused_path():
    """Keywords are read without a hook on the module, which would turn the path off."""
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        plain = model(src=x)
        with attntrace.watch(model) as session:
            out = model(src=x)
    assert torch.equal(out, plain)
    assert named(session.trace, kind="input") == ["src"]
    assert "aten._transformer_encoder_layer_fwd.default" in {op.op for op in session.trace.ops}


def test_the_trace_is_there_when_the_block_is_over():
    """Before and inside there is none, and the message says when there will be one."""
    model, x = net()
    session = attntrace.watch(model)
    assert repr(session) == "<Session: not begun>"
    with pytest.raises(attntrace.AttntraceError) as before:
        _ = session.trace
    with session:
        model(x)
        assert repr(session) == "<Session: under way>"
        with pytest.raises(attntrace.AttntraceError) as inside:
            _ = session.trace
    with pytest.raises(attntrace.AttntraceError) as again, session:
        raise AssertionError
    assert repr(session) == "<Session: <Trace of Sequential: 4 tensors, 6 ops>>"
    assert [str(caught.value) for caught in (before, inside, again)] == [
        "session.trace is there after `with attntrace.watch(...) as session:`",
        "session.trace is there once the `with attntrace.watch(...)` block is over",
        "a session watches one block: call attntrace.watch again for another",
    ]


@pytest.mark.parametrize("other", ["watch", "trace", "run"])
def test_one_at_a_time_on_a_thread(other):
    """A trace inside a watch is refused, and the watch goes on as if it had not been asked for."""
    model, x = net()
    inside = {
        "watch": lambda: attntrace.watch(model).__enter__(),
        "trace": lambda: attntrace.trace(model, x),
        "run": lambda: attntrace.run({"heads": 4}),
    }[other]
    before = watched_state()
    with torch.no_grad(), attntrace.watch(model) as session:
        out = model(x)
        with pytest.raises(attntrace.AttntraceError) as caught:
            inside()
        out.relu()
    assert str(caught.value) == ALREADY
    assert watched_state()[:-1] == before[:-1]
    assert session.trace[-1].op == "relu"
    assert len(attntrace.trace(model, x)) == 4


def test_a_trace_inside_a_trace():
    """A forward that traces is a forward that fails, with the reason."""
    model, x = net()
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(lambda x: attntrace.trace(model, x).output, x)
    assert str(caught.value.__cause__) == ALREADY
    assert len(attntrace.trace(model, x)) == 4


def test_only_modules_are_watched():
    """A function has no hooks, and the message has the way out."""
    with pytest.raises(TypeError) as caught:
        attntrace.watch(torch.relu)
    assert str(caught.value) == (
        "watch() takes modules, got builtin_function_or_method; for anything else use `with "
        "attntrace.watch():`, which watches all that runs"
    )


def test_in_a_generator_the_code_between_is_watched_too():
    """The block is open while a generator waits, so what its consumer runs is in the trace."""
    model, x = net()
    sessions = []

    def batches():
        with torch.no_grad(), attntrace.watch(model) as session:
            sessions.append(session)
            for _ in range(3):
                yield model(x)

    before = watched_state()
    for number, out in enumerate(batches()):
        out.exp()
        if number == 1:
            break
    gc.collect()
    assert watched_state()[:-2] == before[:-2]
    trace = sessions[0].trace
    assert [row.op for row in trace] == ["input", *["linear", "tanh", "linear", "exp"] * 2]
    assert trace.diagnosis is None


def test_tasks_of_one_thread_are_seen_together():
    """Tasks take turns on their thread: one that watches sees the others, a second is refused."""
    model, x = net()

    async def watches():
        with torch.no_grad(), attntrace.watch(model) as session:
            model(x)
            await asyncio.sleep(0)
            model(x)
        return session.trace

    async def runs():
        with pytest.raises(attntrace.AttntraceError) as caught:
            attntrace.trace(model, x)
        (x + 1).sum()
        return str(caught.value)

    async def both():
        return await asyncio.gather(watches(), runs())

    before = watched_state()
    trace, refusal = asyncio.run(both())
    assert watched_state() == before
    assert refusal == ALREADY
    assert [row.op for row in trace] == ["input", "linear", "tanh", "linear", "add", "sum", "linear", "tanh", "linear"]  # fmt: skip


@pytest.mark.parametrize("again", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy],  # noqa: S301
                         ids=["pickle", "deepcopy"])  # fmt: skip
def test_the_trace_of_a_session_can_be_copied(again):
    """A trace holds nothing of the session."""
    model, x = net()
    with attntrace.watch(model) as session:
        model(x).sum().backward()
    assert again(session.trace).facts == session.trace.facts
    assert attntrace.Trace.from_json(session.trace.to_json()).facts == session.trace.facts


def test_a_bug_of_a_witness_is_not_taken_for_the_authors(monkeypatch):
    """What a witness raises comes out even of a block that swallows errors."""

    def broken(*args):
        message = "ours"
        raise LookupError(message)

    monkeypatch.setattr("attntrace.capture.ledger.Ledger.add_input", broken)
    model, x = net()
    with pytest.raises(LookupError, match=r"^ours$"):  # noqa: SIM117
        with attntrace.watch(model), pytest.raises(LookupError):
            model(x)


class Endless(nn.Module):
    """Calls itself."""

    def forward(self, x):
        """Never return."""
        return self(x + 1)


@pytest.mark.filterwarnings("ignore:global module forward hook:UserWarning")
def test_a_stack_that_the_author_filled_is_no_bug_of_a_witness():
    """Wherever the stack ends, also within a witness, the error is the author's."""
    model, x = Endless(), torch.randn(2)
    with pytest.raises(RecursionError) as caught, attntrace.watch(model) as session:
        model(x)
    assert isinstance(caught.value.__context__, RecursionError | None)  # it may end in a handler
    assert session.trace.diagnosis.error == "RecursionError"
    with pytest.raises(attntrace.ForwardError) as failed:
        attntrace.trace(model, x)
    assert isinstance(failed.value.__cause__, RecursionError)


def test_errors_in_a_ring():
    """Errors that are each other's context are gone through once, in search of a bug of ours."""
    stopped = Stopped(Ledger())
    stopped.bug = LookupError("ours")
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert stopped.bug_behind(first) is None
    second.__context__ = stopped.bug
    assert stopped.bug_behind(first) is stopped.bug


def test_the_authors_error_goes_before_a_bug_of_ours(monkeypatch):
    """What a witness raises once the author's code has raised does not stand in its place."""

    def broken(*args):
        message = "ours"
        raise LookupError(message)

    model, x = net()
    monkeypatch.setattr("attntrace.capture.hooks.ModuleWitness._close", broken)
    with pytest.raises(RuntimeError, match="mat1"), pytest.warns(UserWarning, match="ours"):  # noqa: SIM117
        with attntrace.watch(model):
            model(x[:, :3])
