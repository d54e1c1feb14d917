"""One config: what is said of it, where, and what is written."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import warnings
from pathlib import Path

import pytest
import torch

from attntrace.checks.find import Checked, find
from attntrace.checks.one import Options, check_one
from attntrace.record.outcomes import Place
from tests.checks.small import BLOCK, OWN, code

UPDATE, RUN_ONLY = Options(update=True), Options(baselines=None)


def check(name, options=RUN_ONLY):
    (checked,) = find([name])
    return check_one(checked, options)


def said(outcome):
    """Return the contracts that do not hold, each with its place and its first line."""
    return [
        (one.contract, one.place, one.said.splitlines()[0])
        for one in outcome.verdicts
        if not one.holds
    ]


def test_a_config_that_runs(write):
    """Without a baseline to compare with it has rows, parameters, and the one contract."""
    write({"a.yaml": BLOCK})
    came = check("a.yaml")
    assert (came.config, came.status, came.rows, came.parameters) == ("a.yaml", "passed", 18, 13568)
    assert [(one.contract, one.holds) for one in came.verdicts] == [("runs", True)]
    assert (came.wrote, came.difference, came.exit_code) == (None, None, 0)


def test_presets_and_targets_run_by_name(write):
    """What is no file has no place in one; a target without inputs says what to write in one."""
    write({"block.py": code(in_forward="x = x")})
    assert check("multi-head").parameters == 13568
    came = check_one(Checked("block.py:Block", "target"), RUN_ONLY)
    assert came.status == "refused"
    ((_, place, _),) = said(came)
    assert place is None
    assert came.verdicts[0].said == (
        "block.py:Block: Block(width) needs width; say what it is made with, such as in this YAML "
        "file:\n        target: block.py:Block\n        init: {width: 64}"
    )
    write({"a.yaml": "target: block.py:Block\ninit: {width: 3}\n"})
    lines = check("a.yaml").verdicts[0].said.splitlines()
    assert lines == [
        "forward(x) needs x; say what goes in, such as in this YAML file:",
        *("        target: block.py:Block", "        init: {width: 3}"),
        "        inputs: {x: [2, 16, 3]}",
    ]
    write({"a.yaml": "\n".join(lines[1:])})
    assert check("a.yaml").status == "passed"


def test_every_problem_of_the_settings_with_its_line(write):
    """A config that is refused has a verdict a problem, each in its line."""
    write({"a.yaml": "heads: 0\nhedas: 3\n"})
    came = check("a.yaml")
    assert (came.status, came.exit_code, came.rows) == ("refused", 2, None)
    assert said(came) == [
        ("config.heads", Place(file="a.yaml", line=1), "heads must be a whole number >= 1, got 0"),
        (
            "config.hedas",
            Place(file="a.yaml", line=2),
            "unknown key 'hedas'; did you mean 'heads'?",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "place", "first"),
    [
        ("heads: [", Place(file="a.yaml", line=1, column=9), "is not YAML: "),
        ("- 1\n", Place(file="a.yaml"), "a mapping of settings was expected, got a list;"),
        ("services:\n  web: {}\n", Place(file="a.yaml"), "unknown key 'services'"),
        ("target: none.py:Block\n", Place(file="a.yaml"), "no file 'none.py'"),
        ("", Place(file="a.yaml"), "no settings in it; a config has the settings of a block, or "),
        ("# heads: 2\n", Place(file="a.yaml"), "no settings in it; a config has the settings of "),
    ],
    ids=["no YAML", "a list", "another program's", "code that is not there", "empty", "a comment"],
)
def test_what_is_no_config_is_refused(write, text, place, first):
    """A file that is malformed or somebody else's is an outcome, never passed over."""
    write({"a.yaml": text})
    came = check("a.yaml")
    assert (came.status, came.verdicts[0].place) == ("refused", place)
    assert came.verdicts[0].said.startswith(first)


