"""The formats that machines and browsers read: CSV, Markdown, HTML, JSON."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest

from attntrace.analysis.copies import Copy
from attntrace.analysis.memory import Moment
from attntrace.analysis.timeline import Alive
from attntrace.render import COLUMNS, View, finding_lines, to_csv, to_html, to_json, to_markdown
from attntrace.render.timeline import timeline_lines
from tests.builders import fake_failure, fake_row, fake_trace, fake_training

CSV = """\
#,tensor,op,shape,axes,dtype,memory,from
0,x,input,"(13, 100, 49)","(batch, tokens, dim)",float32,254800,input
1,qkv,linear,"(13, 100, 192)","(batch, tokens, 3*64)",float32,998400,new
2,q,getitem,"(13, 100, 64)",,float32,332800,view of #1
3,scores,matmul,"(13, 100, 100)","(batch, tokens, tokens)",float32,520000,new + 325.0 KiB hidden
"""
MARKDOWN = """\
Scores: batch 13 tokens 100 dim 49 \\| eval, no grad \\| cpu (x86\\_64) \\| float32 \\| torch 2.13.0

| # | tensor | shape | bytes |
| ---: | --- | --- | ---: |
| 0 | x | (13, 100, 49) | 254,800 |
|  | **Scores** |  |  |
| 1 | &nbsp;&nbsp;&nbsp;&nbsp;qkv | (13, 100, 192) | 998,400 |
| 2 | &nbsp;&nbsp;q | (13, 100, 64) | 332,800 |
| 3 | &nbsp;&nbsp;scores | (13, 100, 100) | 520,000 |

