"""Runs that are refused before any tensor exists: no room, or no device."""

from __future__ import annotations

import re

import pytest
import torch

from attntrace import capture

NO_CUDA = "CUDA is not there: this torch sees no GPU; use device cpu or meta"
NO_MPS = "mps is not there: this torch sees no Apple GPU; use device cpu or meta"


def refusal(where, message):
    """Return what stderr shows for one problem."""
    return f"attntrace: 1 problem with the settings\n  {where}: {message}\n"


@pytest.fixture
def small_machine(monkeypatch):
    """Leave 1,000 bytes on every device but meta."""
    left = {"meta": None}
    monkeypatch.setattr(capture, "available_nbytes", lambda name: left.get(name, 1000))


@pytest.fixture
def no_gpu(monkeypatch):
    """Make torch see no GPU of any maker."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("small_machine")
def test_a_run_that_cannot_fit(invoke):
    """A run with more bytes than are left exits with 2, the estimate, and the way out."""
    ended = invoke("run", "--heads", 4, "--tokens", 2000)
    parameters, x, qkv, scores = 13_504, 1_274_000, 4_992_000, 208_000_000
    assert f"{4 * (parameters + x + qkv + 2 * scores) / 2**30:.1f}" == "1.6"
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        (
            "attntrace: this run holds at least 1.6 GiB at once, and cpu has 1000 B left; use "
            "--device meta, which allocates nothing, or make batch or tokens smaller\n"
        ),
    )


@pytest.mark.usefixtures("small_machine")
def test_meta_is_never_too_small(invoke):
    """The same run on meta is not refused."""
    assert invoke("run", "--heads", 4, "--tokens", 2000, "--device", "meta").code == 0


def test_a_run_that_no_machine_holds(process):
    """A million tokens of eager attention are refused, and the process is not killed."""
    ended = process("run", "--tokens", 1_000_000)
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(
        r"attntrace: this run holds at least 94\.6 TiB at once, and cpu has [\d.,]+ [KMGT]iB left; "
        r"use --device meta, which allocates nothing, or make batch or tokens smaller\n",
        ended.err,
    )


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("device", "message"), [("cuda", NO_CUDA), ("cuda:1", NO_CUDA), ("mps", NO_MPS)]
)
def test_a_device_that_is_not_there(device, message, invoke):
    """A device that this machine lacks exits with 2 and names devices that it has."""
    ended = invoke("run", "--device", device)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == refusal(f"--device {device}", message)


def test_a_gpu_number_that_is_too_high(invoke, monkeypatch):
    """A number above the last GPU exits with 2 and says which there are."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    ended = invoke("run", "--device", "cuda:5")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == refusal(
        "--device cuda:5",
        "device cuda:5 is not there: this machine has cuda:0 to cuda:1; use cuda:1",
    )


@pytest.mark.usefixtures("no_gpu")
def test_a_device_from_a_file_is_placed_in_the_file(invoke, tmp_path, monkeypatch):
    """A missing device that a file asked for is reported at its line, not at a flag."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpu.yaml").write_text("run:\n  device: cuda\n")
    ended = invoke("run", "gpu.yaml")
    assert (ended.code, ended.err) == (2, refusal("gpu.yaml:2:3", NO_CUDA))


@pytest.mark.usefixtures("no_gpu")
def test_settings_for_another_machine_can_be_shown(invoke):
    """`--show-config` runs nothing, so it needs no device."""
    ended = invoke("run", "--device", "cuda", "--show-config")
    assert (ended.code, ended.err) == (0, "")
    assert "device: cuda # --device cuda" in " ".join(ended.out.split())