def test_a_file_that_went_away_or_may_not_be_read(write, monkeypatch):
    """What the system says of a file is the outcome of that config."""
    write({"b.yaml": BLOCK})
    gone = check_one(Checked("a.yaml", "file"), RUN_ONLY)
    assert said(gone) == [
        ("config.file", Place(file="a.yaml"), "cannot be read: No such file or directory")
    ]

    def denied(*_args, **_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    assert said(check("b.yaml")) == [
        ("config.file", Place(file="b.yaml"), "cannot be read: Permission denied")
    ]


def test_a_forward_that_raises_has_its_panel(write):
    """The first line is the op and the error, the panel is below it."""
    write({"a.yaml": OWN, "block.py": code(in_forward="x = self.one(x[:, 1:])")})
    came = check("a.yaml")
    assert (came.status, came.exit_code, came.verdicts[0].place) == (
        "broken",
        3,
        Place(file="a.yaml"),
    )
    first, *panel = came.verdicts[0].said.splitlines()
    assert first.startswith("linear failed in one at block.py:11: RuntimeError: ")
    assert panel[0] == "    x = self.one(x[:, 1:])"
    assert "RuntimeError" not in "".join(panel)
    write({"block.py": code(in_forward="raise ValueError('my own\\nwords')")})
    assert check("a.yaml").verdicts[0].said.splitlines() == [
        "the forward failed at block.py:11: ValueError: my own",
        "words",
        "    raise ValueError('my own\\nwords')",
        "          ^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("raise ValueError('no luck')", "block.py could not be imported: ValueError: no luck"),
        (
            "import sys; sys.exit(4)",
            "block.py could not be imported: it ended Python with sys.exit(4)",
        ),
        ("import nowhere", "block.py could not be imported: ModuleNotFoundError: "),
        ("def (", None),
    ],
    ids=["raises", "exits", "imports", "no Python"],
)
def test_code_that_cannot_be_imported(write, line, first):
    """Whatever happens at import is the config's outcome."""
    write({"a.yaml": OWN, "block.py": code(line)})
    came = check("a.yaml")
    assert came.status == ("broken" if first else "refused")
    assert came.verdicts[0].said.startswith(first or "block.py:3 is no Python: ")


def test_code_that_exits_while_it_runs(write):
    """SystemExit in forward is an outcome, too."""
    write({"a.yaml": OWN, "block.py": code(in_forward="raise SystemExit(7)")})
    assert check("a.yaml").status == "broken"


def test_what_code_prints_goes_to_stderr(write, capsys):
    """Nothing of it reaches the report, nor does a warning."""
    write({"a.yaml": OWN, "block.py": code("import warnings; print(1); warnings.warn('hm')")})
    with pytest.warns(UserWarning, match="hm"):
        assert check("a.yaml").status == "passed"
    assert capsys.readouterr() == ("", "1\n")


def test_code_that_runs_backward_has_a_graph(write):
    """As `attntrace run` does, a forward that needs a graph is run with one."""
    line = "torch.autograd.grad(self.one(x).sum(), self.one.weight)"
    write({"a.yaml": OWN, "block.py": code(in_forward=line)})
    assert check("a.yaml").status == "passed"


def test_the_device_of_the_flag(write):
    """`device` goes before the config's own; one that is not there is a refusal."""
    write({"a.yaml": BLOCK})
    assert check("a.yaml", Options(update=True, device="meta")).status == "passed"
    measured = json.loads(Path(".attntrace/a.yaml.json").read_text())["measured"]
    assert list(measured) == ["meta as cpu"]
    if not torch.cuda.is_available():
        assert check("a.yaml", Options(device="cuda")).status == "refused"


