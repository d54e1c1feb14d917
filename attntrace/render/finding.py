"""What is said of one line: of a forward that failed there, or that ran and is hardly meant so."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.record import Diagnosis, Fix, Operand, Step, Trace, Trap
from attntrace.render.units import shape_text, tuple_text

Finding = Diagnosis | Trap
_ROOM = 2


def findings(trace: Trace) -> tuple[Finding, ...]:
    """Return what is to be said below the table: why the forward stopped, or its warnings."""
    return trace.warnings if trace.diagnosis is None else (trace.diagnosis,)


def finding_lines(finding: Finding) -> list[str]:
    """Return the panel: where, the line with its mark, the operands, the rule, origin and fixes."""
    return [
        _head(finding),
        *_marked(finding),
        *_operands(finding),
        *([f"  {finding.rule}"] if finding.rule else []),
        *(line for step in finding.origin for line in _step(step)),
        *(line for fix in finding.fixes for line in _fix(fix, isinstance(finding, Trap))),
        *_said(finding),
    ]


def _head(finding: Finding) -> str:
    place = f" in {finding.path}" if finding.path else ""
    at = f" at {finding.source}" if finding.source else ""
    called = f", called from {finding.called_from}" if finding.called_from else ""
    if isinstance(finding, Trap):
        return f"warning {finding.name}{place}{at}{called}"
    return f"{finding.op or 'the forward'} failed{place}{at}{called}"


def _marked(finding: Finding) -> Iterator[str]:
    if finding.line is None:
        return
    yield f"    {finding.line}"
    if finding.mark is not None:
        begin, end = finding.mark
        yield f"    {' ' * begin}{'^' * max(end - begin, 1)}"


def _operands(finding: Finding) -> Iterator[str]:
    file = (finding.source or "").rpartition(":")[0]
    rows = [_cells(operand, file) for operand in finding.operands]
    widths = (
        [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    )
    for row in rows:
        texts = [text.ljust(width) for text, width in zip(row, widths, strict=True) if width]
        yield f"  {(' ' * _ROOM).join(texts)}".rstrip()


def _cells(operand: Operand, file: str) -> tuple[str, ...]:
    source = operand.source or ""
    if file and source.startswith(f"{file}:"):
        source = f"line {source.rpartition(':')[2]}"
    row = "" if operand.row is None else f"row #{operand.row}"
    return (
        operand.name,
        shape_text(operand.shape),
        tuple_text(operand.axes) if operand.axes else "",
        operand.dtype,
        operand.device,
        f"holds {operand.holds}" if operand.holds else "",
        ", ".join(text for text in (row, source) if text),
    )


def _step(step: Step) -> Iterator[str]:
    at = f"  ({step.source})" if step.source else ""
    yield f"  from: {step.said}{at}"
    if step.line:
        yield f"      {step.line}"


def _fix(fix: Fix, runs: bool) -> Iterator[str]:
    """Yield what to do; that it was not tried is said of a call that fails, not of one that runs."""
    untried = "" if runs else "  (not tried)"
    tried = f"  (tried {fix.tried}: it works)" if fix.tried else untried
    yield f"  fix: {fix.said}{tried}"
    if fix.code:
        yield f"      {fix.code}"


def _said(finding: Finding) -> Iterator[str]:
    if isinstance(finding, Diagnosis):
        first, *rest = f"{finding.error}: {finding.message}".splitlines()
        yield f"  {first}"
        yield from (f"    {line}" for line in rest)
