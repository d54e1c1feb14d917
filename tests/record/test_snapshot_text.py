"""The text of a snapshot: nothing is lost, it is easy to read, and nothing else is taken for one."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from attntrace.errors import BaselineError
from attntrace.record.snapshot import Measured, Snapshot, SnapshotModule, SnapshotRow
from attntrace.record.snapshot_keys import MEASURED, MODULE, REPEAT, ROW, TOP
from attntrace.record.snapshot_text import from_text, to_text, written_by
from tests.record.any_snapshot import snapshots, texts

untimed = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def layer_row(number, name="q", **changes):
    """Return a row of a layer."""
    row = SnapshotRow(
        path=f"stack.layers.{number}.attention", name=name, op="linear", kind="op", phase="forward",
        shape=(2, 128), axes=("batch", "tokens"), dtype="float32", nbytes=1024,
    )  # fmt: skip
    return replace(row, **changes)


def stack(layers, **changes):
    """Return a snapshot of so many layers of three rows each."""
    rows = [layer_row(n, name) for n in range(layers) for name in "qkv"]
    own = (("bias", "float32[7]"), ("weight", "float32[6, 7]"))
    module = SnapshotModule(path="", type="Stack", parameters=49, own=own)
    snapshot = Snapshot(
        subject="Stack",
        sizes={"tokens": 128, "batch": 2},
        parameters=49,
        rows=(layer_row(0, "x", path="", op="input", kind="input"), *rows),
        modules=(module,),
        measured={"cpu": Measured(peak_nbytes=4096)},
    )
    return replace(snapshot, **changes)


TEXT = """\
{
 "schema_version": 1,
 "subject": "Stack",
 "parameters": 49,
 "sizes": {
  "tokens": 128,
  "batch": 2
 },
 "measured": {
  "cpu": {"peak_nbytes": 4096}
 },
 "modules": [
  {"path": "", "type": "Stack", "parameters": 49, "own": {"bias": "float32[7]", \
"weight": "float32[6, 7]"}}
 ],
 "rows": [
  {"path": "", "name": "x", "op": "input", "kind": "input", "shape": [2, 128], "axes": ["batch", \
"tokens"], "dtype": "float32", "nbytes": 1024},
  {"repeat": 4, "of": [
   {"path": "stack.layers.{0}.attention", "name": "q", "op": "linear", "shape": [2, 128], \
"axes": ["batch", "tokens"], "dtype": "float32", "nbytes": 1024},
   {"path": "stack.layers.{0}.attention", "name": "k", "op": "linear", "shape": [2, 128], \
"axes": ["batch", "tokens"], "dtype": "float32", "nbytes": 1024},
   {"path": "stack.layers.{0}.attention", "name": "v", "op": "linear", "shape": [2, 128], \
"axes": ["batch", "tokens"], "dtype": "float32", "nbytes": 1024}
  ]}
 ]
}
"""


def test_a_row_a_line_and_layers_once():
    """The text of four layers, to the letter."""
    assert to_text(stack(4)) == TEXT


@untimed
@given(snapshots)
def test_nothing_is_lost(snapshot):
    """What is read back is what was written, whatever is in it, and is written the same again."""
    text = to_text(snapshot)
    assert from_text(text, "x.json") == snapshot
    assert to_text(from_text(text, "x.json")) == text
    assert text.isascii()
    assert text.endswith("\n")
    assert written_by(text) == 1


def test_more_layers_take_no_more_lines():
    """A stack of 126 layers is as long as one of 4, but for the number of them."""
    few, many = to_text(stack(4)), to_text(stack(126))
    assert many == few.replace('"repeat": 4', '"repeat": 126')
    assert from_text(many, "x") == stack(126)


def test_one_layer_that_is_another_is_written_out():
    """What stands out is one line of its own, between two repeats."""
    rows = list(stack(9).rows)
    rows[14] = replace(rows[14], shape=(2, 64))
    text = to_text(stack(9, rows=tuple(rows)))
    assert text.count('"shape": [2, 64]') == 1
    assert [line.strip()[:13] for line in text.split("\n") if "repeat" in line] == [
        '{"repeat": 4,'
    ] * 2


def test_the_order_of_devices_is_always_the_same():
    """Equal snapshots have equal texts, in whichever order their devices came."""
    cpu, cuda = Measured(peak_nbytes=1), Measured(peak_nbytes=2, training_peak_nbytes=3)
    one = stack(1, measured={"cpu": cpu, "cuda NVIDIA H100": cuda})
    other = stack(1, measured={"cuda NVIDIA H100": cuda, "cpu": cpu})
    assert to_text(one) == to_text(other)


def fails(text):
    """Return what is said of a text that is no snapshot, without the file's name."""
    with pytest.raises(BaselineError) as caught:
        from_text(text, "gpt2.json")
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("gpt2.json: ")
    return str(caught.value).removeprefix("gpt2.json: ")


