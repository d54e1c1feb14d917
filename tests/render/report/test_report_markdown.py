"""The report in Markdown, read by a parser of it."""

from __future__ import annotations

import html
import re
from itertools import pairwise

from hypothesis import given, settings
from markdown_it import MarkdownIt

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.report.breaches import lines_of, plain
from attntrace.render.report.markdown import COMMENT_NBYTES, to_markdown
from tests.render.report.reports import all_pass, breaks, each_status
from tests.render.report.strange import broken, reports

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def rows(tokens):
    """Return the cells of each row of the first table as text, which is all that they are."""
    cells = []
    for opened, inline in pairwise(tokens):
        if opened.type == "table_close":
            break
        if opened.type == "tr_open":
            cells.append([])
        elif opened.type in ("th_open", "td_open"):
            assert {child.type for child in inline.children} <= {"text", "text_special"}
            cells[-1].append("".join(child.content for child in inline.children))
    return cells


def test_the_table_has_what_did_not_pass():
    """A row a contract, the worst first; configs that passed are counted."""
    text = to_markdown(each_status())
    assert text.startswith(
        "## attntrace check: 5 of 6 configs did not pass\n\n"
        "1 passed, 1 changed, 1 failed, 1 missing, 1 refused, 1 broken, 1 not run in 2.5 s\n"
    )
    head, *body = rows(READER.parse(text))
    assert head == ["config", "contract", "what is wrong"]
    assert [row[0] for row in body] == [
        "model.py:Block",
        "configs/new.yaml:1",
        "configs/typo.yaml:3",
        "configs/grouped.yaml:1",
        "configs/wide.yaml:7",
        "configs/wide.yaml:9",
    ]
    assert body[4] == ["configs/wide.yaml:7", "expect.q", "q is (2, 8, 13, 16), not (2, 4, 13, 32)"]
    titles = re.findall("<summary>(.*)</summary>", text)
    assert titles == [
        "model.py:Block: runs",
        "configs/new.yaml: baseline",
        "configs/grouped.yaml: baseline",
    ]
    assert "Not run: configs/zoo.yaml\n" in text
    assert "```text\nattntrace check configs/ --update\n```" in text


def test_what_passes_is_counted():
    """Without a failure there is a heading and a line, and no table."""
    assert to_markdown(all_pass()) == "## attntrace check: 1 config passed\n\n1 passed in 0.5 s\n"


@settings(max_examples=40, deadline=None)
@given(report=reports())
def test_no_text_ends_a_cell_or_begins_a_mark(report):
    """Every row has its three cells, and each reads back as the first line of what was said."""
    tokens = READER.parse(to_markdown(report))
    wrong = sorted(broken(report), key=lambda found: -found[0].exit_code)
    found = rows(tokens)[1:]
    for (config, contract, said), (outcome, verdict) in zip(found, wrong, strict=True):
        assert config.startswith(plain(outcome.config).strip())
        assert contract == plain(verdict.contract).strip()
        lines = lines_of(verdict.said) or [f"{plain(verdict.contract)} does not hold"]
        assert said == lines[0].strip()
    fences = [token.content for token in tokens if token.type == "fence"]
    more = ["\n".join(lines_of(v.said)) for _, v in wrong if lines_of(v.said)[1:]]
    assert [fence.rstrip("\n") for fence in fences][len(fences) - len(more) :] == [
        text.rstrip("\n") for text in more
    ]
    folded = [t.content for t in tokens if t.type == "html_block" and "<summary>" in t.content]
    assert len(folded) == len(more)
    for block in folded:
        title = re.fullmatch("<details><summary>(.*)</summary>\n", block)[1]
        assert "<" not in title
        assert html.unescape(title)


def test_what_writes_baselines_is_said_where_there_is_such_a_command():
    """After --update nothing more can be written, and the report does not ask for it."""
    assert "```" not in to_markdown(Report(outcomes=each_status().outcomes[2:3], seconds=0))
    missing = Report(outcomes=each_status().outcomes[3:4], seconds=0)
    assert "writes their baselines" not in to_markdown(missing)


def test_a_comment_is_no_longer_than_github_takes():
    """Where a table alone is too long, the rows that fit stand, and the rest is counted."""
    verdicts = tuple(breaks(f"expect.t{n}", "é" * 500) for n in range(200))
    outcome = Outcome(config="a.yaml", status="failed", verdicts=verdicts, seconds=0)
    text = to_markdown(Report(outcomes=(outcome,), seconds=0))
    assert COMMENT_NBYTES - 2000 < len(text.encode()) <= COMMENT_NBYTES
    shown = len(rows(READER.parse(text))) - 1
    assert text.endswith(
        f"\n\n{200 - shown} parts do not fit here; `attntrace check --format json` has them.\n"
    )
