"""`attntrace.explain`: a crash says why, and the error goes on as it is."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
import weakref
from contextlib import suppress

import pytest
import torch
from torch import nn

import attntrace
from attntrace.api import crash

Q, K = torch.ones(2, 3), torch.ones(4, 3)


@pytest.fixture(autouse=True)
def _hooks():
    """Put back the hooks that a crash leaves for Python to call."""
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks


class Attention(nn.Module):
    """Multiplies q by k where it should by k^T."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.runs = nn.Linear(8, 6), nn.Linear(8, 6), []

    def forward(self, x):
        self.runs.append(x.device.type)
        print("running")  # noqa: T201
        q, k = self.q(x), self.k(x)
        return q @ k


def product():
    return Q @ K


def test_the_panel_and_then_the_error(capsys):
    """What failed and why is on stderr; the very error reaches whoever handles it."""
    error = []

    def noted():
        try:
            product()
        except RuntimeError as raised:
            error.append(raised)
            raise

    with pytest.raises(RuntimeError) as caught, attntrace.explain():
        noted()
    assert caught.value is error[0]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not hasattr(caught.value, "__notes__")
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith("matmul failed at ")
    assert lines[1:5] == [
        "    return Q @ K",
        "           ^^^^^",
        "  Q  (2, 3)  float32  cpu",
        "  K  (4, 3)  float32  cpu",
    ]
    assert any("K" in line and "fix: " in line for line in lines)
    assert lines[-1] == f"  RuntimeError: {caught.value}"


def test_the_table_up_to_the_crash(capsys):
    """The module runs again on a copy without data; the original is as the crash left it."""
    model, x = Attention(), torch.randn(2, 5, 8)
    weights = [weight.clone() for weight in model.parameters()]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError), attntrace.explain():
        model(x)
    said = capsys.readouterr()
    table, _, panel = said.err.partition("\n\n")
    assert [line.split()[1:3] for line in table.splitlines() if line[:1].isdigit()] == [
        ["x", "input"], ["q", "linear"], ["k", "linear"],
    ]  # fmt: skip
    assert crash.AGAIN in table
    assert "row #" in panel
    assert " cpu " in panel
    assert " meta " not in panel
    assert said.out == "running\n"
    assert model.runs == ["cpu"]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, weights, model.parameters()))
    assert not any(weight.is_meta for weight in model.parameters())


class Once(Attention):
    """Fails otherwise where there is no data."""

    def forward(self, x):
        if x.is_meta:
            raise RuntimeError("elsewhere")
        return super().forward(x)


def test_no_table_where_the_second_run_fails_elsewhere(capsys):
    """Then the panel stands alone."""
    with pytest.raises(RuntimeError), attntrace.explain():
        Once()(torch.randn(2, 5, 8))
    assert capsys.readouterr().err.startswith("matmul failed at ")


def test_no_second_run_under_hooks(capsys):
    """A hook of the author's may do anything: it is not called again."""
    model, calls = Attention(), []
    model.q.register_forward_hook(lambda *_: calls.append("hook"))
    with pytest.raises(RuntimeError), attntrace.explain():
        model(torch.randn(2, 5, 8))
    assert calls == ["hook"]
    assert crash.AGAIN not in capsys.readouterr().err


def test_nested_and_once(capsys):
    """However many are around it, a crash is told of once."""

    @attntrace.explain
    def inner():
        with attntrace.explain():
            product()

    with pytest.raises(RuntimeError), attntrace.explain(), attntrace.explain(traceback=True):
        inner()
    assert capsys.readouterr().err.count("matmul failed") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_crash(error, capsys):
    """An interrupt and an exit pass by."""
    with pytest.raises(error), attntrace.explain():
        raise error
    assert capsys.readouterr().err == ""


def test_what_has_nothing_to_do_with_tensors(capsys):
    """Python's own traceback says all there is; nothing is printed, no hook is set."""
    hook = sys.excepthook
    with pytest.raises(KeyError), attntrace.explain():
        {}["no"]
    assert capsys.readouterr().err == ""
    assert sys.excepthook is hook


def test_no_crash(capsys):
    """What returns, returns, and prints nothing."""

    @attntrace.explain()
    def fine(x, *, twice):
        """Documented."""
        return x * twice

    assert fine(2, twice=3) == 6
    assert (fine.__name__, fine.__doc__) == ("fine", "Documented.")
    assert list(inspect.signature(fine).parameters) == ["x", "twice"]
    assert capsys.readouterr().err == ""


