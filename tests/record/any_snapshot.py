"""Snapshots that no run has made: any texts and numbers, and layers that repeat or nearly do."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from attntrace.record import Kind, Phase
from attntrace.record.snapshot import Measured, Snapshot, SnapshotModule, SnapshotRow

PIECES = (
    "layers.", "0", "1", "7", "12", "007", "{", "}", "{{", "{0}", ".", "q", "past[", "]", '"', "\\",
    "\n", "\r", "\t", "\x00", "é", "層", "\u2028", "\ud800", "²", "٣", "1" * 19, "-1",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.text(max_size=4)
sizes = st.integers(0, 2**70)
shapes = st.none() | st.lists(sizes, max_size=3).map(tuple)


@st.composite
def rows(draw, path=texts, name=texts):
    """Return any row; axes are as many as the shape has numbers."""
    shape = draw(shapes)
    of_shape = st.lists(texts, min_size=len(shape or ()), max_size=len(shape or ())).map(tuple)
    return SnapshotRow(
        path=draw(path),
        name=draw(name),
        op=draw(texts),
        kind=draw(st.sampled_from(get_args(Kind))),
        phase=draw(st.sampled_from(get_args(Phase))),
        shape=shape,
        axes=None if shape is None else draw(st.none() | of_shape),
        dtype=draw(texts),
        nbytes=draw(st.none() | sizes),
    )


own = st.dictionaries(texts, texts, max_size=3).map(lambda named: tuple(sorted(named.items())))
plain = st.booleans() | sizes | st.floats(allow_nan=False, allow_infinity=False) | texts
settings = st.dictionaries(texts, plain | st.lists(plain, max_size=3).map(tuple), max_size=3).map(
    lambda named: tuple(sorted(named.items(), key=lambda item: item[0]))
)
modules = st.builds(
    SnapshotModule, path=texts, type=texts, parameters=sizes, own=own, settings=settings
)


@st.composite
def repeated(draw, one):
    """Return some records, most of them in layers whose numbers count up, now and then wrongly."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        block = draw(st.lists(one, max_size=3))
        start, step, times = draw(
            st.tuples(st.integers(0, 9), st.integers(-2, 3), st.integers(1, 9))
        )
        for turn in range(times):
            number = str(start + step * turn)
            found += [_numbered(record, number) for record in block]
    return tuple(found)


def _numbered(record, number):
    fields = {name: getattr(record, name) for name in record.__slots__}
    for name in ("path", "name"):
        if name in fields:
            fields[name] = fields[name].replace("7", number)
    return type(record)(**fields)


snapshots = st.builds(
    Snapshot,
    subject=texts,
    sizes=st.dictionaries(texts, sizes, max_size=3),
    parameters=sizes,
    rows=repeated(rows()),
    modules=repeated(modules),
    measured=st.dictionaries(
        texts,
        st.builds(
            Measured,
            peak_nbytes=sizes,
            training_peak_nbytes=st.none() | sizes,
            saved_for_backward_nbytes=st.none() | sizes,
        ),
        max_size=2,
    ),
)