- **parameters**: 9,408 = 36.8 KiB (37,632 B)
- **inputs**: 248.8 KiB (254,800 B)
- **allocated**: 1.4 MiB (1,518,400 B) new in rows + 325.0 KiB hidden inside ops = 1.8 MiB (1,851,200 B)
- **peak**: 1.8 MiB (1,851,200 B) at once above parameters and inputs, at #3 scores
- **FLOPs**: 41,100,800 (2 per multiply-add, matrix products only)
- **not counted**: scratch inside kernels
"""
WORKED_OUT = ("memory", "timeline", "alive_at_peak", "copies", "kernel", "flops")
HOSTILE = "<b>a|b</b>\n*&`_"
EVERY = View(level="kernel", columns=tuple(COLUMNS), explain=False)


def hostile_trace():
    """Return a trace whose name, op, formula and note hold what formats give a meaning."""
    row = fake_row(
        0, HOSTILE, HOSTILE, (13, 49), formula=HOSTILE, source=HOSTILE, axes=(HOSTILE, "tokens")
    )
    return fake_trace(
        tensors=(row,), ops=(), modules=(), storages=(), outputs=(0,), notes=(HOSTILE,),
        subject=HOSTILE, diagnosis=fake_failure(message=HOSTILE),
    )  # fmt: skip


def cells_of(line):
    """Return the cells of a line of a Markdown table; a pipe behind a backslash is a letter."""
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def test_csv():
    """CSV has a header, a line for each tensor, and bytes as plain numbers."""
    assert to_csv(fake_trace(), View()) == CSV


def test_csv_of_every_column_has_raw_numbers():
    """Counts in CSV are whole numbers without separators or units, and empty where unknown."""
    columns = ("tensor", "memory", "bytes", "new", "hidden", "flops")
    rows = list(csv.reader(StringIO(to_csv(fake_trace(), View(columns=columns)))))
    assert rows[1:] == [
        ["x", "254800", "254800", "0", "0", ""],
        ["qkv", "998400", "998400", "998400", "0", "24460800"],
        ["q", "332800", "332800", "0", "0", ""],
        ["scores", "520000", "520000", "520000", "332800", "16640000"],
    ]


def test_csv_leaves_line_breaks_and_commas_whole():
    """A name with a line break and commas is one cell again after parsing."""
    rows = list(csv.reader(StringIO(to_csv(hostile_trace(), View()), newline="")))
    assert rows[1][1] == HOSTILE
    assert [len(row) for row in rows] == [8, 8]


def test_markdown():
    """Markdown has the mode line, the table with indented names, and the footer as a list."""
    columns = ("#", "tensor", "shape", "bytes")
    assert to_markdown(fake_trace(), View(columns=columns)) == MARKDOWN


@pytest.mark.parametrize("trace", [fake_trace(), hostile_trace()], ids=["fake", "hostile"])
def test_markdown_rows_have_as_many_cells_as_columns(trace):
    """Whatever a cell holds, each row of the table has one cell a column."""
    table = [line for line in to_markdown(trace, EVERY).splitlines() if line.startswith("| ")]
    assert len(table) > len(trace.tensors)
    assert {len(cells_of(line)) for line in table} == {len(COLUMNS)}


def test_markdown_says_what_failed():
    """A trace that stops short ends with the panel, in a block that no backtick of it ends."""
    failure = fake_failure(message="```")
    shown = to_markdown(fake_trace(diagnosis=failure), View())
    assert shown.endswith("\n".join(["", "````text", *finding_lines(failure), "````", ""]))


def test_html_of_a_row():
    """HTML has a row a line, with the role as its class and the depth as its indent."""
    shown = to_html(fake_trace(), View(columns=("#", "tensor")))
    assert (
        "<tr class='tensor'><td style='text-align:right;'>2</td>"
        "<td style='text-align:left;padding-left:1.5em;'>q</td></tr>"
    ) in shown.splitlines()


def test_html_is_well_formed_whatever_it_holds():
    """HTML escapes names, notes and failures, so that an XML parser reads it back."""
    from xml.etree import ElementTree as ET

    shown = to_html(hostile_trace(), View(explain=True))
    tree = ET.fromstring(f"<div>{shown}</div>")  # noqa: S314 -- it is our own text
    cells = [cell.text for cell in tree.findall(".//tbody/tr/td")]
    assert "<b>" not in shown.replace("<li><b>", "").replace("<p><b>", "")
    assert cells[1:3] == [HOSTILE, HOSTILE]
    assert [len(row) for row in tree.findall(".//tr")] == [9, 9]


@pytest.mark.parametrize("kind", [Moment, Alive, Copy])
def test_the_documentation_names_every_field_of_what_is_worked_out(kind):
    """docs/trace-json.md has each field of what is worked out from the facts."""
    text = (Path(__file__).parents[2] / "docs" / "trace-json.md").read_text(encoding="utf-8")
    section = text.split(f"## {kind.__name__}\n")[1].split("\n## ")[0]
    assert [item.name for item in fields(kind) if f"`{item.name}`" not in section] == []


def test_markdown_has_the_timeline_as_code():
    """The drawing is a block of code, in which nothing is escaped."""
    shown = to_markdown(fake_training(), View(timeline=True))
    drawn = shown.split("```text\n")[1].split("\n```\n")[0]
    assert drawn.splitlines() == timeline_lines(fake_training())
    assert "```" not in to_markdown(fake_training(), View())


def test_html_has_the_timeline_as_it_stands():
    """The drawing keeps its blanks in HTML, and its names are escaped."""
    shown = to_html(hostile_trace(), View(timeline=True))
    assert "<pre>timeline: the run allocated nothing</pre>" in shown


def test_csv_of_training_has_a_line_a_tensor():
    """Headings of phases and modules are no lines of CSV; what is saved and gradients are numbers."""
    rows = list(csv.DictReader(StringIO(to_csv(fake_training(), View()))))
    assert [row["#"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert [row["saved"] for row in rows] == ["", "998400", "", "", "", ""]
    assert [row["grad"] for row in rows] == ["", "", "", "520000", "", ""]


def test_json_is_the_facts_and_what_follows_from_them():
    """JSON holds every fact, the memory report, the timeline, the kernel and the FLOPs."""
    document = json.loads(to_json(fake_trace()))
    added = {key: document.pop(key) for key in WORKED_OUT}
    assert document == json.loads(json.dumps(fake_trace().to_dict()))
    assert added["memory"] == {
        "parameters": 9_408,
        "parameters_nbytes": 37_632,
        "buffers_nbytes": 0,
        "inputs_nbytes": 254_800,
        "allocated_nbytes": 1_518_400,
        "hidden_nbytes": 332_800,
        "peak_nbytes": 1_851_200,
        "peak_at": 3,
        "saved_for_backward_nbytes": None,
        "gradients_nbytes": None,
        "optimizer_nbytes": None,
        "training_peak_nbytes": None,
        "training_peak_at": None,
        "not_counted": ["scratch inside kernels"],
    }
    assert added["timeline"] == [
        {"clock": 0, "row": 1, "phase": "forward", "nbytes": 998_400, "scratch_nbytes": 0},
        {"clock": 1, "row": 3, "phase": "forward", "nbytes": 1_331_200, "scratch_nbytes": 0},
        {"clock": 2, "row": 3, "phase": "forward", "nbytes": 1_851_200, "scratch_nbytes": 0},
        {"clock": 3, "row": None, "phase": "forward", "nbytes": 1_518_400, "scratch_nbytes": 0},
    ]
    assert added["alive_at_peak"][1:3] == [
        {"storage_id": 4, "name": "scores", "row": 3, "kind": "activations", "nbytes": 520_000},
        {
            "storage_id": 3, "name": "hidden in matmul", "row": 3, "kind": "temporaries",
            "nbytes": 332_800,
        },
    ]  # fmt: skip
    assert added["copies"] == []
    assert (added["kernel"], added["flops"]) == (None, 41_100_800)


def test_showing_takes_no_number_from_the_authors_random():
    """Rich draws from `random` when it is imported; the author's next number is what it was."""
    code = "import random; s = random.getstate(); import attntrace.render; import sys; "
    code += "sys.exit(random.getstate() != s or 'rich.style' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
