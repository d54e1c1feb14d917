"""The two sides of a difference: what each is, what it is run with, and where."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import attntrace
from attntrace.checks import sides as module
from attntrace.checks.alone import alone as run_alone
from attntrace.checks.sides import Wishes, sides
from attntrace.errors import AttntraceError, BuildError, Problem, SettingsError
from tests.repository import CONFIG, MODEL, Repository, alone

NO_WISHES = Wishes()
PACKAGE = """
from kit.heads import HEADS

def net(x):
    return x.unflatten(-1, (HEADS, -1))
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Work in a repository without commits, with a folder of our own for temporary files."""
    alone(monkeypatch)
    made = Repository(tmp_path / "made")
    monkeypatch.chdir(made.top)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(
        module, "TemporaryDirectory", partial(TemporaryDirectory, dir=tmp_path / "temporary")
    )
    return made


def refused(before, after, wishes=NO_WISHES):
    """Return what is said of two sides that cannot be had."""
    with pytest.raises(AttntraceError) as caught, sides(before, after, wishes):
        pass
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("HEAD~1:configs/gpt2.yaml", ("HEAD~1", "configs/gpt2.yaml")),
        ("HEAD:gpt2.yml", ("HEAD", "gpt2.yml")),
        ("main@{2024-01-01 10:00}:a.yaml", ("main@{2024-01-01 10:00}", "a.yaml")),
        ("HEAD^{/fix: all}:a.json", ("HEAD^{/fix: all}", "a.json")),
        ("v1:model.py:Block", ("v1", "model.py:Block")),
        ("v1:package.module:Block", ("v1", "package.module:Block")),
        ("v1:hf:model/config.json", ("v1", "hf:model/config.json")),
        ("HEAD~1:", ("HEAD~1", "")),
        ("HEAD~1:gpt2", ("HEAD~1", "gpt2")),
        ("gpt2", None),
        ("configs/gpt2.yaml", None),
        ("model.py:Block", None),
        ("model.py:Outer.Inner", None),
        ("package.module:Block", None),
        ("hf:model/config.json", None),
        ("there:is.yaml", None),
    ],
)
def test_what_is_at_a_revision(text, split, tmp_path, monkeypatch):
    """`REV:PATH` is told from targets and from files that have a colon in their names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there:is.yaml").touch()
    assert module._split(text) == split


def test_a_path_that_was_left_out(repository):
    """`REV:` takes the path of the other side, on either side, also if that is at a revision."""
    first = repository.commit({"a.yaml": "heads: 2\n"})[:7]
    second = repository.commit({"a.yaml": "heads: 4\n"})[:7]
    for given, called in {
        ("HEAD~1:", "a.yaml"): (f"HEAD~1:a.yaml ({first})", "a.yaml"),
        ("a.yaml", "HEAD:"): ("a.yaml", f"HEAD:a.yaml ({second})"),
        ("HEAD~1:", "HEAD:a.yaml"): (f"HEAD~1:a.yaml ({first})", f"HEAD:a.yaml ({second})"),
    }.items():
        with sides(*given, Wishes(sets=["batch=3"])) as both:
            assert (both[0].called, both[1].called) == called
            assert [side.of.spec.batch for side in both] == [3, 3]
    with sides("HEAD~1:", "a.yaml", Wishes(device="meta")) as both:
        assert [side.of.spec.heads for side in both] == [2, 4]
        assert [side.of.spec.run.device for side in both] == ["meta", "meta"]
    assert refused("HEAD:", "gpt2") == ["HEAD:: of which file? Write HEAD:FILE.yaml"]
    (said,) = refused("HEAD~1:gpt2", "gpt2")
    assert said == (
        "HEAD~1:gpt2: of a revision, name a file: HEAD~1:FILE.yaml, HEAD~1:FILE.json or "
        "HEAD~1:FILE.py:NAME"
    )


def test_mistakes_of_both_sides_are_told_at_once(repository):
    """What is wrong in a file of a revision has that in its place; flags have not."""
    repository.commit({"sub/a.yaml": "heads: 2\nhead: 2\n", "sub/b.yaml": "target: m.py:Net\n"})
    os.chdir(repository.top / "sub")
    assert refused("HEAD:a.yaml", "b.yaml", Wishes(sets=["run.seed=x"])) == [
        "HEAD:a.yaml:2:1: unknown key 'head'; did you mean 'stack.head'?",
        "--set run.seed=x: seed must be a whole number, got 'x'",
        "b.yaml:1:1: no file 'm.py'",
    ]


