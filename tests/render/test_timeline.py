"""The drawing of live bytes over rows, from facts that no run has written."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from attntrace.render import View, print_report, to_text
from attntrace.render.timeline import timeline_lines
from tests.builders import fake_op, fake_output, fake_row, fake_storage, fake_trace, fake_training

DRAWN = """\
live bytes above what was there before
forward
  #0 x               0 B
  #1 qkv       975.0 KiB  ################
  #2 q         975.0 KiB  ################
  #3 scores      1.8 MiB  ############################# peak of the forward
backward
  #4 d scores    1.9 MiB  ################################
  #5 d weight    2.0 MiB  ################################ peak

alive at the peak, #5 d weight: 2.3 MiB with what was there before
  #1 qkv       saved         975.0 KiB   42.2 %  qkv
  #3 scores    activations   507.8 KiB   22.0 %
  #4 d scores  gradients     507.8 KiB   22.0 %
  #0 x         inputs        248.8 KiB   10.8 %
  #5 d weight  gradients      36.8 KiB    1.6 %  qkv
  qkv.weight   parameters     36.8 KiB    1.6 %"""


def long_trace(rows):
    """Return a run of so many rows, each of more new memory than the one before, all kept."""
    sizes = [n + 1 for n in range(rows)]
    return fake_trace(
        tensors=tuple(
            fake_row(n, f"t{n}", "add", (size,), storage_id=n, path=f"layers.{n // 50}")
            for n, size in enumerate(sizes)
        ),
        ops=tuple(
            fake_op(n, "aten.add", n, fake_output((size,), n)) for n, size in enumerate(sizes)
        ),
        storages=tuple(
            fake_storage(n, 4 * size, born=n, op=n, row=n) for n, size in enumerate(sizes)
        ),
        modules=(),
    )


def test_a_training_run():
    """A bar a row, phases as headings, both peaks marked, then what is alive with its share."""
    assert "\n".join(timeline_lines(fake_training(), 78, "#")) == DRAWN


def test_forward_alone_has_one_peak():
    """Without backward the peak is that of the run."""
    marked = [line for line in timeline_lines(fake_trace()) if line.endswith("peak")]
    assert len(marked) == 1
    assert marked[0].split()[:2] == ["#3", "scores"]


@pytest.mark.parametrize("width", [10, 60, 100, 160])
def test_a_drawing_is_as_wide_as_it_is_told(width):
    """The longest bar reaches the width, or has ten blocks where names leave no room."""
    bars = [line for line in timeline_lines(fake_training(), width) if "█" in line]
    longest = max(line.count("█") for line in bars)
    assert longest >= 10
    assert max(map(len, bars)) <= max(width, 60)


def test_many_rows_share_lines():
    """Over sixty rows, neighbours share a line that names their module; the peak has its own."""
    lines = timeline_lines(long_trace(500))
    drawn = [line for line in lines[: lines.index("")] if line.startswith("  #")]
    assert len(drawn) <= 70
    assert drawn[0].split()[:2] == ["#0-8", "layers.0"]
    assert drawn[-1].split()[:2] == ["#499", "t499"]
    assert drawn[-1].endswith("peak")
    assert lines[-1].split()[:2] == ["490", "more"]


def test_a_run_that_allocates_nothing():
    """Nothing to draw is said."""
    nothing = fake_trace(tensors=(), ops=(), storages=(), modules=())
    assert timeline_lines(nothing) == ["timeline: the run allocated nothing"]


def test_it_stands_below_the_footer():
    """In a pipe and on a terminal the drawing comes after the table, where it was asked for."""
    shown = to_text(fake_training(), View(timeline=True))
    assert shown.endswith("\n".join(timeline_lines(fake_training())) + "\n")
    assert "live bytes" not in to_text(fake_training(), View())
    out = StringIO()
    print_report(fake_training(), View(timeline=True), Console(file=out, width=78))
    assert out.getvalue().endswith("\n".join(timeline_lines(fake_training(), 78)) + "\n")


def test_a_terminal_without_blocks_gets_plain_letters():
    """Where the encoding has no blocks, bars are made of number signs."""

    class Ascii(StringIO):
        encoding = "ascii"

    out = Ascii()
    print_report(fake_training(), View(timeline=True), Console(file=out, width=78))
    assert out.getvalue().endswith(DRAWN + "\n")