def test_methods_and_lambdas(capsys):
    """A method is wrapped as a function is."""

    class Trainer:
        @attntrace.explain
        def step(self):
            return product()

    for called in (Trainer().step, attntrace.explain(lambda: product())):  # noqa: PLW0108
        with pytest.raises(RuntimeError):
            called()
    assert capsys.readouterr().err.count("matmul failed") == 2


def test_generators(capsys):
    """What is sent and thrown in reaches the author's generator, and what it returns comes out."""

    @attntrace.explain
    def steps():
        got = yield 1
        try:
            yield got
        except ValueError:
            yield "caught"
        product()

    running = steps()
    assert inspect.isgeneratorfunction(steps)
    assert (next(running), running.send("sent")) == (1, "sent")
    assert running.throw(ValueError()) == "caught"
    with pytest.raises(RuntimeError):
        next(running)
    assert capsys.readouterr().err.count("matmul failed") == 1


def test_async_functions(capsys):
    """What is awaited is explained where it crashes."""

    @attntrace.explain()
    async def step(wrong):
        await asyncio.sleep(0)
        return product() if wrong else "fine"

    assert inspect.iscoroutinefunction(step)
    assert asyncio.run(step(wrong=False)) == "fine"
    assert capsys.readouterr().err == ""
    with pytest.raises(RuntimeError):
        asyncio.run(step(wrong=True))
    assert capsys.readouterr().err.count("matmul failed") == 1


def test_async_generators(capsys):
    """They are sent to, thrown into and closed as before."""
    seen = []

    @attntrace.explain
    async def steps():
        try:
            seen.append((yield 1))
            try:
                yield 2
            except ValueError:
                yield 3
            product()
        finally:
            seen.append("closed")

    async def run(until):
        running = steps()
        got = [await anext(running), await running.asend("sent")]
        got.append(await running.athrow(ValueError()))
        if until == "closed":
            await running.aclose()
        else:
            await anext(running)
        return got

    assert inspect.isasyncgenfunction(steps)
    assert asyncio.run(run("closed")) == [1, 2, 3]
    assert seen == ["sent", "closed"]
    assert capsys.readouterr().err == ""
    with pytest.raises(RuntimeError):
        asyncio.run(run("crash"))
    assert capsys.readouterr().err.count("matmul failed") == 1


def test_no_function():
    """What cannot be wrapped is refused."""
    message = (
        "explain() wraps a function, got {}; "
        "around a block of code write `with attntrace.explain():`"
    )
    for given, said in ((3, "int"), (Attention, "the class Attention")):
        with pytest.raises(TypeError) as caught:
            attntrace.explain(given)
        assert str(caught.value) == message.format(said)


def test_a_bug_of_ours_is_kept_from_the_author(monkeypatch, capsys):
    """Whatever goes wrong in explaining, the error goes on and Python shows it."""

    def breaks(*_):
        raise RuntimeError("ours")

    def interrupts(*_):
        raise KeyboardInterrupt

    for broken in (breaks, interrupts):
        monkeypatch.setattr(crash, "_told", broken)
        with pytest.raises(RuntimeError) as caught, attntrace.explain():
            product()
        assert str(caught.value) != "ours"
    assert capsys.readouterr().err == ""


def test_no_table_where_it_cannot_be_printed(monkeypatch, capsys):
    """The panel is printed all the same."""
    from attntrace import render

    monkeypatch.setattr(render, "to_text", None)
    with pytest.raises(RuntimeError), attntrace.explain():
        Attention()(torch.randn(2, 5, 8))
    assert capsys.readouterr().err.startswith("matmul failed at")


def test_a_program_without_stderr(monkeypatch):
    """A program without a console has no stderr."""
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(RuntimeError), attntrace.explain():
        product()


def test_a_handled_crash_keeps_no_tensor():
    """Once the error is handled, what the forward made is free, as without us."""

    def fails():
        made = torch.ones(7)
        known.append(weakref.ref(made))
        return made @ K

    known = []
    try:
        with attntrace.explain():
            fails()
    except RuntimeError:
        pass
    gc.collect()
    assert known[0]() is None


