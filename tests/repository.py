"""A git repository of a test's own, whatever the user's git is set up to do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

MODEL = """
from torch import nn

class Attention(nn.Module):
    def __init__(self, dim=24, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        print("built")

    def forward(self, x):
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        probs = (q @ k.transpose(-2, -1)).softmax(-1)
        context = (probs @ v).transpose(1, 2).reshape(batch, tokens, dim)
        return self.out(context)
"""
CONFIG = """
target: ../model.py:Attention
inputs: {x: "batch,tokens,24"}
sizes: {batch: 5, tokens: 7}
"""


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's settings of git, and a repository that tests are run from."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)


class Repository:
    """A repository with one branch, `main`."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Return what git says, run in the outermost folder."""
        user = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.com")
        command = ["git", "-C", str(self.top), *user, *arguments]
        ended = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
        return ended.stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        """Write files by their paths."""
        for name, text in files.items():
            file = self.top / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    def commit(self, files: dict[str, str]) -> str:
        """Write files, commit all that is there, and return the hash."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-gpg-sign", "--message=more")
        return self.git("rev-parse", "HEAD")