def test_the_process_is_as_it_was(write):
    """What code sets in torch and in Python for all is put back."""
    sets = (
        "import os, random, signal, sys; torch.set_default_dtype(torch.float64); "
        "torch.set_default_device('cpu'); torch.set_grad_enabled(False); torch.manual_seed(5); "
        "torch.use_deterministic_algorithms(True, warn_only=True); random.seed(5); "
        "torch.set_float32_matmul_precision('medium'); torch.autograd.set_detect_anomaly(True); "
        "torch.set_num_threads(2); os.chdir('/'); os.environ['X'] = 'y'; sys.path.append('z'); "
        "import warnings; warnings.simplefilter('ignore'); "
        "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    )
    write({"a.yaml": OWN, "block.py": code(sets)})
    before = state()
    assert check("a.yaml").status == "passed"
    assert state() == before


def state():
    """Return what code could set."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.get_deterministic_debug_mode(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(),
        torch.is_anomaly_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
        torch.overrides._get_current_function_mode_stack(),
        random.getstate(),
        str(Path.cwd()),
        dict(os.environ),
        list(sys.path),
        list(warnings.filters),
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
    )


def test_a_missing_baseline_says_the_command(write):
    """Without a baseline nothing can be compared; the command makes it, and then it is the same."""
    write({"it is.yaml": BLOCK})
    missing = check("it is.yaml", Options())
    assert (missing.status, missing.exit_code) == ("missing", 2)
    assert said(missing) == [
        (
            "baseline",
            Place(file="it is.yaml"),
            "there is no .attntrace/it is.yaml.json; make it: attntrace check 'it is.yaml' --update",
        )
    ]
    made = check("it is.yaml", UPDATE)
    assert (made.status, made.wrote) == ("passed", ".attntrace/it is.yaml.json")
    same = check("it is.yaml", Options())
    assert [one.contract for one in same.verdicts] == ["runs", "baseline"]
    assert (same.status, same.difference, same.wrote) == ("passed", None, None)


def test_a_change_is_shown_and_accepted(write):
    """A run that is not as its baseline fails with the difference, until that is written."""
    write({"a.yaml": BLOCK})
    check("a.yaml", UPDATE)
    write({"a.yaml": BLOCK.replace("2", "4")})
    came = check("a.yaml", Options())
    assert (came.status, came.exit_code, came.wrote) == ("changed", 1, None)
    assert came.difference
    ((contract, place, first),) = said(came)
    assert (contract, place) == ("baseline", Place(file="a.yaml"))
    assert first.startswith("differs from its baseline: size heads 2 -> 4")
    elsewhere = Options(baselines=Path("other"))
    check("a.yaml", Options(baselines=Path("other"), update=True))
    write({"a.yaml": BLOCK})
    (told,) = said(check("a.yaml", elsewhere))
    assert told[-1].startswith("differs from its baseline other/a.yaml.json: size heads 4 -> 2")
    write({"a.yaml": BLOCK.replace("2", "4")})
    assert "2 -> 4 heads" in came.verdicts[-1].said
    accepted = check("a.yaml", UPDATE)
    assert (accepted.status, accepted.wrote) == ("passed", ".attntrace/a.yaml.json")
    assert accepted.difference == came.difference
    assert check("a.yaml", Options()).status == "passed"


def test_an_update_leaves_what_is_the_same(write):
    """Neither bytes nor time of a file change where the run is as its baseline, in its tolerance."""
    write({"a.yaml": BLOCK})
    check("a.yaml", UPDATE)
    file = Path(".attntrace/a.yaml.json")
    document = json.loads(file.read_text())
    peak = document["measured"]["cpu"]["peak_nbytes"]
    near = file.read_text().replace(str(peak), str(peak + peak // 200))
    file.write_text(near)
    os.utime(file, (1, 1))
    assert check("a.yaml", UPDATE).wrote is None
    assert (file.read_text(), file.stat().st_mtime) == (near, 1)
    narrow = Options(tolerance=0.001)
    assert check("a.yaml", narrow).status == "changed"
    assert check("a.yaml", Options(update=True, tolerance=0.001)).wrote


def test_a_device_more_is_written_beside_the_others(write):
    """A baseline of another device is compared but for its bytes, which `update` adds."""
    write({"a.yaml": BLOCK})
    check("a.yaml", UPDATE)
    on_meta = Options(device="meta")
    assert check("a.yaml", on_meta).status == "passed"
    assert check("a.yaml", Options(device="meta", update=True)).wrote
    measured = json.loads(Path(".attntrace/a.yaml.json").read_text())["measured"]
    assert list(measured) == ["cpu", "meta as cpu"]


def test_a_baseline_that_cannot_be_read_is_refused(write):
    """A folder in its place, half a file, one of a newer attntrace: exit 2, and nothing written."""
    write({"a.yaml": BLOCK, "b.yaml": BLOCK, "c.yaml": BLOCK, ".attntrace/a.yaml.json/x": ""})
    check("b.yaml", UPDATE)
    whole = Path(".attntrace/b.yaml.json").read_text()
    newer = whole.replace('"schema_version": 1', '"schema_version": 9')
    assert newer != whole
    write({".attntrace/b.yaml.json": whole[:200], ".attntrace/c.yaml.json": newer})
    for name in "abc":
        came = check(f"{name}.yaml", Options())
        assert (came.status, came.exit_code, came.rows) == ("refused", 2, 18), name
        ((contract, _, first),) = said(came)
        assert contract == "baseline"
        assert first.startswith(f".attntrace/{name}.yaml.json"), first
    assert check("b.yaml", UPDATE).wrote
    for name in "ac":
        assert check(f"{name}.yaml", UPDATE).status == "refused"
    assert Path(".attntrace/c.yaml.json").read_text() == newer


@pytest.mark.parametrize(("text", "fixed"), [("{", False), ("<<<<<<< HEAD\n{", False),
                                             ("", True), ('{"schema_version": 1', True)])  # fmt: skip
def test_a_check_and_an_update_say_the_same(write, text, fixed):
    """What a check says that --update writes anew it does, and of what it does not, it says so."""
    write({"a.yaml": BLOCK, ".attntrace/a.yaml.json": text})
    ((_, _, first),) = said(check("a.yaml", Options()))
    assert first.endswith("writes it anew") is fixed
    assert first.endswith("move it away, or name another folder with --baselines") is not fixed
    assert check("a.yaml", UPDATE).status == ("passed" if fixed else "refused")


def test_a_byte_order_mark_is_no_difference(write):
    """What an editor of Windows puts before a baseline is passed over."""
    write({"a.yaml": BLOCK})
    check("a.yaml", UPDATE)
    file = Path(".attntrace/a.yaml.json")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert check("a.yaml", Options()).status == "passed"
    assert check("a.yaml", UPDATE).wrote is None


def test_a_missing_numpy_is_not_told(write):
    """torch's warning of it fails no config, where warnings are errors."""
    line = "import warnings; warnings.warn('Failed to initialize NumPy: No module named x')"
    write({"a.yaml": OWN, "block.py": code(line)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check("a.yaml").status == "passed"


def test_a_config_outside_of_the_folder_is_refused(write, tmp_path):
    """Paths of baselines are from the folder around theirs; the fix names one that would do."""
    write({"m/a.yaml": BLOCK, "n/.keep": ""})
    (verdict,) = check("m/a.yaml", Options(baselines=Path("n/.attntrace"))).verdicts[1:]
    assert not verdict.holds
    assert f"use --baselines {tmp_path}/m/.attntrace" in verdict.said


def test_the_worst_is_the_status(write):
    """A run that breaks an expectation and is new is missing; the other is said as well."""
    write({"a.yaml": f"{BLOCK}expect:\n  parameters: 5\n  q: [batch, heads, tokens, head_dim]\n"})
    came = check("a.yaml", Options())
    assert came.status == "missing"
    assert [(one.contract, one.holds) for one in came.verdicts] == [
        ("runs", True),
        ("expect.parameters", False),
        ("expect.q", True),
        ("baseline", False),
    ]
    assert came.verdicts[1].place == Place(file="a.yaml", line=4, column=3)
    updated = check("a.yaml", UPDATE)
    assert (updated.status, updated.exit_code) == ("failed", 1)
    assert updated.wrote


def test_a_bug_of_ours_is_raised(write, monkeypatch):
    """What is none of our errors is not the config's fault."""
    write({"a.yaml": BLOCK})
    monkeypatch.setattr("attntrace.api.graph.run", lambda *_args, **_named: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        check("a.yaml")
