"""Many configs in several processes: order, death, isolation, and where it ends early."""

from __future__ import annotations

import os
import sys
import time
import warnings
from multiprocessing import get_context
from pathlib import Path

import pytest

import attntrace
from attntrace.analysis.snapshot import snapshot_of
from attntrace.checks import crew as crews
from attntrace.checks import one, pool
from attntrace.checks.crew import Crew
from attntrace.checks.find import find
from attntrace.checks.one import check_one
from attntrace.checks.options import Options
from attntrace.checks.pool import cores, outcomes
from attntrace.record.outcomes import Outcome, Report, Verdict
from attntrace.record.snapshot_text import to_text
from tests.checks.small import BLOCK, DEEP, OWN, code

RUN_ONLY = Options(baselines=None)
ROOT = Path(__file__).parents[2]
ELSEWHERE = {"PYTHONHASHSEED": "49", "LC_ALL": "C", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "2"}
SLEEPS = code("import time; time.sleep(60)")


def run(*names, jobs=2, **more):
    """Return the outcomes of some configs by name, in the order they came."""
    found = outcomes(find(names), RUN_ONLY, jobs=jobs, **more)
    return {one.config: one for one in found}


class Told:
    """Somebody who is told which config begins and which is over."""

    def __init__(self):
        self.begun, self.ended = [], []
        self.begin, self.end = self.begun.append, self.ended.append


def test_outcomes_come_in_the_order_found(write):
    """What may take longest begins first, and still the outcomes are in the order of the configs."""
    write({"a.yaml": BLOCK, "b.yaml": BLOCK, "c.yaml": DEEP})
    told = Told()
    came = run("a.yaml", "b.yaml", "c.yaml", watch=told)
    assert list(came) == ["a.yaml", "b.yaml", "c.yaml"]
    assert told.begun == ["c.yaml", "a.yaml", "b.yaml"]
    assert sorted(told.ended) == ["a.yaml", "b.yaml", "c.yaml"]
    assert {one.status for one in came.values()} == {"passed"}


def test_processes_and_this_one_say_the_same(write):
    """One process or two: the same outcomes but for their seconds."""
    files = {"a.yaml": BLOCK, "b.yaml": "hedas: 2\n", "c.yaml": OWN, "d.yaml": "heads: ["}
    write({**files, "block.py": code(in_forward="self.one(x[:, 1:])")})
    one, two = (
        [
            (o.config, o.status, o.verdicts, o.rows, o.parameters)
            for o in run(".", jobs=jobs).values()
        ]
        for jobs in (1, 2)
    )
    assert one == two
    assert [status for _, status, *_ in one] == ["passed", "refused", "broken", "refused"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os; os.kill(os.getpid(), 11)", "died with signal 11 (SIGSEGV)"),
        ("import os; os.kill(os.getpid(), 9)", "died with signal 9 (SIGKILL)"),
        ("import os; os._exit(0)", "ended itself with code 0"),
    ],
    ids=["segfault", "killed", "exit"],
)
def test_a_process_that_dies_is_the_outcome_of_its_config(write, line, said, capfd):
    """The configs before and after it have their own outcomes, from new processes."""
    write({"b.yaml": OWN, "block.py": code(line), "a.yaml": BLOCK, "c.yaml": BLOCK})
    came = run("a.yaml", "b.yaml", "c.yaml")
    assert [one.status for one in came.values()] == ["passed", "broken", "passed"]
    (verdict,) = came["b.yaml"].verdicts
    assert (verdict.contract, verdict.said) == ("runs", f"the process that ran it {said}")
    assert (came["b.yaml"].rows, came["b.yaml"].exit_code) == (None, 3)


def test_a_process_whose_child_lives_on_is_seen_to_die(write, monkeypatch):
    """A copy of the process that the user's code leaves holds its pipe open, and is ended."""
    monkeypatch.setattr(crews, "OFTEN", 0.05)
    fork = "import os, time; pid = os.fork(); pid or time.sleep(60)"
    note = "open('pid', 'w').write(str(pid)); os._exit(5)"
    folder = write({"b.yaml": OWN, "block.py": code(f"{fork}; {note}"), "a.yaml": BLOCK})
    came = run("a.yaml", "b.yaml")
    assert came["b.yaml"].verdicts[0].said == "the process that ran it ended itself with code 5"
    wait_until(lambda: not is_running(int((folder / "pid").read_text())))


