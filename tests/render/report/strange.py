"""Reports of strange names and messages: what ends a line, a cell, a command or a document."""

from __future__ import annotations

from hypothesis import strategies as st

from attntrace.record.outcomes import EXIT_CODES, Outcome, Place, Report, Verdict
from attntrace.render.report.breaches import plain
from tests.render.report.reports import COMMAND, STARTED

MARKS = (
    "|", "\\", "\\|", "`", "```", "*", "_", "~", "$", "&", "&amp;", "&#124;", "<b>", "</details>", "[a](b)",
    "]]>", "<![CDATA[", "<!--", '"', "'", "%", "%0A", "%25", "::", "::error::", "::error file=a::b", ",", ":", "=",
    "\n", "\r", "\r\n", "\t", "\x00", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ud800", "\udc80",
    "\ufffe", "\uffff", "é", "→", "😀", " ", "a", "1", ".", "/", "../", "?", "#", "@a", "{0}", "##[error]",
)  # fmt: skip
words = st.lists(st.sampled_from(MARKS) | st.text(max_size=4), max_size=8).map("".join)
names = words.filter(lambda text: text.strip() and plain(text).strip())
contracts = names | st.builds("{}.{}".format, st.sampled_from(("config", "expect")), names)
places = st.none() | st.builds(
    Place, file=names, line=st.integers(1, 9999), column=st.integers(1, 999)
)
verdicts = st.builds(
    Verdict,
    contract=contracts | st.sampled_from(("runs", "baseline")),
    holds=st.booleans(),
    said=words,
    place=places,
)
outcomes = st.builds(
    Outcome,
    config=names,
    status=st.sampled_from(list(EXIT_CODES)),
    verdicts=st.lists(verdicts, max_size=5).map(tuple),
    seconds=st.floats(0, 10_000),
    rows=st.none() | st.integers(0, 10**6),
    parameters=st.none() | st.integers(0, 10**12),
    wrote=st.none() | words,
)


@st.composite
def reports(draw):
    """Return a report of configs that differ in what they are called, as those of a check do."""
    outcome_of = {"unique_by": lambda outcome: plain(outcome.config), "max_size": 4}
    made = draw(st.lists(outcomes, **outcome_of))
    taken = {plain(outcome.config) for outcome in made}
    left = draw(st.lists(names.filter(lambda name: plain(name) not in taken), max_size=2))
    return Report(
        outcomes=tuple(made),
        seconds=sum(outcome.seconds for outcome in made),
        left=tuple({plain(name): name for name in left}.values()),
        command=draw(st.just(COMMAND) | words),
        started=STARTED,
    )


def broken(report):
    """Return the configs and verdicts that do not hold, as they came."""
    return [
        (outcome, verdict)
        for outcome in report.outcomes
        for verdict in outcome.verdicts
        if not verdict.holds
    ]
