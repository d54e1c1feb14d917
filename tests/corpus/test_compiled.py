"""What torch.compile has compiled is traced eagerly, with a note, and is compiled as ever afterwards.

The compiler is a stand-in that counts: it costs nothing and needs no C++.
"""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import attntrace
from attntrace.capture.compiled import RAN_EAGERLY
from attntrace.capture.process import WhileAny


class Counter:
    """A backend of torch.compile that runs the graph as it is, and counts."""

    def __init__(self):
        self.compiled = self.ran = 0

    def __call__(self, graph, inputs):
        self.compiled += 1

        def run(*args):
            self.ran += 1
            return graph.forward(*args)

        return run


def small():
    """Return a module of a class of its own: what is compiled is remembered by its code."""
    space = {"nn": nn}
    exec(  # noqa: S102 - new code for each test
        "class Small(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(5, 3)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x).relu()\n",
        space,
    )
    return space["Small"]()


@pytest.mark.parametrize("fullgraph", [False, True], ids=["graphs", "full graph"])
@pytest.mark.parametrize("in_place", [False, True], ids=["wrapped", "in place"])
def test_a_compiled_module(in_place, fullgraph):
    """Watched before its first call and after, its rows are those of the plain module."""
    plain, counter, x = small(), Counter(), torch.randn(2, 5)
    ops = [row.op for row in attntrace.trace(plain, x)]
    if in_place:
        compiled = plain
        plain.compile(backend=counter, fullgraph=fullgraph)
    else:
        compiled = torch.compile(plain, backend=counter, fullgraph=fullgraph)
    cold = attntrace.trace(compiled, x)
    assert (counter.compiled, counter.ran) == (0, 0)
    out = compiled(x)
    assert (counter.compiled, counter.ran) == (1, 1)
    warm = attntrace.trace(compiled, x)
    assert (counter.compiled, counter.ran) == (1, 1)
    assert [row.op for row in cold] == [row.op for row in warm] == ops
    assert [row.name for row in warm if row.kind == "input"] == ["x"]
    assert torch.equal(warm.output, out)
    name = "Small" if in_place else "OptimizedModule"
    assert warm.facts.notes == (f"{name}: {RAN_EAGERLY}",)
    assert RAN_EAGERLY in str(warm)
    compiled(x)
    assert (counter.compiled, counter.ran) == (1, 2)


def test_a_compiled_part_and_a_compiled_function():
    """The note names the path; a function that was compiled is named by itself."""
    counter, x = Counter(), torch.randn(2, 5)
    model = nn.Sequential(nn.ReLU(), torch.compile(small(), backend=counter))
    assert attntrace.trace(model, x).facts.notes == (f"1: {RAN_EAGERLY}",)

    @torch.compile(backend=counter)
    def doubled(x):
        return x * 2

    trace = attntrace.trace(doubled, x)
    assert [row.name for row in trace] == ["x", "x * 2"]
    assert trace.facts.notes == (f"doubled: {RAN_EAGERLY}",)
    assert attntrace.trace(lambda x: doubled(x) + 1, x).facts.notes == ()
    assert counter.compiled == 0


def test_a_plain_module_has_no_note():
    """That the compiler is loaded says nothing about a module."""
    import torch._dynamo

    assert torch._dynamo is not None
    assert attntrace.trace(nn.ReLU(), torch.randn(3)).facts.notes == ()


def test_a_stance_of_the_authors_own_is_put_back():
    """What torch.compile was set to do it is set to do again, after an error, too."""
    from torch._dynamo import eval_frame

    with torch.compiler.set_stance("eager_on_recompile"):
        attntrace.trace(nn.ReLU(), torch.randn(3))
        assert eval_frame._stance.stance == "eager_on_recompile"
        with pytest.raises(attntrace.ForwardError):
            attntrace.trace(nn.Linear(3, 2), torch.randn(4))
        assert eval_frame._stance.stance == "eager_on_recompile"
    assert eval_frame._stance.stance == "default"


def test_a_change_lasts_while_any_block_does():
    """Blocks that overlap in threads make one change, undone by whichever ends last."""
    log = []

    class Change:
        def __enter__(self):
            log.append("made")

        def __exit__(self, *error):
            log.append("undone")

    shared = WhileAny(Change)
    inside, leave = threading.Event(), threading.Event()

    def other():
        with shared:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with shared:
        thread.start()
        inside.wait()
    assert log == ["made"]
    leave.set()
    thread.join()
    assert log == ["made", "undone"]
    with shared, shared:
        pass
    assert log == ["made", "undone"] * 2