def test_nothing_passes_from_one_config_to_the_next(write):
    """Two folders with a model.py and a helper each; what code sets for all, others do not see."""
    sets = "torch.set_default_dtype(torch.float64); torch.nn.functional.gelu = None"
    own = "target: model.py:Block\ninit: {width: 3}\ninputs: {x: [2, 3]}\n"
    files = {}
    for folder, rows in (("a", 3), ("b", 4)):
        files[f"{folder}/x.yaml"] = own
        files[f"{folder}/helper.py"] = f"TIMES = {rows}"
        more = f"from helper import TIMES; {sets}"
        files[f"{folder}/model.py"] = code(more, "x = x if TIMES == 3 else x + 1")
    write({**files, "c.yaml": DEEP})
    came = run(".")
    assert [one.status for one in came.values()] == ["passed"] * 3
    assert [one.rows for one in came.values()][:2] == [2, 3]
    here = {one.config: one.rows for one in outcomes(find(["c.yaml"]), RUN_ONLY)}
    assert came["c.yaml"].rows == here["c.yaml"]


def test_fail_fast_ends_what_runs_and_leaves_the_rest(write):
    """The first that does not pass ends a config that would run for a minute."""
    write({"a.yaml": OWN, "block.py": SLEEPS, "b.yaml": "heads: 3\n", "c.yaml": BLOCK})
    start = time.monotonic()
    came = run("a.yaml", "b.yaml", "c.yaml", fail_fast=True)
    assert time.monotonic() - start < 30
    assert {name: one.status for name, one in came.items()} == {"b.yaml": "refused"}


def test_fail_fast_in_one_process(write):
    """The same where configs run one after another."""
    write({"a.yaml": BLOCK, "b.yaml": "heads: 3\n", "c.yaml": BLOCK})
    assert list(run(".", jobs=1, fail_fast=True)) == ["a.yaml", "b.yaml"]


def test_leaving_early_ends_the_processes(write):
    """Closing the iterator ends a config that would run for a minute, and what it has begun."""
    began = "import os, subprocess; one = subprocess.Popen(['sleep', '60'])"
    note = "open('pids', 'w').write(f'{os.getpid()} {one.pid}')"
    folder = write({"a.yaml": BLOCK, "b.yaml": OWN, "block.py": code(f"{began}; {note}") + SLEEPS})
    found = outcomes(find(["a.yaml", "b.yaml"]), RUN_ONLY, jobs=2)
    assert next(found).config == "a.yaml"
    wait_until((folder / "pids").exists)
    wait_until(lambda: (folder / "pids").read_text().count(" "))
    found.close()
    pids = [int(text) for text in (folder / "pids").read_text().split()]
    wait_until(lambda: not any(is_running(pid) for pid in pids))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bug_of_ours_is_the_outcome_of_its_config(write, monkeypatch, jobs):
    """The first line says that it is ours, the traceback is below; all others run."""

    def broken(checked, options):
        return 1 // 0 if checked.name == "b.yaml" else check_one(checked, options)

    monkeypatch.setattr(one, "check_one", broken)
    write({"a.yaml": BLOCK, "b.yaml": BLOCK, "c.yaml": BLOCK})
    came = run(".", jobs=jobs)
    assert [one.status for one in came.values()] == ["passed", "broken", "passed"]
    (verdict,) = came["b.yaml"].verdicts
    first, second, *_, last = verdict.said.splitlines()
    assert first == (
        "this is a bug in attntrace: ZeroDivisionError: integer division or modulo by zero"
    )
    assert second == "Traceback (most recent call last):"
    assert last == "ZeroDivisionError: integer division or modulo by zero"
    assert [one.exit_code for one in came.values()] == [0, 101, 0]
    report = Report(outcomes=tuple(came.values()), seconds=0.1)
    assert report.exit_code == 101


