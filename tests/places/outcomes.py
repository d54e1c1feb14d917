"""What a check says of a config, made up: the plugin shows it, whoever found it out."""

from __future__ import annotations

from pathlib import Path

import attntrace.checks.one
import attntrace.render.report.human
import attntrace.spec  # noqa: F401 - once, and not anew in every pytest within a test
from attntrace.record.outcomes import Outcome, Place, Verdict

CONFIG = """block: attention
heads: 4
chan: 64
expect:
  q: [batch, heads, tokens, head_dim]
  parameters: 13568
"""
PASSED = tuple(
    Verdict(contract=name, holds=True)
    for name in ("runs", "expect.q", "expect.parameters", "baseline")
)


def outcome(*wrong, status="failed"):
    """Return an outcome in which these verdicts stand in for those of the same contract."""
    by_name = {verdict.contract: verdict for verdict in (*PASSED, *wrong)}
    return only(*by_name.values(), status=status)


def only(*verdicts, status="broken"):
    """Return an outcome of nothing but these verdicts."""
    return Outcome(config="configs/a.yaml", status=status, verdicts=verdicts, seconds=0.1)


def wrong(contract, said, line=None):
    """Return a verdict of something that does not hold."""
    place = Place(file="configs/a.yaml", line=line, column=3) if line else None
    return Verdict(contract=contract, holds=False, said=said, place=place)


def write_configs(folder: Path, *names: str) -> None:
    """Write the config under these names below `configs`."""
    (folder / "configs").mkdir()
    for name in names:
        (folder / "configs" / name).write_text(CONFIG, encoding="utf-8")
