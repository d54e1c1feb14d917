"""Runs that were kept: the JSON of `attntrace run --format json`, and baselines."""

from __future__ import annotations

import json

from attntrace.errors import TraceFileError
from attntrace.record.snapshot import Snapshot

_NEITHER = "neither a saved trace nor a baseline"


def read(data: bytes, where: str) -> Snapshot:
    """Return what is compared of a saved trace, or of a baseline; `where` is what it is called.

    Raises:
        TraceFileError: it is neither, was written by a newer attntrace, or its forward failed.
        BaselineError: it is a baseline that is broken, or of a newer attntrace.

    """
    from attntrace.analysis.snapshot import snapshot_of
    from attntrace.record import Trace
    from attntrace.record.snapshot_text import from_text

    text, keys = _looked_into(data, where)
    if "schema_version" not in keys:
        raise TraceFileError(f"{where}: {_NEITHER}: it has no schema_version")
    if "tensors" not in keys:
        return from_text(text, where)
    try:
        trace = Trace.from_json(text)
    except TraceFileError as error:
        raise TraceFileError(f"{where}: {error}") from error
    if trace.diagnosis is not None:
        raise TraceFileError(f"{where}: its forward failed: {trace.diagnosis}")
    return snapshot_of(trace)


def _looked_into(data: bytes, where: str) -> tuple[str, frozenset[str]]:
    """Return the text of a file, and the keys of what it holds."""
    try:
        text = data.decode(json.detect_encoding(data))
        document = json.loads(text)
    except ValueError as error:
        raise TraceFileError(f"{where}: {_NEITHER}: not JSON: {error}") from error
    except RecursionError as error:
        raise TraceFileError(f"{where}: {_NEITHER}: nested too deeply") from error
    if not isinstance(document, dict):
        raise TraceFileError(f"{where}: {_NEITHER}: not a JSON object")
    return text, frozenset(document)
