"""A difference in Markdown, for the summary of a job and for comments on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.record.difference import Difference
from attntrace.render.difference.figures import apart, is_size, title, written
from attntrace.render.difference.lines import MOST, change_lines
from attntrace.render.difference.sentence import difference_sentence
from attntrace.render.marked import escaped, fenced


def difference_markdown(difference: Difference, *, most: int | None = MOST) -> str:
    """Return the sentence, a table of totals, and a fence with a line for all that changed.

    The fence is a `diff`, in which a reader sees what came, went and changed by its colour. `most`
    are its lines of rows, and those of modules, before the others are only counted.
    """
    lines = change_lines(difference, most, headed=True)
    parts = [escaped(difference_sentence(difference))]
    parts += ["", *_table(difference)] if difference else []
    parts += ["", *fenced(lines, "diff")] if lines else []
    return "\n".join(parts) + "\n"


def _table(difference: Difference) -> Iterator[str]:
    yield "| figure | before | after | difference |"
    yield "| --- | ---: | ---: | ---: |"
    for figure in difference.figures:
        if figure.differs or not is_size(figure):
            cells = (title(figure), *written(figure), apart(figure))
            yield f"| {' | '.join(map(escaped, cells))} |"