AGAIN = "; `attntrace check ... --update` writes it anew"
NOT_OURS = "; move it away, or name another folder with --baselines"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f"not JSON: it ends too early, at line 1, column 1{AGAIN}"),
        (TEXT[:40], f"not JSON: it ends too early, at line 3, column 13{AGAIN}"),
        (TEXT[:-3], f"not JSON: it ends too early, at line 22, column 3{AGAIN}"),
        ("{a}", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2" + NOT_OURS),
        (
            TEXT.replace(' "sizes"', '<<<<<<< HEAD\n "sizes"'),
            f"not JSON: a merge conflict at line 5, column 1{AGAIN}",
        ),
        ("[]", f"not a baseline: an object with schema_version was expected{NOT_OURS}"),
        ('{"a": 1}', f"not a baseline: an object with schema_version was expected{NOT_OURS}"),
        (
            '{"schema_version": 2}',
            "schema_version 2 is newer than the 1 that this attntrace reads; install a newer attntrace",
        ),
        (
            '{"schema_version": "1"}',
            f"schema_version must be a whole number from 1 on, got '1'{NOT_OURS}",
        ),
        ('{"schema_version": 0}', f"schema_version must be a whole number from 1 on, got 0{NOT_OURS}"),
        ('{"schema_version": 1}', f"subject is missing{AGAIN}"),
        (TEXT.replace("tokens", "t\u00f6kens", 1), f"damaged: a letter that is no ASCII at line 6{AGAIN}"),
    ],
)  # fmt: skip
def test_what_is_no_snapshot(text, said):
    """Each says what it is, where, and what to do."""
    assert fails(text) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"subject": "Stack"', '"subject": null', "subject must be a text, got None"),
        ("49", "-1", "parameters must be a whole number from 0 on, got -1"),
        ("49", "true", "parameters must be a whole number from 0 on, got True"),
        ("49", "1e400", "parameters must be a whole number from 0 on, got inf"),
        ('"batch": 2', '"batch": 2.0', "sizes.batch must be a whole number from 0 on, got 2.0"),
        ('"sizes"', '"lengths"', "lengths means nothing here"),
        ('{"peak_nbytes": 4096}', "7", "measured.cpu must be an object, got 7"),
        ("4096", "null", "measured.cpu.peak_nbytes must be a whole number from 0 on, got None"),
        ('"type": "Stack", ', "", "modules[0].type is missing"),
        (
            '"kind": "input"',
            '"kind": "output of a layer with a name that is long"',
            "rows[0].kind must be one of input, op, module, output, gradient, got 'output of a layer with a name that is l...",
        ),
        (
            "[2, 128]",
            '["2", 128]',
            "rows[0].shape must be a list of whole numbers from 0 on, or null, got ['2', 128]",
        ),
        (
            '["batch", "tokens"]',
            '["batch"]',
            "rows[0].axes must be one for each dimension of [2, 128], got ['batch']",
        ),
        ('"float32[7]"', "7", "modules[0].own must be an object of texts, got {'bias': 7, 'weight': 'float32[6, 7]'}"),
        ('"repeat": 4', '"repeat": 1', "rows[1].repeat must be a whole number from 2 on, got 1"),
        ('"repeat": 4', '"repeat": 1000000', "rows are more than 1,000,000"),
        ('"repeat": 4', '"repeat": 4, "step": "up"', "rows[1].step must be a whole number, got 'up'"),
        (
            '"repeat": 4',
            '"repeat": 4, "step": -1',
            "rows: {0} counts down to -1",
        ),
        ("{0}", "{0", "rows: '{' alone; a brace that is meant stands twice"),
        ('"q", "op"', '"q", "pt"', "rows[1].of[0].pt means nothing here"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be(old, new, said):
    """The key and its place are named, with what it must be and what it is."""
    assert old in TEXT
    assert fails(TEXT.replace(old, new, 1)) == said + AGAIN


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"schema_version": 1, "rows": ' + '[{"of": ' * 50_000, "9" * 5000],
    ids=["lists", "objects", "digits"],
)
def test_what_no_reader_can_take(text):
    """Text that is nested too deep, or a number that is too long, is refused as any other."""
    assert fails(text).endswith((AGAIN, NOT_OURS))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | texts,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside, max_size=3),
    max_leaves=8,
)


def is_refused_or_whole(text):
    """A text is refused with the one error that there is for it, or is a snapshot that writes."""
    with suppress(BaselineError):
        found = from_text(text, "x.json")
        assert from_text(to_text(found), "y.json") == found


@untimed
@given(snapshots, st.data())
def test_any_value_anywhere(snapshot, data):
    """Whatever stands in the place of one value, there is no other error."""
    document = json.loads(to_text(snapshot))
    place, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
    place[key] = data.draw(values)
    is_refused_or_whole(json.dumps(document))


@untimed
@given(snapshots, st.data())
def test_any_damage(snapshot, data):
    """Cut short, or with some of it gone, doubled or written over, there is no other error."""
    text = to_text(snapshot)
    start, end = sorted(
        (data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text))))
    )
    is_refused_or_whole(text[:start])
    is_refused_or_whole(text[:start] + text[end:])
    is_refused_or_whole(text[:end] + text[start:])
    is_refused_or_whole(text[:start] + data.draw(texts) + text[end:])


@untimed
@given(values)
@example({"schema_version": 1, "rows": {}})
def test_any_json(value):
    """No JSON but a snapshot's is taken for one."""
    is_refused_or_whole(json.dumps(value))


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("Baseline", TOP),
        ("Row", ROW),
        ("Module", MODULE),
        ("Measured", MEASURED),
        ("Repeat", REPEAT),
    ],
)
def test_the_documentation_names_every_key(title, keys):
    """docs/baseline.md has a table of each kind of object, its keys in order."""
    page = (Path(__file__).parents[2] / "docs" / "baseline.md").read_text(encoding="utf-8")
    section = page.split(f"## {title}\n")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == keys
