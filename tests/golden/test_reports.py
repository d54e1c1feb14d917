"""The report of a check in every format, whole."""

from __future__ import annotations

import pytest

from attntrace.render.report import FORMATS, step_summary
from attntrace.version import __version__
from tests.render.report.reports import each_status

FILES = {
    "json": "check.json",
    "junit": "check.xml",
    "github": "check_github.txt",
    "sarif": "check.sarif",
    "markdown": "check.md",
}


@pytest.mark.parametrize(("format", "file"), FILES.items())
def test_a_report_is_what_it_was(golden, format, file):
    """Of one config of every status, the text of each format is the one that is kept."""
    golden(file, FORMATS[format](each_status()).replace(__version__, "VERSION"))


def test_every_format_is_kept():
    """No format is without a golden file."""
    assert list(FILES) == list(FORMATS)


def test_a_summary_of_a_job_is_the_comment(golden):
    """Where nothing must be cut, the summary of a job and a comment are the same text."""
    golden(FILES["markdown"], step_summary(each_status()))