def test_flags_that_mean_nothing_to_either_side(tmp_path):
    """What only a run, or only code of the user's own takes is refused without one."""
    saved = tmp_path / "saved.json"
    saved.write_text(attntrace.run({"heads": 2}).to_json())
    wishes = Wishes(sets=["heads=4"], device="meta", init=["dim=8"], inputs=["2,8"], sizes=["n=2"])
    neither = "both sides are read, and neither is run"
    not_own = "neither side is code of your own that is run"
    assert refused(str(saved), str(saved), wishes) == [
        f"--set heads=4: {neither}",
        f"--device meta: {neither}",
        f"--init dim=8: {not_own}",
        f"--input 2,8: {not_own}",
        f"--size n=2: {not_own}",
    ]
    assert refused(str(saved), "gpt2", Wishes(init=["dim=8"])) == [f"--init dim=8: {not_own}"]


def test_code_as_it_was(repository, tmp_path, capfd):
    """Both versions of a module are run by their names, and neither is left behind."""
    repository.commit({"model.py": MODEL, "configs/own.yaml": CONFIG})
    repository.write({"model.py": MODEL.replace("heads=2", "heads=3")})
    os.chdir(repository.top / "configs")
    path, loaded = list(sys.path), set(sys.modules)
    with sides("HEAD:own.yaml", "own.yaml", Wishes(init=["dim=24"], sizes=["batch=11"])) as both:
        assert list((tmp_path / "temporary").iterdir())
        then, now = (side.snapshot() for side in both)
    heads = [row.shape for at in (then, now) for row in at.rows if row.name == "k"]
    assert heads == [(11, 2, 7, 12), (11, 3, 7, 8)]
    assert {row.path for row in then.rows} == {"", "qkv", "out"}
    assert capfd.readouterr().out == ""
    assert not list((tmp_path / "temporary").iterdir())
    assert (sys.path, Path.cwd()) == (path, repository.top / "configs")
    assert not [name for name in set(sys.modules) - loaded if name.partition(".")[0] == "model"]


def test_a_package_that_is_installed_from_the_repository(repository, monkeypatch):
    """What is found through sys.path in the repository is of the revision; else it is refused."""
    kit = {"src/kit/__init__.py": "", "src/kit/heads.py": "HEADS = 2\n"}
    own = {"src/kit/nets.py": PACKAGE, "own.yaml": "target: kit.nets:net\ninputs: ['2,12']\n"}
    repository.commit({**kit, **own})
    repository.write({"src/kit/heads.py": "HEADS = 3\n"})
    monkeypatch.syspath_prepend(repository.top / "src")
    with sides("HEAD:", "own.yaml", Wishes()) as both:
        shapes = [side.snapshot().rows[-1].shape for side in both]
    assert shapes == [(2, 2, 6), (2, 3, 4)]
    monkeypatch.setattr(module.Tree, "moved", lambda self, folder: folder)
    with sides("HEAD:", "own.yaml", Wishes()) as both, pytest.raises(BuildError) as caught:
        both[0].snapshot()
    assert str(caught.value).endswith(
        ".py was imported, which is code as it is now and not that of HEAD; put the folder that "
        "it is installed from on PYTHONPATH"
    )


def test_code_that_is_named_by_its_whole_path(repository):
    """A config that names its code by an absolute path has no older version of it."""
    target = f"{repository.top}/model.py:Attention"
    repository.commit(
        {"model.py": MODEL, "a.yaml": CONFIG.replace("../model.py:Attention", target)}
    )
    (said,) = refused("HEAD:a.yaml", "a.yaml")
    assert said == (
        f"HEAD:a.yaml:2:1: {target!r} is code as it is now; write it relative to "
        f"{repository.top} to have that of HEAD"
    )


def test_a_process_of_its_own(tmp_path, monkeypatch):
    """Errors come back as themselves; a process that dies, and a bug, say so."""
    with pytest.raises(SettingsError, match="x: is wrong"):
        run_alone(_raise, SettingsError([Problem("x", "is wrong")]))
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError: by nought"):
        run_alone(_raise, ZeroDivisionError("by nought"))
    for status, how in ((7, "ended itself with code 7"), (0, "ended itself with code 0")):
        with pytest.raises(BuildError) as caught:
            run_alone(os._exit, status)
        assert str(caught.value) == f"the process that ran it {how}"


def _raise(error):
    raise error