def test_what_one_config_imports_the_next_has(write, monkeypatch):
    """Modules of installed packages that take long are imported here; a user's own never are."""
    slow = "torch.utils.mobile_optimizer"
    monkeypatch.delitem(sys.modules, slow, raising=False)
    seen = f"import sys; seen = {slow!r} in sys.modules; import {slow}, mine"
    fails = "assert seen; assert 'of b' == __import__('mine').NAME"
    files = {"a/block.py": code(seen), "b/block.py": code(seen, f"{fails}; x = x")}
    for folder in "ab":
        files |= {f"{folder}/x.yaml": OWN, f"{folder}/mine.py": f"NAME = 'of {folder}'"}
    write(files)
    options = Options(baselines=None)
    with Crew(options) as crew:
        for checked in find(["."]):
            crew.give(checked)
            came = []
            while not came:
                came = list(crew.answers())
            crew.dismiss()
            assert came[0][1].outcome.status == "passed", came[0][1].outcome.verdicts
    assert slow in sys.modules
    assert "mine" not in sys.modules


def test_processes_end_when_their_parent_is_gone(write):
    """Killed, it cannot end them: each sees that, and ends itself with what it has begun."""
    began = "import os, subprocess; one = subprocess.Popen(['sleep', '60'])"
    note = "open('pids', 'w').write(f'{os.getpid()} {one.pid} .')"
    folder = write({"a.yaml": BLOCK, "b.yaml": OWN, "block.py": code(f"{began}; {note}") + SLEEPS})
    parent = get_context("fork").Process(target=lambda: list(run("a.yaml", "b.yaml")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        parent.start()
    wait_until((folder / "pids").exists)
    wait_until(lambda: (folder / "pids").read_text().endswith("."))
    pids = [int(text) for text in (folder / "pids").read_text().split()[:2]]
    assert all(map(is_running, pids))
    parent.kill()
    parent.join()
    wait_until(lambda: not any(map(is_running, pids)))


def test_what_lacked_memory_runs_again_alone(write, monkeypatch):
    """A config that is refused for its size beside another, which ends first, runs again alone."""

    second = Path("second")

    def crowded(checked, _options):
        beside = any(Path("running").iterdir())
        mark = Path("running", checked.name)
        mark.touch()
        while not beside and not second.exists():
            time.sleep(0.01)
        second.touch()
        if beside:
            time.sleep(0.3)  # until the other has ended
        mark.unlink()
        verdict = Verdict(contract="runs", holds=not beside, said="too large" if beside else "")
        status = "refused" if beside else "passed"
        return Outcome(config=checked.name, status=status, verdicts=(verdict,), seconds=0.0)

    monkeypatch.setattr(one, "check_one", crowded)
    folder = write({"a.yaml": BLOCK, "b.yaml": BLOCK})
    (folder / "running").mkdir()
    assert [one.status for one in run(".").values()] == ["passed", "passed"]
    assert second.exists()


def test_a_process_that_is_no_copy(write, monkeypatch):
    """A process begun anew, with other hashes, locale, time zone and threads: the same bytes."""
    names = [f"configs/{one}.yaml" for one in ("multi-head", "dot-product", "separate-heads")]
    here = write({name: (ROOT / name).read_text() for name in names})
    for variable, value in ELSEWHERE.items():
        monkeypatch.setenv(variable, value)
    came = []
    with Crew(Options(update=True), forks=False) as crew:
        for at, checked in enumerate(find(names)):
            crew.give(checked)
            while len(came) == at:
                came += crew.answers()
    assert [answer.outcome.status for _, answer in came] == ["passed"] * len(names)
    monkeypatch.chdir(ROOT)
    for name in names:
        facts = attntrace.run(here / name, axes=True).facts
        text = (here / f".attntrace/{name}.json").read_bytes()
        assert text == to_text(snapshot_of(facts)).encode()


def test_jobs_by_default(monkeypatch, tmp_path, write):
    """As many as cores or as a container may use; one where a GPU would be shared."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(pool, "_QUOTA", quota)
    assert cores() == 8
    for text, count in (("150000 100000", 2), ("max 100000", 8), ("1000 100000", 1)):
        quota.write_text(text)
        assert cores() == count
    monkeypatch.setattr(pool, "Crew", None)  # several would fail
    write({"a.yaml": "run: {device: cuda}\n", "b.yaml": BLOCK})
    came = run("a.yaml", "b.yaml", jobs=None)
    assert came["b.yaml"].status == "passed"


def is_running(pid):
    """Whether a process is there and no mere entry of one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(holds):
    """Wait for something to become true, at most twenty seconds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