def test_a_watched_block(capsys):
    """Within a watch the session has its diagnosis, too, and no row of ours."""
    with pytest.raises(RuntimeError), attntrace.watch() as session, attntrace.explain():
        (Q * 2) @ K
    assert "matmul failed" in capsys.readouterr().err
    assert [row.op for row in session.trace] == ["mul"]
    assert session.trace.diagnosis.op == "matmul"


def test_an_error_of_a_trace(capsys):
    """A ForwardError has its own panel: nothing is printed twice."""
    with pytest.raises(attntrace.ForwardError), attntrace.explain():
        attntrace.trace(Attention(), torch.randn(2, 5, 8))
    assert capsys.readouterr().err == ""


def test_the_whole_traceback_where_it_is_wanted(capsys):
    """With `traceback=True` no hook is set, and Python shows all of it."""
    hook = sys.excepthook
    with pytest.raises(RuntimeError), attntrace.explain(traceback=True):
        product()
    assert "matmul failed" in capsys.readouterr().err
    assert sys.excepthook is hook


SCRIPT = """
import threading
import torch
from torch import nn
import attntrace
net = nn.Sequential(nn.Linear(3, 5), nn.Linear(7, 2))
def train():
    return net(torch.ones(2, 3))
def wrapped():
    with attntrace.explain():
        train()
one = threading.Thread(target=wrapped, name="worker")
one.start()
one.join()
wrapped()
"""
LEFT_OUT = "attntrace: left out what torch and other libraries called, "


def test_a_crash_that_nobody_handles(tmp_path):
    """After the panel come the author's lines alone, and how many were left out; so in a thread."""
    file = tmp_path / "train.py"
    file.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    _, in_thread, in_main = done.stderr.split("Traceback (most recent call last):\n")
    for text, names in (
        (in_thread, ["wrapped", "train"]),
        (in_main, ["<module>", "wrapped", "train"]),
    ):
        lines = text.splitlines()
        assert [line.split(", in ")[1] for line in lines if line.startswith("  File")] == names
        end = next(at for at, line in enumerate(lines) if line.startswith(LEFT_OUT))
        assert lines[end - 1].startswith("RuntimeError: ")
    assert "Exception in thread worker:\n" in done.stderr
    assert done.stderr.count("linear failed at") == done.stderr.count(crash.AGAIN) == 2
    assert "torch/nn" not in done.stderr


def test_another_error_is_left_as_it_is(capsys):
    """The hook is for this very error: the next one is Python's again, and so is the one after."""
    before = sys.excepthook
    with pytest.raises(RuntimeError), attntrace.explain():
        product()
    assert sys.excepthook is not before
    other = ValueError("other")
    sys.excepthook(ValueError, other, None)
    assert capsys.readouterr().err.endswith("ValueError: other\n")
    assert sys.excepthook is before


def test_a_notebook_shows_the_authors_lines(monkeypatch):
    """IPython asks the error itself for its traceback, while it handles it."""
    monkeypatch.setitem(sys.modules, "IPython", sys)
    try:
        with attntrace.explain():
            nn.Linear(3, 5)(torch.ones(2, 7))
    except RuntimeError as error:
        lines = error._render_traceback_()
        assert not any("torch/nn" in line for line in lines)
        assert lines[-1].startswith(LEFT_OUT)


def test_an_error_that_refuses_everything(capsys):
    """Neither a broken `__str__` nor a module that raises when it is looked at hides the error."""

    class Broken(Exception):  # noqa: N818
        def __str__(self):
            raise RuntimeError("broken")

    class Hostile(nn.Module):
        def __getattr__(self, name):
            raise RuntimeError(f"asked for {name}")

        def __deepcopy__(self, memo):
            raise RuntimeError("no copies")

        def forward(self, x):
            raise Broken

    with pytest.raises(Broken), attntrace.explain():
        Hostile()(Q)
    assert "Broken: <exception str() failed>" in capsys.readouterr().err


def ring(x):
    """Fail with a list that holds itself, of which nothing can be told."""
    parts = [x]
    parts.append(parts)
    return torch.cat(parts)


def plain(_):
    """Fail without a tensor."""
    return {}["key"]


@pytest.mark.parametrize("fails", [plain, ring])
def test_a_crash_with_nothing_to_tell_keeps_no_tensor(fails):
    """A function that goes on after a crash frees its tensors, whatever was said of it."""
    x = torch.randn(3)
    alive = weakref.ref(x)
    with suppress(KeyError, TypeError), attntrace.explain():
        fails(x)
    del x
    gc.collect()
    assert alive() is None
