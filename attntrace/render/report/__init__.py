"""The report of a check, one file a format; `human.py` is the one for terminals."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.record.outcomes import Report
from attntrace.render.report.github import step_summary, to_annotations
from attntrace.render.report.json import to_json
from attntrace.render.report.junit import to_junit
from attntrace.render.report.markdown import to_markdown
from attntrace.render.report.sarif import to_sarif

__all__ = ["FORMATS", "step_summary"]

FORMATS: dict[str, Callable[[Report], str]] = {
    "json": to_json,
    "junit": to_junit,
    "github": to_annotations,
    "sarif": to_sarif,
    "markdown": to_markdown,
}
"""What machines and reviewers read; each returns the whole text, with a newline at its end."""
